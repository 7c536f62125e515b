/* Making visible again what somebody removed or overwrote on a target that keeps versions: readers find the
 * older version, but writers must not rely on it, for a rule of the bucket may let it go. */
#include "base/log.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "repo/internal.h"
#include "repo/lease.h"

#include <stdlib.h>
#include <time.h>

/* Each may hold a pack. */
#define REQUESTS_MAX 4

struct reveal {
    struct repository *r;
    time_t deadline;
    size_t *objects; /* their places in the listing */
    uint32_t *done;  /* of each: targets where it is visible now */
    size_t count, capacity;
    pthread_mutex_t lock; /* what follows */
    uint32_t no_removals; /* targets whose keys may take no removal away */
    size_t failures[TARGETS_MAX];
    struct error why[TARGETS_MAX]; /* the first */
    uint64_t seen_bytes, all_bytes;
};

static bool take_removals_away(struct reveal *v, const char *name, size_t target)
{
    struct error why;
    pthread_mutex_lock(&v->lock);
    bool may = !(v->no_removals >> target & 1);
    pthread_mutex_unlock(&v->lock);
    int code = may ? storage_unhide(replicas_storage(v->r->replicas, target), name, &why) : ERROR_DENIED;
    if (may && code != 0)
        log_verbose("%s", why.message);
    pthread_mutex_lock(&v->lock);
    v->no_removals |= (uint32_t)(code == ERROR_DENIED) << target;
    pthread_mutex_unlock(&v->lock);
    return code == 0;
}

/* From wherever a good copy is: that may be an older version on the same target. */
static int fetch_good(struct repository *r, const struct object_seen *object, struct buffer *good,
                      struct error *err)
{
    if (object->folder != FOLDER_CONFIG)
        return object_fetch(r, object, FORMAT_PACK_MAX, good, err);
    buffer_append_bytes(good, buffer_bytes(&r->config_bytes));
    return 0;
}

static void note_failure(struct reveal *v, size_t target, const struct error *why)
{
    pthread_mutex_lock(&v->lock);
    if (v->failures[target]++ == 0)
        v->why[target] = *why;
    pthread_mutex_unlock(&v->lock);
}

/* Not by way of the queues: that these keys may not store it there is no reason to leave the target out. */
static void reveal_on(struct reveal *v, size_t place, size_t target, const char *name, struct buffer *good)
{
    struct repository *r = v->r;
    struct error why;
    int code = 0;
    if (!take_removals_away(v, name, target)) {
        if (!good->size)
            code = fetch_good(r, &r->objects[v->objects[place]], good, &why);
        if (code == 0)
            code = storage_put(replicas_storage(r->replicas, target), name, buffer_bytes(good), &why);
    }
    if (code == 0) {
        v->done[place] |= 1u << target;
        log_verbose("target %s: %s is visible again", r->parameters.target_labels[target], name);
    } else {
        note_failure(v, target, &why);
    }
}

static int reveal_one(size_t place, void *context, struct error *err)
{
    struct reveal *v = context;
    struct repository *r = v->r;
    struct object_seen *object = &r->objects[v->objects[place]];
    struct timespec now;
    char name[OBJECT_NAME_MAX];
    struct buffer good = {0};
    int code = repository_stopped(r, err);
    if (code == 0)
        code = lease_keep(r, err);
    clock_gettime(CLOCK_MONOTONIC, &now);
    /* A backup does not wait for all: it stores anew what it needs. */
    if (code != 0 || (v->deadline && now.tv_sec >= v->deadline) || !object_belongs(r, object))
        return code;
    object_seen_name(object, name);
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        if (object->hidden >> t & 1 && replicas_is_active(r->replicas, t))
            reveal_on(v, place, t, name, &good);
    }
    buffer_free(&good);
    pthread_mutex_lock(&v->lock);
    uint64_t seen = v->seen_bytes += object->size;
    pthread_mutex_unlock(&v->lock);
    repository_show_progress(r, seen, v->all_bytes);
    return 0;
}

static void take_results(struct reveal *v)
{
    struct repository *r = v->r;
    size_t visible[TARGETS_MAX] = {0};
    for (size_t i = 0; i < v->count; i++) {
        struct object_seen *object = &r->objects[v->objects[i]];
        struct catalog_pack pack;
        object->hidden &= ~v->done[i];
        if (object->folder == FOLDER_PACKS && v->done[i] &&
            catalog_find_pack(r->catalog, &object->sha256, &pack, NULL) == 0 &&
            pack.number < r->pack_capacity)
            r->packs[pack.number].hidden &= ~v->done[i];
        for (size_t t = 0; t < TARGETS_MAX; t++)
            visible[t] += v->done[i] >> t & 1;
    }
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        const char *label = r->parameters.target_labels[t];
        r->revealed += visible[t];
        if (visible[t])
            log_info("target %s: %zu hidden object%s visible again", label, visible[t],
                     visible[t] == 1 ? " is" : "s are");
        if (!v->failures[t])
            continue;
        log_warning("target %s: %zu object%s hidden: %s", label, v->failures[t],
                    v->failures[t] == 1 ? " stays" : "s stay", v->why[t].message);
        log_hint("%s", v->why[t].code == ERROR_DENIED
                           ? "run holdfast heal with keys of the store that may write them, see "
                             "holdfast-s3(7), PERMISSIONS"
                           : v->why[t].hint);
    }
}

int reveal_hidden(struct repository *r, time_t deadline, struct error *err)
{
    struct reveal v = {.r = r, .deadline = deadline};
    uint32_t active = repository_active_mask(r);
    for (size_t i = 0; i < r->object_count; i++) {
        if (!(r->objects[i].hidden & active) || r->objects[i].folder == FOLDER_LEASES)
            continue;
        memory_reserve_one(v.objects, v.count, v.capacity);
        v.objects[v.count++] = i;
        v.all_bytes += r->objects[i].size;
    }
    if (!v.count)
        return 0;
    v.done = memory_alloc_array(v.count, sizeof *v.done);
    pthread_mutex_init(&v.lock, NULL);
    int code = parallel_run(v.count, REQUESTS_MAX, reveal_one, &v, err);
    take_results(&v);
    pthread_mutex_destroy(&v.lock);
    free(v.objects);
    free(v.done);
    return code;
}
