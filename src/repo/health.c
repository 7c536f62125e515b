#include "repo/health.h"

#include "repo/internal.h"

/* The packs that could not be relied on. Those of other dedup groups never were. */
static void unusable_packs(struct repository *r, struct id *out)
{
    struct sha256 *hash = sha256_new();
    uint32_t active = repository_active_mask(r);
    pthread_mutex_lock(&r->index_lock);
    for (uint64_t number = 1; number < r->pack_capacity; number++) {
        const struct pack_state *p = &r->packs[number];
        bool usable = (pack_relied_on(p) & active) == active &&
                      (p->flags & (PACK_CURRENT | PACK_CONDEMNED)) == PACK_CURRENT;
        if (!p->known || (p->flags & PACK_FOREIGN) || usable)
            continue;
        sha256_update(hash, bytes_of(&number, sizeof number));
    }
    sha256_update(hash, bytes_of(r->sparse, r->sparse_count * sizeof *r->sparse));
    pthread_mutex_unlock(&r->index_lock);
    sha256_final(hash, out);
    sha256_free(hash);
}

void health_stamp(struct repository *r, const struct id *manifest, struct buffer *out)
{
    struct id unusable;
    unusable_packs(r, &unusable);
    buffer_append(out, manifest->b, sizeof manifest->b);
    buffer_append(out, unusable.b, sizeof unusable.b);
    for (size_t i = 0; i < r->segment_count; i++) {
        if (!r->segments[i].obsolete)
            buffer_append(out, r->segments[i].sha256.b, sizeof(struct id));
    }
}

struct forgotten_search {
    const struct id *manifest;
    bool found;
};

static int look_for_forget(struct repository *r, const struct object_seen *object, const struct event *event,
                           void *context, struct error *err)
{
    (void)r;
    (void)object;
    (void)err;
    struct forgotten_search *search = context;
    for (size_t i = 0; i < event->snapshots.count && event->type == EVENT_FORGET; i++)
        search->found |= id_equal(&event->snapshots.list[i], search->manifest);
    return 0;
}

bool health_check(struct repository *r, struct bytes stamp)
{
    struct id manifest, unusable, now, segment;
    uint32_t active = repository_active_mask(r);
    struct reader reader = reader_of(stamp);
    reader_copy(&reader, manifest.b, sizeof manifest.b);
    reader_copy(&reader, unusable.b, sizeof unusable.b);
    const struct object_seen *object = listing_find(r, FOLDER_SNAPSHOTS, &manifest);
    unusable_packs(r, &now);
    if (reader.failed || r->damage || !object || (object->mask & active) != active ||
        !id_equal(&unusable, &now))
        return false;
    struct forgotten_search search = {&manifest, false};
    if (events_each(r, look_for_forget, &search, NULL) != 0 || search.found)
        return false;
    while (reader.at < reader.size) {
        reader_copy(&reader, segment.b, sizeof segment.b);
        const struct segment_state *s = segment_find(r, &segment);
        if (reader.failed || !s || s->obsolete || (s->mask & active) != active)
            return false;
    }
    return true;
}
