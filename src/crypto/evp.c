#include "crypto/evp.h"

#include <openssl/err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static EVP_MD *fetched_sha256, *fetched_md5;
static EVP_CIPHER *fetched_aes;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Fetched once: an implicit fetch for each call takes longer than hashing a small file. */
static void fetch(void)
{
    fetched_sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    fetched_md5 = EVP_MD_fetch(NULL, "MD5", NULL); /* not there where only approved algorithms are */
    fetched_aes = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    evp_must(fetched_sha256 && fetched_aes, "fetch of SHA-256 and AES-256-GCM");
}

void evp_must(int ok, const char *what)
{
    if (ok)
        return;
    char reason[256];
    ERR_error_string_n(ERR_get_error(), reason, sizeof reason);
    fprintf(stderr, "holdfast: OpenSSL failed: %s: %s\n", what, reason);
    fputs(
        "hint: every snapshot committed so far is safe; check that OpenSSL 3 and its default provider work\n",
        stderr);
    abort();
}

const EVP_MD *evp_sha256(void)
{
    pthread_once(&once, fetch);
    return fetched_sha256;
}

const EVP_MD *evp_md5(void)
{
    pthread_once(&once, fetch);
    return fetched_md5;
}

const EVP_CIPHER *evp_aes256_gcm(void)
{
    pthread_once(&once, fetch);
    return fetched_aes;
}
