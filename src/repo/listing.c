/* What each target holds, listed once per session and kept as one sorted table. */
#include "repo/internal.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>

struct listing {
    struct repository *r;
    size_t capacity;
    size_t target;
};

static int compare_seen(const void *a, const void *b)
{
    const struct object_seen *x = a, *y = b;
    if (x->folder != y->folder)
        return x->folder < y->folder ? -1 : 1;
    return memcmp(&x->sha256, &y->sha256, sizeof x->sha256);
}

static int note_object(const struct storage_object *object, void *context)
{
    struct listing *l = context;
    struct repository *r = l->r;
    struct object_name name;
    if (!object_name_parse(object->name, &name)) {
        log_verbose("target %s: %s is not an object of this format and is left alone",
                    storage_label(replicas_storage(r->replicas, l->target)), object->name);
        return 0;
    }
    memory_reserve_one(r->objects, r->object_count, l->capacity);
    bool independent = storage_features(replicas_storage(r->replicas, l->target)) & STORAGE_INDEPENDENT_TIME;
    r->objects[r->object_count++] = (struct object_seen){
        .sha256 = name.sha256,
        .folder = (uint8_t)name.folder,
        .mask = 1u << l->target,
        .time = name.time,
        .store_time = object->time,
        .arrival = independent ? object->time : 0,
        .size = object->size,
        .version = name.version,
        .person = name.person,
    };
    return 0;
}

/* Joins the entries of one object on several targets. */
static void merge(struct repository *r)
{
    if (r->object_count)
        qsort(r->objects, r->object_count, sizeof *r->objects, compare_seen);
    size_t kept = 0;
    for (size_t i = 0; i < r->object_count; i++) {
        struct object_seen *o = &r->objects[i];
        struct object_seen *last = kept ? &r->objects[kept - 1] : NULL;
        if (!last || compare_seen(last, o) != 0) {
            r->objects[kept++] = *o;
            continue;
        }
        last->mask |= o->mask;
        if (o->store_time > last->store_time)
            last->store_time = o->store_time;
        if (o->arrival && (!last->arrival || o->arrival < last->arrival))
            last->arrival = o->arrival;
        if (o->size != last->size)
            last->size = 0;
    }
    r->object_count = kept;
}

int listing_load(struct repository *r, struct error *err)
{
    listing_free(r);
    struct listing l = {.r = r};
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        if (!replicas_is_active(r->replicas, t))
            continue;
        size_t before = r->object_count;
        l.target = t;
        struct error why;
        if (storage_list(replicas_storage(r->replicas, t), "", note_object, &l, &why) != 0) {
            r->object_count = before;
            error_prefix(&why, "target %s cannot be listed", storage_label(replicas_storage(r->replicas, t)));
            replicas_demote(r->replicas, t, &why);
            log_warning("%s", why.message);
            if (replicas_active_count(r->replicas) == 0) {
                *err = why;
                return why.code;
            }
        }
    }
    merge(r);
    return 0;
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
