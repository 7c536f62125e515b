/* Where the chunker cuts. */
#include "chunker/chunker.h"

#include "helpers.h"

#define SIZE (4u << 20)
#define CUTS_MAX 2048

static const struct chunker_parameters small = {4096, 16384, 65536};

static struct chunker *chunker_of(uint64_t seed)
{
    uint8_t table[2048];
    repeatable_bytes(table, sizeof table, seed);
    return chunker_new(&small, table);
}

/* All cut points, as offsets of what follows. */
static size_t cut_all(const struct chunker *chunker, const uint8_t *data, size_t size, size_t *cuts)
{
    size_t count = 0;
    for (size_t at = 0, n; at < size; at += n) {
        n = chunker_next(chunker, data + at, size - at, true);
        ck_assert_uint_ge(n, 1);
        ck_assert_uint_le(n, size - at);
        ck_assert_uint_lt(count, CUTS_MAX);
        cuts[count++] = at + n;
    }
    return count;
}

static uint8_t *random_data(size_t size)
{
    uint8_t *data = malloc(size);
    repeatable_bytes(data, size, 7);
    return data;
}

START_TEST(chunks_keep_their_bounds)
{
    struct chunker *chunker = chunker_of(1);
    uint8_t *data = random_data(SIZE);
    static size_t cuts[CUTS_MAX];
    size_t count = cut_all(chunker, data, SIZE, cuts), at_max = 0;
    for (size_t i = 0, before = 0; i < count; before = cuts[i++]) {
        ck_assert_uint_le(cuts[i] - before, small.max);
        ck_assert(cuts[i] - before >= small.min || i == count - 1);
        at_max += cuts[i] - before == small.max;
    }
    ck_assert_uint_eq(cuts[count - 1], SIZE);
    size_t average = SIZE / count;
    ck_assert_msg(average > small.average * 3 / 4 && average < small.average * 3 / 2, "average %zu", average);
    ck_assert_uint_le(at_max, count / 50);
    free(data);
    chunker_free(chunker);
}
END_TEST

START_TEST(an_insertion_at_the_front_moves_no_later_cut)
{
    struct chunker *chunker = chunker_of(1);
    const size_t inserted = 1000;
    uint8_t *data = random_data(SIZE + inserted);
    static size_t plain[CUTS_MAX], shifted[CUTS_MAX];
    size_t n = cut_all(chunker, data + inserted, SIZE, plain);
    size_t m = cut_all(chunker, data, SIZE + inserted, shifted), same = 0;
    for (size_t i = 0, j = 0; i < n && j < m;) {
        size_t moved = plain[i] + inserted;
        same += moved == shifted[j];
        if (moved <= shifted[j])
            i++;
        else
            j++;
    }
    ck_assert_msg(same > n * 9 / 10, "%zu of %zu cuts are the same", same, n);
    free(data);
    chunker_free(chunker);
}
END_TEST

START_TEST(another_table_cuts_elsewhere)
{
    struct chunker *one = chunker_of(1), *other = chunker_of(2);
    uint8_t *data = random_data(SIZE);
    static size_t a[CUTS_MAX], b[CUTS_MAX];
    size_t n = cut_all(one, data, SIZE, a), m = cut_all(other, data, SIZE, b), same = 0;
    for (size_t i = 0; i < n - 1; i++) {
        for (size_t j = 0; j < m - 1; j++)
            same += a[i] == b[j];
    }
    ck_assert_uint_le(same, n / 50);
    free(data);
    chunker_free(one);
    chunker_free(other);
}
END_TEST

START_TEST(the_cut_does_not_depend_on_how_much_is_shown)
{
    struct chunker *chunker = chunker_of(1);
    uint8_t *data = random_data(1u << 20);
    for (size_t at = 0; at + 2 * small.max < 1u << 20; at += small.min + 77) {
        size_t cut = chunker_next(chunker, data + at, small.max, false);
        ck_assert_uint_ge(cut, small.min);
        ck_assert_uint_eq(cut, chunker_next(chunker, data + at, 2 * small.max, false));
        ck_assert_uint_eq(cut, chunker_next(chunker, data + at, small.max, true));
        if (cut < small.max) { /* what lies behind a cut does not matter */
            ck_assert_uint_eq(cut, chunker_next(chunker, data + at, cut + 1, true));
            ck_assert_uint_eq(cut, chunker_next(chunker, data + at, cut, false));
        }
        /* What is not decided yet waits for more. */
        ck_assert_uint_eq(chunker_next(chunker, data + at, cut - 1, false), 0);
        ck_assert_uint_eq(chunker_next(chunker, data + at, small.min, false), 0);
    }
    free(data);
    chunker_free(chunker);
}
END_TEST

START_TEST(what_comes_bit_by_bit_is_cut_at_the_same_places)
{
    struct chunker *chunker = chunker_of(1);
    size_t total = 1u << 20;
    uint8_t *data = random_data(total);
    memset(data + total / 2, 0, 3 * small.max); /* no cut before the longest chunk */
    for (size_t step = 1; step < 3 * small.max; step = step * 3 + 1) {
        size_t at = 0, shown = 0, seen = 0, whole = 0;
        while (at < total && (step > 100 || at < 4 * small.max)) {
            size_t cut = chunker_resume(chunker, data + at, shown - at, shown == total, &seen);
            if (cut == 0) {
                shown = total - shown < step ? total : shown + step;
                continue;
            }
            ck_assert_uint_eq(seen, 0);
            whole = chunker_next(chunker, data + at, total - at, true);
            ck_assert_uint_eq(cut, whole);
            at += cut;
        }
        ck_assert_uint_gt(whole, 0);
    }
    free(data);
    chunker_free(chunker);
}
END_TEST

START_TEST(short_and_empty_inputs)
{
    struct chunker *chunker = chunker_of(1);
    uint8_t *data = calloc(1, small.max);
    ck_assert_uint_eq(chunker_next(chunker, data, 0, true), 0);
    ck_assert_uint_eq(chunker_next(chunker, data, 0, false), 0);
    ck_assert_uint_eq(chunker_next(chunker, data, small.min, false), 0);
    ck_assert_uint_eq(chunker_next(chunker, data, 1, true), 1);
    ck_assert_uint_eq(chunker_next(chunker, data, small.min, true), small.min);
    /* Zeros never change the hash once it is full of them: one cut at min or none before max. */
    size_t zeros = chunker_next(chunker, data, small.max, true);
    ck_assert(zeros == small.max || zeros <= small.min + 64);
    free(data);
    chunker_free(chunker);
}
END_TEST

START_TEST(parameters_out_of_bounds_are_refused)
{
    static const struct chunker_parameters bad[] = {
        {4095, 16384, 65536}, {16384, 16384, 65536},          {4096, 16384, 16384},
        {4096, 20000, 65536}, {4096, 16384, (64u << 20) + 1}, {0, 0, 0},
        {65536, 16384, 4096}};
    struct error err;
    MUST(chunker_check_parameters(&small, &err));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        REFUSES(ERROR_USAGE, chunker_check_parameters(&bad[i], &err));
}
END_TEST

RUN_TESTS("chunker", chunks_keep_their_bounds, an_insertion_at_the_front_moves_no_later_cut,
          another_table_cuts_elsewhere, the_cut_does_not_depend_on_how_much_is_shown,
          what_comes_bit_by_bit_is_cut_at_the_same_places, short_and_empty_inputs,
          parameters_out_of_bounds_are_refused)
