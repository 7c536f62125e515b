#include "crypto/random.h"

#include "crypto/evp.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <sys/random.h>
#include <sys/types.h>

void random_bytes(void *to, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = getrandom((char *)to + done, size - done, 0);
        evp_must(n > 0 || errno == EINTR, "the kernel gives no random bytes");
        if (n > 0)
            done += (size_t)n;
    }
}

void cleanse(void *secret, size_t size)
{
    OPENSSL_cleanse(secret, size);
}

bool secret_equal(const void *a, const void *b, size_t size)
{
    return CRYPTO_memcmp(a, b, size) == 0;
}
