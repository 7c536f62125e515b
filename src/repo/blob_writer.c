/* Writing blobs: claimed once, grouped, packed, queued to the targets, and listed by index segments. */
#include "repo/blob_writer.h"

#include "base/log.h"
#include "base/memory.h"
#include "pack/pack.h"
#include "repo/internal.h"

#include <stdlib.h>
#include <time.h>

/* Listings are read one by one, contents rarely: their groups stay small whatever the repository's are. */
#define META_GROUP_MAX (256u << 10)

/* Owners whose small blobs wait in one group at the same time. */
#define GROUP_OWNERS_MAX 4

struct open_pack {
    struct pack_builder *builder;
    size_t blobs;
};

struct blob_writer {
    struct repository *r;
    pthread_mutex_t lock; /* packs, finishing, no_room, in_flight, uploaded, totals */
    pthread_cond_t finished;
    bool finishing; /* a full pack is on its way to the queues: the next one waits, as its memory counts */
    bool no_room; /* it is ready, but the queues are full: nothing is added meanwhile, for the same reason */
    struct open_pack packs[2]; /* data, meta */
    struct id_map *in_flight;
    uint64_t *uploaded[2]; /* packs that were queued and that no segment lists yet */
    size_t uploaded_count[2], uploaded_capacity[2];
    uint64_t new_bytes, stored_bytes;
    int64_t last_checkpoint;
    pthread_mutex_t meta_lock;
    struct blob_group *meta;
    struct blob_hasher *meta_hasher;
};

struct waiting {
    uint32_t owner;
    uint64_t used;
    struct buffer raw;
    struct blob_entry *blobs;
    size_t blob_count, blob_capacity;
};

struct blob_group {
    struct blob_writer *writer;
    enum blob_kind kind;
    size_t limit; /* bytes of plaintext in a group */
    size_t alone; /* blobs from this size on have a frame each: it is dead when they are */
    struct compressor *compressor;
    struct buffer compressed;
    struct waiting owners[GROUP_OWNERS_MAX];
    uint64_t clock;
};

static size_t kind_index(enum blob_kind kind)
{
    return kind == BLOB_DATA ? 0 : 1;
}

static void note_uploaded(struct blob_writer *w, enum blob_kind kind, uint64_t number)
{
    size_t k = kind_index(kind);
    memory_reserve_one(w->uploaded[k], w->uploaded_count[k], w->uploaded_capacity[k]);
    w->uploaded[k][w->uploaded_count[k]++] = number;
}

/* Packs that an earlier run uploaded but could not list any more, and that are everywhere by now. */
static int adopt(const struct catalog_pack *pack, void *context)
{
    struct blob_writer *w = context;
    uint32_t active = repository_active_mask(w->r);
    if (pack->pending && pack->number < w->r->pack_capacity &&
        (pack_relied_on(&w->r->packs[pack->number]) & active) == active)
        note_uploaded(w, (enum blob_kind)pack->kind, pack->number);
    return 0;
}

int blob_writer_new(struct repository *r, struct blob_writer **writer, struct error *err)
{
    struct blob_writer *w = memory_new(struct blob_writer);
    w->r = r;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->finished, NULL);
    pthread_mutex_init(&w->meta_lock, NULL);
    w->in_flight = id_map_new();
    w->last_checkpoint = (int64_t)time(NULL);
    w->meta = blob_group_new(w, BLOB_META);
    w->meta_hasher = blob_hasher_new(&r->secrets);
    /* What a failed job of this session left first. */
    int code = segments_settle(r, err);
    if (code == 0)
        code = catalog_each_pack(r->catalog, adopt, w, err);
    if (code != 0) {
        blob_writer_free(w);
        return code;
    }
    *writer = w;
    return 0;
}

void blob_writer_free(struct blob_writer *w)
{
    if (!w)
        return;
    for (size_t k = 0; k < 2; k++) {
        pack_builder_free(w->packs[k].builder);
        free(w->uploaded[k]);
    }
    id_map_free(w->in_flight);
    blob_group_free(w->meta);
    blob_hasher_free(w->meta_hasher);
    pthread_cond_destroy(&w->finished);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->meta_lock);
    free(w);
}

/* ---- deduplication ---- */

int blob_writer_knows(struct blob_writer *w, const struct id *id, bool *known, struct error *err)
{
    pthread_mutex_lock(&w->lock);
    *known = id_map_has(w->in_flight, id);
    pthread_mutex_unlock(&w->lock);
    return *known ? 0 : index_knows(w->r, id, repository_active_mask(w->r), known, err);
}

int blob_writer_claim(struct blob_writer *w, const struct id *id, bool *store, struct error *err)
{
    bool known;
    *store = false;
    /* In this order: a pack leaves in_flight only when the index has it. */
    pthread_mutex_lock(&w->lock);
    known = !id_map_put(w->in_flight, id, 1);
    pthread_mutex_unlock(&w->lock);
    if (known)
        return 0;
    int code = index_knows(w->r, id, repository_active_mask(w->r), &known, err);
    if (code != 0 || known) {
        pthread_mutex_lock(&w->lock);
        id_map_remove(w->in_flight, id);
        pthread_mutex_unlock(&w->lock);
        return code;
    }
    *store = true;
    return 0;
}

/* ---- packs ---- */

static void set_no_room(struct blob_writer *w, bool no_room)
{
    pthread_mutex_lock(&w->lock);
    w->no_room = no_room;
    pthread_cond_broadcast(&w->finished);
    pthread_mutex_unlock(&w->lock);
}

/* Gives a full pack its name, makes the index know it and queues it. No lock is held: hashing takes a while.
 */
static int finish_pack(struct blob_writer *w, enum blob_kind kind, struct pack_builder *builder,
                       struct error *err)
{
    struct repository *r = w->r;
    struct arena arena = {0};
    struct buffer bytes = {0}, serialised = {0};
    struct pack_entry entry = {0};
    char name[OBJECT_NAME_MAX];
    int code = pack_builder_finish(builder, &arena, &bytes, &entry, err);
    if (code != 0)
        goto out;
    entry.author = r->host_key.host;
    pack_entry_encode(&entry, &serialised);
    struct catalog_pack pack;
    uint64_t number;
    /* Numbers and the index's order grow together: nobody may come between these two. */
    pthread_mutex_lock(&w->lock);
    code = index_note_pack(r, kind, &entry, buffer_bytes(&serialised), true, &number, err);
    if (code == 0)
        code = catalog_pack_by_number(r->catalog, number, &pack, err);
    if (code == 0) {
        index_add_pack(r, &pack, repository_active_mask(r), PACK_CURRENT);
        for (size_t i = 0; i < entry.contents.blob_count; i++)
            id_map_remove(w->in_flight, &entry.contents.blobs[i].id);
        w->stored_bytes += bytes.size;
        /* So that a run that is killed leaves what it uploaded to the next one. */
        code = catalog_commit(r->catalog, err);
    }
    pthread_mutex_unlock(&w->lock);
    if (code != 0)
        goto out;
    if (kind == BLOB_META)
        meta_cache_put(r, &entry.sha256, buffer_bytes(&bytes));
    object_name_pack(&entry.sha256, name);
    set_no_room(w, true);
    code = replicas_put(r->replicas, ~0u, REPLICAS_ANY_ORDER, name, &bytes, err);
    set_no_room(w, false);
    if (code == 0) {
        pthread_mutex_lock(&w->lock);
        note_uploaded(w, kind, number);
        pthread_mutex_unlock(&w->lock);
    }
out:
    buffer_free(&bytes);
    buffer_free(&serialised);
    arena_free(&arena);
    pack_builder_free(builder);
    return code;
}

static bool is_full(const struct blob_writer *w, const struct open_pack *open)
{
    return open->builder &&
           (pack_builder_size(open->builder) >= w->r->config.pack_size || open->blobs >= PACK_BLOBS_MAX);
}

/* The lock is held; others may add to other packs meanwhile. */
static int finish_alone(struct blob_writer *w, enum blob_kind kind, struct error *err)
{
    struct open_pack *open = &w->packs[kind_index(kind)];
    while (w->finishing)
        pthread_cond_wait(&w->finished, &w->lock);
    struct pack_builder *builder = open->builder;
    *open = (struct open_pack){0};
    w->finishing = true;
    pthread_cond_broadcast(&w->finished); /* those that waited for a pack that is not full */
    pthread_mutex_unlock(&w->lock);
    int code = finish_pack(w, kind, builder, err);
    memory_give_back();
    pthread_mutex_lock(&w->lock);
    w->finishing = false;
    pthread_cond_broadcast(&w->finished);
    return code;
}

static int add_frame(struct blob_writer *w, enum blob_kind kind, struct bytes payload, uint8_t codec,
                     uint32_t raw_length, const struct blob_entry *blobs, size_t count, struct error *err)
{
    struct repository *r = w->r;
    struct open_pack *open = &w->packs[kind_index(kind)];
    int code = 0;
    pthread_mutex_lock(&w->lock);
    while (is_full(w, open) || w->no_room)
        pthread_cond_wait(&w->finished, &w->lock);
    if (!open->builder) {
        size_t hint = kind == BLOB_DATA ? r->config.pack_size + r->config.chunk_max / 2 : 1u << 20;
        code = pack_builder_new(&r->secrets, kind,
                                kind == BLOB_DATA ? keyring_newest_epoch(&r->chain.keyring) : NULL, hint,
                                &open->builder, err);
    }
    if (code == 0) {
        pack_builder_add(open->builder, payload, codec, raw_length, blobs, count);
        open->blobs += count;
        if (kind == BLOB_DATA)
            w->new_bytes += raw_length;
        if (is_full(w, open))
            code = finish_alone(w, kind, err);
    }
    pthread_mutex_unlock(&w->lock);
    return code;
}

/* ---- groups ---- */

struct blob_group *blob_group_new(struct blob_writer *w, enum blob_kind kind)
{
    struct blob_group *g = memory_new(struct blob_group);
    g->writer = w;
    g->kind = kind;
    g->limit = w->r->config.frame_group;
    if (kind == BLOB_META && g->limit > META_GROUP_MAX)
        g->limit = META_GROUP_MAX;
    g->alone = g->limit < w->r->config.chunk_min ? g->limit : w->r->config.chunk_min;
    g->compressor = compressor_new(w->r->parameters.compression);
    return g;
}

void blob_group_free(struct blob_group *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < GROUP_OWNERS_MAX; i++) {
        buffer_free(&g->owners[i].raw);
        free(g->owners[i].blobs);
    }
    buffer_free(&g->compressed);
    compressor_free(g->compressor);
    free(g);
}

static int seal_frame(struct blob_group *g, struct bytes raw, const struct blob_entry *blobs, size_t count,
                      struct error *err)
{
    uint8_t codec = compressor_run(g->compressor, raw, &g->compressed);
    struct bytes payload = codec == CODEC_RAW ? raw : buffer_bytes(&g->compressed);
    return add_frame(g->writer, g->kind, payload, codec, (uint32_t)raw.size, blobs, count, err);
}

static int flush_owner(struct blob_group *g, struct waiting *waiting, struct error *err)
{
    if (waiting->blob_count == 0)
        return 0;
    int code = seal_frame(g, buffer_bytes(&waiting->raw), waiting->blobs, waiting->blob_count, err);
    buffer_clear(&waiting->raw);
    waiting->blob_count = 0;
    return code;
}

/* The owner's place; the one that waited longest makes room. */
static int place_of(struct blob_group *g, uint32_t owner, struct waiting **place, struct error *err)
{
    struct waiting *best = NULL;
    for (size_t i = 0; i < GROUP_OWNERS_MAX; i++) {
        struct waiting *o = &g->owners[i];
        if (o->blob_count && o->owner == owner) {
            best = o;
            break;
        }
        if (!best || (best->blob_count && (!o->blob_count || o->used < best->used)))
            best = o;
    }
    int code = best->owner == owner ? 0 : flush_owner(g, best, err);
    best->owner = owner;
    best->used = ++g->clock;
    *place = best;
    return code;
}

int blob_group_add(struct blob_group *g, uint32_t owner, const struct id *id, struct bytes plain,
                   struct error *err)
{
    struct blob_entry blob = {.id = *id, .length = (uint32_t)plain.size};
    if (plain.size >= g->alone)
        return seal_frame(g, plain, &blob, 1, err);
    struct waiting *waiting;
    int code = place_of(g, owner, &waiting, err);
    if (code == 0 && waiting->raw.size + plain.size > g->limit)
        code = flush_owner(g, waiting, err);
    if (code != 0)
        return code;
    blob.offset = (uint32_t)waiting->raw.size;
    buffer_append_bytes(&waiting->raw, plain);
    memory_reserve_one(waiting->blobs, waiting->blob_count, waiting->blob_capacity);
    waiting->blobs[waiting->blob_count++] = blob;
    return 0;
}

int blob_group_flush(struct blob_group *g, struct error *err)
{
    int code = 0;
    for (size_t i = 0; i < GROUP_OWNERS_MAX && code == 0; i++)
        code = flush_owner(g, &g->owners[i], err);
    return code;
}

int blob_writer_store_tree(void *writer, struct bytes blob, struct id *id, struct error *err)
{
    struct blob_writer *w = writer;
    bool store;
    pthread_mutex_lock(&w->meta_lock);
    blob_hasher_run(w->meta_hasher, BLOB_META, blob, id);
    int code = blob_writer_claim(w, id, &store, err);
    if (code == 0 && store)
        code = blob_group_add(w->meta, 0, id, blob, err);
    pthread_mutex_unlock(&w->meta_lock);
    return code;
}

/* ---- commit ---- */

/* Packs are noted when they are queued, so the segments come behind them on each target. */
static int queue_segments(struct blob_writer *w, struct error *err)
{
    int code = 0;
    for (size_t k = 0; k < 2 && code == 0; k++) {
        pthread_mutex_lock(&w->lock);
        uint64_t *numbers = w->uploaded[k];
        size_t count = w->uploaded_count[k];
        w->uploaded[k] = NULL;
        w->uploaded_count[k] = w->uploaded_capacity[k] = 0;
        pthread_mutex_unlock(&w->lock);
        if (count)
            code = segments_queue(w->r, k == 0 ? BLOB_DATA : BLOB_META, numbers, count, NULL, err);
        free(numbers);
    }
    w->last_checkpoint = (int64_t)time(NULL);
    return code;
}

int blob_writer_commit(struct blob_writer *w, struct error *err)
{
    pthread_mutex_lock(&w->meta_lock);
    int code = blob_group_flush(w->meta, err);
    pthread_mutex_unlock(&w->meta_lock);
    for (size_t k = 0; k < 2 && code == 0; k++) {
        pthread_mutex_lock(&w->lock);
        struct pack_builder *builder = w->packs[k].builder;
        w->packs[k] = (struct open_pack){0};
        pthread_mutex_unlock(&w->lock);
        if (builder)
            code = finish_pack(w, k == 0 ? BLOB_DATA : BLOB_META, builder, err);
    }
    return code == 0 ? queue_segments(w, err) : code;
}

int blob_writer_checkpoint(struct blob_writer *w, struct error *err)
{
    int64_t now = (int64_t)time(NULL);
    if (now >= w->last_checkpoint && now - w->last_checkpoint < w->r->parameters.checkpoint)
        return 0;
    return queue_segments(w, err);
}

void blob_writer_totals(struct blob_writer *w, uint64_t *new_bytes, uint64_t *stored_bytes)
{
    pthread_mutex_lock(&w->lock);
    *new_bytes = w->new_bytes;
    *stored_bytes = w->stored_bytes;
    pthread_mutex_unlock(&w->lock);
}
