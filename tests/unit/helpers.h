/* What the unit tests of modules share: running them, hexadecimal, bytes that repeat from a seed, secrets. */
#ifndef TESTS_HELPERS_H
#define TESTS_HELPERS_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/id.h"
#include "format/seal.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* The program's main: runs the tests named. */
#define RUN_TESTS(name, ...)                                                                                 \
    int main(void)                                                                                           \
    {                                                                                                        \
        const TTest *const list[] = {__VA_ARGS__};                                                           \
        Suite *suite = suite_create(name);                                                                   \
        TCase *tests = tcase_create(name);                                                                   \
        tcase_set_timeout(tests, 0); /* meson's counts */                                                    \
        for (size_t i = 0; i < sizeof list / sizeof *list; i++)                                              \
            tcase_add_test(tests, list[i]);                                                                  \
        suite_add_tcase(suite, tests);                                                                       \
        SRunner *runner = srunner_create(suite);                                                             \
        srunner_run_all(runner, CK_NORMAL);                                                                  \
        int failed = srunner_ntests_failed(runner);                                                          \
        srunner_free(runner);                                                                                \
        return failed != 0;                                                                                  \
    }

/* A call that must succeed, with its message if not; one that must fail with this code. `err` is in scope. */
#define MUST(call) ck_assert_msg((call) == 0, "%s: %s", #call, err.message)
#define REFUSES(wanted, call) ck_assert_int_eq((call), (wanted))

static inline struct bytes hex_bytes(struct buffer *to, const char *text)
{
    size_t size = strlen(text) / 2;
    ck_assert(hex_decode(text, strlen(text), buffer_extend(to, size), size));
    return buffer_bytes(to);
}

/* The same bytes for the same seed (xorshift64*). */
static inline void repeatable_bytes(void *to, size_t size, uint64_t seed)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < size; i++) {
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        ((uint8_t *)to)[i] = (uint8_t)((x * 0x2545f4914f6cdd1du) >> 56);
    }
}

static inline struct id some_id(uint64_t seed)
{
    struct id id;
    repeatable_bytes(id.b, sizeof id.b, seed);
    return id;
}

static inline struct id16 some_id16(uint64_t seed)
{
    struct id16 id;
    repeatable_bytes(id.b, sizeof id.b, seed);
    return id;
}

static inline void add_secret(struct secret_list *list, uint32_t number, uint64_t seed)
{
    list->list[list->count].number = number;
    repeatable_bytes(list->list[list->count++].secret, 32, seed);
}

/* Metadata, id and recovery secret 1 of the repository some_id16(1). */
static inline struct secrets *some_secrets(void)
{
    struct secrets *s = calloc(1, sizeof *s);
    ck_assert_ptr_nonnull(s);
    s->repository = some_id16(1);
    s->metadata_generation = s->id_generation = 1;
    add_secret(&s->bundle.metadata, 1, 101);
    add_secret(&s->bundle.ids, 1, 102);
    add_secret(&s->bundle.recovery, 1, 103);
    return s;
}

#endif
