/*
 * Reading the contents of a regular file once, in order, holes left out, and noticing that it changed
 * meanwhile. Used by the backup op. Messages do not name the file: the caller puts the path before them.
 *
 * A small file costs open, statx, lseek (if it has more than a block), one read, statx, close. An empty one
 * costs the read, too: some file systems (proc, cloud drives by way of FUSE) tell size 0, or that of a page,
 * whatever there is to read.
 */
#ifndef SOURCE_FILE_H
#define SOURCE_FILE_H

#include "source/entry.h"

enum source_change {
    SOURCE_UNCHANGED,
    SOURCE_CHANGED, /* same size, other mtime or ctime */
    SOURCE_GREW,    /* what was read is its beginning, as long as it was when it was opened */
    SOURCE_SHRANK,
    SOURCE_SHORT,  /* it ended before the size that its file system tells, then as now */
    SOURCE_ENDLESS /* what was read is its beginning: there is far more than its file system tells */
};

/* So much is read of a file beyond the size that its file system tells. */
#define SOURCE_UNTOLD_MAX (4ull * 1024 * 1024 * 1024)

struct source_file {
    int fd;
    struct source_stat stat; /* when it was opened: use it for the node */
    uint64_t offset;         /* read so far, holes among it */
    uint64_t data_end;       /* where the run of data at offset ends */
    uint64_t limit;  /* how far it is read: its size, or farther where that turned out to mean nothing */
    bool sequential; /* has no positions to read at */
    bool ended;
};

/* A run of data, or a hole. Length 0: the end. */
struct source_run {
    uint64_t length;
    bool hole;
};

/* Begins with a file that was opened, and must stay open. DENIED where it cannot be read. */
int source_file_open(const struct source_entry *entry, struct source_file *file, struct error *err);
/* Reads on: either data, as much as fits into size bytes and lies before the next hole, or one hole of at
 * least 4 KiB or at the end of the file (of any length; nothing is written to data). Never more than the
 * file's size when it was opened, unless the file system goes on telling that size though there is more: then
 * to the end, or SOURCE_UNTOLD_MAX. */
int source_file_next(struct source_file *file, void *data, size_t size, struct source_run *run,
                     struct error *err);
/* What happened to the file since it was opened; to be asked after the end. Where its size means nothing,
 * neither do its times. */
int source_file_changed(struct source_file *file, enum source_change *change, struct error *err);
/* "changed while it was read" and the like, for a warning. */
const char *source_change_text(enum source_change change);

#endif
