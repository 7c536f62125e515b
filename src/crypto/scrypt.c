#include "crypto/scrypt.h"

#include "crypto/evp.h"

#define MEMORY_MAX (256u << 20)

int scrypt_derive(struct bytes passphrase, struct bytes salt, unsigned log2n, uint32_t r, uint32_t p,
                  uint8_t out[32], struct error *err)
{
    if (log2n < 15 || log2n > 20 || r < 1 || r > 16 || p < 1 || p > 4)
        return error_set(err, ERROR_UNSUPPORTED, "scrypt parameters log2(N)=%u r=%u p=%u are out of bounds",
                         log2n, r, p);
    uint64_t n = (uint64_t)1 << log2n;
    /* As OpenSSL counts: V, B and the work area. */
    uint64_t need = 128 * (uint64_t)r * (n + p + 2);
    if (need > MEMORY_MAX)
        return error_set(err, ERROR_UNSUPPORTED,
                         "scrypt parameters log2(N)=%u r=%u p=%u need more than 256 MiB", log2n, r, p);
    if (EVP_PBE_scrypt((const char *)passphrase.data, passphrase.size, salt.data, salt.size, n, r, p,
                       MEMORY_MAX, out, 32) != 1)
        return error_set(err, ERROR_FAILED, "scrypt failed: not enough memory?");
    return 0;
}
