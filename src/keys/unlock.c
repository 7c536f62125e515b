/* Opening the bundle of a host or a person, and look-ups in a keyring. */
#include "crypto/exchange.h"
#include "crypto/hpke.h"
#include "crypto/random.h"
#include "keys/keyring.h"
#include "keys/wrap.h"

#include <string.h>

const struct host *keyring_find_host(const struct keyring *keyring, const struct id16 *id)
{
    for (size_t i = 0; i < keyring->host_count; i++) {
        if (id16_equal(&keyring->hosts[i].id, id))
            return &keyring->hosts[i];
    }
    return NULL;
}

const struct host *keyring_find_host_by_name(const struct keyring *keyring, const char *name)
{
    const struct host *found = NULL;
    for (size_t i = 0; i < keyring->host_count; i++) {
        const struct host *h = &keyring->hosts[i];
        if (strcmp(h->name, name) == 0 && (!found || found->removed))
            found = h;
    }
    return found;
}

const struct person *keyring_find_person(const struct keyring *keyring, const struct id16 *id)
{
    for (size_t i = 0; i < keyring->person_count; i++) {
        if (id16_equal(&keyring->persons[i].id, id))
            return &keyring->persons[i];
    }
    return NULL;
}

bool keyring_host_may_prune(const struct keyring *keyring, const struct id16 *id)
{
    const struct host *host = keyring_find_host(keyring, id);
    return host && host->role == ROLE_PRUNE && !host->removed;
}

bool keyring_same_dedup_group(const struct keyring *keyring, const struct id16 *a, const struct id16 *b)
{
    if (id16_equal(a, b))
        return true;
    const struct host *x = keyring_find_host(keyring, a), *y = keyring_find_host(keyring, b);
    return x && y && *x->dedup_group && strcmp(x->dedup_group, y->dedup_group) == 0;
}

const struct epoch *keyring_newest_epoch(const struct keyring *keyring)
{
    return &keyring->epochs[keyring->epoch_count - 1];
}

static int open_bundle(const struct keyring *keyring, const uint8_t private_key[32], struct bytes enc,
                       struct bytes wrapped, struct bytes info, struct secrets *secrets, struct error *err)
{
    struct buffer plain = {0};
    int code = hpke_open(HPKE_SUITE_X25519, bytes_of(private_key, 32), enc, info, (struct bytes){0}, wrapped,
                         &plain, err);
    if (code == 0)
        code = bundle_decode(buffer_bytes(&plain), &secrets->bundle, err);
    buffer_free_secret(&plain);
    if (code == 0) {
        secrets->repository = keyring->repository;
        secrets->metadata_generation = keyring->metadata_generation;
        secrets->id_generation = keyring->id_generation;
        if (!secret_find(&secrets->bundle.metadata, keyring->metadata_generation) ||
            !secret_find(&secrets->bundle.ids, keyring->id_generation))
            code = error_set(err, ERROR_INTEGRITY, "the bundle in the keyring lacks the current secrets");
    } else {
        error_prefix(err, "the bundle in the keyring");
    }
    return code;
}

int keyring_unlock_host(const struct keyring *keyring, const struct host_key *key, struct secrets *secrets,
                        struct error *err)
{
    memset(secrets, 0, sizeof *secrets);
    const struct host *host = keyring_find_host(keyring, &key->host);
    uint8_t public_key[32];
    exchange_public_key(key->private_key, public_key);
    if (!host || host->removed) {
        error_set(err, ERROR_DENIED, "host %s %s", key->name,
                  host ? "was removed from the keyring" : "is not in the keyring");
        return error_hint(err, "an admin can add it with: holdfast host add");
    }
    if (!bytes_equal(host->public_key, bytes_of(public_key, 32)))
        return error_set(err, ERROR_DENIED, "the keyring lists another key for host %s", key->name);
    struct buffer info = {0};
    wrap_info_host(keyring, host, &info);
    int code =
        open_bundle(keyring, key->private_key, host->enc, host->bundle, buffer_bytes(&info), secrets, err);
    buffer_free(&info);
    if (code == 0 && (secrets->bundle.recovery.count || secrets->bundle.has_admin_seed))
        code = error_set(err, ERROR_INTEGRITY, "the host's bundle holds secrets that no host must have");
    if (code != 0)
        secrets_free(secrets);
    return code;
}

static int check_recovery_keys(const struct keyring *keyring, const struct secrets *secrets,
                               struct error *err)
{
    for (size_t i = 0; i < keyring->epoch_count; i++) {
        const uint8_t *private_key = secret_find(&secrets->bundle.recovery, keyring->epochs[i].number);
        uint8_t public_key[32];
        if (!private_key)
            continue; /* an epoch from before the person was added, should an admin have withheld it */
        exchange_public_key(private_key, public_key);
        if (!bytes_equal(keyring->epochs[i].public_key, bytes_of(public_key, 32)))
            return error_set(err, ERROR_INTEGRITY, "the recovery key of epoch %u does not fit the keyring",
                             keyring->epochs[i].number);
    }
    if (!secret_find(&secrets->bundle.recovery, keyring_newest_epoch(keyring)->number))
        return error_set(err, ERROR_INTEGRITY, "the bundle lacks the newest recovery key");
    return 0;
}

int keyring_unlock_person(const struct keyring *keyring, const struct person_key *key,
                          struct secrets *secrets, struct error *err)
{
    memset(secrets, 0, sizeof *secrets);
    const struct person *person = keyring_find_person(keyring, &key->person);
    uint8_t public_key[32];
    exchange_public_key(key->private_key, public_key);
    if (!person) {
        error_set(err, ERROR_DENIED, "this person is not in the keyring any more");
        return error_hint(err, "ask an admin of the repository");
    }
    if (!bytes_equal(person->public_key, bytes_of(public_key, 32)))
        return error_set(err, ERROR_DENIED, "the keyring lists another key for %s", person->name);
    struct buffer info = {0};
    wrap_info_person(keyring, person, &info);
    int code = open_bundle(keyring, key->private_key, person->enc, person->bundle, buffer_bytes(&info),
                           secrets, err);
    buffer_free(&info);
    if (code == 0)
        code = check_recovery_keys(keyring, secrets, err);
    if (code == 0 && secrets->bundle.has_admin_seed != (person->role == ROLE_ADMIN))
        code = error_set(err, ERROR_INTEGRITY, "the bundle of %s does not fit the role", person->name);
    if (code != 0)
        secrets_free(secrets);
    return code;
}
