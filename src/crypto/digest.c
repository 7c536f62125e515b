#include "crypto/digest.h"

#include "base/memory.h"
#include "crypto/evp.h"
#include "crypto/random.h"

#include <stdlib.h>

struct sha256 {
    EVP_MD_CTX *context;
};

static EVP_MD_CTX *new_context(void)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    evp_must(context && EVP_DigestInit_ex2(context, evp_sha256(), NULL), "SHA-256");
    return context;
}

struct sha256 *sha256_new(void)
{
    struct sha256 *state = memory_new(struct sha256);
    state->context = new_context();
    return state;
}

void sha256_free(struct sha256 *state)
{
    if (!state)
        return;
    EVP_MD_CTX_free(state->context);
    free(state);
}

void sha256_update(struct sha256 *state, struct bytes data)
{
    evp_must(EVP_DigestUpdate(state->context, data.data, data.size), "SHA-256");
}

void sha256_so_far(const struct sha256 *state, struct id *out)
{
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    evp_must(copy && EVP_MD_CTX_copy_ex(copy, state->context) && EVP_DigestFinal_ex(copy, out->b, NULL),
             "SHA-256");
    EVP_MD_CTX_free(copy);
}

void sha256_final(struct sha256 *state, struct id *out)
{
    evp_must(EVP_DigestFinal_ex(state->context, out->b, NULL), "SHA-256");
    evp_must(EVP_DigestInit_ex2(state->context, NULL, NULL), "SHA-256");
}

void sha256(struct bytes data, struct id *out)
{
    evp_must(EVP_Digest(data.data, data.size, out->b, NULL, evp_sha256(), NULL), "SHA-256");
}

void md5(struct bytes data, uint8_t out[16])
{
    evp_must(evp_md5() && EVP_Digest(data.data, data.size, out, NULL, evp_md5(), NULL), "MD5");
}

#define BLOCK_SIZE 64

struct hmac {
    EVP_MD_CTX *inner, *outer; /* after the padded key */
    EVP_MD_CTX *running;
};

static EVP_MD_CTX *keyed_context(const uint8_t key[BLOCK_SIZE], uint8_t pad)
{
    uint8_t block[BLOCK_SIZE];
    for (size_t i = 0; i < BLOCK_SIZE; i++)
        block[i] = key[i] ^ pad;
    EVP_MD_CTX *context = new_context();
    evp_must(EVP_DigestUpdate(context, block, sizeof block), "HMAC");
    cleanse(block, sizeof block);
    return context;
}

struct hmac *hmac_new(struct bytes key)
{
    struct hmac *hmac = memory_new(struct hmac);
    uint8_t block[BLOCK_SIZE] = {0};
    if (key.size > BLOCK_SIZE) {
        struct id hashed;
        sha256(key, &hashed);
        memcpy(block, hashed.b, sizeof hashed.b);
        cleanse(&hashed, sizeof hashed);
    } else if (key.size) {
        memcpy(block, key.data, key.size);
    }
    hmac->inner = keyed_context(block, 0x36);
    hmac->outer = keyed_context(block, 0x5c);
    hmac->running = EVP_MD_CTX_new();
    evp_must(hmac->running != NULL, "HMAC");
    cleanse(block, sizeof block);
    hmac_begin(hmac);
    return hmac;
}

void hmac_free(struct hmac *hmac)
{
    if (!hmac)
        return;
    EVP_MD_CTX_free(hmac->inner);
    EVP_MD_CTX_free(hmac->outer);
    EVP_MD_CTX_free(hmac->running);
    free(hmac);
}

void hmac_begin(struct hmac *hmac)
{
    evp_must(EVP_MD_CTX_copy_ex(hmac->running, hmac->inner), "HMAC");
}

void hmac_update(struct hmac *hmac, struct bytes data)
{
    evp_must(EVP_DigestUpdate(hmac->running, data.data, data.size), "HMAC");
}

void hmac_final(struct hmac *hmac, struct id *out)
{
    struct id inner;
    evp_must(EVP_DigestFinal_ex(hmac->running, inner.b, NULL), "HMAC");
    evp_must(EVP_MD_CTX_copy_ex(hmac->running, hmac->outer), "HMAC");
    evp_must(EVP_DigestUpdate(hmac->running, inner.b, sizeof inner.b), "HMAC");
    evp_must(EVP_DigestFinal_ex(hmac->running, out->b, NULL), "HMAC");
}

void hmac_sha256(struct bytes key, struct bytes data, struct id *out)
{
    struct hmac *hmac = hmac_new(key);
    hmac_update(hmac, data);
    hmac_final(hmac, out);
    hmac_free(hmac);
}

void hkdf_extract(struct bytes salt, struct bytes ikm, uint8_t key[32])
{
    static const uint8_t zeros[32];
    struct id out;
    hmac_sha256(salt.size ? salt : bytes_of(zeros, sizeof zeros), ikm, &out);
    memcpy(key, out.b, 32);
    cleanse(&out, sizeof out);
}

void hkdf_expand(const uint8_t key[32], struct bytes info, uint8_t *out, size_t size)
{
    evp_must(size <= 255 * sizeof(struct id), "HKDF: too many bytes asked for");
    struct hmac *hmac = hmac_new(bytes_of(key, 32));
    struct id block;
    uint8_t counter = 0;
    for (size_t done = 0; done < size;) {
        hmac_begin(hmac);
        if (counter++)
            hmac_update(hmac, bytes_of(block.b, sizeof block.b));
        hmac_update(hmac, info);
        hmac_update(hmac, bytes_of(&counter, 1));
        hmac_final(hmac, &block);
        size_t n = size - done < sizeof block.b ? size - done : sizeof block.b;
        memcpy(out + done, block.b, n);
        done += n;
    }
    cleanse(&block, sizeof block);
    hmac_free(hmac);
}

void hkdf_sha256(struct bytes ikm, struct bytes salt, struct bytes info, uint8_t *out, size_t size)
{
    uint8_t key[32];
    hkdf_extract(salt, ikm, key);
    hkdf_expand(key, info, out, size);
    cleanse(key, sizeof key);
}
