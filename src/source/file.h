/*
 * Reading the contents of a regular file once, in order, holes left out, and noticing that it changed
 * meanwhile. Used by the backup op. Messages do not name the file: the caller puts the path before them.
 *
 * A small file costs open, statx, lseek (if it has more than a block), one read, statx, close.
 */
#ifndef SOURCE_FILE_H
#define SOURCE_FILE_H

#include "source/directory.h"

enum source_change {
    SOURCE_UNCHANGED,
    SOURCE_CHANGED, /* same size, other mtime or ctime */
    SOURCE_GREW,    /* what was read is its beginning, as long as it was when it was opened */
    SOURCE_SHRANK
};

struct source_file {
    int fd;
    struct source_stat stat; /* when it was opened: use it for the node */
    uint64_t offset;         /* read so far, holes among it */
    uint64_t data_end;       /* where the run of data at offset ends */
    bool ended;
};

/* A run of data, or a hole. Length 0: the end. */
struct source_run {
    uint64_t length;
    bool hole;
};

/* Opens name in directory, which must still be the regular file (device and inode) that `expected` describes.
 * NOT_FOUND where it vanished or was replaced, DENIED where it cannot be read. */
int source_file_open(int directory, const char *name, const struct source_stat *expected,
                     struct source_file *file, struct error *err);
/* Reads on: either data, as much as fits into size bytes and lies before the next hole, or one hole of at
 * least 4 KiB or at the end of the file (of any length; nothing is written to data). Never more than the
 * file's size when it was opened. */
int source_file_next(struct source_file *file, void *data, size_t size, struct source_run *run,
                     struct error *err);
/* What happened to the file since it was opened; to be asked after the end. */
int source_file_changed(struct source_file *file, enum source_change *change, struct error *err);
/* "changed while it was read" and the like, for a warning. */
const char *source_change_text(enum source_change change);
void source_file_close(struct source_file *file);

#endif
