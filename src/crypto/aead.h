/*
 * AES-256-GCM (NIST SP 800-38D) with a key scheduled once. For format, pack and keys. One object per thread.
 * Never twice the same nonce with one key: the callers' counters and fresh keys see to that.
 */
#ifndef CRYPTO_AEAD_H
#define CRYPTO_AEAD_H

#include "base/bytes.h"
#include "base/error.h"

#define AEAD_TAG_SIZE 16

struct aead;

struct aead *aead_new(const uint8_t key[32]);
void aead_free(struct aead *aead);
/* Writes plain.size + AEAD_TAG_SIZE bytes. Sizes up to INT_MAX each. */
void aead_seal(struct aead *aead, const uint8_t nonce[12], struct bytes aad, struct bytes plain,
               uint8_t *out);
/* Writes sealed.size - AEAD_TAG_SIZE bytes. INTEGRITY if key, nonce, aad or bytes are not those of the
 * sealing; out is overwritten then. */
int aead_open(struct aead *aead, const uint8_t nonce[12], struct bytes aad, struct bytes sealed, uint8_t *out,
              struct error *err);

#endif
