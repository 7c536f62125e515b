/*
 * Everything about an entry but its contents, as a node. Used by the backup op, for entries that changed
 * only: an unchanged one needs no more than source_stat(). Messages do not name the entry: the caller does.
 */
#ifndef SOURCE_METADATA_H
#define SOURCE_METADATA_H

#include "source/entry.h"

#define SOURCE_XATTRS_MAX (1024u * 1024) /* of one entry, names and values */

/* For one thread: caches of names and of what file systems cannot do, room to work in. */
struct metadata_reader;

/* Called for each part of an entry's metadata that could not be read; the node lacks it then. */
typedef void source_warning(void *context, const char *message);

struct metadata_reader *metadata_reader_new(source_warning *warning, void *context);
void metadata_reader_free(struct metadata_reader *reader);

/* Fills node from the entry's stat, and reads link target, names of owners, xattrs and flags into arena.
 * Name, content, subtree and hard_link stay empty. What cannot be read of a file or directory whose own mode
 * forbids it is a warning. */
int metadata_read(struct metadata_reader *reader, const struct source_entry *entry, struct arena *arena,
                  struct node *node, struct error *err);

#endif
