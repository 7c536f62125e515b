/*
 * The environment of commands that are no business of the repository's secrets: hooks and sendmail.
 */
#ifndef NOTIFY_ENVIRONMENT_H
#define NOTIFY_ENVIRONMENT_H

/* PATH, HOME, USER, LOGNAME, SHELL, LANG, LANGUAGE, LC_*, TZ, TMPDIR of this process where they are set (PATH
 * in any case), and nothing else that it has: credentials of stores are there, and passwords of proxies. Then
 * `more`, NAME=VALUE, up to a NULL; NULL is fine. The caller frees the list with environment_free. */
char **environment_new(const char *const *more);
void environment_free(char **environment);

#endif
