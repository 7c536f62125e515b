/* Making and changing keyrings: every change is one new version, with every bundle wrapped anew. */
#include "keys/keyring.h"

#include "crypto/digest.h"
#include "crypto/exchange.h"
#include "crypto/hpke.h"
#include "crypto/random.h"
#include "crypto/sign.h"
#include "keys/wrap.h"

#include <string.h>

static void wrap_info(const struct keyring *keyring, const char *label, const struct id16 *id, int role,
                      struct buffer *out)
{
    buffer_append_string(out, "holdfast/1 ");
    buffer_append_string(out, label);
    buffer_u8(out, 0);
    buffer_append(out, keyring->repository.b, 16);
    buffer_u32(out, keyring->version);
    buffer_append(out, id->b, 16);
    if (role >= 0)
        buffer_u8(out, (uint8_t)role);
}

void wrap_info_person(const struct keyring *keyring, const struct person *person, struct buffer *out)
{
    wrap_info(keyring, "bundle", &person->id, (int)person->role, out);
}

void wrap_info_host(const struct keyring *keyring, const struct host *host, struct buffer *out)
{
    wrap_info(keyring, "host", &host->id, -1, out);
}

void keyring_sign(const struct keyring *keyring, const uint8_t admin_seed[32],
                  const uint8_t previous_seed[32], struct buffer *out)
{
    struct buffer body = {0};
    struct signature signatures[2];
    struct signed_message message = {.signatures = signatures};
    const uint8_t *seeds[2] = {admin_seed, previous_seed};
    keyring_encode(keyring, &body);
    for (size_t i = 0; i < 2 && seeds[i]; i++) {
        uint8_t public_key[32];
        struct id16 signer;
        sign_public_key(seeds[i], public_key);
        admin_signer(public_key, &signer);
        sign_body(&keyring->repository, OBJECT_KEYRING, &signer, seeds[i], buffer_bytes(&body),
                  &signatures[i]);
        message.signature_count++;
    }
    message.body = buffer_bytes(&body);
    signed_encode(&message, out);
    buffer_free(&body);
}

/* ---- wrapping ---- */

static int wrap(const struct bundle *bundle, struct bytes public_key, struct bytes info, struct arena *arena,
                struct bytes *enc, struct bytes *wrapped, struct error *err)
{
    struct buffer plain = {0}, enc_bytes = {0}, ct = {0};
    bundle_encode(bundle, &plain);
    int code = hpke_seal(HPKE_SUITE_X25519, public_key, info, (struct bytes){0}, buffer_bytes(&plain),
                         &enc_bytes, &ct, err);
    if (code == 0) {
        *enc = arena_copy(arena, buffer_bytes(&enc_bytes));
        *wrapped = arena_copy(arena, buffer_bytes(&ct));
    }
    buffer_free_secret(&plain);
    buffer_free(&enc_bytes);
    buffer_free(&ct);
    return code;
}

/* Gives everybody who stays what their role may know. all: everything there is to know. */
static int wrap_all(struct keyring *k, const struct bundle *all, struct arena *arena, struct error *err)
{
    int code = 0;
    struct bundle own;
    /* Copies: the lists may be shared with the keyring before, whose bundles stay as they are. */
    struct person *persons = arena_alloc_array(arena, k->person_count, sizeof *persons);
    struct host *hosts = arena_alloc_array(arena, k->host_count, sizeof *hosts);
    if (k->person_count)
        k->persons = memcpy(persons, k->persons, k->person_count * sizeof *persons);
    if (k->host_count)
        k->hosts = memcpy(hosts, k->hosts, k->host_count * sizeof *hosts);
    for (size_t i = 0; i < k->person_count && code == 0; i++) {
        struct person *p = &k->persons[i];
        struct buffer info = {0};
        own = *all;
        if (p->role != ROLE_ADMIN) {
            own.has_admin_seed = false;
            cleanse(own.admin_seed, sizeof own.admin_seed);
        }
        wrap_info_person(k, p, &info);
        code = wrap(&own, p->public_key, buffer_bytes(&info), arena, &p->enc, &p->bundle, err);
        buffer_free(&info);
    }
    for (size_t i = 0; i < k->host_count && code == 0; i++) {
        struct host *h = &k->hosts[i];
        struct buffer info = {0};
        if (h->removed) {
            h->enc = h->bundle = (struct bytes){0};
            continue;
        }
        own = (struct bundle){.metadata = all->metadata, .ids = all->ids};
        wrap_info_host(k, h, &info);
        code = wrap(&own, h->public_key, buffer_bytes(&info), arena, &h->enc, &h->bundle, err);
        buffer_free(&info);
    }
    cleanse(&own, sizeof own);
    return code;
}

static int add_secret(struct secret_list *list, uint32_t number, struct error *err)
{
    if (list->count == SECRETS_MAX)
        return error_set(err, ERROR_UNSUPPORTED, "the keyring holds %d generations or epochs already",
                         SECRETS_MAX);
    struct numbered_secret *s = &list->list[list->count++];
    s->number = number;
    random_bytes(s->secret, sizeof s->secret);
    return 0;
}

/* A new recovery key, that only who is in the keyring now gets. */
static int add_epoch(struct keyring *k, struct bundle *all, struct arena *arena, int64_t now,
                     struct error *err)
{
    uint32_t number = k->epoch_count ? keyring_newest_epoch(k)->number + 1 : 1;
    uint8_t public_key[32];
    int code = add_secret(&all->recovery, number, err);
    if (code != 0)
        return code;
    exchange_public_key(all->recovery.list[all->recovery.count - 1].secret, public_key);
    struct epoch *epochs = arena_alloc_array(arena, k->epoch_count + 1, sizeof *epochs);
    if (k->epoch_count)
        memcpy(epochs, k->epochs, k->epoch_count * sizeof *epochs);
    struct hpke_suite suite = HPKE_SUITE_X25519;
    epochs[k->epoch_count] = (struct epoch){.number = number,
                                            .kem = suite.kem,
                                            .kdf = suite.kdf,
                                            .aead = suite.aead,
                                            .public_key = arena_copy(arena, bytes_of(public_key, 32)),
                                            .created = now};
    k->epochs = epochs;
    k->epoch_count++;
    return 0;
}

/* ---- adding ---- */

static int check_name(const char *name, const char *what, struct error *err)
{
    if (key_name_is_valid(name))
        return 0;
    error_set(err, ERROR_USAGE, "\"%s\" is no name for a %s", name, what);
    return error_hint(err, "use 1 to 64 letters, digits, dots, underscores and hyphens");
}

static int append_host(struct keyring *k, const char *name, enum role role, const char *dedup_group,
                       int64_t now, struct arena *arena, struct host_key *key, struct error *err)
{
    int code = check_name(name, "host", err);
    if (code == 0 && *dedup_group)
        code = check_name(dedup_group, "dedup group", err);
    if (code != 0)
        return code;
    const struct host *other = keyring_find_host_by_name(k, name);
    if (other && !other->removed) {
        error_set(err, ERROR_EXISTS, "a host named %s is in the keyring already", name);
        return error_hint(err, "give the new host another name");
    }
    uint8_t public_key[32];
    random_bytes(key->host.b, sizeof key->host.b);
    random_bytes(key->signing_seed, sizeof key->signing_seed);
    exchange_keypair(key->private_key, public_key);
    strcpy(key->name, name);
    key->repository = k->repository;
    struct host *hosts = arena_alloc_array(arena, k->host_count + 1, sizeof *hosts);
    if (k->host_count)
        memcpy(hosts, k->hosts, k->host_count * sizeof *hosts);
    struct host *h = &hosts[k->host_count++];
    h->id = key->host;
    h->name = arena_copy_string(arena, name);
    h->role = role;
    h->dedup_group = arena_copy_string(arena, dedup_group);
    h->public_key = arena_copy(arena, bytes_of(public_key, 32));
    sign_public_key(key->signing_seed, h->signing_key);
    h->added = now;
    k->hosts = hosts;
    return 0;
}

static int append_person(struct keyring *k, const char *name, enum role role, int64_t now,
                         struct arena *arena, struct person_key *key, struct error *err)
{
    int code = check_name(name, "person", err);
    if (code != 0)
        return code;
    for (size_t i = 0; i < k->person_count; i++) {
        if (strcmp(k->persons[i].name, name) == 0)
            return error_set(err, ERROR_EXISTS, "a person named %s is in the keyring already", name);
    }
    uint8_t public_key[32];
    random_bytes(key->person.b, sizeof key->person.b);
    exchange_keypair(key->private_key, public_key);
    key->repository = k->repository;
    struct person *persons = arena_alloc_array(arena, k->person_count + 1, sizeof *persons);
    if (k->person_count)
        memcpy(persons, k->persons, k->person_count * sizeof *persons);
    struct person *p = &persons[k->person_count++];
    p->id = key->person;
    p->name = arena_copy_string(arena, name);
    p->role = role;
    p->public_key = arena_copy(arena, bytes_of(public_key, 32));
    p->added = now;
    k->persons = persons;
    return 0;
}

int keyring_create(const struct id16 *repository, const struct id *config_sha256, const char *person_name,
                   const char *host_name, const char *dedup_group, int64_t now, struct buffer *out,
                   struct person_key *person, struct host_key *host, struct error *err)
{
    struct arena arena = {0};
    struct bundle all = {.has_admin_seed = true};
    struct keyring k = {.version = 1,
                        .repository = *repository,
                        .config_sha256 = *config_sha256,
                        .metadata_generation = 1,
                        .id_generation = 1,
                        .created = now};
    memset(person, 0, sizeof *person);
    memset(host, 0, sizeof *host);
    random_bytes(all.admin_seed, sizeof all.admin_seed);
    sign_public_key(all.admin_seed, k.admin_key);
    int code = add_secret(&all.metadata, 1, err);
    if (code == 0)
        code = add_secret(&all.ids, 1, err);
    if (code == 0)
        code = add_epoch(&k, &all, &arena, now, err);
    if (code == 0)
        code = append_person(&k, person_name, ROLE_ADMIN, now, &arena, person, err);
    if (code == 0)
        code = append_host(&k, host_name, ROLE_PRUNE, dedup_group, now, &arena, host, err);
    if (code == 0)
        code = wrap_all(&k, &all, &arena, err);
    if (code == 0) {
        size_t start = out->size;
        keyring_sign(&k, all.admin_seed, NULL, out);
        root_fingerprint(repository, k.admin_key, &person->root);
        host->root = person->root;
        host->pin.version = 1;
        sha256(bytes_of(out->data + start, out->size - start), &host->pin.sha256);
    } else {
        person_key_cleanse(person);
        host_key_cleanse(host);
    }
    cleanse(&all, sizeof all);
    arena_free(&arena);
    return code;
}

/* ---- the next version ---- */

static int begin_next(const struct keyring_chain *chain, const struct secrets *admin, int64_t now,
                      struct keyring *next, struct error *err)
{
    if (!admin->bundle.has_admin_seed) {
        error_set(err, ERROR_DENIED, "changing the keyring needs the key of a person with the role admin");
        return error_hint(err, "give an admin's passphrase or person key");
    }
    uint8_t public_key[32];
    sign_public_key(admin->bundle.admin_seed, public_key);
    if (memcmp(public_key, chain->keyring.admin_key, sizeof public_key) != 0)
        return error_set(err, ERROR_DENIED, "the admin key was changed by a later keyring");
    *next = chain->keyring;
    next->version++;
    next->has_previous = true;
    next->previous = chain->sha256;
    next->created = now;
    return 0;
}

int keyring_add_host(const struct keyring_chain *chain, const struct secrets *admin, const char *name,
                     enum role role, const char *dedup_group, int64_t now, struct buffer *out,
                     struct host_key *host, struct error *err)
{
    struct arena arena = {0};
    struct keyring next;
    memset(host, 0, sizeof *host);
    int code = begin_next(chain, admin, now, &next, err);
    if (code == 0)
        code = append_host(&next, name, role, dedup_group, now, &arena, host, err);
    if (code == 0)
        code = wrap_all(&next, &admin->bundle, &arena, err);
    if (code == 0) {
        size_t start = out->size;
        keyring_sign(&next, admin->bundle.admin_seed, NULL, out);
        host->root = chain->root;
        host->pin.version = next.version;
        sha256(bytes_of(out->data + start, out->size - start), &host->pin.sha256);
    } else {
        host_key_cleanse(host);
    }
    arena_free(&arena);
    return code;
}

int keyring_add_person(const struct keyring_chain *chain, const struct secrets *admin, const char *name,
                       enum role role, int64_t now, struct buffer *out, struct person_key *person,
                       struct error *err)
{
    struct arena arena = {0};
    struct keyring next;
    memset(person, 0, sizeof *person);
    int code = begin_next(chain, admin, now, &next, err);
    if (code == 0)
        code = append_person(&next, name, role, now, &arena, person, err);
    if (code == 0)
        code = wrap_all(&next, &admin->bundle, &arena, err);
    if (code == 0) {
        person->root = chain->root;
        keyring_sign(&next, admin->bundle.admin_seed, NULL, out);
    } else {
        person_key_cleanse(person);
    }
    arena_free(&arena);
    return code;
}

/* ---- removing ---- */

/* Who was removed must not open what is sealed from now on. */
static int finish_removal(struct keyring *next, const struct secrets *admin, bool new_admin, int64_t now,
                          struct arena *arena, struct buffer *out, struct error *err)
{
    struct bundle all = admin->bundle;
    int code = add_epoch(next, &all, arena, now, err);
    if (code == 0)
        code = add_secret(&all.metadata, ++next->metadata_generation, err);
    if (code == 0 && new_admin) {
        random_bytes(all.admin_seed, sizeof all.admin_seed);
        sign_public_key(all.admin_seed, next->admin_key);
    }
    if (code == 0)
        code = wrap_all(next, &all, arena, err);
    if (code == 0)
        keyring_sign(next, all.admin_seed, new_admin ? admin->bundle.admin_seed : NULL, out);
    cleanse(&all, sizeof all);
    return code;
}

int keyring_remove_host(const struct keyring_chain *chain, const struct secrets *admin, const struct id16 *id,
                        uint64_t last_sequence, const struct id *last_manifest, int64_t now,
                        struct buffer *out, struct error *err)
{
    struct arena arena = {0};
    struct keyring next;
    const struct host *found = keyring_find_host(&chain->keyring, id);
    int code = begin_next(chain, admin, now, &next, err);
    if (code == 0 && (!found || found->removed))
        code = error_set(err, ERROR_NOT_FOUND, "no such host is in the keyring");
    if (code == 0) {
        next.hosts = arena_alloc_array(&arena, next.host_count, sizeof *next.hosts);
        memcpy(next.hosts, chain->keyring.hosts, next.host_count * sizeof *next.hosts);
        struct host *host = &next.hosts[found - chain->keyring.hosts];
        host->removed = true;
        host->last_sequence = last_sequence;
        if (last_sequence)
            host->last_manifest = *last_manifest;
        code = finish_removal(&next, admin, false, now, &arena, out, err);
    }
    arena_free(&arena);
    return code;
}

int keyring_remove_person(const struct keyring_chain *chain, const struct secrets *admin,
                          const struct id16 *id, int64_t now, struct buffer *out, struct error *err)
{
    struct arena arena = {0};
    struct keyring next;
    const struct person *found = keyring_find_person(&chain->keyring, id);
    int code = begin_next(chain, admin, now, &next, err);
    if (code == 0 && !found)
        code = error_set(err, ERROR_NOT_FOUND, "no such person is in the keyring");
    if (code == 0) {
        size_t admins = 0;
        next.persons = arena_alloc_array(&arena, next.person_count, sizeof *next.persons);
        next.person_count = 0;
        for (size_t i = 0; i < chain->keyring.person_count; i++) {
            const struct person *p = &chain->keyring.persons[i];
            if (p == found)
                continue;
            admins += p->role == ROLE_ADMIN;
            next.persons[next.person_count++] = *p;
        }
        if (admins == 0) {
            error_set(err, ERROR_USAGE, "%s is the last admin: without one nobody could change the keyring",
                      found->name);
            code = error_hint(err, "add another admin first");
        }
    }
    if (code == 0)
        code = finish_removal(&next, admin, found->role == ROLE_ADMIN, now, &arena, out, err);
    arena_free(&arena);
    return code;
}
