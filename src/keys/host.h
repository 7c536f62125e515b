/*
 * A host's key file: its identity, its two private keys, and the newest keyring it has seen. A small text
 * file (secret: 0600, written atomically by the caller). Used by repo and above.
 */
#ifndef KEYS_HOST_H
#define KEYS_HOST_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/id.h"
#include "keys/name.h"

/* The largest file accepted, in bytes. */
#define HOST_KEY_MAX 4096

/* The newest keyring that was seen: nothing older, and no other of that version, is accepted. */
struct keyring_pin {
    uint32_t version; /* 0: nothing seen */
    struct id sha256; /* of the keyring object */
};

/* Secret: host_key_cleanse when done. */
struct host_key {
    struct id16 host;
    char name[KEY_NAME_SIZE];
    struct id16 repository;
    uint8_t private_key[32];  /* X25519: opens the host's bundle */
    uint8_t signing_seed[32]; /* Ed25519: signs what the host writes */
    struct id root;           /* root fingerprint */
    struct keyring_pin pin;
};

void host_key_cleanse(struct host_key *key);

void host_key_write_text(const struct host_key *key, struct buffer *out);
/* Accepts what host_key_write_text writes, but for line ends as text_form.h takes them. USAGE, with the line,
 * for anything else. */
int host_key_parse_text(struct bytes text, struct host_key *key, struct error *err);

#endif
