/*
 * Inode flags of open files. For this module only.
 */
#ifndef SOURCE_FLAGS_H
#define SOURCE_FLAGS_H

#include <stdbool.h>
#include <stdint.h>

/* The flags that are kept: those that FS_IOC_SETFLAGS can set and that mean something for a copy: immutable,
 * append, nodump, noatime, sync, dirsync, compressed, nocomp, journal-data, notail, topdir, nocow and
 * project-inherit. Left out: what describes how a file lies on its disk (extents, index, inline data, verity,
 * encryption), what takes effect only on an empty directory (casefold), what depends on the device (dax) and
 * what no file system does (secure removal, undelete). */
extern const uint32_t flags_kept;

/* False with errno. All flags, not only those that are kept. */
bool flags_read(int fd, uint32_t *flags);
bool flags_write(int fd, uint32_t flags);
/* True if errno of the two above says that the file system has no flags. */
bool flags_unsupported(int errnum);
/* The two flags that forbid any change. */
extern const uint32_t flags_locks;
/* Takes off immutable and append; silent if it cannot. True if it did. */
bool flags_unlock(int fd);

#endif
