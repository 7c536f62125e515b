/* Building packs: fresh ones, and blind copies. */
#include "base/memory.h"
#include "crypto/digest.h"
#include "pack/pack.h"
#include "pack/slot.h"

#include <assert.h>
#include <stdlib.h>

struct pack_builder {
    const struct secrets *secrets;
    enum blob_kind kind;
    struct buffer data; /* of a fresh pack from its first byte; of a copy the frames alone: its slots are not
                           all known yet */
    struct buffer slots;
    bool copy, finished;
    struct frame_sealer sealer;
    uint64_t next_counter;
    struct arena arena;
    struct bytes *copied;
    size_t copied_count, copied_capacity;
    struct frame_entry *frames;
    size_t frame_count, frame_capacity;
    struct blob_entry *blobs;
    size_t blob_count, blob_capacity;
};

static void put_start(struct buffer *out, enum blob_kind kind)
{
    buffer_append(out, "HFPK", 4);
    buffer_u16(out, FORMAT_VERSION);
    buffer_u8(out, (uint8_t)kind);
}

int pack_builder_new(const struct secrets *secrets, enum blob_kind kind, const struct epoch *epoch,
                     size_t size_hint, struct pack_builder **builder, struct error *err)
{
    struct pack_builder *b = pack_builder_new_copy(secrets, kind, size_hint);
    b->copy = false;
    int code = slot_make(secrets, kind, epoch, &b->slots, &b->sealer, err);
    if (code != 0) {
        pack_builder_free(b);
        return code;
    }
    put_start(&b->data, kind);
    buffer_append_bytes(&b->data, buffer_bytes(&b->slots));
    *builder = b;
    return 0;
}

struct pack_builder *pack_builder_new_copy(const struct secrets *secrets, enum blob_kind kind,
                                           size_t size_hint)
{
    struct pack_builder *b = memory_new(struct pack_builder);
    b->secrets = secrets;
    b->kind = kind;
    b->copy = true;
    buffer_reserve_pages(&b->data, size_hint);
    return b;
}

void pack_builder_free(struct pack_builder *b)
{
    if (!b)
        return;
    frame_sealer_free(&b->sealer);
    buffer_free(&b->data);
    buffer_free(&b->slots);
    arena_free(&b->arena);
    free(b->copied);
    free(b->frames);
    free(b->blobs);
    free(b);
}

size_t pack_builder_size(const struct pack_builder *b)
{
    return b->data.size + (b->copy ? b->slots.size : 0);
}

size_t pack_builder_frame_count(const struct pack_builder *b)
{
    return b->frame_count;
}

static void note_frame(struct pack_builder *b, const struct frame_entry *frame,
                       const struct blob_entry *blobs)
{
    memory_reserve_one(b->frames, b->frame_count, b->frame_capacity);
    struct frame_entry *f = &b->frames[b->frame_count++];
    *f = *frame;
    f->first_blob = (uint32_t)b->blob_count;
    for (uint32_t i = 0; i < frame->blob_count; i++) {
        memory_reserve_one(b->blobs, b->blob_count, b->blob_capacity);
        b->blobs[b->blob_count++] = blobs[i];
    }
}

void pack_builder_add(struct pack_builder *b, struct bytes payload, uint8_t codec, uint32_t raw_length,
                      const struct blob_entry *blobs, size_t blob_count)
{
    assert(!b->copy && !b->finished);
    struct frame_entry frame = {.counter = b->next_counter++,
                                .offset = (uint32_t)b->data.size,
                                .stored_length = (uint32_t)(payload.size + AEAD_TAG_SIZE),
                                .raw_length = raw_length,
                                .codec = codec,
                                .blob_count = (uint32_t)blob_count};
    /* A counter that came round would use a nonce twice. */
    assert(b->next_counter != 0);
    frame_seal(&b->sealer, frame.counter, codec, raw_length, payload,
               buffer_extend(&b->data, frame.stored_length));
    note_frame(b, &frame, blobs);
}

static size_t find_slot(struct pack_builder *b, struct bytes slot)
{
    for (size_t i = b->copied_count; i-- > 0;) {
        if (bytes_equal(b->copied[i], slot))
            return i;
    }
    memory_reserve_one(b->copied, b->copied_count, b->copied_capacity);
    b->copied[b->copied_count] = arena_copy(&b->arena, slot);
    buffer_append_bytes(&b->slots, slot);
    return b->copied_count++;
}

int pack_builder_copy(struct pack_builder *b, struct bytes stored, const struct frame_entry *frame,
                      const struct blob_entry *blobs, struct bytes slot, struct error *err)
{
    assert(b->copy && !b->finished);
    if (stored.size != frame->stored_length)
        return error_set(err, ERROR_INTEGRITY, "a frame to be copied has another length than its entry says");
    size_t number = find_slot(b, slot);
    if (number > 65535)
        return error_set(err, ERROR_UNSUPPORTED, "a pack cannot hold frames of so many packs");
    for (size_t i = 0; i < b->frame_count; i++) {
        if (b->frames[i].slot == number && b->frames[i].counter == frame->counter)
            return error_set(err, ERROR_EXISTS, "this frame was copied already");
    }
    struct frame_entry copy = *frame;
    copy.slot = (uint16_t)number;
    copy.offset = (uint32_t)b->data.size;
    buffer_append_bytes(&b->data, stored);
    note_frame(b, &copy, blobs);
    return 0;
}

/* Padme (Nikitin et al., PETS 2019) below 1 MiB: sizes leak only their order of magnitude and a few bits;
 * then steps of 4 KiB. */
static size_t padded_size(size_t size)
{
    if (size >= 1u << 20)
        return (size + 4095) / 4096 * 4096;
    unsigned exponent = 0, digits = 0;
    for (size_t n = size; n >>= 1;)
        exponent++;
    for (unsigned n = exponent; n; n >>= 1)
        digits++;
    unsigned low_bits = exponent > digits ? exponent - digits : 0;
    size_t mask = ((size_t)1 << low_bits) - 1;
    return (size + mask) & ~mask;
}

/* The slots of a copy go before its frames. */
static void join_copy(struct pack_builder *b)
{
    struct buffer whole = {0};
    buffer_reserve(&whole, PACK_SLOTS_OFFSET + b->slots.size + b->data.size);
    put_start(&whole, b->kind);
    buffer_append_bytes(&whole, buffer_bytes(&b->slots));
    for (size_t i = 0; i < b->frame_count; i++)
        b->frames[i].offset += (uint32_t)whole.size;
    buffer_append_bytes(&whole, buffer_bytes(&b->data));
    buffer_free(&b->data);
    b->data = whole;
}

/* What readers will refuse is never written: a blob that only its writer took for one would not be missed
 * before somebody needs it. */
static int check_contents(struct bytes plain, struct error *err)
{
    struct arena arena = {0};
    struct contents contents;
    struct error why;
    int code = contents_decode(plain, &arena, &contents, &why);
    arena_free(&arena);
    return code == 0 ? 0 : error_set(err, ERROR_FAILED, "nobody could read this pack: %s", why.message);
}

int pack_builder_finish(struct pack_builder *b, struct arena *arena, struct buffer *pack,
                        struct pack_entry *entry, struct error *err)
{
    assert(!b->finished);
    b->finished = true;
    if (b->copy)
        join_copy(b);
    struct contents *c = &entry->contents;
    *c = (struct contents){.slot_count = b->copy ? (uint32_t)b->copied_count : 1,
                           .frame_count = b->frame_count,
                           .blob_count = b->blob_count};
    c->frames = arena_alloc_array(arena, b->frame_count, sizeof *c->frames);
    c->blobs = arena_alloc_array(arena, b->blob_count, sizeof *c->blobs);
    if (b->frame_count)
        memcpy(c->frames, b->frames, b->frame_count * sizeof *c->frames);
    if (b->blob_count)
        memcpy(c->blobs, b->blobs, b->blob_count * sizeof *c->blobs);
    struct buffer plain = {0};
    struct id before;
    contents_encode(c, &plain);
    int code = check_contents(buffer_bytes(&plain), err);
    if (code != 0) {
        buffer_free(&plain);
        return code;
    }
    size_t contents_length = plain.size + SEALED_OVERHEAD;
    size_t size = b->data.size + contents_length + 8;
    size_t padding = padded_size(size) - size;
    memset(buffer_extend(&b->data, padding), 0, padding);
    struct sha256 *hash = sha256_new();
    sha256_update(hash, buffer_bytes(&b->data));
    sha256_so_far(hash, &before);
    size_t start = b->data.size;
    code = seal_object(b->secrets, OBJECT_CONTENTS, &before, buffer_bytes(&plain), &b->data, err);
    buffer_free(&plain);
    if (code != 0)
        goto out;
    buffer_u32(&b->data, (uint32_t)contents_length);
    buffer_append(&b->data, "KPFH", 4);
    entry->size = b->data.size;
    entry->slots_length = (uint32_t)b->slots.size;
    entry->contents_length = (uint32_t)contents_length;
    entry->author = (struct id16){0};
    sha256_update(hash, bytes_of(b->data.data + start, b->data.size - start));
    sha256_final(hash, &entry->sha256);
    *pack = b->data;
    b->data = (struct buffer){0};
out:
    sha256_free(hash);
    return code;
}
