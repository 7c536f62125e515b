/*
 * The keyring: who belongs to a repository and what each may know (DESIGN section 3). Creates, signs and
 * changes keyrings, walks their chain from the root fingerprint, and unlocks bundles. Pure: objects come in
 * and go out as bytes; repo reads and writes them.
 */
#ifndef KEYS_KEYRING_H
#define KEYS_KEYRING_H

#include "format/messages.h"
#include "format/seal.h"
#include "keys/host.h"
#include "keys/person.h"

/* ---- the chain ---- */

/* One object found under keys/, from any target, in any order, more than once if need be. */
struct keyring_candidate {
    uint32_t version;    /* from its name */
    struct bytes object; /* must live as long as the call */
};

/* The newest keyring of a verified chain. Freed with keyring_chain_free. */
struct keyring_chain {
    struct arena arena;     /* holds the keyring */
    struct keyring keyring; /* the newest */
    struct id sha256;       /* of its object */
    struct id root;         /* root fingerprint the chain begins with */
    struct id_list members; /* the objects of all its versions; in the arena */
    size_t ignored;         /* candidates that are not part of it: planted or damaged */
    struct error warning;   /* says which the first of them was, and why */
};

/* Walks from version 1, whose admin key must give the root fingerprint, to the newest: each next one names
 * the object before as its previous, is of the same repository, and is signed by the admin key before (and
 * by its own, if that changed). Candidates that nobody entitled signed are counted in `ignored`, not obeyed.
 * pin: the newest that was seen before, or NULL.
 * NOT_FOUND if there are no candidates; INTEGRITY, with the object's name, for: no version 1 of this root,
 * a chain that ends before the pin (rollback), another object at the pin's version or two signed ones of the
 * same version (fork), and a signed one behind a version that is missing. */
int keyring_chain_verify(const struct keyring_candidate *candidates, size_t count,
                         const struct id16 *repository, const struct id *root, const struct keyring_pin *pin,
                         struct keyring_chain *chain, struct error *err);
void keyring_chain_free(struct keyring_chain *chain);
/* True if the object is one of the chain's keyrings. */
bool keyring_chain_has(const struct keyring_chain *chain, const struct id *sha256);

/* ---- unlocking ---- */

/* Opens a host's or person's bundle into secrets (freed by the caller with secrets_free; empty on failure).
 * DENIED, with a hint, if the keyring does not list them, the host was removed, or the key is another one.
 * INTEGRITY if the bundle holds what the role must not have or lacks what it needs; a person's recovery keys
 * are checked against the public keys of all epochs. */
int keyring_unlock_host(const struct keyring *keyring, const struct host_key *key, struct secrets *secrets,
                        struct error *err);
int keyring_unlock_person(const struct keyring *keyring, const struct person_key *key,
                          struct secrets *secrets, struct error *err);

/* ---- making and changing ----
 * Each appends one new keyring object (Signed, to be stored under object_name_keyring) to out. `now` is in
 * Unix seconds. On failure nothing is appended and the keys are zero. Names: USAGE if they are malformed,
 * EXISTS if taken. The changes need the secrets of a person with the role admin (else DENIED). */

/* Version 1: one admin, one host with the role prune, the first epoch, metadata and id secret 1. Fills both
 * keys; the host's pin is this keyring. dedup_group may be "". */
int keyring_create(const struct id16 *repository, const struct id *config_sha256, const char *person_name,
                   const char *host_name, const char *dedup_group, int64_t now, struct buffer *out,
                   struct person_key *person, struct host_key *host, struct error *err);

int keyring_add_host(const struct keyring_chain *chain, const struct secrets *admin, const char *name,
                     enum role role, const char *dedup_group, int64_t now, struct buffer *out,
                     struct host_key *host, struct error *err);
int keyring_add_person(const struct keyring_chain *chain, const struct secrets *admin, const char *name,
                       enum role role, int64_t now, struct buffer *out, struct person_key *person,
                       struct error *err);

/* Removal starts a new epoch and a new metadata generation, wrapped only to those who stay. The host's entry
 * stays, marked, with the last manifest of it that counts (sequence 0: none). NOT_FOUND if there is none. */
int keyring_remove_host(const struct keyring_chain *chain, const struct secrets *admin,
                        const struct id16 *host, uint64_t last_sequence, const struct id *last_manifest,
                        int64_t now, struct buffer *out, struct error *err);
/* Removing an admin also changes the admin key. USAGE for the last admin. */
int keyring_remove_person(const struct keyring_chain *chain, const struct secrets *admin,
                          const struct id16 *person, int64_t now, struct buffer *out, struct error *err);

/* Appends the Signed object of a keyring. previous_seed: of the admin key of the version before, if this one
 * changes it, else NULL. */
void keyring_sign(const struct keyring *keyring, const uint8_t admin_seed[32],
                  const uint8_t previous_seed[32], struct buffer *out);

/* ---- look-ups ---- */

/* NULL if it is not listed. Removed hosts are found: what they signed before may still count. */
const struct host *keyring_find_host(const struct keyring *keyring, const struct id16 *host);
/* By name; hosts that were removed only if no other has the name. */
const struct host *keyring_find_host_by_name(const struct keyring *keyring, const char *name);
const struct person *keyring_find_person(const struct keyring *keyring, const struct id16 *person);
/* True for a host with the role prune that was not removed. */
bool keyring_host_may_prune(const struct keyring *keyring, const struct id16 *host);
/* True if a and b are the same host or both have the same non-empty dedup group. */
bool keyring_same_dedup_group(const struct keyring *keyring, const struct id16 *a, const struct id16 *b);
/* The epoch to seal packs to. */
const struct epoch *keyring_newest_epoch(const struct keyring *keyring);

#endif
