/* config, the signed envelope, keyrings and bundles; a keyring that its admin signed is walked to and opened.
 */
#include "crypto/digest.h"
#include "crypto/sign.h"
#include "fuzz.h"
#include "keys/keyring.h"

/* The keyring as the only candidate of a chain, signed by the admin key of seed 0x33..., whatever it holds.
 */
static void walk(struct bytes body)
{
    static uint8_t seed[32], admin[32];
    struct error err = {0};
    struct buffer object = {0};
    struct signature signature;
    struct id root;
    struct keyring_chain chain;
    const struct id16 *repository = &fuzz_secrets()->repository;
    if (seed[0] == 0) {
        count_up(seed, 32, 0x33);
        sign_public_key(seed, admin);
    }
    struct id16 signer;
    admin_signer(admin, &signer);
    sign_body(repository, OBJECT_KEYRING, &signer, seed, body, &signature);
    struct signed_message message = {.body = body, .signatures = &signature, .signature_count = 1};
    signed_encode(&message, &object);
    root_fingerprint(repository, admin, &root);
    struct keyring_candidate candidate = {1, buffer_bytes(&object)};
    if (worked(keyring_chain_verify(&candidate, 1, repository, &root, NULL, &chain, &err), &err)) {
        const struct keyring *keyring = &chain.keyring;
        struct secrets secrets = {0};
        struct host_key host = {.repository = *repository, .root = root};
        struct person_key person = {.repository = *repository, .root = root};
        count_up(host.private_key, 32, 1);
        count_up(host.signing_seed, 32, 2);
        memcpy(person.private_key, host.private_key, 32);
        if (keyring->host_count)
            host.host = keyring->hosts[0].id;
        if (keyring->person_count)
            person.person = keyring->persons[0].id;
        if (worked(keyring_unlock_host(keyring, &host, &secrets, &err), &err))
            secrets_free(&secrets);
        if (worked(keyring_unlock_person(keyring, &person, &secrets, &err), &err))
            secrets_free(&secrets);
        must(keyring_newest_epoch(keyring) != NULL);
        keyring_chain_free(&chain);
    }
    buffer_free(&object);
}

static int decode_config(struct bytes data, struct arena *arena, struct repository_config *config,
                         struct error *err)
{
    (void)arena;
    return config_decode(data, config, err);
}

static int decode_bundle(struct bytes data, struct arena *arena, struct bundle *bundle, struct error *err)
{
    (void)arena;
    return bundle_decode(data, bundle, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    struct error err = {0};
    if (size == 0)
        return 0;
    struct bytes data = behind_first(input, size);
    switch (input[0] % 4) {
    case 0:
        ROUND_TRIP(repository_config, decode_config, config_encode);
        break;
    case 1:
        ROUND_TRIP(signed_message, signed_decode, signed_encode);
        break;
    case 2:
        ROUND_TRIP(keyring, keyring_decode, keyring_encode);
        walk(data);
        break;
    default:
        ROUND_TRIP(bundle, decode_bundle, bundle_encode);
    }
    return 0;
}
