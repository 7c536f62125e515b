/* Events that bear on the index: condemned packs, sparse and bad frames. */
#include "base/log.h"
#include "base/memory.h"
#include "repo/internal.h"

#include <stdlib.h>

int events_each(struct repository *r,
                int (*callback)(struct repository *r, const struct object_seen *object,
                                const struct event *event, void *context, struct error *err),
                void *context, struct error *err)
{
    size_t first, end;
    listing_range(r, FOLDER_EVENTS, &first, &end);
    int code = 0;
    for (size_t i = first; i < end && code == 0; i++) {
        struct buffer body = {0};
        struct arena arena = {0};
        struct event event;
        struct error why;
        if (r->objects[i].damaged)
            continue;
        int loaded = record_load(r, OBJECT_EVENT, &r->objects[i], &body, &why);
        if (loaded != 0) {
            record_warn("an event", &why);
            record_damage(r, loaded);
        } else if (event_decode(buffer_bytes(&body), &arena, &event, &why) == 0) {
            code = callback(r, &r->objects[i], &event, context, err);
        }
        arena_free(&arena);
        buffer_free(&body);
    }
    return code;
}

struct sparse_list {
    uint64_t *list;
    size_t count, capacity;
};

static int apply(struct repository *r, const struct object_seen *object, const struct event *event,
                 void *context, struct error *err)
{
    (void)object;
    struct sparse_list *sparse = context;
    if (event->type != EVENT_CONDEMN && event->type != EVENT_BAD_FRAMES)
        return 0;
    if (event->type == EVENT_CONDEMN && !keyring_host_may_prune(&r->chain.keyring, &event->host)) {
        log_warning("a condemn event of a host that may not prune is ignored");
        return 0;
    }
    struct catalog_pack pack;
    for (size_t i = 0; i < event->packs.count && event->type == EVENT_CONDEMN; i++) {
        int code = catalog_find_pack(r->catalog, &event->packs.list[i], &pack, err);
        if (code != 0 && code != ERROR_NOT_FOUND)
            return code;
        if (code == 0 && pack.number < r->pack_capacity)
            r->packs[pack.number].flags |= PACK_CONDEMNED;
    }
    for (size_t i = 0; i < event->frame_count; i++) {
        int code = catalog_find_pack(r->catalog, &event->frames[i].pack, &pack, err);
        if (code == ERROR_NOT_FOUND)
            continue;
        if (code != 0)
            return code;
        memory_reserve_one(sparse->list, sparse->count, sparse->capacity);
        sparse->list[sparse->count++] = pack.number << 32 | event->frames[i].frame;
    }
    return 0;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int events_apply(struct repository *r, struct error *err)
{
    struct sparse_list sparse = {0};
    int code = events_each(r, apply, &sparse, err);
    if (sparse.count)
        qsort(sparse.list, sparse.count, sizeof *sparse.list, compare_u64);
    free(r->sparse);
    r->sparse = sparse.list;
    r->sparse_count = sparse.count;
    return code;
}
