/*
 * HPKE (RFC 9180), base mode, one message: sealing to a public key. For pack slots and the bundles of the
 * keyring.
 */
#ifndef CRYPTO_HPKE_H
#define CRYPTO_HPKE_H

#include "base/bytes.h"
#include "base/error.h"

/* Identifiers of RFC 9180 section 7. */
struct hpke_suite {
    uint16_t kem, kdf, aead;
};

/* DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. */
#define HPKE_SUITE_X25519 ((struct hpke_suite){0x0020, 0x0001, 0x0002})

/* Appends the encapsulated key to enc and the ciphertext to ct. UNSUPPORTED for any other suite; INTEGRITY
 * for a bad public key. */
int hpke_seal(struct hpke_suite suite, struct bytes public_key, struct bytes info, struct bytes aad,
              struct bytes plain, struct buffer *enc, struct buffer *ct, struct error *err);
/* Appends the plaintext. INTEGRITY if it does not open. */
int hpke_open(struct hpke_suite suite, struct bytes private_key, struct bytes enc, struct bytes info,
              struct bytes aad, struct bytes ct, struct buffer *plain, struct error *err);
/* For vectors: hpke_seal with the ephemeral private key given. */
int hpke_seal_with(struct hpke_suite suite, const uint8_t ephemeral[32], struct bytes public_key,
                   struct bytes info, struct bytes aad, struct bytes plain, struct buffer *enc,
                   struct buffer *ct, struct error *err);

#endif
