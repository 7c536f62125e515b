#include "crypto/exchange.h"

#include "crypto/evp.h"
#include "crypto/random.h"

void exchange_keypair(uint8_t private_key[32], uint8_t public_key[32])
{
    random_bytes(private_key, 32);
    exchange_public_key(private_key, public_key);
}

void exchange_public_key(const uint8_t private_key[32], uint8_t public_key[32])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key, 32);
    size_t size = 32;
    evp_must(key && EVP_PKEY_get_raw_public_key(key, public_key, &size) && size == 32, "X25519");
    EVP_PKEY_free(key);
}

int exchange_shared(const uint8_t private_key[32], const uint8_t public_key[32], uint8_t shared[32],
                    struct error *err)
{
    EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key, 32);
    EVP_PKEY *other = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, public_key, 32);
    EVP_PKEY_CTX *context = own ? EVP_PKEY_CTX_new(own, NULL) : NULL;
    static const uint8_t zeros[32];
    size_t size = 32;
    /* OpenSSL fails on the zero point by itself; the comparison does not rely on that. */
    bool good = other && context && EVP_PKEY_derive_init(context) == 1 &&
                EVP_PKEY_derive_set_peer(context, other) == 1 &&
                EVP_PKEY_derive(context, shared, &size) == 1 && size == 32 &&
                !secret_equal(shared, zeros, 32);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(own);
    EVP_PKEY_free(other);
    if (good)
        return 0;
    cleanse(shared, 32);
    return error_set(err, ERROR_INTEGRITY, "a public key is not a valid X25519 key");
}
