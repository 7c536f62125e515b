/*
 * First names of files that have several: where the walk comes to another name of the same file, it becomes a
 * link to the first. Inode numbers are used again while the walk runs, at once by some file systems, so that
 * the number alone says nothing. For the walk over files.
 */
#ifndef OPS_BACKUP_LINKS_H
#define OPS_BACKUP_LINKS_H

#include "source/directory.h"

struct links;

struct links *links_new(void);
void links_free(struct links *links);

/* True for what may have several names. */
bool links_has_names(const struct source_stat *st);
/* The path of the first name of the file that st, a look at `path` of just now, describes. NULL: none was
 * noted, or only one that is not certain to be the same file. */
const char *links_first(const struct links *links, const struct source_stat *st, const char *path);
/* path is in the snapshot, with what the file held when st was taken. It replaces a first name of the same
 * number. */
void links_note(struct links *links, const struct source_stat *st, const char *path);
/* path did not come into the snapshot after all. */
void links_forget(struct links *links, const struct source_stat *st, const char *path);

#endif
