/*
 * The index: which pack holds which blob, and which packs may be relied on. Segments are read once into the
 * catalog; the state of each pack (where it is present, whether it is condemned) is worked out anew in each
 * session.
 */
#include "base/log.h"
#include "base/memory.h"
#include "crypto/random.h"
#include "repo/entry_cache.h"
#include "repo/internal.h"

#include <stdlib.h>
#include <time.h>

/* ---- segments ---- */

/* What the catalog keeps of a segment besides its packs. */
static void encode_state(const struct segment *s, struct buffer *out)
{
    buffer_append(out, s->host.b, 16);
    buffer_u8(out, (uint8_t)s->kind);
    buffer_u32(out, s->part);
    buffer_u32(out, s->parts);
    buffer_u64(out, (uint64_t)s->created);
    buffer_append(out, s->replacement.b, 16);
    buffer_u32(out, (uint32_t)s->supersedes.count);
    for (size_t i = 0; i < s->supersedes.count; i++)
        buffer_append(out, s->supersedes.list[i].b, 32);
}

static bool decode_state(struct bytes body, struct arena *arena, struct segment_state *s)
{
    struct reader reader = reader_of(body);
    reader_copy(&reader, s->host.b, 16);
    s->kind = reader_u8(&reader);
    s->part = reader_u32(&reader);
    s->parts = reader_u32(&reader);
    s->created = (int64_t)reader_u64(&reader);
    reader_copy(&reader, s->replacement.b, 16);
    s->supersedes.count = reader_u32(&reader);
    struct bytes ids = reader_take(&reader, s->supersedes.count * sizeof(struct id));
    if (!reader_finished(&reader))
        return false;
    s->supersedes.list = (struct id *)(uintptr_t)arena_copy(arena, ids).data;
    return true;
}

/* A host vouches for its own packs only, unless it prunes. */
static int check_segment(struct repository *r, const struct segment *s, const struct id16 *signer,
                         struct error *err)
{
    if (!id16_equal(&s->host, signer))
        return error_set(err, ERROR_INTEGRITY, "it speaks for another host than the one that signed it");
    if (s->supersedes.count && !keyring_host_may_prune(&r->chain.keyring, signer))
        return error_set(err, ERROR_INTEGRITY, "it replaces other segments, but its host may not prune");
    return 0;
}

static int add_segment_pack(struct repository *r, const struct segment *s, struct bytes serialised,
                            bool may_prune, uint64_t *number, struct error *err)
{
    struct arena arena = {0};
    struct pack_entry entry;
    int code = pack_entry_decode(serialised, &arena, &entry, err);
    if (code == 0 && !may_prune && !id16_equal(&entry.author, &s->host))
        code = error_set(err, ERROR_INTEGRITY, "it lists a pack that its host did not write");
    if (code == 0) {
        struct id *ids = arena_alloc_array(&arena, entry.contents.blob_count, sizeof *ids);
        for (size_t i = 0; i < entry.contents.blob_count; i++)
            ids[i] = entry.contents.blobs[i].id;
        struct catalog_pack pack = {.sha256 = entry.sha256,
                                    .kind = (uint8_t)s->kind,
                                    .size = entry.size,
                                    .author = entry.author,
                                    .blob_count = (uint32_t)entry.contents.blob_count};
        code = catalog_add_pack(r->catalog, &pack, serialised, ids, number, err);
    }
    arena_free(&arena);
    return code;
}

static int read_segment(struct repository *r, const struct object_seen *object, struct error *err)
{
    struct buffer body = {0}, state = {0};
    struct arena arena = {0};
    struct segment segment;
    struct id16 signer;
    uint64_t *numbers = NULL;
    int code = record_fetch(r, OBJECT_INDEX, object, &body, &signer, err);
    bool fetched = code == 0;
    if (code == 0)
        code = segment_decode(buffer_bytes(&body), &arena, &segment, err);
    if (code == 0)
        code = check_segment(r, &segment, &signer, err);
    if (code == 0) {
        bool may_prune = keyring_host_may_prune(&r->chain.keyring, &signer);
        numbers = memory_alloc_array(segment.pack_count, sizeof *numbers);
        for (size_t i = 0; i < segment.pack_count && code == 0; i++)
            code = add_segment_pack(r, &segment, segment.packs[i], may_prune, &numbers[i], err);
    }
    if (code == 0) {
        encode_state(&segment, &state);
        code = catalog_add_segment(r->catalog, &object->sha256, buffer_bytes(&state), numbers,
                                   segment.pack_count, err);
    }
    if (code != 0 && fetched) {
        char name[OBJECT_NAME_MAX];
        object_seen_name(object, name);
        error_prefix(err, "%s", name);
    }
    free(numbers);
    buffer_free(&state);
    buffer_free(&body);
    arena_free(&arena);
    return code;
}

static int read_new_segments(struct repository *r, struct error *err)
{
    size_t first, end;
    listing_range(r, FOLDER_INDEX, &first, &end);
    for (size_t i = first; i < end; i++) {
        struct object_seen *object = &r->objects[i];
        if (catalog_has_segment(r->catalog, &object->sha256))
            continue;
        struct error why;
        if (read_segment(r, object, &why) == 0)
            continue;
        if (why.code == ERROR_NO_SPACE || why.code == ERROR_CANCELLED) {
            *err = why;
            return why.code;
        }
        record_warn("an index segment", &why);
        object->damaged = true;
        r->damage++;
    }
    return 0;
}

struct segment_load {
    struct repository *r;
    size_t capacity;
    struct id *gone;
    size_t gone_count, gone_capacity;
};

static int note_segment(const struct id *id, struct bytes body, void *context)
{
    struct segment_load *load = context;
    struct repository *r = load->r;
    const struct object_seen *object = listing_find(r, FOLDER_INDEX, id);
    struct segment_state state = {.sha256 = *id};
    if (!object || !decode_state(body, &r->segment_arena, &state)) {
        memory_reserve_one(load->gone, load->gone_count, load->gone_capacity);
        load->gone[load->gone_count++] = *id;
        return 0;
    }
    state.mask = object->mask;
    memory_reserve_one(r->segments, r->segment_count, load->capacity);
    r->segments[r->segment_count++] = state;
    return 0;
}

static int compare_segments(const void *a, const void *b)
{
    const struct segment_state *x = a, *y = b;
    return id_compare(&x->sha256, &y->sha256);
}

struct segment_state *segment_find(struct repository *r, const struct id *id)
{
    struct segment_state key = {.sha256 = *id};
    return r->segment_count ? bsearch(&key, r->segments, r->segment_count, sizeof key, compare_segments)
                            : NULL;
}

/* The targets that hold every part of the replacement that s belongs to. */
static uint32_t replacement_mask(const struct repository *r, const struct segment_state *s, bool *complete)
{
    uint32_t mask = ~0u;
    uint32_t found = 0;
    for (size_t i = 0; i < r->segment_count; i++) {
        const struct segment_state *part = &r->segments[i];
        if (part->supersedes.count && id16_equal(&part->replacement, &s->replacement) &&
            id16_equal(&part->host, &s->host)) {
            mask &= part->mask;
            found++;
        }
    }
    *complete = found >= (s->parts ? s->parts : 1);
    return mask;
}

void segments_find_obsolete(struct repository *r)
{
    for (size_t i = 0; i < r->segment_count; i++) {
        const struct segment_state *s = &r->segments[i];
        if (s->supersedes.count == 0)
            continue;
        bool complete;
        uint32_t mask = replacement_mask(r, s, &complete);
        for (size_t k = 0; complete && k < s->supersedes.count; k++) {
            struct segment_state *old = segment_find(r, &s->supersedes.list[k]);
            if (old && old != s) {
                old->obsolete = true;
                old->replaced_on |= mask;
            }
        }
    }
}

static int load_segments(struct repository *r, struct error *err)
{
    struct segment_load load = {.r = r};
    int code = catalog_each_segment(r->catalog, note_segment, &load, err);
    for (size_t i = 0; i < load.gone_count && code == 0; i++)
        code = catalog_remove_segment(r->catalog, &load.gone[i], err);
    free(load.gone);
    if (code == 0) {
        if (r->segment_count)
            qsort(r->segments, r->segment_count, sizeof *r->segments, compare_segments);
        segments_find_obsolete(r);
    }
    return code;
}

/* ---- packs ---- */

static void grow_packs(struct repository *r, uint64_t number)
{
    if (number < r->pack_capacity)
        return;
    size_t capacity = r->pack_capacity ? r->pack_capacity : 64;
    while (capacity <= number)
        capacity *= 2;
    r->packs = memory_resize_array(r->packs, capacity, sizeof *r->packs);
    memset(r->packs + r->pack_capacity, 0, (capacity - r->pack_capacity) * sizeof *r->packs);
    r->pack_capacity = capacity;
}

static void add_pack(struct repository *r, const struct catalog_pack *pack, uint32_t present, uint8_t flags)
{
    grow_packs(r, pack->number);
    struct pack_state *state = &r->packs[pack->number];
    if (!state->known) {
        /* Numbers of packs and of blobs grow together, so the new one goes last. */
        memory_reserve_one(r->pack_order, r->pack_order_count, r->pack_order_capacity);
        r->pack_order[r->pack_order_count++] = pack->number;
    }
    if (!keyring_same_dedup_group(&r->chain.keyring, &pack->author, &r->host_key.host))
        flags |= PACK_FOREIGN;
    *state = (struct pack_state){.first_blob = pack->first_blob,
                                 .blob_count = pack->blob_count,
                                 .present = present,
                                 .kind = pack->kind,
                                 .flags = flags,
                                 .known = true};
}

void index_add_pack(struct repository *r, const struct catalog_pack *pack, uint32_t present, uint8_t flags)
{
    pthread_mutex_lock(&r->index_lock);
    add_pack(r, pack, present, flags);
    pthread_mutex_unlock(&r->index_lock);
}

struct pack_load {
    struct repository *r;
    uint64_t *dropped;
    size_t dropped_count, dropped_capacity;
};

static int note_pack(const struct catalog_pack *pack, void *context)
{
    struct pack_load *load = context;
    struct repository *r = load->r;
    const struct object_seen *object = listing_find(r, FOLDER_PACKS, &pack->sha256);
    uint32_t present = object ? object->mask : 0;
    if (object && object->size && object->size != pack->size)
        present = 0; /* cut short, or not this pack: as good as absent */
    uint32_t active = repository_active_mask(r);
    if (pack->pending && (present & active) != active) {
        /* Uploaded by a run that ended early, and not to every target: nothing relies on it yet. */
        memory_reserve_one(load->dropped, load->dropped_count, load->dropped_capacity);
        load->dropped[load->dropped_count++] = pack->number;
        return 0;
    }
    add_pack(r, pack, present, pack->pending ? PACK_CURRENT : 0);
    return 0;
}

static int mark_current(struct repository *r, struct error *err)
{
    for (size_t i = 0; i < r->segment_count; i++) {
        if (r->segments[i].obsolete)
            continue;
        uint64_t *numbers;
        size_t count;
        int code = catalog_segment_packs(r->catalog, &r->segments[i].sha256, &numbers, &count, err);
        if (code != 0)
            return code;
        for (size_t k = 0; k < count; k++) {
            if (numbers[k] < r->pack_capacity)
                r->packs[numbers[k]].flags |= PACK_CURRENT;
        }
        free(numbers);
    }
    return 0;
}

static int load_packs(struct repository *r, struct error *err)
{
    struct pack_load load = {.r = r};
    int code = catalog_each_pack(r->catalog, note_pack, &load, err);
    for (size_t i = 0; i < load.dropped_count && code == 0; i++)
        code = catalog_remove_pack(r->catalog, load.dropped[i], err);
    free(load.dropped);
    return code == 0 ? mark_current(r, err) : code;
}

static void clear(struct repository *r)
{
    free(r->packs);
    free(r->pack_order);
    free(r->sparse);
    free(r->segments);
    arena_free(&r->segment_arena);
    r->packs = NULL;
    r->pack_order = NULL;
    r->sparse = NULL;
    r->segments = NULL;
    r->pack_capacity = r->pack_order_count = r->pack_order_capacity = r->sparse_count = r->segment_count = 0;
}

int index_load(struct repository *r, struct error *err)
{
    clear(r);
    if (!r->entries)
        r->entries = entry_cache_new(r->catalog);
    if (!r->frames)
        r->frames = frame_cache_new(&r->secrets);
    int code = read_new_segments(r, err);
    if (code == 0)
        code = load_segments(r, err);
    if (code == 0)
        code = load_packs(r, err);
    if (code == 0)
        code = catalog_commit(r->catalog, err);
    return code;
}

void index_free(struct repository *r)
{
    clear(r);
    entry_cache_free(r->entries);
    r->entries = NULL;
    frame_cache_free(r->frames);
    r->frames = NULL;
}

/* ---- look-ups ---- */

uint64_t index_pack_of_blob(const struct repository *r, uint64_t blob)
{
    size_t low = 0, high = r->pack_order_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->packs[r->pack_order[middle]].first_blob <= blob)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return 0;
    uint64_t number = r->pack_order[low - 1];
    const struct pack_state *p = &r->packs[number];
    return blob - p->first_blob < p->blob_count ? number : 0;
}

uint32_t contents_frame_of_blob(const struct contents *contents, uint32_t blob)
{
    uint32_t low = 0, high = (uint32_t)contents->frame_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (contents->frames[middle].first_blob <= blob)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

bool index_is_sparse(const struct repository *r, uint64_t pack, uint32_t frame)
{
    uint64_t key = pack << 32 | frame;
    size_t low = 0, high = r->sparse_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->sparse[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->sparse_count && r->sparse[low] == key;
}

/* Calls back with every confirmed copy of a blob; the lock is held. Ends when the callback says true. */
typedef bool copy_callback(struct repository *r, const struct blob_location *copy, uint64_t blob,
                           void *context);

#define CANDIDATES_MAX 64

static int each_copy(struct repository *r, const struct id *id, copy_callback *callback, void *context,
                     struct error *err)
{
    uint64_t numbers[CANDIDATES_MAX];
    size_t count;
    int code = catalog_find_blobs(r->catalog, id, numbers, CANDIDATES_MAX, &count, err);
    for (size_t i = 0; i < count && code == 0; i++) {
        uint64_t pack = index_pack_of_blob(r, numbers[i]);
        if (!pack)
            continue;
        const struct pack_entry *entry;
        code = entry_cache_get(r->entries, pack, &entry, err);
        uint32_t ordinal = (uint32_t)(numbers[i] - r->packs[pack].first_blob);
        if (code != 0 || ordinal >= entry->contents.blob_count)
            continue;
        const struct blob_entry *blob = &entry->contents.blobs[ordinal];
        if (!id_equal(&blob->id, id))
            continue;
        struct blob_location copy = {pack, contents_frame_of_blob(&entry->contents, ordinal), blob->offset,
                                     blob->length};
        if (callback(r, &copy, numbers[i], context))
            break;
    }
    return code;
}

struct known_search {
    uint32_t mask;
    bool found;
};

static bool copy_is_usable(struct repository *r, const struct blob_location *copy, uint64_t blob,
                           void *context)
{
    (void)blob;
    struct known_search *search = context;
    const struct pack_state *p = &r->packs[copy->pack];
    search->found = (p->present & search->mask) == search->mask &&
                    (p->flags & (PACK_CURRENT | PACK_CONDEMNED | PACK_FOREIGN)) == PACK_CURRENT &&
                    !index_is_sparse(r, copy->pack, copy->frame);
    return search->found;
}

int index_knows(struct repository *r, const struct id *id, uint32_t mask, bool *found, struct error *err)
{
    struct known_search search = {mask, false};
    pthread_mutex_lock(&r->index_lock);
    int code = each_copy(r, id, copy_is_usable, &search, err);
    pthread_mutex_unlock(&r->index_lock);
    *found = search.found;
    return code;
}

struct copies {
    struct blob_location *list;
    size_t count;
    uint32_t active;
};

static bool collect_copy(struct repository *r, const struct blob_location *copy, uint64_t blob, void *context)
{
    (void)blob;
    struct copies *copies = context;
    const struct pack_state *p = &r->packs[copy->pack];
    if (!(p->present & copies->active))
        return false;
    size_t at = copies->count++;
    /* Copies that are to be deleted come last. */
    if (p->flags & PACK_CONDEMNED)
        copies->list[at] = *copy;
    else {
        memmove(copies->list + 1, copies->list, at * sizeof *copy);
        copies->list[0] = *copy;
    }
    return copies->count == BLOB_COPIES_MAX;
}

int blobs_locate(struct repository *r, const struct id *id, struct blob_location *list, size_t *count,
                 struct error *err)
{
    struct copies copies = {list, 0, repository_active_mask(r)};
    pthread_mutex_lock(&r->index_lock);
    int code = each_copy(r, id, collect_copy, &copies, err);
    pthread_mutex_unlock(&r->index_lock);
    *count = copies.count;
    return code;
}

struct index_copies {
    struct index_copy *list;
    size_t count, max;
};

static bool collect_index_copy(struct repository *r, const struct blob_location *copy, uint64_t blob,
                               void *context)
{
    (void)r;
    struct index_copies *copies = context;
    copies->list[copies->count++] = (struct index_copy){blob, copy->pack, copy->frame};
    return copies->count == copies->max;
}

int index_copies(struct repository *r, const struct id *id, struct index_copy *list, size_t max,
                 size_t *count, struct error *err)
{
    struct index_copies copies = {list, 0, max};
    pthread_mutex_lock(&r->index_lock);
    int code = each_copy(r, id, collect_index_copy, &copies, err);
    pthread_mutex_unlock(&r->index_lock);
    *count = copies.count;
    return code;
}

/* ---- writing segments ---- */

/* Room for the envelope, and for the other fields. */
#define SEGMENT_BODY_MAX (FORMAT_SEGMENT_MAX - (64u << 10))

struct part {
    size_t first, count;
};

/* Cuts the packs into parts that fit an object each. */
static int plan_parts(struct repository *r, const uint64_t *packs, size_t count, size_t reserved,
                      struct buffer *entries, struct part **parts, size_t *part_count, struct error *err)
{
    size_t capacity = 0, size = reserved;
    *parts = NULL;
    *part_count = 0;
    for (size_t i = 0; i < count; i++) {
        int code = catalog_pack_entry(r->catalog, packs[i], &entries[i], err);
        if (code != 0)
            return code;
        if (*part_count == 0 || size + entries[i].size + 16 > SEGMENT_BODY_MAX) {
            memory_reserve_one(*parts, *part_count, capacity);
            (*parts)[(*part_count)++] = (struct part){i, 0};
            size = reserved;
        }
        (*parts)[*part_count - 1].count++;
        size += entries[i].size + 16;
    }
    if (*part_count == 0) {
        *parts = memory_alloc_array(1, sizeof **parts);
        *part_count = 1;
    }
    return 0;
}

static int remember_segment(struct repository *r, const struct segment *segment, const struct id *id,
                            const uint64_t *packs, struct error *err)
{
    struct buffer state = {0};
    encode_state(segment, &state);
    int code = catalog_add_segment(r->catalog, id, buffer_bytes(&state), packs, segment->pack_count, err);
    struct segment_state added = {.sha256 = *id, .mask = repository_active_mask(r)};
    if (code == 0 && decode_state(buffer_bytes(&state), &r->segment_arena, &added)) {
        r->segments = memory_resize_array(r->segments, r->segment_count + 1, sizeof *r->segments);
        r->segments[r->segment_count++] = added;
        qsort(r->segments, r->segment_count, sizeof *r->segments, compare_segments);
        segments_find_obsolete(r);
    }
    buffer_free(&state);
    for (size_t i = 0; i < segment->pack_count && code == 0; i++) {
        struct catalog_pack pack;
        uint64_t number;
        code = catalog_pack_by_number(r->catalog, packs[i], &pack, err);
        pack.pending = false;
        if (code == 0)
            code = catalog_add_pack(r->catalog, &pack, (struct bytes){0}, NULL, &number, err);
    }
    return code;
}

int index_write_segments(struct repository *r, enum blob_kind kind, const uint64_t *packs, size_t count,
                         const struct id_list *supersedes, struct error *err)
{
    struct buffer *entries = memory_alloc_array(count, sizeof *entries);
    struct bytes *views = memory_alloc_array(count, sizeof *views);
    struct part *parts = NULL;
    size_t part_count = 0;
    size_t reserved = supersedes ? supersedes->count * 36 : 0;
    struct segment segment = {.host = r->host_key.host, .created = (int64_t)time(NULL), .kind = kind};
    if (supersedes && supersedes->count) {
        segment.supersedes = *supersedes;
        random_bytes(segment.replacement.b, sizeof segment.replacement.b);
    }
    int code = plan_parts(r, packs, count, reserved, entries, &parts, &part_count, err);
    for (size_t i = 0; i < count; i++)
        views[i] = buffer_bytes(&entries[i]);
    for (size_t i = 0; i < part_count && code == 0; i++) {
        struct buffer body = {0};
        struct id id;
        segment.part = (uint32_t)i;
        segment.parts = segment.supersedes.count ? (uint32_t)part_count : 0;
        segment.packs = views + parts[i].first;
        segment.pack_count = parts[i].count;
        segment_encode(&segment, &body);
        code = record_write(r, OBJECT_INDEX, NULL, 0, buffer_bytes(&body), &id, err);
        if (code == 0)
            code = remember_segment(r, &segment, &id, packs + parts[i].first, err);
        buffer_free(&body);
    }
    for (size_t i = 0; i < count; i++)
        buffer_free(&entries[i]);
    free(entries);
    free(views);
    free(parts);
    return code;
}
