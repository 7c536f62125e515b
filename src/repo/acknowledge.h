/*
 * What people have seen and put aside: facts of the past, not states that still hold. Events in the
 * repository say which. Those of this host count, and those of hosts that may prune, on every host. Used by
 * ops, for the overview.
 */
#ifndef REPO_ACKNOWLEDGE_H
#define REPO_ACKNOWLEDGE_H

#include "repo/repository.h"

struct acknowledgement {
    struct id_list runs;      /* SHA-256 of their records: what failed in them, and what their verify found */
    struct id_list snapshots; /* SHA-256 of their manifests: what could not be read for them */
    int64_t *checks;          /* when verifies by hand of this host ended: what they found */
    size_t check_count;
};

/* Writes an event about it to every active target. */
int acknowledge_write(struct repository *repository, const struct acknowledgement *acknowledgement,
                      struct error *err);

struct acknowledged;

/* All that is put aside; the repository is synced (its records suffice) or offline. Freed by the caller. */
int acknowledged_load(struct repository *repository, struct acknowledged **acknowledged, struct error *err);
void acknowledged_free(struct acknowledged *acknowledged);
/* A run or a snapshot. NULL is nothing put aside, also below. */
bool acknowledged_has(const struct acknowledged *acknowledged, const struct id *sha256);
bool acknowledged_has_check(const struct acknowledged *acknowledged, int64_t time);

#endif
