/*
 * Gives a restored entry its owner, mode, attributes, times and flags. Used by the restore op: for files when
 * their contents are written, for directories when everything below them is done.
 */
#ifndef SOURCE_METADATA_WRITER_H
#define SOURCE_METADATA_WRITER_H

#include "source/metadata.h"
#include "source/owner_map.h"

/* For one thread. */
struct metadata_writer;

/* owners decides on users and groups, and must live as long; NULL: by number. Warnings tell what could not be
 * set; owners that only root can set are counted instead. */
struct metadata_writer *metadata_writer_new(struct owner_map *owners, source_warning *warning, void *context);
void metadata_writer_free(struct metadata_writer *writer);

/* Which entry warnings name from now on; the path must live as long. */
void metadata_writer_at(struct metadata_writer *writer, const char *path);

/* Sets everything the node says on the entry `name` of directory where it is not so already (an entry that is
 * whole is only looked at: its ctime stays), in the order in which nothing undoes what
 * came before: owner, xattrs (with ACLs and capabilities; those that the entry has but the node has not are
 * removed, labels of security modules aside), mtime (the access time is left), mode, flags. fd is the entry,
 * open, or -1: then it is opened here. The umask does not matter. Set-id bits are left out where the owner
 * could not be set. Fails only if the entry is not there or of another type than the node: NOT_FOUND. */
int metadata_write(struct metadata_writer *writer, int directory, struct bytes name, int fd,
                   const struct node *node, struct error *err);

/* From now on nothing is written: metadata_writer_changed() tells what would have been. */
void metadata_writer_pretend(struct metadata_writer *writer);
/* True if the last metadata_write() found something that was not as the node says and could be changed. */
bool metadata_writer_changed(const struct metadata_writer *writer);

/* Entries whose owner could not be set because we are not root. */
uint64_t metadata_writer_owner_failures(const struct metadata_writer *writer);

#endif
