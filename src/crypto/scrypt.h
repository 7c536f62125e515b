/*
 * scrypt (RFC 7914): a key from a passphrase. For keys.
 */
#ifndef CRYPTO_SCRYPT_H
#define CRYPTO_SCRYPT_H

#include "base/bytes.h"
#include "base/error.h"

/* N = 2^log2n. UNSUPPORTED, before anything is allocated, unless 15 <= log2n <= 20, 1 <= r <= 16, 1 <= p <= 4
 * and it needs at most 256 MiB. */
int scrypt_derive(struct bytes passphrase, struct bytes salt, unsigned log2n, uint32_t r, uint32_t p,
                  uint8_t out[32], struct error *err);

#endif
