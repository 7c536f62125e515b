/*
 * Opening an entry without following symbolic links and without touching its access time. For this module
 * only.
 */
#ifndef SOURCE_OPEN_H
#define SOURCE_OPEN_H

/* openat with O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, and O_NOATIME where permitted. -1 with errno. */
int source_open_at(int directory, const char *name, int flags);

#endif
