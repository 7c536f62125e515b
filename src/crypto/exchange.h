/*
 * X25519 key agreement (RFC 7748). For hpke and keys.
 */
#ifndef CRYPTO_EXCHANGE_H
#define CRYPTO_EXCHANGE_H

#include "base/bytes.h"
#include "base/error.h"

void exchange_keypair(uint8_t private_key[32], uint8_t public_key[32]);
void exchange_public_key(const uint8_t private_key[32], uint8_t public_key[32]);
/* INTEGRITY where the other side's key gives the zero point: such a secret would be known to anybody. */
int exchange_shared(const uint8_t private_key[32], const uint8_t public_key[32], uint8_t shared[32],
                    struct error *err);

#endif
