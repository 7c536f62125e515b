/* Marking, and the order of a collection. */
#include "repo/collect.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "repo/collect_internal.h"
#include "repo/retention.h"

#include <stdlib.h>
#include <time.h>

/* By the clock that is the furthest behind, this machine's or a store's: one that is ahead would end leases
 * and the grace before their time. */
static int64_t earliest_now(struct repository *r)
{
    int64_t now = (int64_t)time(NULL);
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        if (!replicas_is_active(r->replicas, t))
            continue;
        int64_t there = storage_now(replicas_storage(r->replicas, t));
        now = there < now ? there : now;
    }
    return now;
}

int collection_new(struct repository *r, struct collection **collection, struct error *err)
{
    if (!repository_may_prune(r)) {
        error_set(err, ERROR_DENIED, "this host may write but not prune");
        return error_hint(err, "run holdfast prune on a host with the role prune");
    }
    if (r->damage) {
        int code =
            error_set(err, r->damage == r->outages ? ERROR_FAILED : ERROR_INTEGRITY,
                      "%u objects of the repository could not be read: what they list might be needed, "
                      "so nothing is removed",
                      r->damage);
        return error_hint(
            err, "%s",
            error_todo(code, "see the warnings above; holdfast heal repairs what another target still has"));
    }
    struct collection *c = memory_new(struct collection);
    c->r = r;
    c->now = earliest_now(r);
    c->blob_limit = catalog_blob_limit(r->catalog) + 1;
    c->live = memory_alloc_array(c->blob_limit / 8 + 1, 1);
    c->marked = memory_alloc_array(c->blob_limit / 8 + 1, 1);
    c->own = memory_alloc_array(r->chain.keyring.host_count + 1, sizeof *c->own);
    c->pack_limit = r->pack_capacity;
    c->fates = memory_alloc_array(r->pack_capacity + 1, 1);
    c->forgotten = id_map_new();
    *collection = c;
    return 0;
}

void collection_free(struct collection *c)
{
    if (!c)
        return;
    free(c->live);
    free(c->marked);
    free(c->own);
    free(c->found.list);
    free(c->fates);
    free(c->condemned.list);
    free(c->sparse);
    id_map_free(c->forgotten);
    free(c);
}

/* ---- marking ---- */

struct copy {
    uint64_t number; /* of the blob */
    uint64_t pack;
    struct id name;
    bool own;     /* written by the group whose snapshots are at hand */
    bool good;    /* in force, neither condemned nor in a sparse frame */
    bool pending; /* this catalog alone knows that it is there: no other host finds it, and it may be lost */
};

/* One of the group before others, one that the index lists before one that is pending, a good copy before one
 * that is to go, then the lowest-named. */
static bool is_better(const struct copy *a, const struct copy *b)
{
    if (a->own != b->own)
        return a->own;
    if (a->pending != b->pending)
        return b->pending;
    if (a->good != b->good)
        return a->good;
    return id_compare(&a->name, &b->name) < 0;
}

void collection_mark_for(struct collection *c, const struct id16 *host)
{
    const struct keyring *keyring = &c->r->chain.keyring;
    memset(c->marked, 0, c->blob_limit / 8 + 1);
    for (size_t i = 0; i < keyring->host_count; i++)
        c->own[i] = keyring_same_dedup_group(keyring, &keyring->hosts[i].id, host);
}

static void mark_number(struct collection *c, uint64_t number)
{
    c->live[number >> 3] |= (uint8_t)(1u << (number & 7));
    c->marked[number >> 3] |= (uint8_t)(1u << (number & 7));
}

static int read_copy(struct collection *c, const struct index_copy *found, struct copy *copy,
                     struct error *err)
{
    struct repository *r = c->r;
    struct catalog_pack pack;
    const struct pack_state *state = &r->packs[found->pack];
    *copy = (struct copy){.number = found->blob,
                          .pack = found->pack,
                          .own = c->own[state->author],
                          .good = (state->flags & (PACK_CURRENT | PACK_CONDEMNED)) == PACK_CURRENT &&
                                  !index_is_sparse(r, found->pack, found->frame)};
    if (c->found.count == 1)
        return 0;
    int code = catalog_pack_by_number(r->catalog, copy->pack, &pack, err);
    if (code == 0) {
        copy->name = pack.sha256;
        copy->pending = pack.pending;
    }
    return code;
}

static bool is_marked(const struct collection *c)
{
    for (size_t i = 0; i < c->found.count; i++) {
        uint64_t number = c->found.list[i].blob;
        if (c->marked[number >> 3] >> (number & 7) & 1)
            return true;
    }
    return false;
}

/* For each target the best copy that is there; each, where the group has written none of them. */
static int mark_copies(struct collection *c, bool *somewhere, struct error *err)
{
    struct repository *r = c->r;
    struct copy best[TARGETS_MAX], copy;
    uint32_t has = 0;
    int code = 0;
    for (size_t i = 0; i < c->found.count && code == 0; i++) {
        uint32_t present = r->packs[c->found.list[i].pack].present;
        code = read_copy(c, &c->found.list[i], &copy, err);
        for (size_t t = 0; t < replicas_count(r->replicas) && code == 0; t++) {
            if (!(present >> t & 1))
                continue;
            if (!(has >> t & 1) || is_better(&copy, &best[t]))
                best[t] = copy;
            has |= 1u << t;
        }
    }
    for (size_t t = 0; t < replicas_count(r->replicas) && code == 0; t++) {
        if (has >> t & 1 && best[t].own)
            mark_number(c, best[t].number);
        for (size_t i = 0; i < c->found.count && has >> t & 1 && !best[t].own; i++) {
            if (r->packs[c->found.list[i].pack].present >> t & 1)
                mark_number(c, c->found.list[i].blob);
        }
    }
    *somewhere = has != 0;
    return code;
}

int collection_mark(struct collection *c, const struct id *id, bool *was_marked, struct error *err)
{
    bool somewhere = false;
    int code = index_copies(c->r, id, &c->found, err);
    if (code == 0)
        code = repository_stopped(c->r, err);
    if (code != 0)
        return code;
    *was_marked = is_marked(c);
    if (*was_marked)
        return 0;
    code = mark_copies(c, &somewhere, err);
    if (code != 0 || somewhere)
        return code;
    code = blobs_lacking(c->r, id, err);
    error_prefix(err, "nothing is removed, for a snapshot needs what is lost");
    return error_hint(
        err, "%s",
        error_todo(code,
                   "run holdfast verify to see which files need it; forget that snapshot if it cannot be "
                   "healed"));
}

/* ---- forgotten manifests ---- */

static int note_forgotten(struct repository *r, const struct object_seen *object, const struct event *event,
                          void *context, struct error *err)
{
    (void)object;
    (void)err;
    for (size_t i = 0; i < event->snapshots.count && event->type == EVENT_FORGET; i++) {
        if (keyring_host_may_prune(&r->chain.keyring, &event->host))
            id_map_put(context, &event->snapshots.list[i], 1);
    }
    return 0;
}

void collect_note_locked(struct collection *c, const struct object_seen *object, int64_t until)
{
    c->result->locked_objects++;
    c->result->locked_bytes += object->size;
    if (until > c->result->locked_until)
        c->result->locked_until = until;
}

struct removals {
    struct collection *c;
    struct object_seen **list;
    pthread_mutex_t lock; /* the result */
};

/* LOCKED while a lock holds, with *until the date if it is known here or the store tells it. */
static int remove_from(struct collection *c, size_t target, const struct object_seen *object, int64_t *until,
                       struct error *err)
{
    struct repository *r = c->r;
    struct storage *storage = replicas_storage(r->replicas, target);
    char name[OBJECT_NAME_MAX];
    *until = retention_until(r, target, object);
    if (!c->force && *until > storage_now(storage))
        return ERROR_LOCKED;
    object_seen_name(object, name);
    int code = storage_remove(storage, name, err);
    if (code == ERROR_LOCKED)
        retention_ask(r, target, object, until);
    return code;
}

static int remove_one(size_t index, void *context, struct error *err)
{
    struct removals *removals = context;
    struct repository *r = removals->c->r;
    struct object_seen *object = removals->list[index];
    int64_t until, latest = 0;
    bool locked = false;
    int code = repository_stopped(r, err);
    for (size_t t = 0; t < replicas_count(r->replicas) && code == 0; t++) {
        if (!(object->mask >> t & 1) || !replicas_is_active(r->replicas, t))
            continue;
        code = remove_from(removals->c, t, object, &until, err);
        if (code == ERROR_LOCKED) {
            locked = true;
            latest = until > latest ? until : latest;
            code = 0;
        } else if (code == 0) {
            object->mask &= ~(1u << t);
            retention_drop(r, t, object);
        }
    }
    if (!locked)
        return code;
    pthread_mutex_lock(&removals->lock);
    collect_note_locked(removals->c, object, latest);
    pthread_mutex_unlock(&removals->lock);
    return code;
}

int collect_remove(struct collection *c, struct object_seen **list, size_t count, struct error *err)
{
    struct removals removals = {.c = c, .list = list};
    pthread_mutex_init(&removals.lock, NULL);
    int code = parallel_run(count, repository_requests(c->r), remove_one, &removals, err);
    pthread_mutex_destroy(&removals.lock);
    return code;
}

bool collect_is_live(const struct collection *c, const struct catalog_pack *pack)
{
    for (uint32_t k = 0; k < pack->blob_count; k++) {
        if (blob_is_live(c, pack->first_blob + k))
            return true;
    }
    return false;
}

static int delete_manifests(struct collection *c, struct error *err)
{
    size_t first, end;
    int code = events_each(c->r, note_forgotten, c->forgotten, err);
    listing_range(c->r, FOLDER_SNAPSHOTS, &first, &end);
    struct object_seen **list = memory_alloc_array(end - first, sizeof *list);
    size_t count = 0;
    for (size_t i = first; i < end && code == 0; i++) {
        if (id_map_has(c->forgotten, &c->r->objects[i].sha256))
            list[count++] = &c->r->objects[i];
    }
    if (c->dry_run)
        c->result->deleted_manifests += count;
    else if (code == 0)
        code = collect_remove(c, list, count, err);
    for (size_t i = 0; i < count && code == 0 && !c->dry_run; i++) {
        if (list[i]->mask)
            continue;
        c->result->deleted_manifests++;
        manifest_forget_seen(c->r, &list[i]->sha256);
        code = catalog_remove_record(c->r->catalog, OBJECT_MANIFEST, &list[i]->sha256, err);
    }
    free(list);
    return code;
}

/* ---- the whole ---- */

/* Whether a snapshot that stays needs the object. */
static bool is_needed(const struct object_seen *object, void *context)
{
    const struct collection *c = context;
    const struct segment_state *segment;
    struct catalog_pack pack;
    int code;
    switch ((enum object_folder)object->folder) {
    case FOLDER_PACKS:
        code = catalog_find_pack(c->r->catalog, &object->sha256, &pack, NULL);
        if (code != 0)
            return code != ERROR_NOT_FOUND;
        return pack.number >= c->pack_limit ||
               ((c->fates[pack.number] == FATE_KEEP || c->unfinished) && collect_is_live(c, &pack));
    case FOLDER_INDEX:
        segment = segment_find(c->r, &object->sha256);
        return segment && !segment->obsolete;
    case FOLDER_SNAPSHOTS:
        return !id_map_has(c->forgotten, &object->sha256);
    default:
        return false;
    }
}

static int keep_locks(struct collection *c, struct error *err)
{
    struct retention_result locks;
    int code = retention_extend(c->r, is_needed, c, c->dry_run, &locks, err);
    c->result->lock_due = c->dry_run ? locks.due : locks.extended;
    c->result->lock_requests = locks.requests;
    return code;
}

static int condemn(struct collection *c, struct error *err)
{
    if (c->condemned.count == 0 && c->sparse_count == 0)
        return 0;
    struct event event = {.type = EVENT_CONDEMN,
                          .reason = "",
                          .packs = c->condemned,
                          .frames = c->sparse,
                          .frame_count = c->sparse_count};
    return event_write(c->r, &event, err);
}

int collection_run(struct collection *c, bool dry_run, bool force, struct collect_result *result,
                   struct error *err)
{
    uint64_t *fresh = NULL;
    size_t fresh_count = 0;
    *result = (struct collect_result){0};
    c->result = result;
    c->dry_run = dry_run;
    c->force = force;
    int code = collect_read_leases(c, err);
    if (code == 0)
        code = delete_manifests(c, err);
    if (code == 0)
        code = collect_plan(c, err);
    if (dry_run)
        return code == 0 ? keep_locks(c, err) : code;
    /* Each step leaves a repository that is whole: copies first, then the index that names them, then the
     * word that the old ones go, and only then their end. */
    if (code == 0)
        code = collect_repack(c, &fresh, &fresh_count, err);
    if (code == 0)
        code = collect_replace_segments(c, fresh, fresh_count, err);
    if (code == 0)
        code = condemn(c, err);
    if (code == 0)
        code = collect_read_leases(c, err);
    if (code == 0)
        code = collect_read_arrivals(c, err);
    if (code == 0)
        code = collect_delete(c, err);
    /* Whatever went wrong above: what is needed must not lose its lock for it. */
    c->unfinished = code != 0;
    if (code != ERROR_CANCELLED) {
        int locks = keep_locks(c, code == 0 ? err : NULL);
        code = code == 0 ? locks : code;
    }
    if (code == 0)
        code = catalog_commit(c->r->catalog, err);
    free(fresh);
    return code;
}

static bool is_known(const struct object_seen *object, void *context)
{
    struct repository *r = context;
    struct catalog_pack pack;
    switch ((enum object_folder)object->folder) {
    case FOLDER_PACKS:
        return catalog_find_pack(r->catalog, &object->sha256, &pack, NULL) != ERROR_NOT_FOUND;
    case FOLDER_INDEX:
        return segment_find(r, &object->sha256) != NULL;
    default:
        return true;
    }
}

void collection_keep_all_locks(struct repository *r)
{
    struct retention_result locks;
    struct error why;
    if (repository_may_prune(r) && retention_extend(r, is_known, r, false, &locks, &why) != 0)
        log_warning("%s", why.message);
}

struct work_search {
    struct id_map *forgotten;
    bool condemned;
};

static int look_for_work(struct repository *r, const struct object_seen *object, const struct event *event,
                         void *context, struct error *err)
{
    struct work_search *search = context;
    search->condemned |= event->type == EVENT_CONDEMN && event->packs.count;
    return note_forgotten(r, object, event, search->forgotten, err);
}

bool collection_has_work(struct repository *r, struct error *err)
{
    struct work_search search = {.forgotten = id_map_new()};
    size_t first, end;
    events_each(r, look_for_work, &search, err);
    bool work = search.condemned || retention_has_due(r);
    listing_range(r, FOLDER_SNAPSHOTS, &first, &end);
    for (size_t i = first; i < end && !work; i++)
        work = id_map_has(search.forgotten, &r->objects[i].sha256);
    listing_range(r, FOLDER_PACKS, &first, &end);
    struct catalog_pack pack;
    for (size_t i = first; i < end && !work; i++)
        work = catalog_find_pack(r->catalog, &r->objects[i].sha256, &pack, NULL) != 0;
    for (size_t i = 0; i < r->segment_count && !work; i++)
        work = r->segments[i].obsolete;
    id_map_free(search.forgotten);
    return work;
}
