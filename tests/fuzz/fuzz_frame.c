/* Frames that were sealed with the right key: u8 codec | u8 signed length to lie by | raw length | payload.
 */
#include "fuzz.h"
#include "pack/pack.h"
#include "pack/slot.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static struct frame_sealer sealer;
    static struct frame_opener *opener;
    static uint64_t counter;
    struct error err = {0};
    struct buffer stored = {0}, raw = {0};
    if (!opener) {
        struct buffer slot = {0};
        must(slot_make(fuzz_secrets(), BLOB_META, NULL, &slot, &sealer, &err) == 0);
        must(frame_opener_new(fuzz_secrets(), BLOB_META, buffer_bytes(&slot), &opener, &err) == 0);
        buffer_free(&slot);
    }
    struct reader r = reader_of(bytes_of(input, size));
    struct frame_entry frame = {.counter = counter++, .codec = reader_u8(&r)};
    uint8_t lie = reader_u8(&r);
    frame.raw_length = reader_u32(&r) % (1u << 16);
    struct bytes payload = reader_take(&r, r.failed ? 0 : r.size - r.at);
    frame_seal(&sealer, frame.counter, frame.codec, frame.raw_length, payload,
               buffer_extend(&stored, payload.size + AEAD_TAG_SIZE));
    frame.stored_length = (uint32_t)(stored.size + (lie < 16 ? lie : 0));
    if (worked(frame_opener_open(opener, &frame, buffer_bytes(&stored), &raw, &err), &err))
        must(raw.size == frame.raw_length &&
             (frame.codec == CODEC_ZSTD || bytes_equal(buffer_bytes(&raw), payload)));
    else
        must(raw.size == 0);
    buffer_free(&stored);
    buffer_free(&raw);
    return 0;
}
