/* Key derivation, SEALED objects, SIGNED bodies. */
#include "format/seal.h"

#include "crypto/aead.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "crypto/sign.h"

#include <string.h>

#define PREFIX "holdfast/1 "

static void put_label(struct buffer *out, const char *label)
{
    buffer_append_string(out, PREFIX);
    buffer_append_string(out, label);
    buffer_u8(out, 0);
}

void secrets_free(struct secrets *secrets)
{
    if (secrets)
        cleanse(secrets, sizeof *secrets);
}

const uint8_t *secret_find(const struct secret_list *list, uint32_t number)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->list[i].number == number)
            return list->list[i].secret;
    }
    return NULL;
}

void derive(const uint8_t secret[32], struct bytes salt, const char *label, const struct id16 *repository,
            struct bytes context, uint8_t *out, size_t size)
{
    struct buffer info = {0};
    put_label(&info, label);
    buffer_append(&info, repository->b, sizeof repository->b);
    buffer_append_bytes(&info, context);
    hkdf_sha256(bytes_of(secret, 32), salt, buffer_bytes(&info), out, size);
    buffer_free(&info);
}

static void derive_numbered(const struct secrets *secrets, uint32_t generation, const char *label,
                            uint8_t *out, size_t size)
{
    uint8_t number[4];
    const uint8_t *secret = secret_find(&secrets->bundle.ids, generation);
    bytes_store_u32(number, generation);
    if (secret)
        derive(secret, (struct bytes){0}, label, &secrets->repository, bytes_of(number, sizeof number), out,
               size);
    else
        random_bytes(out, size); /* unlocking sees to it that the current one is there: never a known key */
}

void derive_blob_id_key(const struct secrets *secrets, uint32_t generation, uint8_t key[32])
{
    derive_numbered(secrets, generation, "blob-id", key, 32);
}

void derive_gear_table(const struct secrets *secrets, uint32_t generation, uint8_t table[2048])
{
    derive_numbered(secrets, generation, "chunker", table, 2048);
}

void derive_customer_key(const struct secrets *secrets, uint32_t generation, const char *target,
                         uint8_t key[32])
{
    const uint8_t *secret = secret_find(&secrets->bundle.ids, generation);
    struct buffer context = {0};
    buffer_u32(&context, generation);
    buffer_lv(&context, bytes_of_string(target));
    if (secret)
        derive(secret, (struct bytes){0}, "sse-c", &secrets->repository, buffer_bytes(&context), key, 32);
    else
        random_bytes(key, 32);
    buffer_free(&context);
}

/* ---- SEALED ---- */

static void put_header(struct buffer *out, enum object_type type, uint32_t generation,
                       const struct id16 *repository, const struct id *salt)
{
    buffer_append(out, "HFST", 4);
    buffer_u16(out, FORMAT_VERSION);
    buffer_u8(out, (uint8_t)type);
    buffer_u8(out, 0);
    buffer_u32(out, generation);
    buffer_append(out, repository->b, sizeof repository->b);
    buffer_append(out, salt->b, sizeof salt->b);
}

/* Hedged: two machines whose random numbers repeat still get different salts for different plaintexts. */
static void make_salt(const struct secrets *secrets, const uint8_t secret[32], enum object_type type,
                      const struct id *bound_to, struct bytes plain, const uint8_t random[32],
                      struct id *salt)
{
    struct buffer input = {0};
    struct id digest;
    uint8_t key[32];
    sha256(plain, &digest);
    buffer_u8(&input, (uint8_t)type);
    buffer_append(&input, random, 32);
    buffer_append(&input, digest.b, sizeof digest.b);
    if (bound_to)
        buffer_append(&input, bound_to->b, sizeof bound_to->b);
    derive(secret, (struct bytes){0}, "salt", &secrets->repository, (struct bytes){0}, key, sizeof key);
    hmac_sha256(bytes_of(key, sizeof key), buffer_bytes(&input), salt);
    cleanse(key, sizeof key);
    buffer_free(&input);
}

static struct aead *object_aead(const struct secrets *secrets, const uint8_t secret[32],
                                enum object_type type, struct bytes salt)
{
    uint8_t key[32], type_byte = (uint8_t)type;
    derive(secret, salt, "object", &secrets->repository, bytes_of(&type_byte, 1), key, sizeof key);
    struct aead *aead = aead_new(key);
    cleanse(key, sizeof key);
    return aead;
}

static const uint8_t zero_nonce[12];

int seal_object_with(const struct secrets *secrets, enum object_type type, const struct id *bound_to,
                     struct bytes plain, const uint8_t random[32], struct buffer *out, struct error *err)
{
    const uint8_t *secret = secret_find(&secrets->bundle.metadata, secrets->metadata_generation);
    if (!secret)
        return error_set(err, ERROR_DENIED, "the metadata secret of generation %u is not known here",
                         secrets->metadata_generation);
    struct id salt;
    struct buffer aad = {0};
    make_salt(secrets, secret, type, bound_to, plain, random, &salt);
    put_header(&aad, type, secrets->metadata_generation, &secrets->repository, &salt);
    buffer_append_bytes(out, buffer_bytes(&aad));
    if (bound_to)
        buffer_append(&aad, bound_to->b, sizeof bound_to->b);
    struct aead *aead = object_aead(secrets, secret, type, bytes_of(salt.b, sizeof salt.b));
    aead_seal(aead, zero_nonce, buffer_bytes(&aad), plain, buffer_extend(out, plain.size + AEAD_TAG_SIZE));
    aead_free(aead);
    buffer_free(&aad);
    return 0;
}

int seal_object(const struct secrets *secrets, enum object_type type, const struct id *bound_to,
                struct bytes plain, struct buffer *out, struct error *err)
{
    uint8_t random[32];
    random_bytes(random, sizeof random);
    return seal_object_with(secrets, type, bound_to, plain, random, out, err);
}

static int check_header(const struct secrets *secrets, enum object_type type, struct bytes sealed,
                        uint32_t *generation, struct bytes *salt, struct error *err)
{
    struct reader r = reader_of(sealed);
    struct id16 repository;
    struct bytes magic = reader_take(&r, 4);
    uint16_t version = reader_u16(&r);
    uint8_t own_type = reader_u8(&r), zero = reader_u8(&r);
    *generation = reader_u32(&r);
    reader_copy(&r, repository.b, sizeof repository.b);
    *salt = reader_take(&r, 32);
    if (r.failed || sealed.size < SEALED_OVERHEAD || memcmp(magic.data, "HFST", 4) != 0)
        return error_set(err, ERROR_INTEGRITY, "it is not a sealed object");
    if (version > FORMAT_VERSION) {
        error_set(err, ERROR_UNSUPPORTED, "it has format version %u, this holdfast knows %u", version,
                  FORMAT_VERSION);
        return error_hint(err, "use a newer version of holdfast");
    }
    if (version != FORMAT_VERSION || zero != 0)
        return error_set(err, ERROR_INTEGRITY, "its header is damaged");
    if (own_type != type)
        return error_set(err, ERROR_INTEGRITY, "it is an object of type %u where one of type %u belongs",
                         own_type, (unsigned)type);
    if (!id16_equal(&repository, &secrets->repository))
        return error_set(err, ERROR_INTEGRITY, "it belongs to another repository");
    return 0;
}

int unseal_object(const struct secrets *secrets, enum object_type type, const struct id *bound_to,
                  struct bytes sealed, struct buffer *out, struct error *err)
{
    uint32_t generation;
    struct bytes salt;
    int code = check_header(secrets, type, sealed, &generation, &salt, err);
    if (code != 0)
        return code;
    const uint8_t *secret = secret_find(&secrets->bundle.metadata, generation);
    if (!secret) {
        error_set(err, ERROR_DENIED, "the metadata secret of generation %u is not known here", generation);
        return error_hint(err, "it was made after this key was removed, or before it was added");
    }
    struct buffer aad = {0};
    buffer_append(&aad, sealed.data, SEALED_HEADER_SIZE);
    if (bound_to)
        buffer_append(&aad, bound_to->b, sizeof bound_to->b);
    struct aead *aead = object_aead(secrets, secret, type, salt);
    struct bytes body = bytes_of(sealed.data + SEALED_HEADER_SIZE, sealed.size - SEALED_HEADER_SIZE);
    size_t start = out->size;
    code = aead_open(aead, zero_nonce, buffer_bytes(&aad), body,
                     buffer_extend(out, body.size - AEAD_TAG_SIZE), err);
    if (code != 0)
        out->size = start;
    aead_free(aead);
    buffer_free(&aad);
    return code;
}

/* ---- SIGNED ---- */

static void signed_bytes(const struct id16 *repository, enum object_type type, const struct id16 *signer,
                         struct bytes body, struct buffer *out)
{
    put_label(out, "sig");
    buffer_u8(out, (uint8_t)type);
    buffer_append(out, repository->b, sizeof repository->b);
    buffer_append(out, signer->b, sizeof signer->b);
    buffer_lv(out, body);
}

void sign_body(const struct id16 *repository, enum object_type type, const struct id16 *signer,
               const uint8_t seed[32], struct bytes body, struct signature *out)
{
    struct buffer message = {0};
    signed_bytes(repository, type, signer, body, &message);
    out->signer = *signer;
    sign_message(seed, buffer_bytes(&message), out->signature);
    buffer_free(&message);
}

bool verify_body(const struct id16 *repository, enum object_type type, const struct signature *signature,
                 const uint8_t public_key[32], struct bytes body)
{
    struct buffer message = {0};
    signed_bytes(repository, type, &signature->signer, body, &message);
    bool good = sign_verify(public_key, buffer_bytes(&message), signature->signature);
    buffer_free(&message);
    return good;
}

void admin_signer(const uint8_t admin_key[32], struct id16 *out)
{
    struct id digest;
    sha256(bytes_of(admin_key, 32), &digest);
    memcpy(out->b, digest.b, sizeof out->b);
}

void root_fingerprint(const struct id16 *repository, const uint8_t admin_key[32], struct id *out)
{
    struct buffer message = {0};
    put_label(&message, "root");
    buffer_append(&message, repository->b, sizeof repository->b);
    buffer_lv(&message, bytes_of(admin_key, 32));
    sha256(buffer_bytes(&message), out);
    buffer_free(&message);
}
