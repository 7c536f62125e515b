/* The vectors of tests/vectors, which were not made by this program. */
#include "base/arena.h"
#include "chunker/chunker.h"
#include "crypto/digest.h"
#include "crypto/sign.h"
#include "format/seal.h"
#include "keys/keyring.h"
#include "pack/pack.h"
#include "pack/slot.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static json_t *vectors;
static struct arena arena;
static struct secrets secrets;
static struct error err;

static long long number(const char *name)
{
    json_t *value = json_object_get(vectors, name);
    ck_assert_msg(json_is_integer(value), "no number %s", name);
    return json_integer_value(value);
}

static struct bytes bytes(const char *name)
{
    const char *hex = json_string_value(json_object_get(vectors, name));
    ck_assert_msg(hex != NULL, "no bytes %s", name);
    size_t size = strlen(hex) / 2;
    uint8_t *data = arena_alloc(&arena, size + 1);
    ck_assert(hex_decode(hex, 2 * size, data, size));
    return bytes_of(data, size);
}

static void same(struct bytes found, const char *name)
{
    ck_assert_msg(bytes_equal(found, bytes(name)), "%s differs", name);
}

static void begin(void)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/format.json", getenv("TEST_VECTORS"));
    vectors = json_load_file(path, 0, NULL);
    ck_assert_msg(vectors != NULL, "cannot read %s", path);
    memset(&secrets, 0, sizeof secrets);
    memcpy(secrets.repository.b, bytes("repository").data, 16);
    secrets.metadata_generation = secrets.id_generation = (uint32_t)number("generation");
    struct bundle *b = &secrets.bundle;
    b->metadata.count = b->ids.count = b->recovery.count = 1;
    b->metadata.list[0].number = b->ids.list[0].number = (uint32_t)number("generation");
    memcpy(b->metadata.list[0].secret, bytes("metadata_secret").data, 32);
    memcpy(b->ids.list[0].secret, bytes("id_secret").data, 32);
    b->recovery.list[0].number = (uint32_t)number("epoch");
    memcpy(b->recovery.list[0].secret, bytes("recovery_key").data, 32);
}

static void end(void)
{
    json_decref(vectors);
    arena_free(&arena);
}

START_TEST(blob_ids_and_the_chunkers_table)
{
    uint8_t key[32], table[2048];
    struct id id;
    derive_blob_id_key(&secrets, 3, key);
    same(bytes_of(key, 32), "blob_id_key");
    for (int kind = 1; kind <= 2; kind++) {
        struct buffer data = {0};
        buffer_u8(&data, (uint8_t)kind);
        buffer_append_bytes(&data, bytes("blob"));
        hmac_sha256(bytes_of(key, 32), buffer_bytes(&data), &id);
        same(bytes_of(id.b, 32), kind == 1 ? "blob_id_data" : "blob_id_meta");
        buffer_free(&data);
    }
    derive_gear_table(&secrets, 3, table);
    same(bytes_of(table, 8), "gear_first");
    same(bytes_of(table + 2040, 8), "gear_last");
    sha256(bytes_of(table, sizeof table), &id);
    same(bytes_of(id.b, 32), "gear_sha256");
}
END_TEST

START_TEST(where_a_stream_is_cut)
{
    struct chunker_parameters p = {(uint32_t)number("chunk_min"), (uint32_t)number("chunk_average"),
                                   (uint32_t)number("chunk_max")};
    size_t size = (size_t)number("chunk_stream_bytes"), at = 0, i = 0;
    uint8_t table[2048], *stream = malloc(size);
    derive_gear_table(&secrets, 3, table);
    for (uint32_t n = 0; n < size / 32; n++) {
        uint8_t counter[4];
        struct id digest;
        bytes_store_u32(counter, n);
        sha256(bytes_of(counter, 4), &digest);
        memcpy(stream + 32 * (size_t)n, digest.b, 32);
    }
    struct chunker *chunker = chunker_new(&p, table);
    json_t *lengths = json_object_get(vectors, "chunk_lengths");
    for (; at < size; i++) {
        size_t n = chunker_next(chunker, stream + at, size - at, true);
        ck_assert_int_eq((long long)n, json_integer_value(json_array_get(lengths, i)));
        at += n;
    }
    ck_assert_uint_eq(i, json_array_size(lengths));
    chunker_free(chunker);
    free(stream);
}
END_TEST

START_TEST(sealed_objects)
{
    static const char *const names[] = {"sealed",          "sealed_bound", "sealed_segment",
                                        "sealed_manifest", "sealed_run",   "sealed_lease"};
    unsigned types = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[32];
        struct buffer out = {0};
        struct id hash;
        snprintf(name, sizeof name, "%s_hash", names[i]);
        struct bytes bound = bytes(name);
        if (bound.size)
            memcpy(hash.b, bound.data, 32);
        snprintf(name, sizeof name, "%s_type", names[i]);
        enum object_type type = (enum object_type)number(name);
        types |= 1u << type;
        snprintf(name, sizeof name, "%s_random", names[i]);
        struct bytes random = bytes(name);
        snprintf(name, sizeof name, "%s_plain", names[i]);
        ck_assert_int_eq(
            seal_object_with(&secrets, type, bound.size ? &hash : NULL, bytes(name), random.data, &out, &err),
            0);
        same(buffer_bytes(&out), names[i]);
        struct buffer plain = {0};
        ck_assert_int_eq(
            unseal_object(&secrets, type, bound.size ? &hash : NULL, bytes(names[i]), &plain, &err), 0);
        same(buffer_bytes(&plain), name);
        buffer_free(&plain);
        buffer_free(&out);
    }
    ck_assert_uint_eq(types, 0x7e); /* each type, 1 to 6 */
}
END_TEST

START_TEST(slots_and_frames)
{
    struct frame_sealer sealer;
    ck_assert_int_eq(slot_open(&secrets, BLOB_META, bytes("slot_meta"), &sealer, &err), 0);
    struct bytes listing = bytes("frame_meta_payload");
    uint8_t *frame_meta = arena_alloc(&arena, listing.size + 16);
    frame_seal(&sealer, (uint64_t)number("frame_counter"), CODEC_RAW, (uint32_t)listing.size, listing,
               frame_meta);
    same(bytes_of(frame_meta, listing.size + 16), "frame_meta");
    frame_sealer_free(&sealer);
    ck_assert_int_eq(slot_open(&secrets, BLOB_DATA, bytes("slot_data"), &sealer, &err), 0);
    for (int codec = 0; codec <= 1; codec++) {
        const char *name = codec ? "frame_zstd" : "frame_raw";
        struct bytes payload = bytes(codec ? "frame_zstd_payload" : "frame_raw_payload");
        struct frame_entry frame = {.counter = (uint64_t)number("frame_counter"),
                                    .codec = (uint8_t)codec,
                                    .raw_length =
                                        (uint32_t)number(codec ? "frame_zstd_length" : "frame_raw_length"),
                                    .stored_length = (uint32_t)payload.size + 16};
        uint8_t *sealed = arena_alloc(&arena, payload.size + 16), *opened = arena_alloc(&arena, payload.size);
        frame_seal(&sealer, frame.counter, frame.codec, frame.raw_length, payload, sealed);
        same(bytes_of(sealed, payload.size + 16), name);
        ck_assert_int_eq(frame_open(&sealer, &frame, bytes(name), opened, &err), 0);
        ck_assert(bytes_equal(bytes_of(opened, payload.size), payload));
        struct frame_opener *opener;
        struct buffer raw = {0};
        ck_assert_int_eq(frame_opener_new(&secrets, BLOB_DATA, bytes("slot_data"), &opener, &err), 0);
        ck_assert_int_eq(frame_opener_open(opener, &frame, bytes(name), &raw, &err), 0);
        ck_assert_uint_eq(raw.size, frame.raw_length);
        frame_opener_free(opener);
        buffer_free(&raw);
    }
    frame_sealer_free(&sealer);
}
END_TEST

/* From the first byte to the last: slots, a frame, padding, the table of contents and what ends it. */
START_TEST(a_whole_pack)
{
    struct pack_entry entry;
    enum blob_kind kind;
    struct bytes pack = bytes("pack"), *slots;
    struct frame_opener *opener;
    struct buffer raw = {0};
    ck_assert_int_eq(pack_read_entry(&secrets, pack, &arena, &kind, &entry, &err), 0);
    ck_assert(kind == BLOB_META && entry.contents.frame_count == 1 && entry.contents.blob_count == 1);
    same(bytes_of(entry.contents.blobs[0].id.b, 32), "blob_id_meta");
    const struct frame_entry *frame = &entry.contents.frames[0];
    struct bytes area = bytes_of(pack.data + PACK_SLOTS_OFFSET, entry.slots_length);
    ck_assert_int_eq(pack_split_slots(area, kind, 1, &arena, &slots, &err), 0);
    same(slots[0], "slot_meta");
    ck_assert_int_eq(frame_opener_new(&secrets, kind, slots[0], &opener, &err), 0);
    ck_assert_int_eq(frame_opener_open(opener, frame,
                                       bytes_of(pack.data + frame->offset, frame->stored_length), &raw, &err),
                     0);
    same(buffer_bytes(&raw), "blob");
    frame_opener_free(opener);
    buffer_free(&raw);
}
END_TEST

START_TEST(person_keys_and_signatures)
{
    struct person_key key;
    ck_assert_int_eq(person_key_open(bytes("person_key"), bytes("person_passphrase"), &key, &err), 0);
    same(bytes_of(key.person.b, 16), "person");
    same(bytes_of(key.private_key, 32), "person_private");
    same(bytes_of(key.root.b, 32), "person_root");
    uint8_t public_key[32];
    struct id16 signer;
    struct signature signature;
    struct id root;
    sign_public_key(bytes("admin_seed").data, public_key);
    same(bytes_of(public_key, 32), "admin_key");
    admin_signer(public_key, &signer);
    same(bytes_of(signer.b, 16), "admin_signer");
    sign_body(&secrets.repository, OBJECT_KEYRING, &signer, bytes("admin_seed").data, bytes("signed_body"),
              &signature);
    same(bytes_of(signature.signature, 64), "signature");
    ck_assert(verify_body(&secrets.repository, OBJECT_KEYRING, &signature, public_key, bytes("signed_body")));
    sign_body(&secrets.repository, OBJECT_CERTIFICATE, &signer, bytes("admin_seed").data,
              bytes("signed_body"), &signature);
    same(bytes_of(signature.signature, 64), "certificate_signature");
    root_fingerprint(&secrets.repository, public_key, &root);
    same(bytes_of(root.b, 32), "root_fingerprint");
}
END_TEST

START_TEST(what_a_host_signs)
{
    uint8_t public_key[32];
    struct id16 host;
    memcpy(host.b, bytes("host").data, 16);
    sign_public_key(bytes("host_seed").data, public_key);
    for (enum object_type type = OBJECT_INDEX; type <= OBJECT_LEASE; type++) {
        char name[32];
        struct signature signature;
        snprintf(name, sizeof name, "signature_%d", (int)type);
        sign_body(&secrets.repository, type, &host, bytes("host_seed").data, bytes("signed_body"),
                  &signature);
        same(bytes_of(signature.signature, 64), name);
        ck_assert(verify_body(&secrets.repository, type, &signature, public_key, bytes("signed_body")));
    }
}
END_TEST

static void check_secrets(const struct secrets *found, bool recovery)
{
    const uint8_t *key = secret_find(&found->bundle.recovery, (uint32_t)number("epoch"));
    same(bytes_of(secret_find(&found->bundle.metadata, 3), 32), "metadata_secret");
    same(bytes_of(secret_find(&found->bundle.ids, 3), 32), "id_secret");
    ck_assert(recovery == (key != NULL));
    if (recovery) {
        same(bytes_of(key, 32), "recovery_key");
        same(bytes_of(found->bundle.admin_seed, 32), "admin_seed");
    }
}

START_TEST(a_keyring_and_its_bundles)
{
    struct keyring_candidate candidate = {1, bytes("keyring")};
    struct keyring_chain chain;
    struct id root;
    memcpy(root.b, bytes("root_fingerprint").data, 32);
    ck_assert_int_eq(keyring_chain_verify(&candidate, 1, &secrets.repository, &root, NULL, &chain, &err), 0);
    struct secrets opened;
    struct person_key person = {.repository = secrets.repository, .root = root};
    memcpy(person.person.b, bytes("person").data, 16);
    memcpy(person.private_key, bytes("person_private").data, 32);
    ck_assert_int_eq(keyring_unlock_person(&chain.keyring, &person, &opened, &err), 0);
    check_secrets(&opened, true);
    secrets_free(&opened);
    struct host_key host = {.repository = secrets.repository, .root = root};
    memcpy(host.host.b, bytes("host").data, 16);
    memcpy(host.private_key, bytes("host_private").data, 32);
    memcpy(host.signing_seed, bytes("host_seed").data, 32);
    ck_assert_int_eq(keyring_unlock_host(&chain.keyring, &host, &opened, &err), 0);
    check_secrets(&opened, false);
    secrets_free(&opened);
    keyring_chain_free(&chain);
}
END_TEST

START_TEST(what_a_store_is_sent_to_encrypt_with)
{
    uint8_t key[32];
    derive_customer_key(&secrets, (uint32_t)number("generation"), (const char *)bytes("customer_target").data,
                        key);
    same(bytes_of(key, 32), "customer_key");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vectors");
    TCase *tcase = tcase_create("vectors");
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, blob_ids_and_the_chunkers_table);
    tcase_add_test(tcase, where_a_stream_is_cut);
    tcase_add_test(tcase, sealed_objects);
    tcase_add_test(tcase, slots_and_frames);
    tcase_add_test(tcase, a_whole_pack);
    tcase_add_test(tcase, person_keys_and_signatures);
    tcase_add_test(tcase, what_a_host_signs);
    tcase_add_test(tcase, a_keyring_and_its_bundles);
    tcase_add_test(tcase, what_a_store_is_sent_to_encrypt_with);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
