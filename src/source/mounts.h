/*
 * What is mounted where, as the kernel lists it: a mount is recognised by its path, without touching it, for
 * one that hangs would hang whoever looks. Used by
 * the backup op and by this module.
 */
#ifndef SOURCE_MOUNTS_H
#define SOURCE_MOUNTS_H

#include <stdint.h>

struct mounts;

enum mount_kind {
    MOUNT_NONE,
    MOUNT_LOCAL, /* a file system of this machine, which answers */
    MOUNT_OTHER  /* a server or a program stands behind it: it may hang, or let nobody in */
};

/* The mounts of now. Empty where /proc is not mounted. The caller frees it with mounts_free. */
struct mounts *mounts_read(void);
/* What is mounted at this path, which leads through no symbolic link. */
enum mount_kind mounts_find(const struct mounts *mounts, const char *path);
void mounts_free(struct mounts *mounts);

/* What is mounted: a device, "server:/path", whatever its file system takes. NULL: there is no mount of this
 * number (stx_mnt_id of statx). The caller frees it. */
char *mounts_source(uint64_t mount);
/* The value of an option of the file system, such as "upperdir=": empty if it has none. Otherwise as
 * mounts_source. */
char *mounts_option(uint64_t mount, const char *option);

#endif
