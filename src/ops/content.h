/*
 * One file's contents in order, and whole trees as an archive. For the commands cat and export.
 */
#ifndef OPS_CONTENT_H
#define OPS_CONTENT_H

#include "repo/snapshots.h"

/* Calls back with the contents of a file, holes as zeros, in pieces of at most a chunk. */
typedef int content_sink(void *context, struct bytes data, struct error *err);
int content_read(struct repository *repository, const struct node *node, content_sink *sink, void *context,
                 struct error *err);
/* Writes the contents of the file at path to a descriptor. A hard link's contents are those of its first
 * name. */
int content_write(struct repository *repository, const struct extents *root, const char *path, int fd,
                  struct error *err);

enum content_format { CONTENT_PAX, CONTENT_ZIP };
/* Writes what paths name (none: everything) as an archive. *warnings counts what the format could not hold.
 */
int content_export(struct repository *repository, const struct extents *root, const char *const *paths,
                   size_t path_count, enum content_format format, int fd, uint64_t *warnings,
                   struct error *err);

#endif
