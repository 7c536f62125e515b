#include "repo/retention.h"

#include "base/id_map.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/text.h"
#include "policy/retention.h"
#include "repo/inspect.h"

#include <stdlib.h>

#define LIST_PAGE 1000
#define REQUESTS_EACH 2 /* to ask for the lock, and to move it */
/* Seconds by which the times of a store's objects and of its answers may differ. */
#define CLOCK_SLACK 2

/* ---- what is known of dates ---- */

static bool is_lockable(const struct object_seen *object)
{
    return object->folder == FOLDER_PACKS || object->folder == FOLDER_INDEX ||
           object->folder == FOLDER_SNAPSHOTS;
}

static char *object_key(struct repository *r, size_t target, const struct object_seen *object)
{
    char hex[ID_HEX_SIZE];
    id_to_hex(&object->sha256, hex);
    return memory_format("lock/%s/%s", r->parameters.target_labels[target], hex);
}

static bool keeps_locks(struct repository *r, size_t target)
{
    return r->parameters.retain[target] && replicas_is_active(r->replicas, target);
}

static bool holds_packs(struct repository *r, size_t target)
{
    size_t first, end;
    listing_range(r, FOLDER_PACKS, &first, &end);
    while (first < end && !(r->objects[first].mask >> target & 1))
        first++;
    return first < end;
}

/* Since when this state folder has put objects with the lock that is configured now; INT64_MAX: it has not.
 */
static int64_t locked_since(struct repository *r, size_t target)
{
    const char *label = r->parameters.target_labels[target];
    char *retain_key = memory_format("lock-retain/%s", label);
    char *since_key = memory_format("lock-since/%s", label);
    int64_t since = INT64_MAX;
    if (catalog_get_number(r->catalog, retain_key) == r->parameters.retain[target]) {
        since = catalog_get_number(r->catalog, since_key);
    } else if (r->mode == REPOSITORY_WRITE) {
        /* What is there already is older, also where the two clocks that say so differ by a little. */
        int64_t now = storage_now(replicas_storage(r->replicas, target));
        if (catalog_put_number(r->catalog, since_key,
                               now + (holds_packs(r, target) ? CLOCK_SLACK : -CLOCK_SLACK), NULL) == 0)
            catalog_put_number(r->catalog, retain_key, r->parameters.retain[target], NULL);
    }
    free(retain_key);
    free(since_key);
    return since;
}

/* What is put from now on has no lock: should one be configured again, it holds from then on only. */
static void forget_since(struct repository *r, size_t target)
{
    char *retain_key = memory_format("lock-retain/%s", r->parameters.target_labels[target]);
    if (r->mode == REPOSITORY_WRITE && catalog_get_number(r->catalog, retain_key))
        catalog_remove_value(r->catalog, retain_key, NULL);
    free(retain_key);
}

void retention_begin(struct repository *r)
{
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        if (keeps_locks(r, t))
            locked_since(r, t);
        else if (!r->parameters.retain[t])
            forget_since(r, t);
    }
}

static bool is_own_manifest(struct repository *r, const struct object_seen *object)
{
    struct object_seen seen = *object;
    struct buffer body = {0};
    struct arena arena = {0};
    struct manifest manifest;
    bool own = record_load(r, OBJECT_MANIFEST, &seen, &body, NULL) == 0 &&
               manifest_decode(buffer_bytes(&body), &arena, &manifest, NULL) == 0 &&
               id16_equal(&manifest.host, &r->host_key.host);
    arena_free(&arena);
    buffer_free(&body);
    return own;
}

static bool is_own(struct repository *r, const struct object_seen *object)
{
    struct catalog_pack pack;
    if (object->folder == FOLDER_PACKS)
        return catalog_find_pack(r->catalog, &object->sha256, &pack, NULL) == 0 &&
               id16_equal(&pack.author, &r->host_key.host);
    if (object->folder == FOLDER_SNAPSHOTS)
        return is_own_manifest(r, object);
    const struct segment_state *segment =
        object->folder == FOLDER_INDEX ? segment_find(r, &object->sha256) : NULL;
    return segment && id16_equal(&segment->host, &r->host_key.host);
}

int64_t retention_until(struct repository *r, size_t target, const struct object_seen *object)
{
    if (!r->parameters.retain[target] || !is_lockable(object) || !(object->mask >> target & 1))
        return 0;
    char *key = object_key(r, target, object);
    int64_t until = catalog_get_number(r->catalog, key);
    free(key);
    /* What this host put here is locked from its arrival; what others put may not be. */
    int64_t arrival = object->arrival ? object->arrival : object->store_time;
    if (!until && arrival >= locked_since(r, target) && is_own(r, object))
        until = arrival + r->parameters.retain[target];
    return until;
}

void retention_drop(struct repository *r, size_t target, const struct object_seen *object)
{
    if (!r->parameters.retain[target] || !is_lockable(object))
        return;
    char *key = object_key(r, target, object);
    catalog_remove_value(r->catalog, key, NULL);
    free(key);
}

bool retention_ask(struct repository *r, size_t target, const struct object_seen *object, int64_t *until)
{
    char name[OBJECT_NAME_MAX];
    struct error why;
    *until = 0;
    if (!r->parameters.retain[target] || !is_lockable(object) || !(object->mask >> target & 1))
        return false;
    object_seen_name(object, name);
    if (storage_retention(replicas_storage(r->replicas, target), name, NULL, until, &why) != 0) {
        log_verbose("%s", why.message);
        *until = 0;
        return false;
    }
    char *key = object_key(r, target, object);
    catalog_put_number(r->catalog, key, *until, NULL);
    free(key);
    return true;
}

int64_t retention_anywhere(struct repository *r, const struct object_seen *object)
{
    int64_t latest = 0;
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        int64_t until = replicas_is_active(r->replicas, t) ? retention_until(r, t, object) : 0;
        latest = until > latest ? until : latest;
    }
    return latest;
}

static bool date_is_due(struct repository *r, size_t target, const struct object_seen *object, int64_t until,
                        int64_t now)
{
    uint16_t spread = (uint16_t)(object->sha256.b[30] << 8 | object->sha256.b[31]);
    return retention_is_due(now, until, r->parameters.retain[target], spread);
}

static bool is_due(struct repository *r, size_t target, const struct object_seen *object, int64_t now)
{
    return is_lockable(object) && object->mask >> target & 1 &&
           date_is_due(r, target, object, retention_until(r, target, object), now);
}

bool retention_due(struct repository *r, const struct object_seen *object)
{
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        if (keeps_locks(r, t) && is_due(r, t, object, storage_now(replicas_storage(r->replicas, t))))
            return true;
    }
    return false;
}

bool retention_has_due(struct repository *r)
{
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        if (!keeps_locks(r, t))
            continue;
        int64_t now = storage_now(replicas_storage(r->replicas, t));
        for (size_t i = 0; i < r->object_count; i++) {
            if (is_due(r, t, &r->objects[i], now))
                return true;
        }
    }
    return false;
}

/* ---- moving dates on ---- */

struct due {
    const struct object_seen *object;
    char *version; /* NULL: not found yet */
    bool several;  /* versions with bytes */
    bool unknown;  /* this host knows no date */
    int64_t until; /* 0: failed */
    bool extended; /* else it was locked for long enough */
};

struct extension {
    struct repository *r;
    size_t target;
    struct storage *storage;
    struct due *list;
    size_t count, capacity;
    struct id_map *places; /* by SHA-256: index + 1 */
    int64_t now, until;
    pthread_mutex_t lock; /* what follows: the first failure */
    int code;
    struct error why;
};

static int note_version(const struct storage_version *version, void *context)
{
    struct extension *e = context;
    struct object_name name;
    uint64_t place;
    if (version->marker || !object_name_parse(version->name, &name) ||
        !id_map_get(e->places, &name.sha256, &place))
        return 0;
    struct due *due = &e->list[place];
    due->several |= due->version != NULL;
    if (!due->version)
        due->version = memory_copy_string(version->version);
    return 0;
}

/* Among several the one that is good: a lock on garbage protects nothing. */
static int choose_version(struct extension *e, struct due *due, const char *name, struct error *err)
{
    struct buffer bytes = {0};
    if (due->version && !due->several)
        return 0;
    free(due->version);
    due->version = NULL;
    int code = storage_find_version(e->storage, name, &due->object->sha256, FORMAT_PACK_MAX, &bytes,
                                    &due->version, err);
    buffer_free(&bytes);
    return code;
}

/* One that cannot be had must not let the locks of all others end. */
static int extend_one(size_t index, void *context, struct error *err)
{
    struct extension *e = context;
    struct due *due = &e->list[index];
    char name[OBJECT_NAME_MAX];
    object_seen_name(due->object, name);
    int64_t present = 0;
    int code = choose_version(e, due, name, err);
    if (code == 0 && due->unknown)
        code = storage_retention(e->storage, name, due->version, &present, err);
    if (code == ERROR_DENIED) /* it may be moved on all the same */
        code = 0;
    if (code == 0 && date_is_due(e->r, e->target, due->object, present, e->now)) {
        code = storage_retain(e->storage, name, due->version, e->until, err);
        present = e->until;
        due->extended = code == 0;
    }
    due->until = code == 0 ? present : 0;
    if (code == 0 || code == ERROR_CANCELLED)
        return code;
    pthread_mutex_lock(&e->lock);
    if (e->code == 0) {
        e->code = code;
        e->why = *err;
    }
    pthread_mutex_unlock(&e->lock);
    return 0;
}

/* The catalog learns it only now: before, nobody may rely on it. */
static int record_dates(struct extension *e, size_t target, struct retention_result *result,
                        struct error *err)
{
    int code = 0;
    for (size_t i = 0; i < e->count && code == 0; i++) {
        const struct due *due = &e->list[i];
        if (!due->until)
            continue;
        char *key = object_key(e->r, target, due->object);
        code = catalog_put_number(e->r->catalog, key, due->until, err);
        free(key);
        result->extended += due->extended;
    }
    return code;
}

static int extend_target(struct repository *r, size_t target,
                         bool (*needed)(const struct object_seen *object, void *context), void *context,
                         bool dry_run, struct retention_result *result, struct error *err)
{
    struct extension e = {
        .r = r, .target = target, .storage = replicas_storage(r->replicas, target), .places = id_map_new()};
    int code = 0;
    e.now = storage_now(e.storage);
    e.until = e.now + r->parameters.retain[target];
    for (size_t i = 0; i < r->object_count; i++) {
        const struct object_seen *object = &r->objects[i];
        if (!is_due(r, target, object, e.now) || !needed(object, context))
            continue;
        id_map_put(e.places, &object->sha256, e.count);
        memory_reserve_one(e.list, e.count, e.capacity);
        e.list[e.count++] =
            (struct due){.object = object, .unknown = retention_until(r, target, object) == 0};
    }
    result->due += e.count;
    if (e.count)
        result->requests += e.count * REQUESTS_EACH + r->object_count / LIST_PAGE + 1;
    if (e.count && !dry_run) {
        code = storage_list_versions(e.storage, "", note_version, &e, err);
        if (code == 0) {
            pthread_mutex_init(&e.lock, NULL);
            code = parallel_run(e.count, storage_connections(e.storage), extend_one, &e, err);
            pthread_mutex_destroy(&e.lock);
        }
        if (code == 0 && e.code != 0) {
            code = e.code;
            *err = e.why;
        }
        int recorded = record_dates(&e, target, result, code == 0 ? err : NULL);
        code = code == 0 ? recorded : code;
    }
    for (size_t i = 0; i < e.count; i++)
        free(e.list[i].version);
    free(e.list);
    id_map_free(e.places);
    return code;
}

int retention_extend(struct repository *r, bool (*needed)(const struct object_seen *object, void *context),
                     void *context, bool dry_run, struct retention_result *result, struct error *err)
{
    int code = 0;
    *result = (struct retention_result){0};
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        struct error why;
        bool active = replicas_is_active(r->replicas, t);
        /* One that has failed in this run still holds what was listed there, and its locks run out like
         * others.
         */
        if (!r->parameters.retain[t] || !replicas_storage(r->replicas, t))
            continue;
        int one = extend_target(r, t, needed, context, dry_run, result, &why);
        if (one == 0)
            continue;
        error_prefix(&why, "locks cannot be kept up");
        if (!active) {
            log_warning("%s", why.message);
        } else if (code == 0) {
            code = one;
            if (err)
                *err = why;
        }
    }
    return code;
}

/* ---- locks that nobody moves on ---- */

/* So many objects are asked about in a session. */
#define ASKED_MAX 8

struct ending {
    const struct object_seen *object;
    int64_t until;
};

/* Keeps those that end first, in order. */
static void note_ending(struct ending *list, size_t *count, struct ending ending)
{
    size_t at = *count < ASKED_MAX ? (*count)++ : ASKED_MAX;
    if (at == ASKED_MAX && list[--at].until <= ending.until)
        return;
    for (; at > 0 && list[at - 1].until > ending.until; at--)
        list[at] = list[at - 1];
    list[at] = ending;
}

static size_t find_ending(struct repository *r, size_t target, int64_t before, struct ending *list)
{
    size_t first, end, count = 0;
    listing_range(r, FOLDER_PACKS, &first, &end);
    for (size_t i = first; i < end; i++) {
        const struct object_seen *object = &r->objects[i];
        struct catalog_pack pack;
        int64_t until = retention_until(r, target, object);
        if (!until || until >= before || catalog_find_pack(r->catalog, &object->sha256, &pack, NULL) != 0 ||
            (r->packs[pack.number].flags & (PACK_CURRENT | PACK_CONDEMNED)) != PACK_CURRENT)
            continue;
        note_ending(list, &count, (struct ending){object, until});
    }
    return count;
}

/* The earliest of those that end before; what was moved on is not asked about again. */
static int64_t ask(struct repository *r, size_t target, const struct ending *list, size_t count,
                   int64_t before)
{
    for (size_t i = 0; i < count; i++) {
        int64_t until;
        if (!retention_ask(r, target, list[i].object, &until))
            return 0;
        if (until < before)
            return until ? until : list[i].until;
    }
    return 0;
}

void repository_warn_of_locks(struct repository *r)
{
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        struct ending list[ASKED_MAX];
        char end[TEXT_TIME_SIZE];
        if (!keeps_locks(r, t))
            continue;
        int64_t before = storage_now(replicas_storage(r->replicas, t)) + r->parameters.retain[t] / 4;
        size_t count = find_ending(r, t, before, list);
        int64_t until = ask(r, t, list, count, before);
        if (!count || !until)
            continue;
        log_warning("target %s: locks of objects that are needed end, the first at %s UTC, and nothing moves "
                    "them on",
                    r->parameters.target_labels[t], text_format_time(until, end));
        log_hint("run holdfast prune on a host with the role prune, several times within object_lock.retain");
    }
}

static void note_end(struct inspect_locks *out, int64_t until)
{
    if (!out->ends || until < out->ends)
        out->ends = until;
}

/* What may end soon, or have ended, is asked about: another host may have moved it on, and a date that is not
 * known here is as late as it was put at least. */
void inspect_locks(struct repository *r, size_t target, const struct id *manifests, size_t count,
                   struct inspect_locks *out)
{
    struct ending list[ASKED_MAX];
    size_t asked = 0;
    int64_t now = storage_now(replicas_storage(r->replicas, target)), retain = r->parameters.retain[target];
    *out = (struct inspect_locks){0};
    for (size_t i = 0; i < count && retain; i++) {
        const struct object_seen *object = listing_find(r, FOLDER_SNAPSHOTS, &manifests[i]);
        if (!object || !(object->mask >> target & 1))
            continue;
        int64_t until = retention_until(r, target, object);
        int64_t guess = until ? until : (object->arrival ? object->arrival : object->store_time) + retain;
        if (guess < now + retain / 4)
            note_ending(list, &asked, (struct ending){object, guess});
        else if (until)
            note_end(out, until);
        else
            out->unknown++;
    }
    for (size_t i = 0; i < asked; i++) {
        int64_t until;
        if (retention_ask(r, target, list[i].object, &until)) {
            out->asked++;
            note_end(out, until ? until : now); /* not locked at all */
        } else {
            out->unknown++;
        }
    }
}
