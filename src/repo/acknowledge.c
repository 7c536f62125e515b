#include "repo/acknowledge.h"

#include "base/memory.h"
#include "repo/internal.h"

#include <stdlib.h>

struct acknowledged {
    struct id_map *objects;
    int64_t *checks;
    size_t check_count, check_capacity;
};

int acknowledge_write(struct repository *r, const struct acknowledgement *a, struct error *err)
{
    struct event event = {.type = EVENT_ACKNOWLEDGE,
                          .reason = "acknowledged by hand",
                          .runs = a->runs,
                          .snapshots = a->snapshots,
                          .checks = a->checks,
                          .check_count = a->check_count};
    return event_write(r, &event, err);
}

static void put_all(struct id_map *map, const struct id_list *ids)
{
    for (size_t i = 0; i < ids->count; i++)
        id_map_put(map, &ids->list[i], 1);
}

/* A host that only writes must not keep others from seeing a failure; verifies by hand are known to their own
 * host alone. */
static int note(struct repository *r, const struct object_seen *object, const struct event *event,
                void *context, struct error *err)
{
    (void)object;
    (void)err;
    struct acknowledged *a = context;
    bool own = r->has_host && id16_equal(&event->host, &r->host_key.host);
    if (event->type != EVENT_ACKNOWLEDGE)
        return 0;
    if (own || keyring_host_may_prune(&r->chain.keyring, &event->host)) {
        put_all(a->objects, &event->runs);
        put_all(a->objects, &event->snapshots);
    }
    for (size_t i = 0; i < event->check_count && own; i++) {
        memory_reserve_one(a->checks, a->check_count, a->check_capacity);
        a->checks[a->check_count++] = event->checks[i];
    }
    return 0;
}

int acknowledged_load(struct repository *r, struct acknowledged **acknowledged, struct error *err)
{
    struct acknowledged *a = memory_new(struct acknowledged);
    a->objects = id_map_new();
    int code = events_each(r, note, a, err);
    if (code != 0) {
        acknowledged_free(a);
        return code;
    }
    *acknowledged = a;
    return 0;
}

void acknowledged_free(struct acknowledged *a)
{
    if (!a)
        return;
    id_map_free(a->objects);
    free(a->checks);
    free(a);
}

bool acknowledged_has(const struct acknowledged *a, const struct id *sha256)
{
    return a && id_map_has(a->objects, sha256);
}

bool acknowledged_has_check(const struct acknowledged *a, int64_t time)
{
    for (size_t i = 0; a && i < a->check_count; i++) {
        if (a->checks[i] == time)
            return true;
    }
    return false;
}
