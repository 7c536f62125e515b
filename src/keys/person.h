/*
 * A person's key: what opens that person's bundle in the keyring. Kept sealed by a passphrase as an object
 * of the repository, or as a small text file (secret: 0600) that the person keeps. Used by repo and above.
 */
#ifndef KEYS_PERSON_H
#define KEYS_PERSON_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/id.h"

/* The largest sealed or text form accepted, in bytes. */
#define PERSON_KEY_MAX 4096

/* Secret: person_key_cleanse when done. */
struct person_key {
    struct id16 person;
    struct id16 repository;
    uint8_t private_key[32]; /* X25519 */
    struct id root;          /* root fingerprint: keyrings are trusted only if their chain begins there */
};

void person_key_cleanse(struct person_key *key);

/* What a sealed person key shows without its passphrase. Not to be trusted before it is opened. */
struct person_key_header {
    struct id16 person;
    struct id16 repository;
    uint8_t public_key[32];
    uint8_t log2n, r, p; /* scrypt */
    uint8_t salt[32];
};

/* Appends PERSON of holdfast-format(5): sealed with scrypt N = 2^17, r = 8, p = 1 (128 MiB, about half a
 * second) and a new salt. USAGE if the passphrase is empty. */
int person_key_seal(const struct person_key *key, struct bytes passphrase, struct buffer *out,
                    struct error *err);
/* INTEGRITY if it is not a well-formed person key, UNSUPPORTED for another version or scrypt parameters out
 * of bounds (checked before scrypt allocates), DENIED (with a hint) if the passphrase does not open it. */
int person_key_open(struct bytes sealed, struct bytes passphrase, struct person_key *key, struct error *err);
/* The header alone; errors as person_key_open. */
int person_key_read_header(struct bytes sealed, struct person_key_header *header, struct error *err);

/* For vectors and quick tests: person_key_seal with scrypt's cost (15 to 17) and the salt given. */
int person_key_seal_with(const struct person_key *key, struct bytes passphrase, uint8_t log2n,
                         const uint8_t salt[32], struct buffer *out, struct error *err);

/* The text form, unencrypted. */
void person_key_write_text(const struct person_key *key, struct buffer *out);
/* Accepts what person_key_write_text writes, but for line ends as text_form.h takes them. USAGE, with the
 * line, for anything else. */
int person_key_parse_text(struct bytes text, struct person_key *key, struct error *err);

#endif
