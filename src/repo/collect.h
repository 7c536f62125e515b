/*
 * Removing what no snapshot needs: condemned first, deleted when no writer can rely on it any more; live
 * frames of half-dead packs copied blindly (DESIGN section 4). The prune op marks what is live, this does the
 * rest. Needs a host with the role prune.
 */
#ifndef REPO_COLLECT_H
#define REPO_COLLECT_H

#include "repo/repository.h"

struct collection;

/* For a synced repository. INTEGRITY if some of its objects could not be read, FAILED if all of these only
 * because no target gave them out: what they list might be needed. */
int collection_new(struct repository *repository, struct collection **collection, struct error *err);
void collection_free(struct collection *collection);

/* What is marked from now on is what snapshots of this host, or of its dedup group, need. */
void collection_mark_for(struct collection *collection, const struct id16 *host);
/* Marks a blob that a live snapshot needs; of several copies on a target that the group wrote the one in the
 * lowest-named pack is marked. One that another group wrote takes the place of none: it cannot be opened
 * here, and may be anything; where there are only such all are marked. *was_marked: it was before, for this
 * group. INTEGRITY if no target has it. */
int collection_mark(struct collection *collection, const struct id *id, bool *was_marked, struct error *err);

struct collect_result {
    uint64_t packs, bytes;           /* there were */
    uint64_t live_bytes;             /* of these: frames that are needed */
    uint64_t dead_packs, dead_bytes; /* to be deleted whole */
    uint64_t repacked_packs, repacked_bytes, copied_bytes;
    uint64_t sparse_frames; /* newly condemned: mostly dead, their live blobs are to be stored afresh */
    uint64_t orphan_packs, orphan_bytes;   /* of runs that were cut off */
    uint64_t deleted_packs, deleted_bytes; /* now, on all targets together counted once */
    uint64_t delayed_packs; /* condemned, but a writer that began before may rely on them, or condemn_grace is
                               not over */
    uint64_t deleted_manifests, deleted_events;
    uint64_t locked_objects, locked_bytes; /* would be removed or copied, but are locked */
    int64_t locked_until;                  /* Unix seconds; the latest of these that is known; 0: none is */
    uint64_t lock_due, lock_requests;      /* objects whose locks are (to be) moved on, and what that costs */
    int64_t delayed_until; /* Unix seconds; when grace and the last such lease end, if that is not refreshed;
                              0: none */
};

/* Forgotten manifests are deleted, packs repacked and condemned, and what may be deleted is. With dry_run
 * nothing is written. What is known to be locked is not tried before its time, except with force: somebody
 * may have taken the lock off. */
int collection_run(struct collection *collection, bool dry_run, bool force, struct collect_result *result,
                   struct error *err);
/* Where it cannot be told what is needed, because something cannot be read: moves on the locks of all that is
 * known, if they are due, so that none ends meanwhile. */
void collection_keep_all_locks(struct repository *repository);
/* True if something waits to be done: forgotten manifests, condemned packs, packs that no index lists. */
bool collection_has_work(struct repository *repository, struct error *err);

#endif
