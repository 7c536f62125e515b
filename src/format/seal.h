/*
 * The cryptographic containers of the format: key derivation D(), SEALED objects and SIGNED bodies
 * (DESIGN section 4, holdfast-format(5)). Used by pack, keys and repo. Nothing here touches storage.
 */
#ifndef FORMAT_SEAL_H
#define FORMAT_SEAL_H

#include "format/messages.h"

/* What this process may know of a repository. One per open repository; freed with secrets_free, which
 * cleanses it. Secrets that are absent have count 0. */
struct secrets {
    struct id16 repository;
    uint32_t metadata_generation, id_generation; /* the ones to write with */
    struct bundle bundle;
};

void secrets_free(struct secrets *secrets);
/* The secret of a number, or NULL. */
const uint8_t *secret_find(const struct secret_list *list, uint32_t number);

/* D(K, salt, label, context): HKDF-SHA256 with info = "holdfast/1 " label 00 | R | context. `size` bytes. */
void derive(const uint8_t secret[32], struct bytes salt, const char *label, const struct id16 *repository,
            struct bytes context, uint8_t *out, size_t size);

/* The key of the HMAC that gives blob ids, of the id generation to write with. */
void derive_blob_id_key(const struct secrets *secrets, uint32_t generation, uint8_t key[32]);
/* The chunker's table, 2048 bytes. */
void derive_gear_table(const struct secrets *secrets, uint32_t generation, uint8_t table[2048]);
/* The key that a store is given to encrypt under (SSE-C); target: "BUCKET/PREFIX". */
void derive_customer_key(const struct secrets *secrets, uint32_t generation, const char *target,
                         uint8_t key[32]);

#define SEALED_HEADER_SIZE 60
#define SEALED_OVERHEAD (SEALED_HEADER_SIZE + 16)

/* Appends the sealed form of plain to out. `bound_to` is NULL but for tables of contents: there the hash of
 * all pack bytes before. Uses the current metadata generation. */
int seal_object(const struct secrets *secrets, enum object_type type, const struct id *bound_to,
                struct bytes plain, struct buffer *out, struct error *err);
/* Opens a sealed object; INTEGRITY if it is damaged, of another type or another repository; UNSUPPORTED for
 * a newer version; DENIED if the generation's secret is not known. Appends the plaintext to out. */
int unseal_object(const struct secrets *secrets, enum object_type type, const struct id *bound_to,
                  struct bytes sealed, struct buffer *out, struct error *err);
/* For vectors: seal_object with the 32 "random" bytes given. */
int seal_object_with(const struct secrets *secrets, enum object_type type, const struct id *bound_to,
                     struct bytes plain, const uint8_t random[32], struct buffer *out, struct error *err);

/* Ed25519 over P("sig") | u8 type | R | signer | LV(body). */
void sign_body(const struct id16 *repository, enum object_type type, const struct id16 *signer,
               const uint8_t seed[32], struct bytes body, struct signature *out);
bool verify_body(const struct id16 *repository, enum object_type type, const struct signature *signature,
                 const uint8_t public_key[32], struct bytes body);
/* The signer id of an admin key: the first 16 bytes of its SHA-256. */
void admin_signer(const uint8_t admin_key[32], struct id16 *out);

/* SHA-256 of P("root") | R | LV(first admin key). */
void root_fingerprint(const struct id16 *repository, const uint8_t admin_key[32], struct id *out);

/* Objects' names. */
#define OBJECT_NAME_MAX 128
void object_name_pack(const struct id *sha256, char name[OBJECT_NAME_MAX]);
void object_name_index(const struct id *sha256, char name[OBJECT_NAME_MAX]);
/* prefix is "snapshots", "runs", "events" or "leases"; time in Unix seconds. */
void object_name_timed(const char *prefix, int64_t time, const struct id *sha256, char name[OBJECT_NAME_MAX]);
void object_name_keyring(uint32_t version, const struct id *sha256, char name[OBJECT_NAME_MAX]);
void object_name_person(const struct id16 *person, const struct id *sha256, char name[OBJECT_NAME_MAX]);

enum object_folder {
    FOLDER_CONFIG,
    FOLDER_KEYRING,
    FOLDER_PERSON,
    FOLDER_PACKS,
    FOLDER_INDEX,
    FOLDER_SNAPSHOTS,
    FOLDER_RUNS,
    FOLDER_EVENTS,
    FOLDER_LEASES
};

struct object_name {
    enum object_folder folder;
    struct id sha256;   /* not for config */
    int64_t time;       /* timed objects */
    uint32_t version;   /* keyrings */
    struct id16 person; /* person keys */
};

/* False if the name is not one that the format knows (strict: exactly as the functions above write it). */
bool object_name_parse(const char *name, struct object_name *out);

#endif
