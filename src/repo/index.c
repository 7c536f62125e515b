/*
 * The index: which pack holds which blob, and which packs may be relied on. Segments are read once into the
 * catalog; the state of each pack (where it is present, whether it is condemned) is worked out anew in each
 * session.
 */
#include "base/memory.h"
#include "repo/entry_cache.h"
#include "repo/internal.h"

#include <stdlib.h>

/* ---- packs ---- */

static void grow_packs(struct repository *r, uint64_t number)
{
    if (number < r->pack_capacity)
        return;
    size_t capacity = r->pack_capacity ? r->pack_capacity : 16;
    while (capacity <= number)
        capacity *= 2;
    r->packs = memory_resize_array(r->packs, capacity, sizeof *r->packs);
    memset(r->packs + r->pack_capacity, 0, (capacity - r->pack_capacity) * sizeof *r->packs);
    r->pack_capacity = capacity;
}

static uint16_t author_place(const struct keyring *keyring, const struct id16 *author)
{
    const struct host *host = keyring_find_host(keyring, author);
    return (uint16_t)(host ? (size_t)(host - keyring->hosts) : keyring->host_count);
}

static void add_pack(struct repository *r, const struct catalog_pack *pack, uint32_t present, uint32_t hidden,
                     uint8_t flags)
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
                                 .hidden = hidden & present,
                                 .author = author_place(&r->chain.keyring, &pack->author),
                                 .kind = pack->kind,
                                 .flags = flags,
                                 .known = true};
}

void index_add_pack(struct repository *r, const struct catalog_pack *pack, uint32_t present, uint8_t flags)
{
    pthread_mutex_lock(&r->index_lock);
    add_pack(r, pack, present, 0, flags);
    pthread_mutex_unlock(&r->index_lock);
}

int index_note_pack(struct repository *r, enum blob_kind kind, const struct pack_entry *entry,
                    struct bytes serialised, bool pending, uint64_t *number, struct error *err)
{
    size_t count = entry->contents.blob_count;
    struct catalog_pack pack = {.sha256 = entry->sha256,
                                .kind = (uint8_t)kind,
                                .size = entry->size,
                                .author = entry->author,
                                .blob_count = (uint32_t)count,
                                .pending = pending};
    struct id *ids = memory_alloc_array(count, sizeof *ids);
    for (size_t i = 0; i < count; i++)
        ids[i] = entry->contents.blobs[i].id;
    int code = catalog_add_pack(r->catalog, &pack, serialised, ids, number, err);
    free(ids);
    return code;
}

struct pack_load {
    struct repository *r;
    uint64_t *dropped;
    size_t dropped_count, dropped_capacity;
};

/* The targets that have it in another size than the index says. Where versions are kept, an older one may be
 * good: there it is hidden. */
static uint32_t cut_short(struct repository *r, struct object_seen *object, uint64_t size)
{
    char name[OBJECT_NAME_MAX];
    uint32_t bad = 0;
    object_seen_name(object, name);
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        struct storage *storage = replicas_storage(r->replicas, t);
        uint64_t there;
        if (!(object->mask & ~object->hidden & 1u << t) || !replicas_is_active(r->replicas, t) ||
            storage_head(storage, name, &there, NULL, NULL) != 0 || there == size)
            continue;
        if (storage_features(storage) & STORAGE_VERSIONS)
            object->hidden |= 1u << t;
        else
            bad |= 1u << t;
    }
    return bad;
}

static int note_pack(const struct catalog_pack *pack, void *context)
{
    struct pack_load *load = context;
    struct repository *r = load->r;
    struct object_seen *object = listing_find(r, FOLDER_PACKS, &pack->sha256);
    uint32_t present = object ? object->mask : 0;
    if (object && object->size && object->size != pack->size)
        present = 0; /* cut short, or not this pack: as good as absent */
    else if (object && !object->size)
        present &= ~cut_short(r, object, pack->size);
    uint32_t active = repository_active_mask(r);
    if (pack->pending && !(present & active)) {
        /* Of a run that ended before it was uploaded: nothing relies on it yet. */
        memory_reserve_one(load->dropped, load->dropped_count, load->dropped_capacity);
        load->dropped[load->dropped_count++] = pack->number;
        return 0;
    }
    add_pack(r, pack, present, object ? object->hidden : 0, pack->pending ? PACK_CURRENT : 0);
    return 0;
}

static void mark_current(void *context, const struct segment_state *segment, uint64_t pack)
{
    struct repository *r = context;
    (void)segment;
    r->packs[pack].flags |= PACK_CURRENT;
}

static int load_packs(struct repository *r, struct error *err)
{
    struct pack_load load = {.r = r};
    int code = catalog_each_pack(r->catalog, note_pack, &load, err);
    for (size_t i = 0; i < load.dropped_count && code == 0; i++)
        code = catalog_remove_pack(r->catalog, load.dropped[i], err);
    free(load.dropped);
    return code == 0 ? segments_each_pack(r, false, mark_current, r, err) : code;
}

static void clear(struct repository *r)
{
    free(r->packs);
    free(r->pack_order);
    free(r->sparse);
    free(r->segments);
    arena_free(&r->segment_arena);
    segments_drop_writes(r);
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
    int code = segments_read_new(r, err);
    if (code == 0)
        code = segments_load(r, err);
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
    slots_forget(r);
}

static void note_listed(void *context, const struct segment_state *segment, uint64_t pack)
{
    uint32_t *listed = context;
    listed[pack] |= segment->mask;
}

int index_listed(struct repository *r, uint32_t *listed, struct error *err)
{
    memset(listed, 0, r->pack_capacity * sizeof *listed);
    return segments_each_pack(r, true, note_listed, listed, err);
}

int index_held(struct repository *r, uint32_t *held, struct error *err)
{
    int code = index_listed(r, held, err);
    for (uint64_t n = 0; n < r->pack_capacity; n++)
        held[n] &= r->packs[n].present;
    return code;
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

#define CANDIDATES_USUAL 64

/* All of them: whoever lists many false ones must not hide those that are good. *numbers is the array `few`,
 * or allocated. */
static int find_candidates(struct repository *r, const struct id *id, uint64_t few[CANDIDATES_USUAL],
                           uint64_t **numbers, size_t *count, struct error *err)
{
    size_t max = CANDIDATES_USUAL;
    *numbers = few;
    int code = catalog_find_blobs(r->catalog, id, few, max, count, err);
    while (code == 0 && *count == max) {
        if (*numbers != few)
            free(*numbers);
        max *= 8;
        *numbers = memory_alloc_array(max, sizeof **numbers);
        code = catalog_find_blobs(r->catalog, id, *numbers, max, count, err);
    }
    return code;
}

static int each_copy(struct repository *r, const struct id *id, copy_callback *callback, void *context,
                     struct error *err)
{
    uint64_t few[CANDIDATES_USUAL], *numbers;
    size_t count;
    int code = find_candidates(r, id, few, &numbers, &count, err);
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
        uint32_t number = contents_frame_of_blob(&entry->contents, ordinal);
        const struct frame_entry *frame = &entry->contents.frames[number];
        struct blob_location copy = {pack,         number,        blob->offset,
                                     blob->length, frame->offset, frame->stored_length};
        if (callback(r, &copy, numbers[i], context))
            break;
    }
    if (numbers != few)
        free(numbers);
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
    search->found = (pack_relied_on(p) & search->mask) == search->mask &&
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
    uint16_t authors[BLOB_COPIES_MAX];
};

/* So that one who lists many false ones leaves room for those of others. */
#define COPIES_OF_AUTHOR_MAX 8

static bool collect_copy(struct repository *r, const struct blob_location *copy, uint64_t blob, void *context)
{
    (void)blob;
    struct copies *copies = context;
    const struct pack_state *p = &r->packs[copy->pack];
    size_t of_author = 0;
    if (!(p->present & copies->active))
        return false;
    for (size_t i = 0; i < copies->count; i++)
        of_author += copies->authors[i] == p->author;
    if (of_author == COPIES_OF_AUTHOR_MAX)
        return false;
    copies->authors[copies->count] = p->author;
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
    struct copies copies = {.list = list, .active = repository_active_mask(r)};
    pthread_mutex_lock(&r->index_lock);
    int code = each_copy(r, id, collect_copy, &copies, err);
    pthread_mutex_unlock(&r->index_lock);
    *count = copies.count;
    return code;
}

static bool collect_index_copy(struct repository *r, const struct blob_location *copy, uint64_t blob,
                               void *context)
{
    (void)r;
    struct index_copies *copies = context;
    memory_reserve_one(copies->list, copies->count, copies->capacity);
    copies->list[copies->count++] = (struct index_copy){blob, copy->pack, copy->frame};
    return false;
}

int index_copies(struct repository *r, const struct id *id, struct index_copies *copies, struct error *err)
{
    copies->count = 0;
    pthread_mutex_lock(&r->index_lock);
    int code = each_copy(r, id, collect_index_copy, copies, err);
    pthread_mutex_unlock(&r->index_lock);
    return code;
}
