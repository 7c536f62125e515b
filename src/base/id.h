/*
 * Identifiers of fixed size: 32 bytes (blob ids, SHA-256 of objects) and 16 bytes (repository, pack slot,
 * host and person ids), and their hexadecimal form.
 */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct id {
    uint8_t b[32];
};

struct id16 {
    uint8_t b[16];
};

#define ID_HEX_SIZE 65   /* with the NUL */
#define ID16_HEX_SIZE 33 /* with the NUL */

static inline bool id_equal(const struct id *a, const struct id *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}
static inline bool id16_equal(const struct id16 *a, const struct id16 *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}
/* memcmp order, for qsort and bsearch. */
int id_compare(const void *a, const void *b);

/* Lower-case hex of size bytes into text, which holds 2 * size + 1 characters. */
void hex_encode(const void *data, size_t size, char *text);
/* Exactly 2 * size hex digits, lower case; anything else gives false. */
bool hex_decode(const char *text, size_t length, void *data, size_t size);

/* Into text, which holds 4 * ((size + 2) / 3) + 1 characters. */
void base64_encode(const void *data, size_t size, char *text);

void id_to_hex(const struct id *id, char text[ID_HEX_SIZE]);
void id16_to_hex(const struct id16 *id, char text[ID16_HEX_SIZE]);

#endif
