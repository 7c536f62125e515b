/*
 * Packs. The input: u16 n | n bytes of the plaintext of a table of contents | what stands before it. The
 * table is sealed here, with the right keys and bound to what stands before, so that what lies behind the
 * authentication is reached; then slots and frames are opened as they are.
 */
#include "crypto/digest.h"
#include "fuzz.h"
#include "pack/pack.h"

static void open_frames(struct bytes pack, enum blob_kind kind, const struct pack_entry *entry,
                        struct arena *arena)
{
    struct error err = {0};
    struct bytes *slots;
    struct buffer raw = {0};
    must(pack.size >= PACK_SLOTS_OFFSET + (size_t)entry->slots_length);
    struct bytes area = bytes_of(pack.data + PACK_SLOTS_OFFSET, entry->slots_length);
    must(pack_split_slots(area, kind, entry->contents.slot_count, arena, &slots, &err) == 0);
    for (size_t i = 0; i < entry->contents.frame_count; i++) {
        const struct frame_entry *f = &entry->contents.frames[i];
        struct frame_opener *opener;
        must(f->slot < entry->contents.slot_count && (size_t)f->offset + f->stored_length <= pack.size);
        if (!worked(frame_opener_new(fuzz_secrets(), kind, slots[f->slot], &opener, &err), &err))
            continue;
        struct bytes stored = bytes_of(pack.data + f->offset, f->stored_length);
        if (worked(frame_opener_open(opener, f, stored, &raw, &err), &err))
            must(raw.size == f->raw_length);
        frame_opener_free(opener);
    }
    buffer_free(&raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static const uint8_t random[32];
    struct error err = {0};
    struct arena arena = {0};
    struct buffer pack = {0};
    struct pack_entry entry;
    enum blob_kind kind;
    struct reader r = reader_of(bytes_of(input, size));
    worked(pack_read_entry(fuzz_secrets(), bytes_of(input, size), &arena, &kind, &entry, &err), &err);
    struct bytes contents = reader_take(&r, reader_u16(&r));
    struct id before;
    if (!r.failed) {
        buffer_append_bytes(&pack, reader_take(&r, r.size - r.at));
        size_t start = pack.size;
        sha256(buffer_bytes(&pack), &before);
        must(seal_object_with(fuzz_secrets(), OBJECT_CONTENTS, &before, contents, random, &pack, &err) == 0);
        buffer_u32(&pack, (uint32_t)(pack.size - start));
        buffer_append_string(&pack, "KPFH");
        if (worked(pack_read_entry(fuzz_secrets(), buffer_bytes(&pack), &arena, &kind, &entry, &err), &err))
            open_frames(buffer_bytes(&pack), kind, &entry, &arena);
    }
    buffer_free(&pack);
    arena_free(&arena);
    return 0;
}
