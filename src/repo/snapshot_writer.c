#include "repo/snapshot_writer.h"

#include "base/memory.h"
#include "repo/internal.h"

#include <stdlib.h>

#define LAST_MANIFEST "last-manifest"

/* The newest manifest of every host. */
struct newest {
    struct seen *list;
    size_t count, capacity;
    struct id16 own;
    uint64_t own_sequence;
    struct id own_manifest;
};

static void note_manifest(struct newest *n, const struct id *id, const struct manifest *m)
{
    if (id16_equal(&m->host, &n->own) &&
        (m->sequence > n->own_sequence ||
         (m->sequence == n->own_sequence && id_compare(id, &n->own_manifest) > 0))) {
        n->own_sequence = m->sequence;
        n->own_manifest = *id;
    }
    for (size_t i = 0; i < n->count; i++) {
        if (id16_equal(&n->list[i].host, &m->host)) {
            if (m->sequence > n->list[i].sequence)
                n->list[i].sequence = m->sequence;
            return;
        }
    }
    memory_reserve_one(n->list, n->count, n->capacity);
    n->list[n->count++] = (struct seen){m->host, m->sequence};
}

/* Forgotten ones count as well: sequence numbers are never used again. */
static int find_newest(struct repository *r, struct newest *n, struct error *err)
{
    size_t first, end;
    int code = 0;
    listing_range(r, FOLDER_SNAPSHOTS, &first, &end);
    for (size_t i = first; i < end && code == 0; i++) {
        struct buffer body = {0};
        struct arena arena = {0};
        struct manifest m;
        if (!r->objects[i].damaged && record_load(r, OBJECT_MANIFEST, &r->objects[i], &body, NULL) == 0 &&
            manifest_decode(buffer_bytes(&body), &arena, &m, NULL) == 0)
            note_manifest(n, &r->objects[i].sha256, &m);
        arena_free(&arena);
        buffer_free(&body);
    }
    /* What this state folder wrote last, should all its manifests have been pruned. */
    chain_end(r, LAST_MANIFEST, &n->own_sequence, &n->own_manifest);
    (void)err;
    return code;
}

static void list_segments(struct repository *r, struct arena *arena, struct id_list *out)
{
    out->list = arena_alloc_array(arena, r->segment_count, sizeof *out->list);
    out->count = 0;
    for (size_t i = 0; i < r->segment_count; i++) {
        if (!r->segments[i].obsolete)
            out->list[out->count++] = r->segments[i].sha256;
    }
}

int snapshot_write(struct repository *r, struct manifest *m, struct id *id, struct error *err)
{
    struct arena arena = {0};
    struct buffer body = {0};
    struct newest n = {.own = r->host_key.host};
    int code = find_newest(r, &n, err);
    if (code == 0) {
        m->host = r->host_key.host;
        m->host_name = r->host_key.name;
        m->software = "holdfast " HOLDFAST_VERSION;
        m->sequence = n.own_sequence + 1;
        m->has_previous_manifest = n.own_sequence > 0;
        m->previous_manifest = n.own_manifest;
        m->has_previous_run = run_newest(r, &m->previous_run);
        m->keyring_version = r->chain.keyring.version;
        m->keyring_sha256 = r->chain.sha256;
        m->seen = n.list;
        m->seen_count = n.count;
        list_segments(r, &arena, &m->segments);
        manifest_encode(m, &body);
        code = record_write(r, OBJECT_MANIFEST, "snapshots", m->ended, buffer_bytes(&body), id, err);
    }
    if (code == 0)
        code = segments_settle(r, err);
    if (code == 0 && replicas_active_count(r->replicas) < r->parameters.min_targets) {
        error_set(err, ERROR_FAILED, "only %zu targets took the snapshot, min_targets asks for %u",
                  replicas_active_count(r->replicas), r->parameters.min_targets);
        code = error_hint(err, "see the warnings above");
    }
    if (code == 0)
        code = catalog_put_record(r->catalog, OBJECT_MANIFEST, id, buffer_bytes(&body), err);
    if (code == 0)
        code = manifest_note_seen(r, id, err);
    if (code == 0)
        code = chain_note_end(r, LAST_MANIFEST, m->sequence, id, err);
    free(n.list);
    buffer_free(&body);
    arena_free(&arena);
    return code;
}
