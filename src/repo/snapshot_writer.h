/*
 * Writing a manifest: the step that makes a snapshot exist. Used by the backup op.
 */
#ifndef REPO_SNAPSHOT_WRITER_H
#define REPO_SNAPSHOT_WRITER_H

#include "repo/repository.h"

/* Fills in host, sequence, chain, keyring, segments and what was seen of other hosts; signs, seals and writes
 * it to the active targets, of which at least min_targets must take it. Everything it needs must be queued
 * before: each target stores it when it has that, whatever the others do. Returns when all are done. */
int snapshot_write(struct repository *repository, struct manifest *manifest, struct id *sha256,
                   struct error *err);

#endif
