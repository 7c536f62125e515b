#include "crypto/aead.h"

#include "base/memory.h"
#include "crypto/evp.h"
#include "crypto/random.h"

#include <limits.h>
#include <stdlib.h>

struct aead {
    EVP_CIPHER_CTX *seal,
        *open; /* each made when first used: turning one round would schedule the key again */
    uint8_t key[32];
};

struct aead *aead_new(const uint8_t key[32])
{
    struct aead *aead = memory_new(struct aead);
    __builtin_memcpy(aead->key, key, sizeof aead->key);
    return aead;
}

void aead_free(struct aead *aead)
{
    if (!aead)
        return;
    EVP_CIPHER_CTX_free(aead->seal);
    EVP_CIPHER_CTX_free(aead->open);
    cleanse(aead->key, sizeof aead->key);
    free(aead);
}

static EVP_CIPHER_CTX *ready(EVP_CIPHER_CTX **context, const uint8_t key[32], int sealing)
{
    if (!*context) {
        *context = EVP_CIPHER_CTX_new();
        evp_must(*context && EVP_CipherInit_ex2(*context, evp_aes256_gcm(), key, NULL, sealing, NULL),
                 "AES-256-GCM");
    }
    return *context;
}

/* One call for each half; some builds refuse an empty input with a NULL pointer. */
static int run(EVP_CIPHER_CTX *c, const uint8_t nonce[12], struct bytes aad, struct bytes in, uint8_t *out,
               int sealing)
{
    int n;
    evp_must(aad.size <= INT_MAX && in.size <= INT_MAX, "AES-256-GCM: too many bytes at once");
    return EVP_CipherInit_ex2(c, NULL, NULL, nonce, sealing, NULL) &&
           (aad.size == 0 || EVP_CipherUpdate(c, NULL, &n, aad.data, (int)aad.size)) &&
           (in.size == 0 || EVP_CipherUpdate(c, out, &n, in.data, (int)in.size));
}

void aead_seal(struct aead *aead, const uint8_t nonce[12], struct bytes aad, struct bytes plain, uint8_t *out)
{
    EVP_CIPHER_CTX *c = ready(&aead->seal, aead->key, 1);
    int n;
    evp_must(run(c, nonce, aad, plain, out, 1) && EVP_CipherFinal_ex(c, out + plain.size, &n) &&
                 EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_SIZE, out + plain.size),
             "AES-256-GCM");
}

int aead_open(struct aead *aead, const uint8_t nonce[12], struct bytes aad, struct bytes sealed, uint8_t *out,
              struct error *err)
{
    if (sealed.size < AEAD_TAG_SIZE)
        return error_set(err, ERROR_INTEGRITY, "sealed data is too short");
    struct bytes body = bytes_of(sealed.data, sealed.size - AEAD_TAG_SIZE);
    EVP_CIPHER_CTX *c = ready(&aead->open, aead->key, 0);
    uint8_t tag[AEAD_TAG_SIZE], rest[16];
    int n;
    __builtin_memcpy(tag, sealed.data + body.size, sizeof tag);
    if (run(c, nonce, aad, body, out, 0) &&
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_SIZE, tag) && EVP_CipherFinal_ex(c, rest, &n))
        return 0;
    if (body.size)
        cleanse(out, body.size);
    return error_set(err, ERROR_INTEGRITY,
                     "sealed data does not open: it is damaged, or was sealed with another key");
}
