/*
 * The restore twin of directory.h and file.h: makes entries below a destination and never leaves it. Used by
 * the restore op. Names come from trees and are not trusted: each is one component, checked here; symbolic
 * links are never followed, whoever put them there and whenever, but for those above a source, see
 * writer_go_above(). Everything is made for its owner only (0700,
 * 0600) until metadata_write() gives it its own mode. Messages do not name the entry: the caller does.
 */
#ifndef SOURCE_WRITER_H
#define SOURCE_WRITER_H

#include "source/directory.h"

#include <stdbool.h>

#define WRITER_NAME_SIZE (NODE_NAME_MAX + 1)

/* What names begin with under which files are not to be seen yet: the process that made them. */
#define WRITER_TEMPORARY ".holdfast-%ld-"

struct writer;

/* Opens the destination; the path is the person's own, so links in it are followed. */
int writer_open(const char *destination, bool create, struct writer **writer, struct error *err);
void writer_close(struct writer *writer);
/* A descriptor of the destination; stays the writer's. */
int writer_root(const struct writer *writer);

/* A directory at a path below the destination ("etc/x"; slashes in front do not count, "" is the
 * destination), of any length. NOT_FOUND where a component is missing or no directory; USAGE for ".." and the
 * like. The caller closes *fd. */
int writer_open_path(const struct writer *writer, struct bytes path, int *fd, struct error *err);

/* What the snapshot says of the folders above what is restored. */
struct writer_above {
    /* True if the snapshot has a folder at this path. */
    int (*knows)(void *context, struct bytes path, bool *known, struct error *err);
    /* Such a folder was missing and was made, with mode 0700: its metadata is to be set. */
    void (*made)(void *context, const char *place);
    void *context;
    bool make; /* what is missing; else *fd is -1 where it is */
};

/* The folder at a path below the destination that something is to be restored to. Nothing on the way is ever
 * removed. Symbolic links in the place of folders that the snapshot does not have are followed where that is
 * safe: they belong to root or to the caller, and lead to a folder below the destination. The target of an
 * absolute link is looked for there as if the destination were the root, unless it names the destination as
 * it is seen from here. In the place of a folder that the snapshot has a link is never followed: whoever owns
 * what is in a source could lead a restore elsewhere. EXISTS where something else is in the way. *place is
 * the path without links, for writer_open_path(); the caller frees it and closes *fd. */
int writer_go_above(const struct writer *writer, struct bytes path, const struct writer_above *above, int *fd,
                    char **place, struct error *err);

/* What is at a path below the destination. NOT_FOUND where nothing is. */
int writer_stat(const struct writer *writer, struct bytes path, struct source_stat *st, struct error *err);

/* In all that follow: name is taken in `directory`; one that is no single component (empty, "/", NUL, ".",
 * "..", more than NODE_NAME_MAX bytes) gives USAGE. Something else in the way is replaced if replace is true,
 * else EXISTS. A folder that is not empty is never replaced: EXISTS. Immutable and append flags of
 * `directory` are taken off while something changes in it. */

/* Makes a directory, with mode 0700, or opens the one that is there. The caller closes *fd. */
int writer_make_directory(int directory, struct bytes name, bool replace, int *fd, bool *made,
                          struct error *err);
/* What the above would do, without doing it: *fd is -1 where it would make one. */
int writer_find_directory(int directory, struct bytes name, bool replace, int *fd, struct error *err);
/* A symbolic link, FIFO or device, as the node says. DENIED for devices where the caller may not. */
int writer_make_special(int directory, struct bytes name, const struct node *node, bool replace,
                        struct error *err);
/* True if what is there, of which st tells, is the link, FIFO or device of the node. */
bool writer_special_is(int directory, struct bytes name, const struct source_stat *st,
                       const struct node *node);
/* A hard link to the file at a path below the destination. */
int writer_make_hard_link(const struct writer *writer, int directory, struct bytes name, struct bytes target,
                          bool replace, struct error *err);
/* Removes an entry that is no folder, or an empty one, locked or not. Done if it is not there. */
int writer_remove(int directory, struct bytes name, struct error *err);
/* EXISTS if a folder that is not empty is there. */
int writer_check_replaceable(int directory, struct bytes name, struct error *err);

/* A regular file while it is written. The directory's descriptor must stay open. */
struct writer_file {
    int fd;
    int directory;
    char name[WRITER_NAME_SIZE];
    char temporary[WRITER_NAME_SIZE]; /* its name until it is committed; empty if it has its own at once */
    bool updated;                     /* in place: it was there before */
    bool based;                       /* it begins with the contents of the one that is replaced */
};

/* A new file. If something is in the way and replace is true, the file gets its name in writer_file_commit(),
 * so that the old one stays until then. flags: the node's; nocow works on empty files only, so it is set now.
 */
int writer_file_create(int directory, struct bytes name, uint32_t flags, bool replace,
                       struct writer_file *file, struct error *err);
/* True for what a restore left behind that was killed. */
bool writer_file_is_unfinished(const struct source_stat *st);
/* The file that is there, for reading; what it is now in *st. -1 if it is none, or cannot be read. */
int writer_file_open_old(int directory, struct bytes name, struct source_stat *st);
/* Begins a new file with the contents of an old one, where the file system lets both share them. */
void writer_file_share(struct writer_file *file, int old);
/* An existing file, to be changed in place: a regular file with no other name, which may be outside (else
 * EXISTS). For what has no room beside it: until it is whole it has something of both. */
int writer_file_update(int directory, struct bytes name, struct writer_file *file, struct error *err);
/* Any order, any thread; what is never written is a hole. */
int writer_file_write(const struct writer_file *file, const void *data, size_t size, uint64_t offset,
                      struct error *err);
/* Frees the blocks of a range of a file that is based on an old one, or zeroes it where that cannot be. */
int writer_file_hole(const struct writer_file *file, uint64_t offset, uint64_t length, struct error *err);
/* The final size. */
int writer_file_truncate(const struct writer_file *file, uint64_t size, struct error *err);
/* Gives the file its name and closes it. Its metadata is to be set before, through file->fd. */
int writer_file_commit(struct writer_file *file, struct error *err);
/* Closes a file that was not committed, and removes it unless it was there before. */
void writer_file_abort(struct writer_file *file);

#endif
