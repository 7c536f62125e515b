/*
 * Snapshots: manifests that are live (listed, verified, not forgotten), and the events that forget and pin
 * them. Used by ops.
 */
#ifndef REPO_SNAPSHOTS_H
#define REPO_SNAPSHOTS_H

#include "repo/repository.h"

struct snapshot {
    struct id sha256; /* its id, of the manifest object */
    struct manifest manifest;
    bool pinned;
    uint32_t targets;   /* bit per target that holds the manifest */
    int64_t first_seen; /* by this state folder, Unix seconds; 0 if unknown */
    int64_t arrival;    /* earliest store time at a target with independent time; 0 if unknown */
};

struct snapshot_list {
    struct arena arena;
    struct snapshot *list; /* oldest first, by end time */
    size_t count;
    size_t unreadable; /* further ones, of which nothing is known */
};

/* All live snapshots of a synced repository. */
int snapshots_load(struct repository *repository, struct snapshot_list *list, struct error *err);
void snapshots_free(struct snapshot_list *list);

/* Writes the event to every active target. */
int snapshots_forget(struct repository *repository, const struct id *ids, size_t count, const char *reason,
                     struct error *err);
int snapshots_pin(struct repository *repository, const struct id *ids, size_t count, bool pin,
                  struct error *err);

/* FAILED if one of these is pinned by now: by an event that came since the sync, or one that was there. */
int snapshots_check_pins(struct repository *repository, const struct id *ids, size_t count,
                         struct error *err);

#endif
