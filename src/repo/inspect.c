#include "repo/inspect.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "pack/pack.h"
#include "repo/internal.h"
#include "repo/lease.h"

#include <stdlib.h>

static struct inspect_object describe(struct repository *r, const struct object_seen *object,
                                      char name[OBJECT_NAME_MAX])
{
    struct inspect_object o = {.name = name,
                               .sha256 = object->sha256,
                               .targets = object->mask & repository_active_mask(r),
                               .hidden = object->hidden & repository_active_mask(r),
                               .size = object->size,
                               .is_pack = object->folder == FOLDER_PACKS};
    struct catalog_pack pack;
    object_seen_name(object, name);
    if (o.is_pack && catalog_find_pack(r->catalog, &object->sha256, &pack, NULL) == 0) {
        o.pack = pack.number;
        o.kind = (enum blob_kind)pack.kind;
    }
    return o;
}

struct inspection {
    struct repository *r;
    inspect_callback *callback;
    void *context;
};

static int inspect_one(size_t index, void *context, struct error *err)
{
    const struct inspection *i = context;
    char name[OBJECT_NAME_MAX];
    if (i->r->objects[index].folder == FOLDER_LEASES)
        return 0;
    int code = lease_keep(i->r, err);
    if (code != 0)
        return code;
    struct inspect_object object = describe(i->r, &i->r->objects[index], name);
    return i->callback(&object, i->context, err);
}

/* Each reads whole packs: what counts is memory. */
#define INSPECTIONS_MAX 4

int inspect_each(struct repository *r, inspect_callback *callback, void *context, struct error *err)
{
    struct inspection inspection = {r, callback, context};
    unsigned threads = repository_requests(r);
    threads = threads < 2 ? 2 : threads > INSPECTIONS_MAX ? INSPECTIONS_MAX : threads;
    return parallel_run(r->object_count, threads, inspect_one, &inspection, err);
}

uint64_t inspect_bytes(struct repository *r, double percent)
{
    double total = 0;
    for (size_t i = 0; i < r->object_count; i++) {
        double bytes = (double)r->objects[i].size * __builtin_popcount(r->objects[i].mask);
        if (r->objects[i].folder == FOLDER_PACKS)
            total += bytes * percent / 100;
        else if (percent >= 100)
            total += bytes;
    }
    return (uint64_t)total;
}

uint32_t inspect_present(struct repository *r, uint64_t pack)
{
    return pack < r->pack_capacity ? r->packs[pack].present : 0;
}

int inspect_listed(struct repository *r, uint32_t **listed, struct error *err)
{
    uint64_t count = catalog_pack_limit(r->catalog) + 1;
    *listed = memory_alloc_array(count > r->pack_capacity ? count : r->pack_capacity, sizeof **listed);
    return index_listed(r, *listed, err);
}

/* ---- what is lacking ---- */

int inspect_blame(struct repository *r, const uint32_t *listed, const struct id *blob, size_t target,
                  uint64_t *pack, bool *unlisted, struct error *err)
{
    struct index_copies copies = {0};
    int code = index_copies(r, blob, &copies, err);
    *pack = 0;
    *unlisted = false;
    /* One that is listed there and gone says most; then one that is there and not listed. */
    unsigned best = 0;
    for (size_t i = 0; i < copies.count; i++) {
        uint64_t n = copies.list[i].pack;
        bool present = r->packs[n].present >> target & 1;
        unsigned rank = listed[n] >> target & 1 ? 4 : present ? 3 : listed[n] ? 2 : 1;
        if (rank <= best)
            continue;
        best = rank;
        *pack = n;
        *unlisted = rank == 3;
    }
    free(copies.list);
    return code;
}

int inspect_pack_name(struct repository *r, uint64_t number, char name[OBJECT_NAME_MAX], uint32_t *cut,
                      struct error *err)
{
    struct catalog_pack pack;
    int code = catalog_pack_by_number(r->catalog, number, &pack, err);
    if (code != 0)
        return code;
    const struct object_seen *object = listing_find(r, FOLDER_PACKS, &pack.sha256);
    object_name_pack(&pack.sha256, name);
    *cut = object ? object->mask & ~r->packs[number].present : 0;
    return 0;
}

struct unlisting {
    struct repository *r;
    uint32_t *unlisted, *lacks; /* lacks: by segment */
};

static void note_unlisted(void *context, const struct segment_state *segment, uint64_t pack)
{
    const struct unlisting *u = context;
    u->lacks[segment - u->r->segments] |= u->unlisted[pack] & ~segment->mask;
}

static void note_explained(void *context, const struct segment_state *segment, uint64_t pack)
{
    const struct unlisting *u = context;
    u->unlisted[pack] &= ~u->lacks[segment - u->r->segments];
}

int inspect_unlisted(struct repository *r, uint32_t *unlisted,
                     void (*callback)(void *context, const char *name, uint32_t targets), void *context,
                     struct error *err)
{
    struct unlisting u = {r, unlisted, memory_alloc_array(r->segment_count + 1, sizeof(uint32_t))};
    int code = segments_each_pack(r, false, note_unlisted, &u, err);
    if (code == 0)
        code = segments_each_pack(r, false, note_explained, &u, err);
    for (size_t i = 0; i < r->segment_count && code == 0; i++) {
        char name[OBJECT_NAME_MAX];
        object_name_index(&r->segments[i].sha256, name);
        if (u.lacks[i])
            callback(context, name, u.lacks[i]);
    }
    free(u.lacks);
    return code;
}

/* What the pack says of itself must be what the index says of it. */
static int check_pack(struct repository *r, const struct inspect_object *object, struct bytes bytes,
                      struct error *err)
{
    struct arena arena = {0};
    struct buffer serialised = {0};
    struct pack_entry own, indexed;
    enum blob_kind kind;
    int code = pack_read_entry(&r->secrets, bytes, &arena, &kind, &own, err);
    if (code == 0 && object->pack) {
        code = catalog_pack_entry(r->catalog, object->pack, &serialised, err);
        if (code == 0)
            code = pack_entry_decode(buffer_bytes(&serialised), &arena, &indexed, err);
        if (code == 0 && kind != object->kind)
            code = error_set(err, ERROR_INTEGRITY, "the pack is of another kind than the index says");
        if (code == 0)
            code = pack_entries_equal(&own, &indexed, err);
    }
    buffer_free(&serialised);
    arena_free(&arena);
    return code;
}

/* Nobody else reads old runs, as everybody reads manifests and events. */
static int check_run(struct repository *r, struct object_seen *object, struct error *err)
{
    struct buffer body = {0};
    int code = record_load(r, OBJECT_RUN, object, &body, err);
    buffer_free(&body);
    return code;
}

/* What a plain get gives, or an older version if that is not good and the target keeps versions (*older).
 * *intact: it has the hash. */
static int read_bytes(struct storage *storage, const char *name, const struct id *wanted,
                      struct buffer *bytes, bool *intact, bool *older, struct error *err)
{
    char *version = NULL;
    int code = storage_get_hashed(storage, name, wanted, FORMAT_PACK_MAX, bytes, intact, err);
    if (code == 0 && !*intact)
        code = error_set(err, ERROR_INTEGRITY, "its bytes do not have the hash in its name");
    if (code != ERROR_INTEGRITY && code != ERROR_NOT_FOUND && code != ERROR_DENIED)
        return code;
    buffer_clear(bytes);
    *older = storage_features(storage) & STORAGE_VERSIONS &&
             storage_find_version(storage, name, wanted, FORMAT_PACK_MAX, bytes, &version, NULL) == 0;
    free(version);
    return *older ? 0 : code;
}

/* *intact: they have the hash in the name, so that no other copy is better. */
static int check_bytes(struct repository *r, const struct inspect_object *object, size_t target,
                       struct inspect_finding *finding, bool *intact, struct error *err)
{
    struct object_name name;
    struct buffer bytes = {0};
    *intact = false;
    if (!object_name_parse(object->name, &name))
        return error_set(err, ERROR_INTEGRITY, "its name is malformed");
    const struct id *wanted = name.folder == FOLDER_CONFIG ? &r->chain.keyring.config_sha256 : &name.sha256;
    int code = read_bytes(replicas_storage(r->replicas, target), object->name, wanted, &bytes, intact,
                          &finding->older, err);
    finding->read = bytes.size;
    if (code == 0 && (name.folder == FOLDER_KEYRING || name.folder == FOLDER_PERSON))
        code = key_object_check(r, listing_find(r, name.folder, &name.sha256), err);
    if (code == 0 && name.folder == FOLDER_RUNS)
        code = check_run(r, listing_find(r, name.folder, &name.sha256), err);
    if (code == 0 && object->is_pack)
        code = check_pack(r, object, buffer_bytes(&bytes), err);
    buffer_free(&bytes);
    if (code == 0 && finding->older)
        code = error_set(err, ERROR_INTEGRITY, "it was removed or overwritten; an older version is good");
    return code;
}

size_t inspect_hidden(struct repository *r)
{
    uint32_t active = repository_active_mask(r);
    size_t count = 0;
    for (size_t i = 0; i < r->object_count; i++)
        count += (r->objects[i].hidden & active) && r->objects[i].folder != FOLDER_LEASES;
    return count;
}

int inspect_check(struct repository *r, const struct inspect_object *object, size_t target, bool repair,
                  struct inspect_finding *finding, struct error *err)
{
    bool intact;
    *finding = (struct inspect_finding){0};
    int code = check_bytes(r, object, target, finding, &intact, err);
    if (code == 0 || intact || !repair)
        return code;
    struct object_name name;
    struct buffer good = {0};
    struct error why;
    if (!object_name_parse(object->name, &name))
        return code;
    if (name.folder == FOLDER_CONFIG) {
        buffer_append_bytes(&good, buffer_bytes(&r->config_bytes));
    } else {
        /* Also from this target, where it keeps older versions. */
        struct object_seen other = *listing_find(r, name.folder, &name.sha256);
        if (object_fetch(r, &other, FORMAT_PACK_MAX, &good, &why) != 0 &&
            !(object->kind == BLOB_META && meta_cache_read(r, &name.sha256, &good)))
            log_verbose("%s", why.message);
    }
    if (good.size) {
        finding->repaired =
            storage_put(replicas_storage(r->replicas, target), object->name, buffer_bytes(&good), &why) == 0;
        if (!finding->repaired)
            log_warning("%s", why.message);
    }
    buffer_free(&good);
    return code;
}

static int distrust_frames(struct repository *r, uint64_t number, struct frame_ref **list, size_t *count,
                           size_t *capacity, struct error *err)
{
    struct arena arena = {0};
    struct buffer bytes = {0};
    struct pack_entry entry;
    int code = catalog_pack_entry(r->catalog, number, &bytes, err);
    if (code == 0)
        code = pack_entry_decode(buffer_bytes(&bytes), &arena, &entry, err);
    for (uint32_t f = 0; code == 0 && f < entry.contents.frame_count; f++) {
        if (index_is_sparse(r, number, f))
            continue;
        memory_reserve_one(*list, *count, *capacity);
        (*list)[(*count)++] = (struct frame_ref){entry.sha256, f};
    }
    arena_free(&arena);
    buffer_free(&bytes);
    return code;
}

int inspect_distrust(struct repository *r, const uint64_t *packs, size_t count, struct error *err)
{
    struct event event = {.type = EVENT_CONDEMN, .reason = "damaged"};
    struct frame_ref *list = NULL;
    size_t capacity = 0;
    int code = 0;
    for (size_t i = 0; i < count && code == 0; i++)
        code = distrust_frames(r, packs[i], &list, &event.frame_count, &capacity, err);
    event.frames = list;
    if (code == 0 && event.frame_count)
        code = event_write(r, &event, err);
    free(list);
    return code;
}
