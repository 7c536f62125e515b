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

/* A folder, or another entry, whose locks are off for one operation. */
struct flags_lifted {
    int fd;
    uint32_t flags;
};

/* Takes the locks off a folder that has some, until flags_put_back(); to be called where an operation in it
 * gave EPERM. False with errno EPERM if it has none, or they cannot be taken off. One at a time: others wait.
 */
bool flags_lift(int fd, struct flags_lifted *lifted);
/* Leaves errno alone. */
void flags_put_back(const struct flags_lifted *lifted);
/* Likewise of an entry of a directory; only files and folders have locks. */
bool flags_lift_entry(int directory, const char *name, struct flags_lifted *lifted);
void flags_put_back_entry(const struct flags_lifted *lifted);

#endif
