/* Blind repack, and the segments that go with it. */
#include "base/log.h"
#include "base/memory.h"
#include "pack/pack.h"
#include "repo/collect_internal.h"
#include "repo/lease.h"

#include <stdlib.h>

struct repacker {
    struct collection *c;
    enum blob_kind kind;
    struct id16 author;
    struct pack_builder *builder;
    size_t blobs;
    uint64_t seen_bytes; /* of packs that are done */
    uint64_t *fresh;
    size_t fresh_count, fresh_capacity;
};

static int finish(struct repacker *p, struct error *err)
{
    struct repository *r = p->c->r;
    struct arena arena = {0};
    struct buffer bytes = {0}, serialised = {0};
    struct pack_entry entry = {0};
    struct pack_builder *builder = p->builder;
    p->builder = NULL;
    p->blobs = 0;
    if (!builder || pack_builder_frame_count(builder) == 0) {
        pack_builder_free(builder);
        return 0;
    }
    int code = pack_builder_finish(builder, &arena, &bytes, &entry, err);
    if (code == 0) {
        char name[OBJECT_NAME_MAX];
        uint64_t number;
        entry.author = p->author;
        pack_entry_encode(&entry, &serialised);
        struct catalog_pack pack;
        code = index_note_pack(r, p->kind, &entry, buffer_bytes(&serialised), true, &number, err);
        if (code == 0)
            code = catalog_pack_by_number(r->catalog, number, &pack, err);
        if (code == 0) {
            index_add_pack(r, &pack, repository_active_mask(r), PACK_CURRENT);
            if (p->kind == BLOB_META)
                meta_cache_put(r, &entry.sha256, buffer_bytes(&bytes));
            object_name_pack(&entry.sha256, name);
            memory_reserve_one(p->fresh, p->fresh_count, p->fresh_capacity);
            p->fresh[p->fresh_count++] = number;
            code = replicas_put(r->replicas, ~0u, REPLICAS_ANY_ORDER, name, &bytes, err);
        }
    }
    pack_builder_free(builder);
    buffer_free(&bytes);
    buffer_free(&serialised);
    arena_free(&arena);
    return code;
}

static bool frame_is_live(const struct collection *c, const struct catalog_pack *pack,
                          const struct frame_entry *frame)
{
    for (uint32_t k = 0; k < frame->blob_count; k++) {
        if (blob_is_live(c, pack->first_blob + frame->first_blob + k))
            return true;
    }
    return false;
}

static int copy_frames(struct repacker *p, const struct catalog_pack *pack, struct bytes object,
                       const struct pack_entry *entry, struct arena *arena, struct error *err)
{
    struct repository *r = p->c->r;
    struct bytes *slots;
    if (object.size != pack->size || entry->slots_length > object.size - PACK_SLOTS_OFFSET)
        return error_set(err, ERROR_INTEGRITY, "a pack has another size than the index says");
    int code = pack_split_slots(bytes_of(object.data + PACK_SLOTS_OFFSET, entry->slots_length), p->kind,
                                entry->contents.slot_count, arena, &slots, err);
    for (size_t f = 0; f < entry->contents.frame_count && code == 0; f++) {
        const struct frame_entry *frame = &entry->contents.frames[f];
        if (!frame_is_live(p->c, pack, frame))
            continue;
        if (p->builder && (pack_builder_size(p->builder) + frame->stored_length > r->config.pack_size ||
                           p->blobs > PACK_BLOBS_MAX))
            code = finish(p, err);
        if (code == 0 && !p->builder)
            p->builder = pack_builder_new_copy(&r->secrets, p->kind, r->config.pack_size / 4);
        if (code == 0)
            code =
                pack_builder_copy(p->builder, bytes_of(object.data + frame->offset, frame->stored_length),
                                  frame, entry->contents.blobs + frame->first_blob, slots[frame->slot], err);
        /* A repack that was killed left the same frame in two packs. */
        if (code == ERROR_EXISTS)
            code = 0;
        p->blobs += frame->blob_count;
    }
    return code;
}

static int repack_one(struct repacker *p, const struct catalog_pack *pack, struct error *err)
{
    struct repository *r = p->c->r;
    struct arena arena = {0};
    struct buffer object = {0}, serialised = {0};
    struct pack_entry entry;
    struct object_seen *seen = listing_find(r, FOLDER_PACKS, &pack->sha256);
    if (!seen)
        return error_set(err, ERROR_INTEGRITY, "a pack with live data is on no target");
    /* Whole and with its hash checked: what is copied blindly must not be damaged. */
    int code = object_fetch(r, seen, FORMAT_PACK_MAX, &object, err);
    if (code == 0)
        code = catalog_pack_entry(r->catalog, pack->number, &serialised, err);
    if (code == 0)
        code = pack_entry_decode(buffer_bytes(&serialised), &arena, &entry, err);
    if (code == 0)
        code = copy_frames(p, pack, buffer_bytes(&object), &entry, &arena, err);
    buffer_free(&object);
    buffer_free(&serialised);
    arena_free(&arena);
    return code;
}

/* Frames of one author and kind go together: who sealed a pack is a property of the whole. */
static int repack_author(struct repacker *p, bool *done, struct error *err)
{
    struct repository *r = p->c->r;
    int code = 0;
    for (uint64_t n = 1; n < p->c->pack_limit && code == 0; n++) {
        struct catalog_pack pack;
        if (p->c->fates[n] != FATE_REPACK || done[n])
            continue;
        if ((code = repository_stopped(r, err)) != 0)
            break;
        code = catalog_pack_by_number(r->catalog, n, &pack, err);
        if (code != 0 || pack.kind != p->kind || !id16_equal(&pack.author, &p->author))
            continue;
        done[n] = true;
        code = repack_one(p, &pack, err);
        p->seen_bytes += pack.size;
        repository_show_progress(r, p->seen_bytes, p->c->result->repacked_bytes);
        if (code == 0)
            code = lease_keep(r, err);
    }
    return code == 0 ? finish(p, err) : code;
}

int collect_repack(struct collection *c, uint64_t **fresh, size_t *count, struct error *err)
{
    struct repository *r = c->r;
    uint64_t limit = c->pack_limit;
    bool *done = memory_alloc_array(limit + 1, sizeof *done);
    struct repacker p = {.c = c};
    int code = 0;
    for (uint64_t n = 1; n < limit && code == 0; n++) {
        struct catalog_pack pack;
        if (c->fates[n] != FATE_REPACK || done[n])
            continue;
        code = catalog_pack_by_number(r->catalog, n, &pack, err);
        p.kind = (enum blob_kind)pack.kind;
        p.author = pack.author;
        /* New packs may enlarge the table of packs; fates and done are only read up to the old limit. */
        if (code == 0)
            code = repack_author(&p, done, err);
    }
    pack_builder_free(p.builder);
    free(done);
    if (code == 0)
        code = replicas_flush(r->replicas, err);
    *fresh = p.fresh;
    *count = p.fresh_count;
    return code;
}

/* ---- segments ---- */

/* Small segments are joined when there are many. */
#define SEGMENTS_MAX 16

static bool pack_goes(const struct collection *c, uint64_t number, uint64_t limit)
{
    return number < limit && c->fates[number] != FATE_KEEP;
}

static int lists_what_goes(struct collection *c, const struct segment_state *s, uint64_t limit, bool *goes,
                           struct error *err)
{
    uint64_t *numbers;
    size_t count;
    *goes = false;
    int code = catalog_segment_packs(c->r->catalog, &s->sha256, &numbers, &count, err);
    if (code != 0)
        return code;
    for (size_t i = 0; i < count; i++)
        *goes |= pack_goes(c, numbers[i], limit);
    free(numbers);
    return 0;
}

struct replacement {
    struct id_list supersedes;
    size_t supersedes_capacity;
    uint64_t *packs;
    size_t pack_count, pack_capacity;
};

static void add_superseded(struct replacement *rep, const struct id *id)
{
    for (size_t i = 0; i < rep->supersedes.count; i++) {
        if (id_equal(&rep->supersedes.list[i], id))
            return;
    }
    memory_reserve_one(rep->supersedes.list, rep->supersedes.count, rep->supersedes_capacity);
    rep->supersedes.list[rep->supersedes.count++] = *id;
}

/* What the old one replaced may still lie on a target that is away: it must not come back. */
static void inherit(struct collection *c, struct replacement *rep, const struct segment_state *s)
{
    bool all_here = replicas_active_count(c->r->replicas) == c->r->parameters.target_count;
    for (size_t i = 0; i < s->supersedes.count; i++) {
        if (!all_here || listing_find(c->r, FOLDER_INDEX, &s->supersedes.list[i]))
            add_superseded(rep, &s->supersedes.list[i]);
    }
}

static int take_over(struct collection *c, struct replacement *rep, const struct segment_state *s,
                     uint64_t limit, struct error *err)
{
    uint64_t *numbers;
    size_t count;
    int code = catalog_segment_packs(c->r->catalog, &s->sha256, &numbers, &count, err);
    if (code != 0)
        return code;
    for (size_t i = 0; i < count; i++) {
        if (pack_goes(c, numbers[i], limit))
            continue;
        memory_reserve_one(rep->packs, rep->pack_count, rep->pack_capacity);
        rep->packs[rep->pack_count++] = numbers[i];
    }
    free(numbers);
    add_superseded(rep, &s->sha256);
    inherit(c, rep, s);
    return 0;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void remove_duplicates(struct replacement *rep)
{
    size_t kept = 0;
    if (rep->pack_count)
        qsort(rep->packs, rep->pack_count, sizeof *rep->packs, compare_numbers);
    for (size_t i = 0; i < rep->pack_count; i++) {
        if (kept == 0 || rep->packs[kept - 1] != rep->packs[i])
            rep->packs[kept++] = rep->packs[i];
    }
    rep->pack_count = kept;
}

/* The other parts of a replacement go with it: one of them alone would not be complete any more. */
static bool same_replacement(const struct segment_state *a, const struct segment_state *b)
{
    return a->parts > 1 && b->parts > 1 && id16_equal(&a->replacement, &b->replacement);
}

static int replace_kind(struct collection *c, enum blob_kind kind, const uint64_t *fresh, size_t fresh_count,
                        uint64_t limit, struct error *err)
{
    struct repository *r = c->r;
    size_t old_count = r->segment_count, current = 0;
    bool *goes = memory_alloc_array(old_count, sizeof *goes);
    struct replacement rep = {0};
    bool some = false;
    int code = 0;
    for (size_t i = 0; i < old_count; i++)
        current += !r->segments[i].obsolete && r->segments[i].kind == kind;
    for (size_t i = 0; i < old_count && code == 0; i++) {
        if (!r->segments[i].obsolete && r->segments[i].kind == kind)
            code = lists_what_goes(c, &r->segments[i], limit, &goes[i], err);
        goes[i] |= current > SEGMENTS_MAX && !r->segments[i].obsolete && r->segments[i].kind == kind;
        some |= goes[i];
    }
    for (size_t i = 0; i < old_count; i++) {
        for (size_t k = 0; k < old_count && goes[i]; k++)
            goes[k] |= !r->segments[k].obsolete && same_replacement(&r->segments[i], &r->segments[k]);
    }
    for (size_t i = 0; i < old_count && code == 0; i++) {
        if (goes[i])
            code = take_over(c, &rep, &r->segments[i], limit, err);
    }
    for (size_t i = 0; i < fresh_count && code == 0; i++) {
        if (r->packs[fresh[i]].kind != kind)
            continue;
        some = true;
        memory_reserve_one(rep.packs, rep.pack_count, rep.pack_capacity);
        rep.packs[rep.pack_count++] = fresh[i];
    }
    if (code == 0 && some) {
        remove_duplicates(&rep);
        code = segments_queue(r, kind, rep.packs, rep.pack_count, &rep.supersedes, err);
    }
    free(goes);
    free(rep.packs);
    free(rep.supersedes.list);
    return code;
}

int collect_replace_segments(struct collection *c, const uint64_t *fresh, size_t fresh_count,
                             struct error *err)
{
    uint64_t limit = fresh_count ? fresh[0] : c->r->pack_capacity;
    for (size_t i = 0; i < fresh_count; i++)
        limit = fresh[i] < limit ? fresh[i] : limit;
    int code = replace_kind(c, BLOB_DATA, fresh, fresh_count, limit, err);
    if (code == 0)
        code = replace_kind(c, BLOB_META, fresh, fresh_count, limit, err);
    return code == 0 ? segments_settle(c->r, err) : code;
}
