/*
 * Ed25519 signatures (RFC 8032) from 32-byte seeds. For format and keys.
 */
#ifndef CRYPTO_SIGN_H
#define CRYPTO_SIGN_H

#include "base/bytes.h"

void sign_public_key(const uint8_t seed[32], uint8_t public_key[32]);
void sign_message(const uint8_t seed[32], struct bytes message, uint8_t signature[64]);
bool sign_verify(const uint8_t public_key[32], struct bytes message, const uint8_t signature[64]);

#endif
