/*
 * SHA-256 (FIPS 180-4), HMAC-SHA256 (RFC 2104) and HKDF-SHA256 (RFC 5869), over OpenSSL's EVP. Used by
 * everyone. Objects are for one thread each; the functions may be called from any.
 */
#ifndef CRYPTO_DIGEST_H
#define CRYPTO_DIGEST_H

#include "base/bytes.h"
#include "base/id.h"

void sha256(struct bytes data, struct id *out);

/* For headers that demand it (Content-MD5), never for security. */
void md5(struct bytes data, uint8_t out[16]);

struct sha256;
struct sha256 *sha256_new(void);
void sha256_free(struct sha256 *state);
void sha256_update(struct sha256 *state, struct bytes data);
/* The digest of what came so far; more may follow. */
void sha256_so_far(const struct sha256 *state, struct id *out);
/* Gives the digest and begins anew. */
void sha256_final(struct sha256 *state, struct id *out);

/* A key made ready once, for many messages: the states after the padded key are kept and copied, which costs
 * less than a new key schedule each time. */
struct hmac;
struct hmac *hmac_new(struct bytes key);
void hmac_free(struct hmac *hmac);
void hmac_begin(struct hmac *hmac);
void hmac_update(struct hmac *hmac, struct bytes data);
void hmac_final(struct hmac *hmac, struct id *out);

void hmac_sha256(struct bytes key, struct bytes data, struct id *out);

/* size at most 255 * 32 bytes. An empty salt is 32 zero bytes. */
void hkdf_sha256(struct bytes ikm, struct bytes salt, struct bytes info, uint8_t *out, size_t size);
/* The two halves of HKDF, for constructions that name them (HPKE). */
void hkdf_extract(struct bytes salt, struct bytes ikm, uint8_t key[32]);
void hkdf_expand(const uint8_t key[32], struct bytes info, uint8_t *out, size_t size);

#endif
