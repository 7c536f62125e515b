/* What each target holds, listed once per session and kept as one sorted table. */
#include "repo/internal.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/parallel.h"

#include <stdlib.h>

/* Each takes about 100 bytes. */
#define OBJECTS_MAX ((size_t)4 << 20)

/* One target's. */
struct listing {
    struct repository *r;
    size_t target;
    struct object_seen *objects;
    size_t count, capacity;
    bool independent; /* the store's clock is not this machine's */
    bool rest;        /* everything but snapshots */
    bool endless;
    int code;
    struct error why;
};

static int compare_seen(const void *a, const void *b)
{
    const struct object_seen *x = a, *y = b;
    if (x->folder != y->folder)
        return x->folder < y->folder ? -1 : 1;
    return memcmp(&x->sha256, &y->sha256, sizeof x->sha256);
}

/* One more entry of the same object. Where it has several on a target, one that is not hidden is enough. */
static void join(struct object_seen *known, const struct object_seen *o)
{
    uint32_t both = known->mask & o->mask;
    known->hidden = (known->hidden & o->hidden & both) | ((known->hidden | o->hidden) & ~both);
    known->mask |= o->mask;
    if (o->store_time > known->store_time)
        known->store_time = o->store_time;
    if (o->arrival && (!known->arrival || o->arrival < known->arrival))
        known->arrival = o->arrival;
    if (o->size != known->size)
        known->size = 0;
}

static size_t most_objects(const struct repository *r)
{
    return r->parameters.objects_max ? r->parameters.objects_max : OBJECTS_MAX;
}

static int note_object(const struct storage_object *object, void *context)
{
    struct listing *l = context;
    struct object_name name;
    if (!object_name_parse(object->name, &name)) {
        log_verbose("target %s: %s is not an object of this format and is left alone",
                    storage_label(replicas_storage(l->r->replicas, l->target)), object->name);
        return 0;
    }
    if (l->rest && name.folder == FOLDER_SNAPSHOTS)
        return 0;
    struct object_seen seen = {
        .sha256 = name.sha256,
        .folder = (uint8_t)name.folder,
        .mask = 1u << l->target,
        .hidden = (uint32_t)object->hidden << l->target,
        .time = name.time,
        .store_time = object->time,
        .arrival = l->independent ? object->time : 0,
        .size = object->size,
        .version = name.version,
        .person = name.person,
    };
    /* Versions of one object follow one another: whoever makes many must not fill the memory. */
    if (l->count && compare_seen(&l->objects[l->count - 1], &seen) == 0) {
        join(&l->objects[l->count - 1], &seen);
        return 0;
    }
    l->endless = l->count == most_objects(l->r);
    if (l->endless)
        return ERROR_FAILED;
    memory_reserve_one(l->objects, l->count, l->capacity);
    l->objects[l->count++] = seen;
    return 0;
}

static int name_endless(const struct listing *l, struct error *err)
{
    error_set(err, ERROR_FAILED, "target %s lists more than %zu objects of a repository",
              storage_label(replicas_storage(l->r->replicas, l->target)), most_objects(l->r));
    return error_hint(
        err, "a repository as large as that needs a larger pack_size from the beginning; if this one is "
             "not, the store is broken, or somebody plants objects there");
}

/* Snapshots first: while others write, whatever a listed snapshot needs is in the listing that follows. */
static int list_target(size_t target, void *context, struct error *err)
{
    struct listing *l = (struct listing *)context + target;
    (void)err;
    if (!replicas_is_active(l->r->replicas, target))
        return 0;
    struct storage *storage = replicas_storage(l->r->replicas, target);
    l->target = target;
    l->independent = storage_features(storage) & STORAGE_INDEPENDENT_TIME;
    l->code = storage_list(storage, "snapshots/", note_object, l, &l->why);
    l->rest = true;
    if (l->code == 0)
        l->code = storage_list(storage, "", note_object, l, &l->why);
    if (l->endless)
        l->code = name_endless(l, &l->why);
    return 0;
}

/* Joins the entries of one object on several targets. */
static void merge(struct repository *r)
{
    if (r->object_count)
        qsort(r->objects, r->object_count, sizeof *r->objects, compare_seen);
    size_t kept = 0;
    for (size_t i = 0; i < r->object_count; i++) {
        const struct object_seen *o = &r->objects[i];
        if (kept && compare_seen(&r->objects[kept - 1], o) == 0)
            join(&r->objects[kept - 1], o);
        else
            r->objects[kept++] = *o;
    }
    r->object_count = kept;
}

static void take_over(struct repository *r, struct listing *l)
{
    if (!r->objects) { /* what may be the half of all memory is not copied */
        r->objects = l->objects;
        r->object_count = l->count;
        l->objects = NULL;
        return;
    }
    r->objects = memory_resize_array(r->objects, r->object_count + l->count, sizeof *r->objects);
    if (l->count)
        memcpy(r->objects + r->object_count, l->objects, l->count * sizeof *r->objects);
    r->object_count += l->count;
}

int listing_load(struct repository *r, struct error *err)
{
    listing_free(r);
    size_t count = replicas_count(r->replicas);
    struct listing *lists = memory_alloc_array(count, sizeof *lists);
    for (size_t t = 0; t < count; t++)
        lists[t].r = r;
    parallel_run(count, (unsigned)count, list_target, lists, NULL);
    int code = 0;
    for (size_t t = 0; t < count; t++) {
        struct listing *l = &lists[t];
        if (l->code == 0) {
            take_over(r, l);
        } else {
            if (replicas_active_count(r->replicas) > 1) {
                target_leave_out(r, t, &l->why);
            } else {
                replicas_demote(r->replicas, t, &l->why);
                *err = l->why;
                code = l->why.code;
            }
        }
        free(l->objects);
    }
    free(lists);
    merge(r);
    return code;
}

struct remembered {
    struct repository *r;
    size_t capacity;
    enum object_folder folder;
};

static int remember(const struct id *sha256, struct bytes body, void *context)
{
    struct remembered *m = context;
    struct repository *r = m->r;
    (void)body;
    memory_reserve_one(r->objects, r->object_count, m->capacity);
    r->objects[r->object_count++] = (struct object_seen){.sha256 = *sha256, .folder = (uint8_t)m->folder};
    return 0;
}

int listing_of_catalog(struct repository *r, struct error *err)
{
    static const struct {
        enum object_type type;
        enum object_folder folder;
    } kinds[] = {
        {OBJECT_MANIFEST, FOLDER_SNAPSHOTS}, {OBJECT_RUN, FOLDER_RUNS}, {OBJECT_EVENT, FOLDER_EVENTS}};
    struct remembered m = {.r = r};
    int code = 0;
    listing_free(r);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && code == 0; i++) {
        m.folder = kinds[i].folder;
        code = catalog_each_record(r->catalog, (uint8_t)kinds[i].type, remember, &m, err);
    }
    merge(r);
    return code;
}

void listing_free(struct repository *r)
{
    free(r->objects);
    r->objects = NULL;
    r->object_count = 0;
}

struct object_seen *listing_find(struct repository *r, enum object_folder folder, const struct id *sha256)
{
    struct object_seen key = {.folder = (uint8_t)folder, .sha256 = *sha256};
    return r->object_count ? bsearch(&key, r->objects, r->object_count, sizeof key, compare_seen) : NULL;
}

size_t listing_hidden(const struct repository *r, size_t target)
{
    size_t count = 0;
    for (size_t i = 0; i < r->object_count; i++)
        count += r->objects[i].hidden >> target & 1 && r->objects[i].folder != FOLDER_LEASES;
    return count;
}

void listing_range(struct repository *r, enum object_folder folder, size_t *first, size_t *end)
{
    size_t low = 0, high = r->object_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->objects[middle].folder < folder)
            low = middle + 1;
        else
            high = middle;
    }
    *first = low;
    while (low < r->object_count && r->objects[low].folder == folder)
        low++;
    *end = low;
}

void listing_add(struct repository *r, const char *name, uint32_t mask, uint64_t size)
{
    struct object_name parsed;
    if (!object_name_parse(name, &parsed))
        return;
    struct object_seen *known = listing_find(r, parsed.folder, &parsed.sha256);
    if (known) {
        known->mask |= mask;
        known->hidden &= ~mask;
        return;
    }
    struct object_seen added = {.sha256 = parsed.sha256,
                                .folder = (uint8_t)parsed.folder,
                                .mask = mask,
                                .time = parsed.time,
                                .store_time = parsed.time,
                                .size = size,
                                .version = parsed.version,
                                .person = parsed.person};
    r->objects = memory_resize_array(r->objects, r->object_count + 1, sizeof *r->objects);
    size_t at = r->object_count++;
    for (; at > 0 && compare_seen(&r->objects[at - 1], &added) > 0; at--)
        r->objects[at] = r->objects[at - 1];
    r->objects[at] = added;
}

void repository_describe_target(struct repository *r, size_t target, struct repository_target *out)
{
    const struct storage *storage = replicas_storage(r->replicas, target);
    *out = (struct repository_target){.label = r->parameters.target_labels[target],
                                      .active = replicas_is_active(r->replicas, target)};
    if (!out->active)
        out->why = replicas_failure(r->replicas, target);
    if (storage)
        out->stored_bytes = storage_stored_bytes(storage);
    for (size_t i = 0; i < r->object_count; i++) {
        if (!(r->objects[i].mask >> target & 1))
            continue;
        out->objects++;
        out->hidden += r->objects[i].hidden >> target & 1 && r->objects[i].folder != FOLDER_LEASES;
        out->bytes += r->objects[i].size;
    }
}

void object_seen_name(const struct object_seen *object, char name[OBJECT_NAME_MAX])
{
    switch ((enum object_folder)object->folder) {
    case FOLDER_CONFIG:
        strcpy(name, "config");
        break;
    case FOLDER_KEYRING:
        object_name_keyring(object->version, &object->sha256, name);
        break;
    case FOLDER_PERSON:
        object_name_person(&object->person, &object->sha256, name);
        break;
    case FOLDER_PACKS:
        object_name_pack(&object->sha256, name);
        break;
    case FOLDER_INDEX:
        object_name_index(&object->sha256, name);
        break;
    case FOLDER_SNAPSHOTS:
        object_name_timed("snapshots", object->time, &object->sha256, name);
        break;
    case FOLDER_RUNS:
        object_name_timed("runs", object->time, &object->sha256, name);
        break;
    case FOLDER_EVENTS:
        object_name_timed("events", object->time, &object->sha256, name);
        break;
    case FOLDER_LEASES:
        object_name_timed("leases", object->time, &object->sha256, name);
        break;
    }
}
