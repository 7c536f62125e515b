#include "pack/slot.h"

#include "crypto/hpke.h"
#include "crypto/random.h"
#include "pack/pack.h"

#include <string.h>

#define FIELD_MAX 8192 /* of enc and ct: room for hybrids to come */

void frame_sealer_free(struct frame_sealer *sealer)
{
    aead_free(sealer->aead);
    sealer->aead = NULL;
}

/* The frame key and the commitment of a pack key. */
static void take_pack_key(const struct secrets *secrets, enum blob_kind kind, const struct id16 *id,
                          const uint8_t pack_key[32], struct frame_sealer *sealer,
                          uint8_t commit[SLOT_COMMIT_SIZE])
{
    uint8_t key[32], kind_byte = (uint8_t)kind;
    struct bytes salt = bytes_of(id->b, sizeof id->b), context = bytes_of(&kind_byte, 1);
    derive(pack_key, salt, "commit", &secrets->repository, context, key, sizeof key);
    memcpy(commit, key, SLOT_COMMIT_SIZE);
    derive(pack_key, salt, "frame", &secrets->repository, context, key, sizeof key);
    *sealer = (struct frame_sealer){secrets->repository, *id, kind, aead_new(key)};
    cleanse(key, sizeof key);
}

static void slot_info(const struct secrets *secrets, uint32_t epoch, const struct id16 *id,
                      enum blob_kind kind, struct buffer *out)
{
    buffer_append_string(out, "holdfast/1 pack-key");
    buffer_u8(out, 0);
    buffer_append(out, secrets->repository.b, 16);
    buffer_u32(out, epoch);
    buffer_append(out, id->b, 16);
    buffer_u8(out, (uint8_t)kind);
}

static int make_data(const struct secrets *secrets, const struct epoch *epoch, const struct id16 *id,
                     struct buffer *out, uint8_t pack_key[32], struct error *err)
{
    struct buffer info = {0}, enc = {0}, ct = {0};
    struct hpke_suite suite = {epoch->kem, epoch->kdf, epoch->aead};
    random_bytes(pack_key, 32);
    slot_info(secrets, epoch->number, id, BLOB_DATA, &info);
    int code = hpke_seal(suite, epoch->public_key, buffer_bytes(&info), (struct bytes){0},
                         bytes_of(pack_key, 32), &enc, &ct, err);
    if (code == 0) {
        buffer_append(out, id->b, 16);
        buffer_u32(out, epoch->number);
        buffer_u16(out, suite.kem);
        buffer_u16(out, suite.kdf);
        buffer_u16(out, suite.aead);
        buffer_lv(out, buffer_bytes(&enc));
        buffer_lv(out, buffer_bytes(&ct));
    }
    buffer_free(&info);
    buffer_free(&enc);
    buffer_free(&ct);
    return code;
}

static int meta_key(const struct secrets *secrets, uint32_t generation, const struct id16 *id,
                    uint8_t pack_key[32], struct error *err)
{
    const uint8_t *secret = secret_find(&secrets->bundle.metadata, generation);
    if (!secret) {
        error_set(err, ERROR_DENIED, "the metadata secret of generation %u is not known here", generation);
        return error_hint(err, "it was made after this key was removed, or before it was added");
    }
    derive(secret, bytes_of(id->b, sizeof id->b), "meta-slot", &secrets->repository, (struct bytes){0},
           pack_key, 32);
    return 0;
}

int slot_make(const struct secrets *secrets, enum blob_kind kind, const struct epoch *epoch,
              struct buffer *out, struct frame_sealer *sealer, struct error *err)
{
    struct id16 id;
    uint8_t pack_key[32], commit[SLOT_COMMIT_SIZE];
    int code;
    random_bytes(id.b, sizeof id.b);
    if (kind == BLOB_DATA) {
        code = make_data(secrets, epoch, &id, out, pack_key, err);
    } else {
        code = meta_key(secrets, secrets->metadata_generation, &id, pack_key, err);
        if (code == 0) {
            buffer_append(out, id.b, sizeof id.b);
            buffer_u32(out, secrets->metadata_generation);
        }
    }
    if (code == 0) {
        take_pack_key(secrets, kind, &id, pack_key, sealer, commit);
        buffer_append(out, commit, sizeof commit);
    }
    cleanse(pack_key, sizeof pack_key);
    return code;
}

struct slot_fields {
    struct id16 id;
    uint32_t number; /* epoch or generation */
    struct hpke_suite suite;
    struct bytes enc, ct, commit;
};

static bool read_slot(struct reader *r, enum blob_kind kind, struct slot_fields *s)
{
    reader_copy(r, s->id.b, sizeof s->id.b);
    s->number = reader_u32(r);
    if (kind == BLOB_DATA) {
        s->suite.kem = reader_u16(r);
        s->suite.kdf = reader_u16(r);
        s->suite.aead = reader_u16(r);
        s->enc = reader_lv(r, FIELD_MAX);
        s->ct = reader_lv(r, FIELD_MAX);
    }
    s->commit = reader_take(r, SLOT_COMMIT_SIZE);
    return !r->failed;
}

static int open_data(const struct secrets *secrets, const struct slot_fields *s, uint8_t pack_key[32],
                     struct error *err)
{
    const uint8_t *recovery = secret_find(&secrets->bundle.recovery, s->number);
    if (!recovery) {
        error_set(err, ERROR_DENIED, "reading file contents needs a person's key");
        return error_hint(
            err, "give a passphrase (--passphrase-file) or a person key (--person-key): a host key cannot "
                 "read what it has written");
    }
    struct buffer info = {0}, plain = {0};
    slot_info(secrets, s->number, &s->id, BLOB_DATA, &info);
    int code = hpke_open(s->suite, bytes_of(recovery, 32), s->enc, buffer_bytes(&info), (struct bytes){0},
                         s->ct, &plain, err);
    if (code == 0 && plain.size != 32)
        code = error_set(err, ERROR_INTEGRITY, "a pack key has the wrong size");
    if (code == 0)
        memcpy(pack_key, plain.data, 32);
    buffer_free(&info);
    buffer_free_secret(&plain);
    return code;
}

int slot_open(const struct secrets *secrets, enum blob_kind kind, struct bytes slot,
              struct frame_sealer *sealer, struct error *err)
{
    struct slot_fields s = {0};
    struct reader r = reader_of(slot);
    uint8_t pack_key[32] = {0}, commit[SLOT_COMMIT_SIZE];
    sealer->aead = NULL;
    if (!read_slot(&r, kind, &s) || !reader_finished(&r))
        return error_set(err, ERROR_INTEGRITY, "a slot is malformed");
    int code = kind == BLOB_DATA ? open_data(secrets, &s, pack_key, err)
                                 : meta_key(secrets, s.number, &s.id, pack_key, err);
    if (code == 0) {
        take_pack_key(secrets, kind, &s.id, pack_key, sealer, commit);
        if (!secret_equal(commit, s.commit.data, sizeof commit)) {
            frame_sealer_free(sealer);
            code = error_set(err, ERROR_INTEGRITY, "a slot's commitment does not fit its key");
        }
    }
    cleanse(pack_key, sizeof pack_key);
    return code;
}

int pack_split_slots(struct bytes area, enum blob_kind kind, uint32_t slot_count, struct arena *arena,
                     struct bytes **slots, struct error *err)
{
    struct reader r = reader_of(area);
    if (slot_count > area.size / SLOT_META_SIZE)
        return error_set(err, ERROR_INTEGRITY, "there is no room for so many slots");
    *slots = arena_alloc_array(arena, slot_count, sizeof **slots);
    for (uint32_t i = 0; i < slot_count; i++) {
        struct slot_fields fields;
        size_t start = r.at;
        if (!read_slot(&r, kind, &fields))
            return error_set(err, ERROR_INTEGRITY, "the slots are cut short");
        (*slots)[i] = bytes_of(area.data + start, r.at - start);
    }
    return reader_finished(&r) ? 0 : error_set(err, ERROR_INTEGRITY, "there are more bytes than slots");
}

/* ---- frames ---- */

#define FRAME_AAD_SIZE (4 + 2 + 16 + 1 + 16 + 8 + 1 + 4)

static void frame_aad(const struct frame_sealer *sealer, uint64_t counter, uint8_t codec, uint32_t raw_length,
                      uint8_t aad[FRAME_AAD_SIZE], uint8_t nonce[12])
{
    memcpy(aad, "HFFR", 4);
    bytes_store_u16(aad + 4, FORMAT_VERSION);
    memcpy(aad + 6, sealer->repository.b, 16);
    aad[22] = (uint8_t)sealer->kind;
    memcpy(aad + 23, sealer->id.b, 16);
    bytes_store_u64(aad + 39, counter);
    aad[47] = codec;
    bytes_store_u32(aad + 48, raw_length);
    memset(nonce, 0, 4);
    bytes_store_u64(nonce + 4, counter);
}

void frame_seal(struct frame_sealer *sealer, uint64_t counter, uint8_t codec, uint32_t raw_length,
                struct bytes payload, uint8_t *out)
{
    uint8_t aad[FRAME_AAD_SIZE], nonce[12];
    frame_aad(sealer, counter, codec, raw_length, aad, nonce);
    aead_seal(sealer->aead, nonce, bytes_of(aad, sizeof aad), payload, out);
}

int frame_open(struct frame_sealer *sealer, const struct frame_entry *frame, struct bytes stored,
               uint8_t *payload, struct error *err)
{
    uint8_t aad[FRAME_AAD_SIZE], nonce[12];
    frame_aad(sealer, frame->counter, frame->codec, frame->raw_length, aad, nonce);
    return aead_open(sealer->aead, nonce, bytes_of(aad, sizeof aad), stored, payload, err);
}
