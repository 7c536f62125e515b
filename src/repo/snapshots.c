/* Which snapshots are live, what people call them, and the events that change that. */
#include "repo/snapshots.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "repo/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* ---- loading ---- */

struct marks {
    struct id_map *forgotten;
    struct id_map *pins; /* value: time of the event << 1 | pinned */
};

/* A host without the role prune unpins its own: a thief of its key must not leave others' to the rotation. */
static bool may_unpin(struct repository *r, const struct id16 *host, const struct id *snapshot)
{
    struct object_seen *object = listing_find(r, FOLDER_SNAPSHOTS, snapshot);
    struct buffer body = {0};
    struct arena arena = {0};
    struct manifest manifest;
    if (r->offline || keyring_host_may_prune(&r->chain.keyring, host))
        return true;
    bool own = object && !object->damaged && record_load(r, OBJECT_MANIFEST, object, &body, NULL) == 0 &&
               manifest_decode(buffer_bytes(&body), &arena, &manifest, NULL) == 0 &&
               id16_equal(&manifest.host, host);
    arena_free(&arena);
    buffer_free(&body);
    return own;
}

static int note_event(struct repository *r, const struct object_seen *object, const struct event *event,
                      void *context, struct error *err)
{
    (void)object;
    (void)err;
    struct marks *marks = context;
    for (size_t i = 0; i < event->snapshots.count; i++) {
        const struct id *id = &event->snapshots.list[i];
        if (event->type == EVENT_FORGET) {
            /* Without the keyring it counts: no decision hangs on it. */
            if (r->offline || keyring_host_may_prune(&r->chain.keyring, &event->host))
                id_map_put(marks->forgotten, id, 1);
            else
                log_warning("a forget event of a host that may not prune is ignored");
        } else if (event->type == EVENT_PIN ||
                   (event->type == EVENT_UNPIN && may_unpin(r, &event->host, id))) {
            uint64_t old = 0, value = (uint64_t)event->created << 1 | (event->type == EVENT_PIN);
            /* The newer one counts; of two at one time the one that keeps more. */
            if (!id_map_get(marks->pins, id, &old) || value > old)
                id_map_put(marks->pins, id, value);
        }
    }
    return 0;
}

static int compare_snapshots(const void *a, const void *b)
{
    const struct snapshot *x = a, *y = b;
    if (x->manifest.ended != y->manifest.ended)
        return x->manifest.ended < y->manifest.ended ? -1 : 1;
    if (x->manifest.sequence != y->manifest.sequence)
        return x->manifest.sequence < y->manifest.sequence ? -1 : 1;
    return id_compare(&x->sha256, &y->sha256);
}

static void load_manifest(struct repository *r, struct object_seen *object, const struct marks *marks,
                          struct snapshot_list *list, size_t *capacity)
{
    struct buffer body = {0};
    struct error why;
    struct snapshot snapshot = {
        .sha256 = object->sha256, .targets = object->mask, .arrival = object->arrival};
    int code = record_load(r, OBJECT_MANIFEST, object, &body, &why);
    if (code == 0)
        code = manifest_decode(buffer_bytes(&body), &list->arena, &snapshot.manifest, &why);
    buffer_free(&body);
    if (code != 0) {
        record_warn("a snapshot", &why);
        record_damage(r, code);
        list->unreadable++;
        return;
    }
    /* Who signed it counts, not what that host calls itself. */
    const struct host *host = keyring_find_host(&r->chain.keyring, &snapshot.manifest.host);
    if (host)
        snapshot.manifest.host_name = arena_copy_string(&list->arena, host->name);
    uint64_t pin = 0;
    id_map_get(marks->pins, &object->sha256, &pin);
    snapshot.pinned = pin & 1;
    snapshot.first_seen = manifest_first_seen(r, &object->sha256);
    memory_reserve_one(list->list, list->count, *capacity);
    list->list[list->count++] = snapshot;
}

int snapshots_load(struct repository *r, struct snapshot_list *list, struct error *err)
{
    *list = (struct snapshot_list){0};
    struct marks marks = {id_map_new(), id_map_new()};
    size_t first, end, capacity = 0;
    int code = events_each(r, note_event, &marks, err);
    listing_range(r, FOLDER_SNAPSHOTS, &first, &end);
    for (size_t i = first; i < end && code == 0; i++) {
        if (id_map_has(marks.forgotten, &r->objects[i].sha256))
            continue;
        if (r->objects[i].damaged)
            list->unreadable++;
        else
            load_manifest(r, &r->objects[i], &marks, list, &capacity);
    }
    id_map_free(marks.forgotten);
    id_map_free(marks.pins);
    if (list->count)
        qsort(list->list, list->count, sizeof *list->list, compare_snapshots);
    return code;
}

void snapshots_free(struct snapshot_list *list)
{
    free(list->list);
    arena_free(&list->arena);
    *list = (struct snapshot_list){0};
}

/* ---- events ---- */

int event_write(struct repository *r, struct event *event, struct error *err)
{
    struct buffer body = {0};
    struct id id;
    event->host = r->host_key.host;
    int64_t now = (int64_t)time(NULL);
    if (event->created < now)
        event->created = now;
    event_encode(event, &body);
    int code = record_write(r, OBJECT_EVENT, "events", event->created, buffer_bytes(&body), &id, err);
    if (code == 0)
        code = catalog_put_record(r->catalog, OBJECT_EVENT, &id, buffer_bytes(&body), err);
    buffer_free(&body);
    return code;
}

int snapshots_forget(struct repository *r, const struct id *ids, size_t count, const char *reason,
                     struct error *err)
{
    if (!repository_may_prune(r)) {
        error_set(err, ERROR_DENIED, "this host may write but not prune: it cannot forget snapshots");
        return error_hint(err, "run the command on a host with the role prune");
    }
    struct event event = {
        .type = EVENT_FORGET, .reason = reason, .snapshots = {(struct id *)(uintptr_t)ids, count}};
    return event_write(r, &event, err);
}

struct arrivals {
    struct repository *r;
    uint32_t target;
};

static int note_arrival(const struct storage_object *object, void *context)
{
    const struct arrivals *a = context;
    listing_add(a->r, object->name, a->target, object->size);
    return 0;
}

int snapshots_check_pins(struct repository *r, const struct id *ids, size_t count, struct error *err)
{
    struct marks marks = {id_map_new(), id_map_new()};
    int code = 0;
    for (size_t t = 0; t < replicas_count(r->replicas) && code == 0; t++) {
        struct arrivals a = {r, 1u << t};
        if (replicas_is_active(r->replicas, t))
            code = storage_list(replicas_storage(r->replicas, t), "events/", note_arrival, &a, err);
    }
    if (code == 0)
        code = events_each(r, note_event, &marks, err);
    for (size_t i = 0; i < count && code == 0; i++) {
        char hex[ID_HEX_SIZE];
        uint64_t pin = 0;
        id_map_get(marks.pins, &ids[i], &pin);
        if (!(pin & 1))
            continue;
        id_to_hex(&ids[i], hex);
        error_set(err, ERROR_FAILED, "snapshot %.10s was to go, and has been pinned meanwhile", hex);
        code = error_hint(err, "run the command again: it keeps the snapshot");
    }
    id_map_free(marks.forgotten);
    id_map_free(marks.pins);
    return code;
}

struct pin_search {
    const struct id *ids;
    size_t count;
    int64_t newest;
};

static int look_for_pins(struct repository *r, const struct object_seen *object, const struct event *event,
                         void *context, struct error *err)
{
    (void)r;
    (void)object;
    (void)err;
    struct pin_search *search = context;
    if (event->type != EVENT_PIN && event->type != EVENT_UNPIN)
        return 0;
    for (size_t i = 0; i < event->snapshots.count; i++) {
        for (size_t k = 0; k < search->count; k++) {
            if (id_equal(&event->snapshots.list[i], &search->ids[k]) && event->created > search->newest)
                search->newest = event->created;
        }
    }
    return 0;
}

int snapshots_pin(struct repository *r, const struct id *ids, size_t count, bool pin, struct error *err)
{
    for (size_t i = 0; i < count && !pin; i++) {
        if (may_unpin(r, &r->host_key.host, &ids[i]))
            continue;
        error_set(err, ERROR_DENIED, "this host may write but not prune: it unpins its own snapshots only");
        return error_hint(err, "run the command on a host with the role prune");
    }
    /* After what it changes, also within one second or by a clock that is behind. */
    struct pin_search search = {ids, count, 0};
    int code = events_each(r, look_for_pins, &search, err);
    if (code != 0)
        return code;
    struct event event = {.type = pin ? EVENT_PIN : EVENT_UNPIN,
                          .created = search.newest < INT64_MAX ? search.newest + 1 : INT64_MAX,
                          .reason = "",
                          .snapshots = {(struct id *)(uintptr_t)ids, count}};
    return event_write(r, &event, err);
}
