/*
 * What the files of crypto share: OpenSSL calls that cannot fail but for want of memory end the process, so
 * that nothing goes on with a wrong key or digest. Nobody outside crypto includes it.
 */
#ifndef CRYPTO_EVP_H
#define CRYPTO_EVP_H

#include <openssl/evp.h>

/* Ends the process with OpenSSL's reason if ok is false. */
void evp_must(int ok, const char *what);
const EVP_MD *evp_sha256(void);
const EVP_MD *evp_md5(void);
const EVP_CIPHER *evp_aes256_gcm(void);

#endif
