/* Tables of contents, pack entries and segments: what is accepted lies inside of its pack. */
#include "fuzz.h"

static void check_entry(const struct pack_entry *entry)
{
    const struct contents *c = &entry->contents;
    uint64_t end = 0, blobs = 0;
    for (size_t i = 0; i < c->frame_count; i++) {
        const struct frame_entry *f = &c->frames[i];
        must(f->slot < c->slot_count && f->offset >= end && f->first_blob == blobs);
        end = (uint64_t)f->offset + f->stored_length;
        must(end <= entry->size);
        for (size_t k = 0; k < f->blob_count; k++) {
            const struct blob_entry *b = &c->blobs[f->first_blob + k];
            must((uint64_t)b->offset + b->length <= f->raw_length);
        }
        blobs += f->blob_count;
    }
    must(blobs == c->blob_count);
}

static void check_segment(struct bytes data)
{
    struct error err = {0};
    struct arena arena = {0};
    struct segment segment;
    struct pack_entry entry;
    if (segment_decode(data, &arena, &segment, &err) == 0) {
        for (size_t i = 0; i < segment.pack_count; i++) {
            if (worked(pack_entry_decode(segment.packs[i], &arena, &entry, &err), &err))
                check_entry(&entry);
        }
    }
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    struct error err = {0};
    if (size == 0)
        return 0;
    struct bytes data = behind_first(input, size);
    switch (input[0] % 3) {
    case 0:
        ROUND_TRIP(contents, contents_decode, contents_encode);
        break;
    case 1:
        ROUND_TRIP(pack_entry, pack_entry_decode, pack_entry_encode);
        break;
    default:
        ROUND_TRIP(segment, segment_decode, segment_encode);
        check_segment(data);
    }
    return 0;
}
