/*
 * What check-config finds besides mistakes of the language: settings that have no effect, or not the one that
 * was meant, and things that they name and this machine lacks. Warnings, for what is missing may come later.
 */
#ifndef CLI_CHECK_FINDINGS_H
#define CLI_CHECK_FINDINGS_H

#include "cli/output.h"
#include "config/config.h"

struct findings {
    const char *file; /* the configuration's */
    json_t *list;     /* of texts, or NULL */
    size_t count;
};

/* Warns, with a hint, and notes it. line 0: none. */
void finding(struct findings *f, unsigned line, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Classes that are taken and never expire or the other way round, and check_locks(). */
void check_rotation(const struct config *config, struct findings *f);
/* Object locks that outlive what they lock: what expires is paid for until they end. */
void check_locks(const struct config *config, struct findings *f);
/* Sources, programs, key files and folders. Reads metadata only, but for files of secrets. */
void check_machine(const struct config *config, struct findings *f);

#endif
