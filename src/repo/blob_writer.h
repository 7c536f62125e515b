/*
 * Writing blobs: deduplicated against what every committing target has, grouped in frames, packed, queued to
 * the targets. Used by the backup op. Safe for several threads; each thread has its own blob_group.
 */
#ifndef REPO_BLOB_WRITER_H
#define REPO_BLOB_WRITER_H

#include "repo/blobs.h"

struct blob_writer;

int blob_writer_new(struct repository *repository, struct blob_writer **writer, struct error *err);
void blob_writer_free(struct blob_writer *writer);

/* True in *store if the caller must store this blob now (nobody else will); false if it is there or on its
 * way. */
int blob_writer_claim(struct blob_writer *writer, const struct id *id, bool *store, struct error *err);
/* True if the blob is there already, on every committing target. */
int blob_writer_knows(struct blob_writer *writer, const struct id *id, bool *known, struct error *err);

/* Small blobs on their way into one frame; one group per thread and kind. */
struct blob_group;
struct blob_group *blob_group_new(struct blob_writer *writer, enum blob_kind kind);
/* What was not flushed is lost. */
void blob_group_free(struct blob_group *group);
/* Adds a claimed blob. Small ones wait for company of the same owner; large ones are sealed at once. */
int blob_group_add(struct blob_group *group, uint32_t owner, const struct id *id, struct bytes plain,
                   struct error *err);
int blob_group_flush(struct blob_group *group, struct error *err);

/* Stores a meta blob through the writer's own group: a tree_store_blob; context is the writer. Any thread. */
int blob_writer_store_tree(void *writer, struct bytes blob, struct id *id, struct error *err);

/* Seals open packs and queues them, and index segments for them behind: each target stores those when it has
 * the packs, whatever the others do. Waits for none; a manifest is queued behind again. Groups must be
 * flushed before. */
int blob_writer_commit(struct blob_writer *writer, struct error *err);
/* Queues a checkpoint (as blob_writer_commit, without closing packs) if the interval has passed. */
int blob_writer_checkpoint(struct blob_writer *writer, struct error *err);

/* Plaintext bytes of new data blobs, and bytes of packs written. */
void blob_writer_totals(struct blob_writer *writer, uint64_t *new_bytes, uint64_t *stored_bytes);

#endif
