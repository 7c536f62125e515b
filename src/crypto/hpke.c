#include "crypto/hpke.h"

#include "crypto/aead.h"
#include "crypto/digest.h"
#include "crypto/exchange.h"
#include "crypto/random.h"

static int check_suite(struct hpke_suite suite, struct error *err)
{
    struct hpke_suite known = HPKE_SUITE_X25519;
    if (suite.kem == known.kem && suite.kdf == known.kdf && suite.aead == known.aead)
        return 0;
    error_set(err, ERROR_UNSUPPORTED, "HPKE suite %04x/%04x/%04x is not known", suite.kem, suite.kdf,
              suite.aead);
    return error_hint(err, "a newer version of holdfast wrote this: use that one");
}

static void suite_id(struct hpke_suite suite, bool kem_only, struct buffer *out)
{
    buffer_append_string(out, kem_only ? "KEM" : "HPKE");
    buffer_u16(out, suite.kem);
    if (!kem_only) {
        buffer_u16(out, suite.kdf);
        buffer_u16(out, suite.aead);
    }
}

/* LabeledExtract of section 4. */
static void labeled_extract(struct hpke_suite suite, bool kem_only, struct bytes salt, const char *label,
                            struct bytes ikm, uint8_t key[32])
{
    struct buffer labeled = {0};
    buffer_append_string(&labeled, "HPKE-v1");
    suite_id(suite, kem_only, &labeled);
    buffer_append_string(&labeled, label);
    buffer_append_bytes(&labeled, ikm);
    hkdf_extract(salt, buffer_bytes(&labeled), key);
    buffer_free_secret(&labeled);
}

/* LabeledExpand of section 4. */
static void labeled_expand(struct hpke_suite suite, bool kem_only, const uint8_t key[32], const char *label,
                           struct bytes info, uint8_t *out, size_t size)
{
    struct buffer labeled = {0};
    buffer_u16(&labeled, (uint16_t)size);
    buffer_append_string(&labeled, "HPKE-v1");
    suite_id(suite, kem_only, &labeled);
    buffer_append_string(&labeled, label);
    buffer_append_bytes(&labeled, info);
    hkdf_expand(key, buffer_bytes(&labeled), out, size);
    buffer_free(&labeled);
}

/* ExtractAndExpand of section 4.1 over enc | the recipient's public key. */
static void shared_secret(struct hpke_suite suite, const uint8_t dh[32], const uint8_t enc[32],
                          const uint8_t public_key[32], uint8_t out[32])
{
    uint8_t prk[32], context[64];
    memcpy(context, enc, 32);
    memcpy(context + 32, public_key, 32);
    labeled_extract(suite, true, (struct bytes){0}, "eae_prk", bytes_of(dh, 32), prk);
    labeled_expand(suite, true, prk, "shared_secret", bytes_of(context, sizeof context), out, 32);
    cleanse(prk, sizeof prk);
}

/* KeySchedule of section 5.1, mode base: key and base nonce of the first and only message. */
static struct aead *key_schedule(struct hpke_suite suite, const uint8_t shared[32], struct bytes info,
                                 uint8_t nonce[12])
{
    uint8_t context[1 + 32 + 32] = {0}, secret[32], key[32];
    labeled_extract(suite, false, (struct bytes){0}, "psk_id_hash", (struct bytes){0}, context + 1);
    labeled_extract(suite, false, (struct bytes){0}, "info_hash", info, context + 33);
    labeled_extract(suite, false, bytes_of(shared, 32), "secret", (struct bytes){0}, secret);
    labeled_expand(suite, false, secret, "key", bytes_of(context, sizeof context), key, sizeof key);
    labeled_expand(suite, false, secret, "base_nonce", bytes_of(context, sizeof context), nonce, 12);
    struct aead *aead = aead_new(key);
    cleanse(secret, sizeof secret);
    cleanse(key, sizeof key);
    return aead;
}

int hpke_seal_with(struct hpke_suite suite, const uint8_t ephemeral[32], struct bytes public_key,
                   struct bytes info, struct bytes aad, struct bytes plain, struct buffer *enc,
                   struct buffer *ct, struct error *err)
{
    uint8_t own[32], dh[32], shared[32], nonce[12];
    int code = check_suite(suite, err);
    if (code == 0 && public_key.size != 32)
        code = error_set(err, ERROR_INTEGRITY, "a public key has %zu bytes instead of 32", public_key.size);
    if (code == 0)
        code = exchange_shared(ephemeral, public_key.data, dh, err);
    if (code != 0)
        return code;
    exchange_public_key(ephemeral, own);
    shared_secret(suite, dh, own, public_key.data, shared);
    struct aead *aead = key_schedule(suite, shared, info, nonce);
    buffer_append(enc, own, sizeof own);
    aead_seal(aead, nonce, aad, plain, buffer_extend(ct, plain.size + AEAD_TAG_SIZE));
    aead_free(aead);
    cleanse(dh, sizeof dh);
    cleanse(shared, sizeof shared);
    return 0;
}

int hpke_seal(struct hpke_suite suite, struct bytes public_key, struct bytes info, struct bytes aad,
              struct bytes plain, struct buffer *enc, struct buffer *ct, struct error *err)
{
    uint8_t ephemeral[32];
    random_bytes(ephemeral, sizeof ephemeral);
    int code = hpke_seal_with(suite, ephemeral, public_key, info, aad, plain, enc, ct, err);
    cleanse(ephemeral, sizeof ephemeral);
    return code;
}

int hpke_open(struct hpke_suite suite, struct bytes private_key, struct bytes enc, struct bytes info,
              struct bytes aad, struct bytes ct, struct buffer *plain, struct error *err)
{
    uint8_t own[32], dh[32], shared[32], nonce[12];
    int code = check_suite(suite, err);
    if (code == 0 && (private_key.size != 32 || enc.size != 32 || ct.size < AEAD_TAG_SIZE))
        code = error_set(err, ERROR_INTEGRITY, "what was sealed to a public key is malformed");
    if (code == 0)
        code = exchange_shared(private_key.data, enc.data, dh, err);
    if (code != 0)
        return code;
    exchange_public_key(private_key.data, own);
    shared_secret(suite, dh, enc.data, own, shared);
    struct aead *aead = key_schedule(suite, shared, info, nonce);
    size_t start = plain->size;
    code = aead_open(aead, nonce, aad, ct, buffer_extend(plain, ct.size - AEAD_TAG_SIZE), err);
    if (code != 0)
        plain->size = start;
    aead_free(aead);
    cleanse(dh, sizeof dh);
    cleanse(shared, sizeof shared);
    return code;
}
