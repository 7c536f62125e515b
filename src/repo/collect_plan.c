/* Leases, and what becomes of each pack. */
#include "base/log.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/text.h"
#include "repo/collect_internal.h"
#include "repo/retention.h"

#include <stdlib.h>

/* A pack of which this much is dead is worth copying. */
#define REPACK_DEAD_PERCENT 20
/* A frame of which less than this is live is sparse. */
#define SPARSE_LIVE_PERCENT 50
/* So many small packs of one author and kind are joined. */
#define SMALL_PACKS_MAX 16

/* Long before everything, and what is taken from it does not overflow. */
#define LEASE_ANY_TIME (INT64_MIN / 2)

/* So many leases that have expired are removed at a time. */
#define EXPIRED_MAX 10000

/* Clocks of hosts and stores differ: so much is allowed for. */
static int64_t tolerance(const struct collection *c)
{
    int64_t t = c->r->parameters.lease_live / 24;
    return t < 3600 ? t : 3600;
}

struct lease_listing {
    struct collection *c;
    size_t target;
    char (*expired)[OBJECT_NAME_MAX];
    size_t expired_count, expired_capacity;
    struct error *err;
};

static void warn_unreadable(struct collection *c, const struct storage_object *object,
                            const struct error *why)
{
    char end[TEXT_TIME_SIZE];
    if (c->warned_of_lease)
        return;
    c->warned_of_lease = true;
    log_warning("a lease cannot be read: %s", why->message);
    log_hint("some writer may be at work: nothing is deleted until it ends, or until %s UTC",
             text_format_time(object->time + c->r->parameters.lease_live, end));
}

/* By the store's clock, whatever its writer's says: how long it has been at work is known from both times
 * that are in it. */
static int64_t lease_began(const struct lease *lease, int64_t stored)
{
    int64_t age, began;
    if (__builtin_sub_overflow(lease->refreshed, lease->started, &age) ||
        __builtin_sub_overflow(stored, age > 0 ? age : 0, &began))
        return LEASE_ANY_TIME;
    began = lease->started < began ? lease->started : began;
    return began > LEASE_ANY_TIME ? began : LEASE_ANY_TIME;
}

static int note_lease(const struct storage_object *object, void *context)
{
    struct lease_listing *l = context;
    struct collection *c = l->c;
    struct repository *r = c->r;
    struct object_name name;
    if (!object_name_parse(object->name, &name) || name.folder != FOLDER_LEASES ||
        strcmp(object->name, r->lease_name) == 0)
        return 0;
    if (object->time + r->parameters.lease_live < c->now) {
        if (l->expired_count == EXPIRED_MAX)
            return 0; /* the next prune goes on */
        memory_reserve_one(l->expired, l->expired_count, l->expired_capacity);
        memcpy(l->expired[l->expired_count++], object->name, strlen(object->name) + 1);
        return 0;
    }
    struct object_seen seen = {
        .folder = FOLDER_LEASES, .sha256 = name.sha256, .time = name.time, .mask = repository_active_mask(r)};
    struct buffer body = {0};
    struct arena arena = {0};
    struct lease lease;
    struct id16 signer;
    struct error why;
    int64_t started;
    int code = record_fetch(r, OBJECT_LEASE, &seen, &body, &signer, &why);
    if (code == 0)
        code = lease_decode(buffer_bytes(&body), &arena, &lease, &why);
    if (code == 0) {
        started = lease_began(&lease, object->time) - tolerance(c);
    } else {
        /* Its writer may have begun at any time. One that is gone was refreshed, perhaps, and the listing
         * came too early for the new one. */
        started = LEASE_ANY_TIME;
        if (code != ERROR_NOT_FOUND)
            warn_unreadable(c, object, &why);
    }
    arena_free(&arena);
    buffer_free(&body);
    if (started < c->oldest_lease)
        c->oldest_lease = started;
    if (object->time + r->parameters.lease_live > c->leases_end)
        c->leases_end = object->time + r->parameters.lease_live;
    return 0;
}

/* One that a thief has locked is of no use to anybody, and in nobody's way. */
static int remove_expired(size_t index, void *context, struct error *err)
{
    const struct lease_listing *l = context;
    int code = storage_remove(replicas_storage(l->c->r->replicas, l->target), l->expired[index], err);
    return code == ERROR_LOCKED ? 0 : code;
}

int collect_read_leases(struct collection *c, struct error *err)
{
    struct repository *r = c->r;
    c->oldest_lease = INT64_MAX;
    c->leases_end = 0;
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        struct lease_listing l = {.c = c, .target = t};
        if (!replicas_is_active(r->replicas, t))
            continue;
        struct storage *storage = replicas_storage(r->replicas, t);
        int code = storage_list(storage, "leases/", note_lease, &l, err);
        if (code == 0 && !c->dry_run)
            code = parallel_run(l.expired_count, storage_connections(storage), remove_expired, &l, err);
        free(l.expired);
        if (code != 0)
            return code;
    }
    return 0;
}

static int note_arrival(const struct storage_object *object, void *context)
{
    struct collection *c = context;
    struct object_name name;
    if (!object_name_parse(object->name, &name) || listing_find(c->r, FOLDER_SNAPSHOTS, &name.sha256))
        return 0;
    c->oldest_lease = LEASE_ANY_TIME;
    c->leases_end = c->leases_end > c->now ? c->leases_end : c->now;
    return 0;
}

int collect_read_arrivals(struct collection *c, struct error *err)
{
    struct repository *r = c->r;
    int code = 0;
    for (size_t t = 0; t < replicas_count(r->replicas) && code == 0; t++) {
        if (replicas_is_active(r->replicas, t))
            code = storage_list(replicas_storage(r->replicas, t), "snapshots/", note_arrival, c, err);
    }
    return code;
}

/* ---- packs ---- */

static void condemn_pack(struct collection *c, const struct id *id)
{
    memory_reserve_one(c->condemned.list, c->condemned.count, c->condemned_capacity);
    c->condemned.list[c->condemned.count++] = *id;
}

struct tally {
    uint64_t live_stored; /* bytes of frames with something live in them */
};

static void tally_frames(struct collection *c, const struct catalog_pack *pack,
                         const struct pack_entry *entry, bool locked, struct tally *tally)
{
    const struct contents *contents = &entry->contents;
    for (uint32_t f = 0; f < contents->frame_count; f++) {
        const struct frame_entry *frame = &contents->frames[f];
        uint64_t live = 0;
        bool some = false;
        for (uint32_t k = 0; k < frame->blob_count; k++) {
            if (!blob_is_live(c, pack->first_blob + frame->first_blob + k))
                continue;
            some = true;
            live += contents->blobs[frame->first_blob + k].length;
        }
        if (!some)
            continue;
        tally->live_stored += frame->stored_length;
        if (!locked && live * 100 < (uint64_t)frame->raw_length * SPARSE_LIVE_PERCENT &&
            !index_is_sparse(c->r, pack->number, f)) {
            memory_reserve_one(c->sparse, c->sparse_count, c->sparse_capacity);
            c->sparse[c->sparse_count++] = (struct frame_ref){entry->sha256, f};
            c->result->sparse_frames++;
        }
    }
}

bool collect_is_young(const struct collection *c, const struct id *id)
{
    const struct object_seen *object = listing_find(c->r, FOLDER_PACKS, id);
    return object && object->store_time >= c->oldest_lease;
}

/* Until when a pack stays because it is locked: copying what lives in it would only store that twice, and
 * what is dead in it may be used again. 0: it need not stay. */
static int64_t locked_until(const struct collection *c, const struct pack_state *state, const struct id *id)
{
    const struct object_seen *object = listing_find(c->r, FOLDER_PACKS, id);
    int64_t until = object && !(state->flags & PACK_CONDEMNED) ? retention_anywhere(c->r, object) : 0;
    return until > c->now ? until : 0;
}

/* What becomes of a pack that is neither young nor locked. */
static enum fate fate_of(const struct pack_state *state, const struct pack_entry *entry, uint64_t live_stored)
{
    uint64_t overhead = entry->size - live_stored;
    if (live_stored == 0)
        return FATE_DEAD;
    /* One that is condemned or that no segment in force lists, but turned out to be needed, is copied as
     * well. */
    if ((state->flags & (PACK_CONDEMNED | PACK_CURRENT)) != PACK_CURRENT ||
        overhead * 100 > entry->size * REPACK_DEAD_PERCENT + (uint64_t)entry->contents_length * 100 + 102400)
        return FATE_REPACK;
    return FATE_KEEP;
}

static void note_fate(struct collection *c, uint64_t number, enum fate fate, const struct pack_entry *entry,
                      uint64_t live_stored)
{
    c->fates[number] = (uint8_t)fate;
    if (fate == FATE_KEEP)
        return;
    if (fate == FATE_DEAD) {
        c->result->dead_packs++;
        c->result->dead_bytes += entry->size;
    } else {
        c->result->repacked_packs++;
        c->result->repacked_bytes += entry->size;
        c->result->copied_bytes += live_stored;
    }
    if (!(c->r->packs[number].flags & PACK_CONDEMNED))
        condemn_pack(c, &entry->sha256);
}

/* The same where this host does not know it: it has lost its catalog, or others write and move locks on, too.
 * A request is cheaper than a copy that need not be. */
static int64_t ask_locked_until(const struct collection *c, const struct pack_state *state,
                                const struct object_seen *object)
{
    int64_t latest = 0;
    for (size_t t = 0; object && !(state->flags & PACK_CONDEMNED) && t < replicas_count(c->r->replicas);
         t++) {
        int64_t until;
        if (replicas_is_active(c->r->replicas, t) && retention_ask(c->r, t, object, &until) && until > latest)
            latest = until;
    }
    return latest > c->now ? latest : 0;
}

static int plan_pack(struct collection *c, uint64_t number, struct error *err)
{
    struct repository *r = c->r;
    struct pack_state *state = &r->packs[number];
    struct catalog_pack pack;
    struct arena arena = {0};
    struct buffer bytes = {0};
    struct pack_entry entry;
    struct tally tally = {0};
    int code = catalog_pack_by_number(r->catalog, number, &pack, err);
    if (code == 0)
        code = catalog_pack_entry(r->catalog, number, &bytes, err);
    if (code == 0)
        code = pack_entry_decode(buffer_bytes(&bytes), &arena, &entry, err);
    if (code == 0) {
        const struct object_seen *object = listing_find(r, FOLDER_PACKS, &pack.sha256);
        int64_t until = locked_until(c, state, &pack.sha256);
        size_t sparse = c->sparse_count;
        tally_frames(c, &pack, &entry, until != 0, &tally);
        c->result->packs++;
        c->result->bytes += pack.size;
        c->result->live_bytes += tally.live_stored;
        enum fate fate = pack.pending || collect_is_young(c, &pack.sha256)
                             ? FATE_KEEP
                             : fate_of(state, &entry, tally.live_stored);
        if (!until && (fate != FATE_KEEP || c->sparse_count > sparse) &&
            (until = ask_locked_until(c, state, object)) != 0) {
            c->result->sparse_frames -= c->sparse_count - sparse;
            c->sparse_count = sparse;
        }
        /* When its lock would have to be moved on it is not: one of which much is dead is copied, or that
         * would never end; one that is dead is condemned, so that no writer takes it up again and then sees
         * its lock end. */
        if (until && fate != FATE_KEEP && !retention_due(r, object)) {
            collect_note_locked(c, object, until);
            fate = FATE_KEEP;
        }
        note_fate(c, number, fate, &entry, tally.live_stored);
    }
    arena_free(&arena);
    buffer_free(&bytes);
    return code;
}

/* Many small packs make listings long and restores slow. */
static int join_small(struct collection *c, uint8_t kind, struct error *err)
{
    struct repository *r = c->r;
    size_t small = 0;
    int code = 0;
    for (int round = 0; round < 2 && code == 0; round++) {
        for (uint64_t n = 1; n < r->pack_capacity && code == 0; n++) {
            struct catalog_pack pack;
            if (!r->packs[n].known || r->packs[n].kind != kind || c->fates[n] != FATE_KEEP ||
                !(r->packs[n].flags & PACK_CURRENT) || (r->packs[n].flags & PACK_CONDEMNED))
                continue;
            code = catalog_pack_by_number(r->catalog, n, &pack, err);
            if (code != 0 || pack.pending || pack.size > r->config.pack_size / 4 ||
                collect_is_young(c, &pack.sha256) || locked_until(c, &r->packs[n], &pack.sha256) ||
                (round == 0 &&
                 ask_locked_until(c, &r->packs[n], listing_find(r, FOLDER_PACKS, &pack.sha256))))
                continue;
            if (round == 0)
                small++;
            else
                note_fate(c, n, FATE_REPACK, &(struct pack_entry){.sha256 = pack.sha256, .size = pack.size},
                          pack.size);
        }
        if (small < SMALL_PACKS_MAX)
            break;
    }
    return code;
}

static int is_no_orphan(const struct catalog_pack *pack, void *context)
{
    return id_map_has(context, &pack->sha256);
}

/* A catalog in which a pack is not found by its name may yet have it: one bit of an index that is wrong must
 * not be the end of the pack. */
static int check_orphans(struct collection *c, struct id_map *orphans, struct error *err)
{
    int code = catalog_each_pack(c->r->catalog, is_no_orphan, orphans, err);
    if (code != 1)
        return code;
    error_set(err, ERROR_FAILED, "the catalog in %s is damaged: it finds a pack and does not find it",
              c->r->state_folder);
    return error_hint(err, "delete catalog.db there: the next run makes it anew from the targets");
}

/* Packs that no segment lists: of runs that were cut off. Nobody relies on them, and whoever might take them
 * up sees the event first. */
static int plan_orphans(struct collection *c, struct error *err)
{
    struct repository *r = c->r;
    struct id_map *orphans = id_map_new();
    size_t first, end;
    int code = 0;
    listing_range(r, FOLDER_PACKS, &first, &end);
    for (size_t i = first; i < end && code == 0; i++) {
        const struct object_seen *object = &r->objects[i];
        struct catalog_pack pack;
        if (object->store_time >= c->oldest_lease)
            continue;
        int found = catalog_find_pack(r->catalog, &object->sha256, &pack, err);
        if (found != ERROR_NOT_FOUND) {
            code = found;
            continue;
        }
        id_map_put(orphans, &object->sha256, 1);
        c->result->orphan_packs++;
        c->result->orphan_bytes += object->size;
        condemn_pack(c, &object->sha256);
    }
    if (code == 0 && c->result->orphan_packs)
        code = check_orphans(c, orphans, err);
    id_map_free(orphans);
    return code;
}

int collect_plan(struct collection *c, struct error *err)
{
    struct repository *r = c->r;
    int code = 0;
    for (uint64_t n = 1; n < r->pack_capacity && code == 0; n++) {
        if (r->packs[n].known)
            code = plan_pack(c, n, err);
    }
    if (code == 0)
        code = join_small(c, BLOB_DATA, err);
    if (code == 0)
        code = join_small(c, BLOB_META, err);
    if (code == 0)
        code = plan_orphans(c, err);
    return code;
}
