/* Packs: what is packed comes out again, blind copies too, and damage does not. */
#include "base/arena.h"
#include "crypto/digest.h"
#include "crypto/exchange.h"
#include "crypto/hpke.h"
#include "pack/pack.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct error err;
static struct secrets writer, reader; /* a host's, and a person's */
static struct epoch epoch;
static uint8_t recovery_public[32];

static void begin(void)
{
    struct hpke_suite suite = HPKE_SUITE_X25519;
    memset(&writer, 0, sizeof writer);
    memset(&writer.repository, 5, 16);
    writer.metadata_generation = writer.id_generation = 1;
    writer.bundle.metadata.count = writer.bundle.ids.count = 1;
    writer.bundle.metadata.list[0].number = writer.bundle.ids.list[0].number = 1;
    memset(writer.bundle.metadata.list[0].secret, 6, 32);
    reader = writer;
    reader.bundle.recovery.count = 1;
    reader.bundle.recovery.list[0].number = 2;
    exchange_keypair(reader.bundle.recovery.list[0].secret, recovery_public);
    epoch = (struct epoch){2, suite.kem, suite.kdf, suite.aead, bytes_of(recovery_public, 32), 0};
}

/* A pack of `count` frames; frame i holds 3000 bytes of i. */
static void make_pack(enum blob_kind kind, size_t count, struct arena *arena, struct buffer *pack,
                      struct pack_entry *entry)
{
    struct pack_builder *builder;
    struct compressor *compressor = compressor_new(1);
    struct buffer compressed = {0};
    ck_assert_int_eq(pack_builder_new(&writer, kind, kind == BLOB_DATA ? &epoch : NULL, 1000, &builder, &err),
                     0);
    for (size_t i = 0; i < count; i++) {
        uint8_t raw[3000];
        memset(raw, (int)i, sizeof raw);
        struct blob_entry blobs[] = {{.length = 1000}, {.offset = 1000, .length = 2000}};
        blobs[0].id.b[0] = blobs[1].id.b[0] = (uint8_t)i;
        blobs[1].id.b[1] = 1;
        ck_assert_int_eq(compressor_run(compressor, bytes_of(raw, sizeof raw), &compressed), CODEC_ZSTD);
        pack_builder_add(builder, buffer_bytes(&compressed), CODEC_ZSTD, sizeof raw, blobs, 2);
    }
    ck_assert_int_eq(pack_builder_finish(builder, arena, pack, entry, &err), 0);
    pack_builder_free(builder);
    compressor_free(compressor);
    buffer_free(&compressed);
}

static int open_frame(const struct secrets *secrets, enum blob_kind kind, const struct buffer *pack,
                      const struct pack_entry *entry, size_t f, struct buffer *raw)
{
    struct arena arena = {0};
    struct bytes *slots;
    struct frame_opener *opener;
    const struct frame_entry *frame = &entry->contents.frames[f];
    int code = pack_split_slots(bytes_of(pack->data + PACK_SLOTS_OFFSET, entry->slots_length), kind,
                                entry->contents.slot_count, &arena, &slots, &err);
    if (code == 0)
        code = frame_opener_new(secrets, kind, slots[frame->slot], &opener, &err);
    if (code == 0) {
        code = frame_opener_open(opener, frame, bytes_of(pack->data + frame->offset, frame->stored_length),
                                 raw, &err);
        frame_opener_free(opener);
    }
    arena_free(&arena);
    return code;
}

START_TEST(what_is_packed_comes_out_for_who_may)
{
    for (int kind = BLOB_DATA; kind <= BLOB_META; kind++) {
        struct arena arena = {0};
        struct buffer pack = {0}, raw = {0};
        struct pack_entry entry, read;
        enum blob_kind found;
        make_pack((enum blob_kind)kind, 5, &arena, &pack, &entry);
        ck_assert_int_eq(pack_read_entry(&writer, buffer_bytes(&pack), &arena, &found, &read, &err), 0);
        ck_assert_int_eq(pack_entries_equal(&entry, &read, &err), 0);
        ck_assert_int_eq((int)found, kind);
        for (size_t f = 0; f < 5; f++) {
            ck_assert_uint_eq(entry.contents.frames[f].counter, f);
            ck_assert_int_eq(open_frame(&reader, found, &pack, &entry, f, &raw), 0);
            ck_assert(raw.size == 3000 && raw.data[2999] == f);
        }
        /* The host that wrote a data pack cannot open it. */
        ck_assert_int_eq(open_frame(&writer, found, &pack, &entry, 0, &raw),
                         kind == BLOB_DATA ? ERROR_DENIED : 0);
        arena_free(&arena);
        buffer_free(&pack);
        buffer_free(&raw);
    }
}
END_TEST

START_TEST(a_pack_that_nobody_could_read_is_not_made)
{
    static const struct blob_entry blob = {.length = 10};
    struct pack_builder *builder;
    struct arena arena = {0};
    struct buffer pack = {0};
    struct pack_entry entry;
    /* A frame of no length; one of more than there may be; one that is shorter than its blob. */
    static const uint32_t raw_lengths[] = {0, UINT32_MAX, 9};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(pack_builder_new(&writer, BLOB_META, NULL, 1000, &builder, &err), 0);
        pack_builder_add(builder, bytes_of("12345", 5), CODEC_ZSTD, raw_lengths[i], &blob, 1);
        ck_assert_int_eq(pack_builder_finish(builder, &arena, &pack, &entry, &err), ERROR_FAILED);
        pack_builder_free(builder);
    }
    arena_free(&arena);
}
END_TEST

START_TEST(every_pack_has_a_slot_and_a_key_of_its_own)
{
    struct arena arena = {0};
    struct buffer a = {0}, b = {0};
    struct pack_entry x, y;
    make_pack(BLOB_DATA, 1, &arena, &a, &x);
    make_pack(BLOB_DATA, 1, &arena, &b, &y);
    ck_assert(memcmp(a.data + PACK_SLOTS_OFFSET, b.data + PACK_SLOTS_OFFSET, 16) != 0);
    ck_assert(memcmp(a.data + x.contents.frames[0].offset, b.data + y.contents.frames[0].offset, 16) != 0);
    arena_free(&arena);
    buffer_free(&a);
    buffer_free(&b);
}
END_TEST

START_TEST(a_blind_copy_opens_like_the_original_and_takes_no_frame_twice)
{
    struct arena arena = {0};
    struct buffer a = {0}, b = {0}, copy = {0}, raw = {0};
    struct pack_entry x, y, z;
    make_pack(BLOB_DATA, 4, &arena, &a, &x);
    make_pack(BLOB_DATA, 4, &arena, &b, &y);
    struct pack_builder *builder = pack_builder_new_copy(&writer, BLOB_DATA, 100);
    const struct buffer *sources[] = {&a, &b};
    const struct pack_entry *entries[] = {&x, &y};
    for (size_t s = 0; s < 2; s++) {
        struct bytes *slots;
        ck_assert_int_eq(
            pack_split_slots(bytes_of(sources[s]->data + PACK_SLOTS_OFFSET, entries[s]->slots_length),
                             BLOB_DATA, 1, &arena, &slots, &err),
            0);
        for (size_t f = 1; f < 4; f += 2) {
            const struct contents *c = &entries[s]->contents;
            struct bytes stored =
                bytes_of(sources[s]->data + c->frames[f].offset, c->frames[f].stored_length);
            const struct blob_entry *blobs = c->blobs + c->frames[f].first_blob;
            ck_assert_int_eq(pack_builder_copy(builder, stored, &c->frames[f], blobs, slots[0], &err), 0);
            ck_assert_int_eq(pack_builder_copy(builder, stored, &c->frames[f], blobs, slots[0], &err),
                             ERROR_EXISTS);
        }
    }
    ck_assert_int_eq(pack_builder_finish(builder, &arena, &copy, &z, &err), 0);
    pack_builder_free(builder);
    ck_assert_uint_eq(z.contents.slot_count, 2);
    ck_assert_uint_eq(z.contents.frame_count, 4);
    for (size_t f = 0; f < 4; f++) {
        ck_assert_int_eq(open_frame(&reader, BLOB_DATA, &copy, &z, f, &raw), 0);
        ck_assert_uint_eq(raw.data[0], f % 2 ? 3 : 1);
    }
    arena_free(&arena);
    buffer_free(&a);
    buffer_free(&b);
    buffer_free(&copy);
    buffer_free(&raw);
}
END_TEST

START_TEST(sizes_are_padded)
{
    for (size_t count = 1; count < 40; count += 3) {
        struct arena arena = {0};
        struct buffer pack = {0};
        struct pack_entry entry;
        make_pack(BLOB_META, count, &arena, &pack, &entry);
        /* Padme leaves at most as many significant bits as the exponent has digits, plus one. */
        size_t size = pack.size, exponent = 0, digits = 0;
        for (size_t n = size; n >>= 1;)
            exponent++;
        for (size_t n = exponent; n; n >>= 1)
            digits++;
        ck_assert_uint_eq(size & (((size_t)1 << (exponent - digits)) - 1), 0);
        arena_free(&arena);
        buffer_free(&pack);
    }
}
END_TEST

/* Whatever byte changes, the table of contents, the slot or the frame says so; the name's hash aside. */
START_TEST(damage_is_found)
{
    struct arena arena = {0};
    struct buffer pack = {0}, raw = {0};
    struct pack_entry entry, read;
    enum blob_kind kind;
    make_pack(BLOB_META, 2, &arena, &pack, &entry);
    for (size_t i = 0; i < pack.size; i++) {
        pack.data[i] ^= 0x40;
        ck_assert_msg(pack_read_entry(&writer, buffer_bytes(&pack), &arena, &kind, &read, &err) != 0,
                      "byte %zu", i);
        size_t end = entry.contents.frames[1].offset + entry.contents.frames[1].stored_length;
        if (i >= PACK_SLOTS_OFFSET && i < end) {
            bool failed = open_frame(&reader, BLOB_META, &pack, &entry, 0, &raw) != 0;
            failed |= open_frame(&reader, BLOB_META, &pack, &entry, 1, &raw) != 0;
            ck_assert_msg(failed, "byte %zu", i);
        }
        pack.data[i] ^= 0x40;
    }
    for (size_t n = 0; n < pack.size; n += 13)
        ck_assert(pack_read_entry(&writer, bytes_of(pack.data, n), &arena, &kind, &read, &err) != 0);
    arena_free(&arena);
    buffer_free(&pack);
    buffer_free(&raw);
}
END_TEST

START_TEST(a_table_of_contents_of_another_pack_is_refused)
{
    struct arena arena = {0};
    struct buffer a = {0}, b = {0};
    struct pack_entry x, y, read;
    enum blob_kind kind;
    make_pack(BLOB_META, 2, &arena, &a, &x);
    make_pack(BLOB_META, 2, &arena, &b, &y);
    ck_assert_uint_eq(a.size, b.size);
    size_t length = x.contents_length + 8;
    memcpy(a.data + a.size - length, b.data + b.size - length, length);
    ck_assert_int_eq(pack_read_entry(&writer, buffer_bytes(&a), &arena, &kind, &read, &err), ERROR_INTEGRITY);
    arena_free(&arena);
    buffer_free(&a);
    buffer_free(&b);
}
END_TEST

START_TEST(what_does_not_compress_is_stored_raw)
{
    struct compressor *compressor = compressor_new(3);
    struct buffer out = {0};
    uint8_t noise[5000];
    struct id block = {{0}};
    for (size_t i = 0; i < sizeof noise; i += 32) {
        sha256(bytes_of(block.b, 32), &block);
        memcpy(noise + i, block.b, sizeof noise - i < 32 ? sizeof noise - i : 32);
    }
    ck_assert_int_eq(compressor_run(compressor, bytes_of(noise, sizeof noise), &out), CODEC_RAW);
    ck_assert_int_eq(compressor_run(compressor, (struct bytes){0}, &out), CODEC_RAW);
    compressor_free(compressor);
    buffer_free(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pack");
    TCase *tcase = tcase_create("pack");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, begin, NULL);
    tcase_add_test(tcase, what_is_packed_comes_out_for_who_may);
    tcase_add_test(tcase, a_pack_that_nobody_could_read_is_not_made);
    tcase_add_test(tcase, every_pack_has_a_slot_and_a_key_of_its_own);
    tcase_add_test(tcase, a_blind_copy_opens_like_the_original_and_takes_no_frame_twice);
    tcase_add_test(tcase, sizes_are_padded);
    tcase_add_test(tcase, damage_is_found);
    tcase_add_test(tcase, a_table_of_contents_of_another_pack_is_refused);
    tcase_add_test(tcase, what_does_not_compress_is_stored_raw);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
