/* Reading packs: their table of contents, and their frames. */
#include "base/memory.h"
#include "crypto/digest.h"
#include "pack/pack.h"
#include "pack/slot.h"

#include <stdlib.h>
#include <zstd.h>

#define TRAILER_SIZE 8
#define WINDOW_LOG_MAX 27

struct frame_opener {
    struct frame_sealer sealer;
    ZSTD_DCtx *context;
    struct buffer payload;
};

int frame_opener_new(const struct secrets *secrets, enum blob_kind kind, struct bytes slot,
                     struct frame_opener **opener, struct error *err)
{
    struct frame_opener *o = memory_new(struct frame_opener);
    int code = slot_open(secrets, kind, slot, &o->sealer, err);
    if (code != 0) {
        frame_opener_free(o);
        return code;
    }
    *opener = o;
    return 0;
}

void frame_opener_free(struct frame_opener *o)
{
    if (!o)
        return;
    frame_sealer_free(&o->sealer);
    ZSTD_freeDCtx(o->context);
    buffer_free_secret(&o->payload);
    free(o);
}

static int decompress(struct frame_opener *o, const struct frame_entry *frame, struct bytes payload,
                      struct buffer *raw, struct error *err)
{
    if (!o->context) {
        o->context = ZSTD_createDCtx();
        if (!o->context)
            return error_set(err, ERROR_FAILED, "out of memory");
        ZSTD_DCtx_setParameter(o->context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    }
    /* Into exactly as many bytes as the entry says: whatever the frame claims, no more is written. */
    size_t n = ZSTD_decompressDCtx(o->context, buffer_extend(raw, frame->raw_length), frame->raw_length,
                                   payload.data, payload.size);
    if (ZSTD_isError(n) || n != frame->raw_length) {
        buffer_clear(raw);
        return error_set(err, ERROR_INTEGRITY, "a frame does not decompress to its length");
    }
    return 0;
}

int frame_opener_open(struct frame_opener *o, const struct frame_entry *frame, struct bytes stored,
                      struct buffer *raw, struct error *err)
{
    buffer_clear(raw);
    if (stored.size != frame->stored_length || stored.size < AEAD_TAG_SIZE)
        return error_set(err, ERROR_INTEGRITY, "a frame has another length than its entry says");
    size_t size = stored.size - AEAD_TAG_SIZE;
    if (frame->codec == CODEC_RAW) {
        if (size != frame->raw_length)
            return error_set(err, ERROR_INTEGRITY, "a frame has another length than its entry says");
        int code = frame_open(&o->sealer, frame, stored, buffer_extend(raw, size), err);
        if (code != 0)
            buffer_clear(raw);
        return code;
    }
    if (frame->codec != CODEC_ZSTD)
        return error_set(err, ERROR_UNSUPPORTED, "a frame has the unknown codec %u", frame->codec);
    buffer_clear(&o->payload);
    int code = frame_open(&o->sealer, frame, stored, buffer_extend(&o->payload, size), err);
    return code == 0 ? decompress(o, frame, buffer_bytes(&o->payload), raw, err) : code;
}

static int malformed(struct error *err, const char *why)
{
    return error_set(err, ERROR_INTEGRITY, "the pack is damaged: %s", why);
}

/* The slots' area lies between the start and the first frame. */
static int check_slots(struct bytes pack, enum blob_kind kind, struct pack_entry *entry, struct arena *arena,
                       struct error *err)
{
    const struct contents *c = &entry->contents;
    size_t end = c->frame_count ? c->frames[0].offset : PACK_SLOTS_OFFSET;
    if (end < PACK_SLOTS_OFFSET || end > pack.size)
        return malformed(err, "its first frame lies in its header");
    struct bytes *slots;
    struct bytes area = bytes_of(pack.data + PACK_SLOTS_OFFSET, end - PACK_SLOTS_OFFSET);
    entry->slots_length = (uint32_t)area.size;
    return pack_split_slots(area, kind, c->slot_count, arena, &slots, err);
}

int pack_read_entry(const struct secrets *secrets, struct bytes pack, struct arena *arena,
                    enum blob_kind *kind, struct pack_entry *entry, struct error *err)
{
    *entry = (struct pack_entry){.size = pack.size};
    if (pack.size < PACK_SLOTS_OFFSET + SEALED_OVERHEAD + TRAILER_SIZE || pack.size > FORMAT_PACK_MAX ||
        memcmp(pack.data, "HFPK", 4) != 0 || memcmp(pack.data + pack.size - 4, "KPFH", 4) != 0)
        return malformed(err, "it does not begin and end as packs do");
    uint16_t version = bytes_load_u16(pack.data + 4);
    if (version > FORMAT_VERSION) {
        error_set(err, ERROR_UNSUPPORTED, "the pack has format version %u", version);
        return error_hint(err, "use a newer version of holdfast");
    }
    *kind = (enum blob_kind)pack.data[6];
    uint32_t length = bytes_load_u32(pack.data + pack.size - TRAILER_SIZE);
    if (version != FORMAT_VERSION || (*kind != BLOB_DATA && *kind != BLOB_META) || length < SEALED_OVERHEAD ||
        length > pack.size - PACK_SLOTS_OFFSET - TRAILER_SIZE)
        return malformed(err, "its header or trailer is wrong");
    size_t start = pack.size - TRAILER_SIZE - length;
    struct buffer plain = {0};
    struct id before;
    struct sha256 *hash = sha256_new();
    sha256_update(hash, bytes_of(pack.data, start));
    sha256_so_far(hash, &before);
    sha256_update(hash, bytes_of(pack.data + start, pack.size - start));
    sha256_final(hash, &entry->sha256);
    sha256_free(hash);
    int code =
        unseal_object(secrets, OBJECT_CONTENTS, &before, bytes_of(pack.data + start, length), &plain, err);
    if (code == 0)
        code = contents_decode(buffer_bytes(&plain), arena, &entry->contents, err);
    buffer_free(&plain);
    if (code != 0)
        return error_prefix(err, "its table of contents");
    entry->contents_length = length;
    const struct contents *c = &entry->contents;
    if (c->frame_count &&
        c->frames[c->frame_count - 1].offset + c->frames[c->frame_count - 1].stored_length > start)
        return malformed(err, "a frame lies in its table of contents");
    return check_slots(pack, *kind, entry, arena, err);
}

int pack_entries_equal(const struct pack_entry *a, const struct pack_entry *b, struct error *err)
{
    struct buffer x = {0}, y = {0};
    contents_encode(&a->contents, &x);
    contents_encode(&b->contents, &y);
    bool equal = a->size == b->size && a->slots_length == b->slots_length &&
                 a->contents_length == b->contents_length && id_equal(&a->sha256, &b->sha256) &&
                 bytes_equal(buffer_bytes(&x), buffer_bytes(&y));
    buffer_free(&x);
    buffer_free(&y);
    return equal ? 0
                 : error_set(err, ERROR_INTEGRITY, "the index and the pack's own table of contents disagree");
}
