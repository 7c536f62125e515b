/* Index segments: read once into the catalog, written behind the packs they list. */
#include "base/log.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "crypto/random.h"
#include "pack/pack.h"
#include "repo/internal.h"

#include <stdlib.h>
#include <time.h>

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

/* What the pack says of itself, by its bytes. NOT_FOUND if it is on no target at all. */
static int read_pack_itself(struct repository *r, const struct id *sha256, struct arena *arena,
                            struct pack_entry *entry, enum blob_kind *kind, struct error *err)
{
    struct buffer bytes = {0};
    const struct object_seen *object = listing_find(r, FOLDER_PACKS, sha256);
    if (!object && replicas_active_count(r->replicas) == r->parameters.target_count)
        return ERROR_NOT_FOUND;
    if (!object)
        return error_set(err, ERROR_FAILED,
                         "another segment says other things of a pack of it, that may be on a target that is "
                         "left out");
    int code = object_fetch(r, object, FORMAT_PACK_MAX, &bytes, err);
    if (code == 0)
        code = pack_read_entry(&r->secrets, buffer_bytes(&bytes), arena, kind, entry, err);
    buffer_free(&bytes);
    return code;
}

static void warn_of_lie(struct repository *r, const struct id16 *liar, const struct id *pack)
{
    char hex[ID_HEX_SIZE];
    const struct host *host = keyring_find_host(&r->chain.keyring, liar);
    id_to_hex(pack, hex);
    log_warning("host %s says of pack %.16s what that does not hold: it is not believed",
                host ? host->name : "unknown", hex);
}

/* The catalog gets what the pack says of itself instead of what it knows as *number. */
static int replace_pack(struct repository *r, struct pack_entry *itself, enum blob_kind kind,
                        const struct id16 *author, uint64_t *number, struct error *err)
{
    struct buffer serialised = {0};
    itself->author = *author;
    pack_entry_encode(itself, &serialised);
    int code = catalog_remove_pack(r->catalog, *number, err);
    if (code == 0)
        code = index_note_pack(r, kind, itself, buffer_bytes(&serialised), false, number, err);
    buffer_free(&serialised);
    return code;
}

/* Two segments say different things of the pack that the catalog knows as *number: whoever has some host's
 * key could hide so what another host wrote. The pack itself tells who is right. */
static int settle_dispute(struct repository *r, const struct segment *s, const struct pack_entry *entry,
                          struct bytes serialised, struct arena *arena, uint64_t *number, struct error *err)
{
    struct buffer bytes = {0};
    struct catalog_pack known;
    struct pack_entry other, itself;
    enum blob_kind kind;
    int code = catalog_pack_by_number(r->catalog, *number, &known, err);
    if (code == 0)
        code = catalog_pack_entry(r->catalog, *number, &bytes, err);
    if (code == ERROR_NOT_FOUND) { /* settled meanwhile */
        code = index_note_pack(r, s->kind, entry, serialised, false, number, err);
        goto out;
    }
    if (code == 0)
        code = pack_entry_decode(buffer_bytes(&bytes), arena, &other, err);
    /* Where only the authors differ either will do, see collection_mark(). */
    if (code != 0 || (known.kind == s->kind && pack_entries_equal(entry, &other, NULL) == 0))
        goto out;
    code = read_pack_itself(r, &entry->sha256, arena, &itself, &kind, err);
    if (code != 0) {
        code = code == ERROR_NOT_FOUND ? 0 : code;
        goto out;
    }
    bool right = s->kind == kind && pack_entries_equal(entry, &itself, NULL) == 0;
    if (!right)
        warn_of_lie(r, &s->host, &entry->sha256);
    if (known.kind != kind || pack_entries_equal(&other, &itself, NULL) != 0) {
        warn_of_lie(r, &other.author, &entry->sha256);
        code = replace_pack(r, &itself, kind, right ? &entry->author : &other.author, number, err);
    }
out:
    buffer_free(&bytes);
    return code;
}

static int add_segment_pack(struct repository *r, const struct segment *s, struct bytes serialised,
                            bool may_prune, uint64_t *number, struct error *err)
{
    struct arena arena = {0};
    struct pack_entry entry;
    int code = pack_entry_decode(serialised, &arena, &entry, err);
    if (code == 0 && !may_prune && !id16_equal(&entry.author, &s->host))
        code = error_set(err, ERROR_INTEGRITY, "it lists a pack that its host did not write");
    if (code == 0)
        code = index_note_pack(r, s->kind, &entry, serialised, false, number, err);
    while (code == ERROR_EXISTS)
        code = settle_dispute(r, s, &entry, serialised, &arena, number, err);
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

/* Larger ones are read one by one: what counts for them is memory. */
#define LARGE_SEGMENT (1u << 20)

struct segment_reading {
    struct repository *r;
    struct object_seen **list;
    size_t count, capacity;
    pthread_mutex_t large, damage;
};

static int read_one(size_t index, void *context, struct error *err)
{
    struct segment_reading *reading = context;
    struct object_seen *object = reading->list[index];
    bool large = object->size == 0 || object->size > LARGE_SEGMENT;
    if (large)
        pthread_mutex_lock(&reading->large);
    int code = read_segment(reading->r, object, err);
    if (large)
        pthread_mutex_unlock(&reading->large);
    if (code == 0 || code == ERROR_NO_SPACE || code == ERROR_CANCELLED)
        return code;
    record_warn("an index segment", err);
    object->damaged = true;
    pthread_mutex_lock(&reading->damage);
    record_damage(reading->r, code);
    pthread_mutex_unlock(&reading->damage);
    return 0;
}

int segments_read_new(struct repository *r, struct error *err)
{
    struct segment_reading reading = {.r = r};
    size_t first, end;
    listing_range(r, FOLDER_INDEX, &first, &end);
    for (size_t i = first; i < end; i++) {
        if (catalog_has_segment(r->catalog, &r->objects[i].sha256))
            continue;
        memory_reserve_one(reading.list, reading.count, reading.capacity);
        reading.list[reading.count++] = &r->objects[i];
    }
    pthread_mutex_init(&reading.large, NULL);
    pthread_mutex_init(&reading.damage, NULL);
    int code = parallel_run(reading.count, repository_requests(r), read_one, &reading, err);
    pthread_mutex_destroy(&reading.large);
    pthread_mutex_destroy(&reading.damage);
    free(reading.list);
    return code;
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

int segments_load(struct repository *r, struct error *err)
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

int segments_each_pack(struct repository *r, bool obsolete,
                       void (*callback)(void *context, const struct segment_state *segment, uint64_t pack),
                       void *context, struct error *err)
{
    for (size_t i = 0; i < r->segment_count; i++) {
        const struct segment_state *s = &r->segments[i];
        uint64_t *numbers;
        size_t count;
        if (s->obsolete && !obsolete)
            continue;
        int code = catalog_segment_packs(r->catalog, &s->sha256, &numbers, &count, err);
        if (code != 0)
            return code;
        for (size_t k = 0; k < count; k++) {
            if (numbers[k] < r->pack_capacity)
                callback(context, s, numbers[k]);
        }
        free(numbers);
    }
    return 0;
}

/* ---- writing segments ---- */

/* Bytes of entries in one segment. A format's segment may be four times as large, but then it, its plaintext
 * and what it is made of would be the most memory that a backup of many small files takes. */
#define SEGMENT_ENTRIES_MAX (2u << 20)

struct part {
    size_t first, count;
};

/* Cuts the packs into parts for an object each. */
static int plan_parts(struct repository *r, const uint64_t *packs, size_t count, size_t reserved,
                      struct part **parts, size_t *part_count, struct error *err)
{
    struct buffer entry = {0};
    size_t capacity = 0, size = 0;
    int code = 0;
    *parts = NULL;
    *part_count = 0;
    for (size_t i = 0; i < count && code == 0; i++) {
        buffer_clear(&entry);
        code = catalog_pack_entry(r->catalog, packs[i], &entry, err);
        if (*part_count == 0 || size + entry.size > SEGMENT_ENTRIES_MAX) {
            memory_reserve_one(*parts, *part_count, capacity);
            (*parts)[(*part_count)++] = (struct part){i, 0};
            size = reserved;
        }
        (*parts)[*part_count - 1].count++;
        size += entry.size;
    }
    if (*part_count == 0) {
        *parts = memory_alloc_array(1, sizeof **parts);
        *part_count = 1;
    }
    buffer_free(&entry);
    return code;
}

/* Queued, and not yet known to be durable. */
struct segment_write {
    struct id id;
    uint64_t size;
    struct buffer state;
    uint64_t *packs;
    size_t pack_count;
};

static void note_write(struct repository *r, const struct segment *segment, const struct id *id,
                       uint64_t size, const uint64_t *packs)
{
    struct segment_write write = {.id = *id,
                                  .size = size,
                                  .packs = memory_copy(packs, segment->pack_count * sizeof *packs),
                                  .pack_count = segment->pack_count};
    struct segment_state added = {.sha256 = *id, .mask = repository_active_mask(r)};
    encode_state(segment, &write.state);
    if (decode_state(buffer_bytes(&write.state), &r->segment_arena, &added)) {
        r->segments = memory_resize_array(r->segments, r->segment_count + 1, sizeof *r->segments);
        r->segments[r->segment_count++] = added;
        qsort(r->segments, r->segment_count, sizeof *r->segments, compare_segments);
        segments_find_obsolete(r);
    }
    r->segment_writes =
        memory_resize_array(r->segment_writes, r->segment_write_count + 1, sizeof *r->segment_writes);
    r->segment_writes[r->segment_write_count++] = write;
}

void segments_drop_writes(struct repository *r)
{
    for (size_t i = 0; i < r->segment_write_count; i++) {
        buffer_free(&r->segment_writes[i].state);
        free(r->segment_writes[i].packs);
    }
    free(r->segment_writes);
    r->segment_writes = NULL;
    r->segment_write_count = 0;
}

static int settle(struct repository *r, const struct segment_write *write, uint32_t mask, struct error *err)
{
    char name[OBJECT_NAME_MAX];
    object_name_index(&write->id, name);
    listing_add(r, name, mask, write->size);
    struct segment_state *state = segment_find(r, &write->id);
    if (state)
        state->mask = mask;
    int code = 0;
    /* The segment last: where it is known, and a pack of it still pending, the pack might be forgotten. */
    for (size_t i = 0; i < write->pack_count && code == 0; i++) {
        struct catalog_pack pack;
        uint64_t number;
        code = catalog_pack_by_number(r->catalog, write->packs[i], &pack, err);
        pack.pending = false;
        if (code == 0)
            code = catalog_add_pack(r->catalog, &pack, (struct bytes){0}, NULL, &number, err);
    }
    return code == 0 ? catalog_add_segment(r->catalog, &write->id, buffer_bytes(&write->state), write->packs,
                                           write->pack_count, err)
                     : code;
}

int segments_settle(struct repository *r, struct error *err)
{
    if (r->segment_write_count == 0)
        return 0;
    int code = replicas_flush(r->replicas, err);
    uint32_t mask = repository_active_mask(r);
    for (size_t i = 0; i < r->segment_write_count && code == 0; i++)
        code = settle(r, &r->segment_writes[i], mask, err);
    segments_drop_writes(r);
    return code == 0 ? catalog_commit(r->catalog, err) : code;
}

static int queue_part(struct repository *r, struct segment *segment, const uint64_t *packs, size_t count,
                      struct error *err)
{
    struct buffer *entries = memory_alloc_array(count, sizeof *entries);
    struct bytes *views = memory_alloc_array(count, sizeof *views);
    struct buffer body = {0};
    struct id id;
    size_t size;
    int code = 0;
    for (size_t i = 0; i < count && code == 0; i++) {
        code = catalog_pack_entry(r->catalog, packs[i], &entries[i], err);
        views[i] = buffer_bytes(&entries[i]);
    }
    if (code == 0) {
        segment->packs = views;
        segment->pack_count = count;
        segment_encode(segment, &body);
    }
    for (size_t i = 0; i < count; i++)
        buffer_free(&entries[i]);
    free(entries);
    free(views);
    if (code == 0)
        code = record_queue(r, OBJECT_INDEX, NULL, 0, buffer_bytes(&body), &id, &size, err);
    if (code == 0)
        note_write(r, segment, &id, size, packs);
    buffer_free(&body);
    return code;
}

int segments_queue(struct repository *r, enum blob_kind kind, const uint64_t *packs, size_t count,
                   const struct id_list *supersedes, struct error *err)
{
    struct part *parts = NULL;
    size_t part_count = 0;
    size_t reserved = supersedes ? supersedes->count * 36 : 0;
    struct segment segment = {.host = r->host_key.host, .created = (int64_t)time(NULL), .kind = kind};
    if (supersedes && supersedes->count) {
        segment.supersedes = *supersedes;
        random_bytes(segment.replacement.b, sizeof segment.replacement.b);
    }
    int code = plan_parts(r, packs, count, reserved, &parts, &part_count, err);
    for (size_t i = 0; i < part_count && code == 0; i++) {
        /* Only a replacement counts only as a whole. */
        if (segment.supersedes.count) {
            segment.part = (uint32_t)i;
            segment.parts = (uint32_t)part_count;
        }
        code = queue_part(r, &segment, count ? packs + parts[i].first : NULL, parts[i].count, err);
    }
    free(parts);
    return code;
}
