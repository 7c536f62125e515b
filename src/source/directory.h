/*
 * Reading directories and what stat says about their entries: the fewest system calls an entry can cost.
 * Used by the backup op and the rest of this module. Everything is relative to a descriptor of the directory,
 * so paths may be of any length; symbolic links are never followed. Messages do not name the entry: the
 * caller knows the whole path and puts it before them with error_prefix().
 */
#ifndef SOURCE_DIRECTORY_H
#define SOURCE_DIRECTORY_H

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"

#include <stdbool.h>

/* More entries in one directory are refused. */
#define SOURCE_ENTRIES_MAX (16u * 1024 * 1024)

struct source_stat {
    enum node_type type;
    uint32_t mode; /* 07777 */
    uint32_t uid, gid;
    uint32_t link_count;
    uint64_t size;
    uint64_t blocks; /* of 512 bytes */
    int64_t mtime_seconds, ctime_seconds;
    uint32_t mtime_nanoseconds, ctime_nanoseconds;
    int64_t birth_seconds; /* 0, with the nanoseconds, where the file system does not tell */
    uint32_t birth_nanoseconds;
    uint64_t inode;
    uint64_t device;                     /* of the file system that holds it: major << 32 | minor */
    uint32_t device_major, device_minor; /* that a device node stands for */
    uint32_t attribute_flags;            /* the few FS_*_FL that statx tells */
    bool beneath;                        /* what a mount covers: see source_beneath() */
    bool mount_root;                     /* something is mounted here; false where the kernel does not say */
};

/* The type in a mode of stat(2). */
enum node_type source_type_of_mode(unsigned mode);

/* Opens a directory below parent (AT_FDCWD for a path). A symbolic link in its place: NOT_FOUND. The access
 * time is left alone where the kernel lets us. The caller closes *fd. */
int source_open_directory(int parent, const char *name, int *fd, struct error *err);

/* The names in a directory, in byte order, without "." and "..", each with a NUL behind that is not counted.
 * While entries are renamed, a listing may miss some that are there all the time: if the directory changed
 * since `before`, a look at it before it was opened (may be NULL), it is listed again, and all names count.
 * They lie in arena. scratch is room to work in: any buffer, kept by the caller for the next call; its
 * contents are lost. A name that the file system gives twice is listed once. */
int source_list_directory(int fd, const struct source_stat *before, struct buffer *scratch,
                          struct arena *arena, struct bytes **names, size_t *count, struct error *err);
/* What the listing says that an entry is; UNKNOWN where the file system does not say so there. For names that
 * source_list_directory has given. Nothing is looked at: something else may be mounted there or take its
 * place. */
enum node_type source_listed_type(struct bytes name);

/* One statx. name "" is the descriptor itself. NOT_FOUND where the entry is gone. */
int source_stat(int directory, const char *name, struct source_stat *out, struct error *err);

/* source_stat() for an absolute path of any length. */
int source_stat_path(const char *path, struct source_stat *out, struct error *err);

/* True if a descriptor leads to a file system that holds no data but shows the state of the kernel: proc,
 * sysfs, control groups and the like. */
bool source_is_of_kernel(int fd);

/* Why the root of a file system is left alone, where a walk comes upon it: it is of the kernel, or looking
 * into it would mount something. NULL: there is no reason. */
const char *source_not_entered(int parent, const char *name);

/* Whether a path that was named as a source leads, by way of symbolic links or not, to what has no contents
 * that can be kept: FAILED, with what to do instead, for a FIFO, a socket or a device. What cannot be
 * examined passes. */
int source_check_kind(const char *path, struct error *err);

/* A descriptor through which the entries of a directory are seen without what is mounted on them. For root
 * only: else -1. The caller closes it. */
int source_beneath(int directory);

/* True if a directory holds a file CACHEDIR.TAG with the signature of the Cache Directory Tagging
 * Specification (https://bford.info/cachedir/). */
bool source_is_cachedir(int directory);

#endif
