/* Reading blobs: by id, through frames kept for a while. */
#include "repo/blobs.h"

#include "base/log.h"
#include "base/memory.h"
#include "repo/internal.h"

#include <stdlib.h>

/* ---- ids ---- */

struct blob_hasher {
    struct hmac *list[SECRETS_MAX];
    size_t count;
    struct hmac *current;
};

struct blob_hasher *blob_hasher_new(const struct secrets *secrets)
{
    struct blob_hasher *hasher = memory_new(struct blob_hasher);
    for (size_t i = 0; i < secrets->bundle.ids.count; i++) {
        uint8_t key[32];
        uint32_t generation = secrets->bundle.ids.list[i].number;
        derive_blob_id_key(secrets, generation, key);
        hasher->list[hasher->count] = hmac_new(bytes_of(key, sizeof key));
        if (generation == secrets->id_generation)
            hasher->current = hasher->list[hasher->count];
        hasher->count++;
        explicit_bzero(key, sizeof key);
    }
    return hasher;
}

void blob_hasher_free(struct blob_hasher *hasher)
{
    if (!hasher)
        return;
    for (size_t i = 0; i < hasher->count; i++)
        hmac_free(hasher->list[i]);
    free(hasher);
}

static void run(struct hmac *hmac, enum blob_kind kind, struct bytes plain, struct id *id)
{
    uint8_t kind_byte = (uint8_t)kind;
    hmac_begin(hmac);
    hmac_update(hmac, bytes_of(&kind_byte, 1));
    hmac_update(hmac, plain);
    hmac_final(hmac, id);
}

void blob_hasher_run(struct blob_hasher *hasher, enum blob_kind kind, struct bytes plain, struct id *id)
{
    run(hasher->current, kind, plain, id);
}

bool blob_hasher_matches(struct blob_hasher *hasher, enum blob_kind kind, struct bytes plain,
                         const struct id *id)
{
    /* The newest generation, which nearly all blobs have, comes last. */
    for (size_t i = hasher->count; i-- > 0;) {
        struct id own;
        run(hasher->list[i], kind, plain, &own);
        if (id_equal(&own, id))
            return true;
    }
    return false;
}

/* ---- frames kept for a while ---- */

#define READERS_MAX 8
#define FRAMES_MAX 64
#define FRAMES_BYTES_MAX (16u << 20)

struct kept_frame {
    uint64_t pack; /* 0: free */
    uint32_t frame;
    uint64_t used;
    struct buffer raw;
};

struct frame_cache {
    pthread_mutex_t lock;
    struct kept_frame frames[FRAMES_MAX];
    struct pack_reader *readers[READERS_MAX];
    uint64_t reader_packs[READERS_MAX];
    size_t next_reader;
    size_t bytes;
    uint64_t clock;
    struct blob_hasher *hasher;
};

struct frame_cache *frame_cache_new(const struct secrets *secrets)
{
    struct frame_cache *cache = memory_new(struct frame_cache);
    pthread_mutex_init(&cache->lock, NULL);
    cache->hasher = blob_hasher_new(secrets);
    return cache;
}

static void drop(struct frame_cache *cache, struct kept_frame *f)
{
    cache->bytes -= f->raw.capacity;
    buffer_free_secret(&f->raw);
    f->pack = 0;
}

void frame_cache_free(struct frame_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < FRAMES_MAX; i++)
        drop(cache, &cache->frames[i]);
    for (size_t i = 0; i < READERS_MAX; i++)
        pack_reader_free(cache->readers[i]);
    blob_hasher_free(cache->hasher);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static struct kept_frame *make_room(struct frame_cache *cache)
{
    for (;;) {
        struct kept_frame *unused = NULL, *oldest = NULL;
        for (size_t i = 0; i < FRAMES_MAX; i++) {
            struct kept_frame *f = &cache->frames[i];
            if (!f->pack)
                unused = f;
            else if (!oldest || f->used < oldest->used)
                oldest = f;
        }
        if (unused && (cache->bytes < FRAMES_BYTES_MAX || !oldest))
            return unused;
        drop(cache, oldest);
    }
}

static int get_reader(struct repository *r, uint64_t pack, struct pack_reader **reader, struct error *err)
{
    struct frame_cache *cache = r->frames;
    for (size_t i = 0; i < READERS_MAX; i++) {
        if (cache->readers[i] && cache->reader_packs[i] == pack) {
            *reader = cache->readers[i];
            return 0;
        }
    }
    int code = pack_reader_open(r, pack, reader, err);
    if (code != 0)
        return code;
    size_t at = cache->next_reader++ % READERS_MAX;
    pack_reader_free(cache->readers[at]);
    cache->readers[at] = *reader;
    cache->reader_packs[at] = pack;
    return 0;
}

static int get_frame(struct repository *r, const struct blob_location *copy, struct kept_frame **frame,
                     struct error *err)
{
    struct frame_cache *cache = r->frames;
    for (size_t i = 0; i < FRAMES_MAX; i++) {
        struct kept_frame *f = &cache->frames[i];
        if (f->pack == copy->pack && f->frame == copy->frame) {
            f->used = ++cache->clock;
            *frame = f;
            return 0;
        }
    }
    struct pack_reader *reader;
    int code = get_reader(r, copy->pack, &reader, err);
    if (code != 0)
        return code;
    struct kept_frame *f = make_room(cache);
    code = pack_reader_frame(reader, copy->frame, &f->raw, err);
    cache->bytes += f->raw.capacity;
    if (code != 0) {
        drop(cache, f);
        return code;
    }
    f->pack = copy->pack;
    f->frame = copy->frame;
    f->used = ++cache->clock;
    *frame = f;
    return 0;
}

/* The same words for whatever is read of one pack, so that many files are told of once. */
static int name_pack(struct repository *r, uint64_t number, int code, const char *how, struct error *err)
{
    struct catalog_pack pack;
    char name[OBJECT_NAME_MAX];
    char *where = repository_where(r);
    if (number && catalog_pack_by_number(r->catalog, number, &pack, NULL) == 0) {
        object_name_pack(&pack.sha256, name);
        error_set(err, code, "%s is %s on %s", name, how, where);
    } else {
        error_set(err, code, "no part of the index on %s lists what is needed here", where);
    }
    free(where);
    return error_hint(err, "%s",
                      error_todo(code,
                                 "run holdfast verify to see what is missing or damaged, and holdfast heal "
                                 "to bring it back"));
}

int blobs_lacking(struct repository *r, const struct id *id, struct error *err)
{
    struct index_copies copies = {0};
    int code = index_copies(r, id, &copies, err);
    if (code == 0)
        code = name_pack(r, copies.count ? copies.list[0].pack : 0, repository_nowhere(r), "missing", err);
    free(copies.list);
    return code;
}

int blobs_read(struct repository *r, enum blob_kind kind, const struct id *id, struct buffer *out,
               struct error *err)
{
    struct blob_location copies[BLOB_COPIES_MAX];
    size_t count;
    char hex[ID_HEX_SIZE];
    id_to_hex(id, hex);
    int code = blobs_locate(r, id, copies, &count, err);
    if (code != 0)
        return code;
    if (count == 0)
        return blobs_lacking(r, id, err);
    pthread_mutex_lock(&r->frames->lock);
    for (size_t i = 0; i < count; i++) {
        struct kept_frame *frame;
        code = get_frame(r, &copies[i], &frame, err);
        if (code != 0)
            continue;
        if (copies[i].offset > frame->raw.size || copies[i].length > frame->raw.size - copies[i].offset) {
            code = error_set(err, ERROR_INTEGRITY, "blob %.16s lies outside its frame", hex);
            continue;
        }
        struct bytes plain = bytes_of(frame->raw.data + copies[i].offset, copies[i].length);
        if (blob_hasher_matches(r->frames->hasher, kind, plain, id)) {
            buffer_append_bytes(out, plain);
            code = 0;
            break;
        }
        code = error_set(err, ERROR_INTEGRITY, "blob %.16s has other contents than its id says", hex);
    }
    pthread_mutex_unlock(&r->frames->lock);
    if (code != ERROR_INTEGRITY)
        return code;
    if (err)
        log_verbose("%s", err->message);
    return name_pack(r, copies[0].pack, code, "damaged or missing", err);
}

int blobs_fetch_tree(void *repository, const struct id *id, struct buffer *out, struct error *err)
{
    return blobs_read(repository, BLOB_META, id, out, err);
}
