/*
 * What the files of collect share. Nobody else includes it.
 */
#ifndef REPO_COLLECT_INTERNAL_H
#define REPO_COLLECT_INTERNAL_H

#include "repo/collect.h"
#include "repo/internal.h"

enum fate { FATE_KEEP, FATE_DEAD, FATE_REPACK };

struct collection {
    struct repository *r;
    uint8_t *live;   /* bitmap over blob numbers */
    uint8_t *marked; /* the same, of these what the snapshots at hand need */
    bool *own;       /* by host of the keyring: of the dedup group whose snapshots are at hand */
    struct index_copies found;
    uint64_t blob_limit;
    uint8_t *fates;           /* by pack number */
    uint64_t pack_limit;      /* numbers from here on were written by this collection */
    struct id_list condemned; /* packs condemned in this run */
    size_t condemned_capacity;
    struct frame_ref *sparse; /* frames condemned in this run */
    size_t sparse_count, sparse_capacity;
    int64_t now, oldest_lease;       /* Unix seconds; INT64_MAX: no live lease but ours */
    int64_t leases_end, waits_until; /* the live leases, condemn_grace; 0: none */
    bool warned_of_lease;            /* that one cannot be read */
    struct collect_result *result;
    bool dry_run;
    bool force;               /* also tries to delete what this host believes to be locked */
    bool unfinished;          /* what was to be copied may not have been */
    struct id_map *forgotten; /* snapshots */
};

static inline bool blob_is_live(const struct collection *c, uint64_t number)
{
    return c->live[number >> 3] >> (number & 7) & 1;
}

/* True if something in a pack of before this collection is needed. */
bool collect_is_live(const struct collection *c, const struct catalog_pack *pack);
/* Deletes each on every active target that lists it, several at a time, and notes that in its mask; what is
 * locked stays and is counted. */
int collect_remove(struct collection *c, struct object_seen **list, size_t count, struct error *err);
void collect_note_locked(struct collection *c, const struct object_seen *object, int64_t until);
/* Reads the leases as they are now (listed anew). */
int collect_read_leases(struct collection *c, struct error *err);
/* A snapshot that came since the repository was listed may rely on what seemed to be dead then, and its
 * writer's lease may be gone: it counts as one that lives. For behind the condemn event: who begins later
 * sees that. */
int collect_read_arrivals(struct collection *c, struct error *err);
/* True if a writer at work may be older than the pack: it was put, on some target, since that one began. */
bool collect_is_young(const struct collection *c, const struct id *pack);
/* Decides the fate of each pack. */
int collect_plan(struct collection *c, struct error *err);
/* Copies live frames of packs to be repacked; *fresh gets the new packs' numbers, of both kinds. */
int collect_repack(struct collection *c, uint64_t **fresh, size_t *count, struct error *err);
/* Writes segments that replace those which list packs that go. */
int collect_replace_segments(struct collection *c, const uint64_t *fresh, size_t fresh_count,
                             struct error *err);
/* Deletes what condemn events from before every live lease name, unless it came to a target since. */
int collect_delete(struct collection *c, struct error *err);

#endif
