/*
 * What the fuzz targets share: one function each that libFuzzer calls with every input it thinks of, secrets
 * that never change (those of tests/vectors), and checks that stop the target.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "format/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void must(bool condition)
{
    if (!condition)
        abort();
}

/* A call either worked or says why it did not. */
static inline bool worked(int code, const struct error *err)
{
    must(code == 0 || (code < 0 && code == err->code && err->message[0] != '\0'));
    return code == 0;
}

static inline void count_up(void *to, size_t size, uint8_t from)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)to)[i] = (uint8_t)(from + i);
}

/* Those of tests/vectors/format.json: metadata and id secret 3, recovery key 7. */
static inline const struct secrets *fuzz_secrets(void)
{
    static struct secrets s;
    if (s.metadata_generation == 0) {
        struct bundle *b = &s.bundle;
        count_up(s.repository.b, 16, 0x10);
        s.metadata_generation = s.id_generation = 3;
        b->metadata.count = b->ids.count = b->recovery.count = 1;
        b->metadata.list[0].number = b->ids.list[0].number = 3;
        b->recovery.list[0].number = 7;
        count_up(b->metadata.list[0].secret, 32, 0x20);
        count_up(b->ids.list[0].secret, 32, 0x40);
        count_up(b->recovery.list[0].secret, 32, 0xb0);
    }
    return &s;
}

/* What was decoded can be encoded, decoded again, and is the same then. `data` and `err` are in scope. */
#define ROUND_TRIP(type, decode, encode)                                                                     \
    do {                                                                                                     \
        struct arena arena = {0};                                                                            \
        struct type value, again;                                                                            \
        struct buffer once = {0}, twice = {0};                                                               \
        if (worked(decode(data, &arena, &value, &err), &err)) {                                              \
            encode(&value, &once);                                                                           \
            must(decode(buffer_bytes(&once), &arena, &again, &err) == 0);                                    \
            encode(&again, &twice);                                                                          \
            must(bytes_equal(buffer_bytes(&once), buffer_bytes(&twice)));                                    \
        }                                                                                                    \
        buffer_free(&once);                                                                                  \
        buffer_free(&twice);                                                                                 \
        arena_free(&arena);                                                                                  \
    } while (0)

/* The first byte says what the rest is. */
static inline struct bytes behind_first(const uint8_t *input, size_t size)
{
    return bytes_of(input + 1, size - 1);
}

/* A new folder in memory where there is such a place; the fuzzer removes it. */
static inline void make_scratch(char *path, size_t size)
{
    const char *memory = "/dev/shm";
    snprintf(path, size, "%s/holdfast-fuzz-XXXXXX", access(memory, W_OK) == 0 ? memory : "/tmp");
    must(mkdtemp(path) != NULL);
}

#endif
