#include "crypto/sign.h"

#include "crypto/evp.h"

static EVP_PKEY *private_key(const uint8_t seed[32])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
    evp_must(key != NULL, "Ed25519");
    return key;
}

void sign_public_key(const uint8_t seed[32], uint8_t public_key[32])
{
    EVP_PKEY *key = private_key(seed);
    size_t size = 32;
    evp_must(EVP_PKEY_get_raw_public_key(key, public_key, &size) && size == 32, "Ed25519");
    EVP_PKEY_free(key);
}

void sign_message(const uint8_t seed[32], struct bytes message, uint8_t signature[64])
{
    EVP_PKEY *key = private_key(seed);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t size = 64;
    evp_must(context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) &&
                 EVP_DigestSign(context, signature, &size, message.data, message.size) && size == 64,
             "Ed25519");
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
}

bool sign_verify(const uint8_t public_key[32], struct bytes message, const uint8_t signature[64])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, 32);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = key && context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(context, signature, 64, message.data, message.size) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return good;
}
