/*
 * Random bytes, and the handling of secrets in memory. Used by everyone.
 */
#ifndef CRYPTO_RANDOM_H
#define CRYPTO_RANDOM_H

#include <stdbool.h>
#include <stddef.h>

/* From the kernel (getrandom). Cannot fail: the process ends if the kernel has none. */
void random_bytes(void *to, size_t size);
/* Overwrites a secret so that the compiler cannot leave it out. */
void cleanse(void *secret, size_t size);
/* Comparison in constant time. */
bool secret_equal(const void *a, const void *b, size_t size);

#endif
