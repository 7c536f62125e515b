#include "catalog/catalog.h"

#include "base/file.h"
#include "base/memory.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char folder[64], path[96], bad[112];
static struct catalog *catalog;
static const struct id16 repository = {{1, 2, 3}};
static struct error err;

static bool open_catalog(void)
{
    bool fresh;
    ck_assert_msg(catalog_open(path, &repository, &catalog, &fresh, &err) == 0, "%s", err.message);
    return fresh;
}

static bool reopen(void)
{
    catalog_close(catalog);
    catalog = NULL;
    return open_catalog();
}

static void setup(void)
{
    strcpy(folder, "/tmp/holdfast-catalog-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/catalog", folder);
    snprintf(bad, sizeof bad, "%s.bad", path);
    ck_assert(open_catalog());
}

static void teardown(void)
{
    catalog_close(catalog);
    char *command = memory_format("rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
    free(command);
}

/* Well-spread ids from a number. */
static struct id id_of(uint64_t n)
{
    struct id id;
    for (int i = 0; i < 4; i++) {
        n += 0x9e3779b97f4a7c15u;
        uint64_t z = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        bytes_store_u64(id.b + 8 * i, z ^ (z >> 31));
    }
    return id;
}

/* A pack named by `name` with blobs first, first + 1, ... */
static uint64_t add_pack(uint64_t name, uint64_t first, uint32_t count, bool pending)
{
    struct id *ids = memory_alloc_array(count, sizeof *ids);
    for (uint32_t i = 0; i < count; i++)
        ids[i] = id_of(first + i);
    struct catalog_pack pack = {.sha256 = id_of(name),
                                .kind = 1,
                                .size = 1000 + name,
                                .author = {{9}},
                                .blob_count = count,
                                .pending = pending};
    uint64_t number = 0;
    ck_assert_msg(catalog_add_pack(catalog, &pack, bytes_of_string("entry"), ids, &number, &err) == 0, "%s",
                  err.message);
    free(ids);
    return number;
}

static size_t find(uint64_t blob, uint64_t *numbers)
{
    struct id id = id_of(blob);
    size_t count;
    ck_assert_int_eq(catalog_find_blobs(catalog, &id, numbers, 8, &count, &err), 0);
    return count;
}

START_TEST(blobs_are_found_by_id_and_their_packs_by_number)
{
    uint64_t numbers[8];
    struct catalog_pack pack;
    struct buffer entry = {0};
    ck_assert_uint_eq(add_pack(1, 1000, 10, false), 1);
    ck_assert_uint_eq(add_pack(2, 0, 0, false), 2);
    ck_assert_uint_eq(add_pack(3, 1005, 10, true), 3); /* five blobs have a second copy */
    ck_assert_uint_eq(find(1003, numbers), 1);
    ck_assert_uint_eq(numbers[0], 4);
    ck_assert_uint_eq(find(1007, numbers), 2);
    ck_assert_uint_eq(numbers[0], 8);
    ck_assert_uint_eq(numbers[1], 13);
    ck_assert_uint_eq(find(1015, numbers), 0);

    ck_assert_int_eq(catalog_pack_of_blob(catalog, 10, &pack, &err), 0);
    ck_assert_uint_eq(pack.number, 1);
    ck_assert_int_eq(catalog_pack_of_blob(catalog, 11, &pack, &err), 0);
    struct id name = id_of(3);
    ck_assert(id_equal(&pack.sha256, &name));
    ck_assert_uint_eq(pack.size, 1003);
    ck_assert_uint_eq(pack.first_blob, 11);
    ck_assert_uint_eq(pack.blob_count, 10);
    ck_assert_uint_eq(pack.author.b[0], 9);
    ck_assert(pack.pending);
    ck_assert_int_eq(catalog_pack_of_blob(catalog, 21, &pack, &err), ERROR_NOT_FOUND);
    ck_assert_int_eq(catalog_pack_of_blob(catalog, 0, &pack, &err), ERROR_NOT_FOUND);
    ck_assert_int_eq(catalog_pack_of_blob(catalog, UINT64_MAX, &pack, &err), ERROR_NOT_FOUND);
    ck_assert_int_eq(catalog_find_pack(catalog, &name, &pack, &err), 0);
    ck_assert_uint_eq(pack.number, 3);
    ck_assert_int_eq(catalog_pack_entry(catalog, 3, &entry, &err), 0);
    ck_assert_str_eq(buffer_string(&entry), "entry");
    ck_assert_int_eq(catalog_pack_entry(catalog, 4, &entry, &err), ERROR_NOT_FOUND);
    buffer_free(&entry);
}
END_TEST

START_TEST(a_pack_added_again_keeps_its_number_and_only_ceases_to_be_pending)
{
    struct catalog_pack pack;
    uint64_t numbers[8];
    ck_assert_uint_eq(add_pack(7, 10, 3, true), 1);
    ck_assert_uint_eq(add_pack(7, 10, 3, false), 1);
    ck_assert_int_eq(catalog_pack_by_number(catalog, 1, &pack, &err), 0);
    ck_assert(!pack.pending);
    ck_assert_uint_eq(add_pack(7, 10, 3, true), 1);
    ck_assert_int_eq(catalog_pack_by_number(catalog, 1, &pack, &err), 0);
    ck_assert(!pack.pending);
    ck_assert_uint_eq(find(11, numbers), 1);
}
END_TEST

START_TEST(numbers_are_never_given_again)
{
    uint64_t numbers[8];
    add_pack(1, 0, 4, false);
    add_pack(2, 100, 4, false);
    ck_assert_int_eq(catalog_remove_pack(catalog, 2, &err), 0);
    ck_assert_int_eq(catalog_remove_pack(catalog, 2, &err), 0);
    ck_assert_uint_eq(find(101, numbers), 0);
    ck_assert_uint_eq(find(1, numbers), 1);
    ck_assert(!reopen());
    ck_assert_uint_eq(catalog_pack_limit(catalog), 2);
    ck_assert_uint_eq(catalog_blob_limit(catalog), 8);
    ck_assert_uint_eq(add_pack(3, 100, 4, false), 3);
    ck_assert_uint_eq(find(100, numbers), 1);
    ck_assert_uint_eq(numbers[0], 9);
}
END_TEST

static int sum_packs(const struct catalog_pack *pack, void *context)
{
    struct catalog_pack same;
    /* Callbacks may read. */
    ck_assert_int_eq(catalog_pack_by_number(catalog, pack->number, &same, &err), 0);
    *(uint64_t *)context = *(uint64_t *)context * 10 + pack->number;
    return pack->number == 4 ? ERROR_CANCELLED : 0;
}

START_TEST(packs_are_listed_in_order_until_the_callback_says_stop)
{
    uint64_t sum = 0;
    for (uint64_t i = 1; i <= 3; i++)
        add_pack(i, i * 10, 2, false);
    ck_assert_int_eq(catalog_each_pack(catalog, sum_packs, &sum, &err), 0);
    ck_assert_uint_eq(sum, 123);
    add_pack(4, 0, 0, false);
    add_pack(5, 0, 0, false);
    ck_assert_int_eq(catalog_each_pack(catalog, sum_packs, &sum, &err), ERROR_CANCELLED);
    ck_assert_uint_eq(sum, 1231234);
}
END_TEST

static int count_bodies(const struct id *sha256, struct bytes body, void *context)
{
    (void)sha256;
    *(size_t *)context += body.size;
    return 0;
}

START_TEST(a_segment_that_goes_takes_the_packs_that_nothing_else_lists)
{
    struct catalog_pack pack;
    uint64_t *packs;
    size_t count, bytes = 0;
    for (uint64_t i = 1; i <= 3; i++)
        add_pack(i, i * 10, 2, false);
    add_pack(4, 40, 2, true);
    struct id first = id_of(100), second = id_of(101);
    ck_assert_int_eq(
        catalog_add_segment(catalog, &first, bytes_of_string("one"), (uint64_t[]){1, 2, 4}, 3, &err), 0);
    ck_assert_int_eq(
        catalog_add_segment(catalog, &second, bytes_of_string("three"), (uint64_t[]){2, 3}, 2, &err), 0);
    ck_assert_int_eq(catalog_add_segment(catalog, &second, bytes_of_string("ignored"), NULL, 0, &err), 0);
    ck_assert_int_eq(catalog_each_segment(catalog, count_bodies, &bytes, &err), 0);
    ck_assert_uint_eq(bytes, 8);
    ck_assert_int_eq(catalog_segment_packs(catalog, &second, &packs, &count, &err), 0);
    ck_assert_uint_eq(count, 2);
    ck_assert_uint_eq(packs[1], 3);
    free(packs);

    ck_assert_int_eq(catalog_remove_segment(catalog, &first, &err), 0);
    ck_assert_int_eq(catalog_remove_segment(catalog, &first, &err), 0);
    ck_assert(!catalog_has_segment(catalog, &first));
    ck_assert(catalog_has_segment(catalog, &second));
    ck_assert_int_eq(catalog_segment_packs(catalog, &first, &packs, &count, &err), ERROR_NOT_FOUND);
    ck_assert_int_eq(catalog_pack_by_number(catalog, 1, &pack, &err), ERROR_NOT_FOUND);
    ck_assert_int_eq(catalog_pack_by_number(catalog, 2, &pack, &err), 0);
    ck_assert_int_eq(catalog_pack_by_number(catalog, 3, &pack, &err), 0);
    ck_assert_int_eq(catalog_pack_by_number(catalog, 4, &pack, &err), 0); /* pending */
    uint64_t numbers[8];
    ck_assert_uint_eq(find(10, numbers), 0);
}
END_TEST

static void assert_text(int code, struct buffer *out, const char *expected)
{
    ck_assert_int_eq(code, 0);
    ck_assert_str_eq(buffer_string(out), expected);
    buffer_clear(out);
}

START_TEST(records_directories_and_values_are_kept_replaced_and_removed)
{
    struct buffer out = {0};
    struct id a = id_of(1), b = id_of(2), twin = a;
    size_t bytes = 0;
    twin.b[31] ^= 1; /* same first 64 bits */
    ck_assert_int_eq(catalog_put_record(catalog, 3, &a, bytes_of_string("manifest"), &err), 0);
    ck_assert_int_eq(catalog_put_record(catalog, 3, &a, bytes_of_string("again"), &err), 0);
    ck_assert_int_eq(catalog_put_record(catalog, 5, &b, bytes_of_string("event"), &err), 0);
    ck_assert_int_eq(catalog_put_directory(catalog, "files", &a, bytes_of_string("row"), &err), 0);
    ck_assert_int_eq(catalog_put_directory(catalog, "other", &b, bytes_of_string(""), &err), 0);
    ck_assert_int_eq(catalog_put_value(catalog, "lease", bytes_of_string("1"), &err), 0);
    ck_assert_int_eq(catalog_put_value(catalog, "lease", bytes_of_string("2"), &err), 0);
    for (int i = 0; i < 2; i++) {
        assert_text(catalog_get_record(catalog, 3, &a, &out, &err), &out, "again");
        ck_assert_int_eq(catalog_get_record(catalog, 5, &a, &out, &err), ERROR_NOT_FOUND);
        assert_text(catalog_get_directory(catalog, &a, &out, &err), &out, "row");
        assert_text(catalog_get_directory(catalog, &b, &out, &err), &out, "");
        ck_assert_int_eq(catalog_get_directory(catalog, &twin, &out, &err), ERROR_NOT_FOUND);
        assert_text(catalog_get_value(catalog, "lease", &out, &err), &out, "2");
        ck_assert_int_eq(catalog_get_value(catalog, "none", &out, &err), ERROR_NOT_FOUND);
        if (i == 0)
            ck_assert(!reopen());
    }
    ck_assert_int_eq(catalog_each_record(catalog, 3, count_bodies, &bytes, &err), 0);
    ck_assert_uint_eq(bytes, 5);
    ck_assert_int_eq(catalog_remove_record(catalog, 3, &a, &err), 0);
    ck_assert_int_eq(catalog_get_record(catalog, 3, &a, &out, &err), ERROR_NOT_FOUND);
    ck_assert_int_eq(catalog_clear_directories(catalog, "files", &err), 0);
    ck_assert_int_eq(catalog_get_directory(catalog, &a, &out, &err), ERROR_NOT_FOUND);
    assert_text(catalog_get_directory(catalog, &b, &out, &err), &out, "");
    ck_assert_int_eq(catalog_remove_value(catalog, "lease", &err), 0);
    ck_assert_int_eq(catalog_get_value(catalog, "lease", &out, &err), ERROR_NOT_FOUND);
    buffer_free(&out);
}
END_TEST

START_TEST(the_catalog_of_another_repository_or_no_catalog_at_all_is_set_aside)
{
    struct id16 other = {{7}};
    bool fresh = false;
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    add_pack(1, 0, 4, false);
    catalog_close(catalog);
    ck_assert_int_eq(catalog_open(path, &other, &catalog, &fresh, &err), 0);
    ck_assert(fresh);
    ck_assert_uint_eq(catalog_pack_limit(catalog), 0);
    ck_assert_int_eq(access(bad, F_OK), 0);
    catalog_close(catalog);
    catalog = NULL;
    ck_assert_int_eq(file_write_atomic(path,
                                       bytes_of_string("this is not a database, and longer than a header "
                                                       "of one would have to be, so that it is read"),
                                       0600, &err),
                     0);
    ck_assert(open_catalog());
    ck_assert(!reopen());
}
END_TEST

START_TEST(the_schema_of_another_version_is_set_aside)
{
    catalog_close(catalog);
    catalog = NULL;
    int fd = open(path, O_RDWR);
    ck_assert_int_eq(pwrite(fd, "\0\0\0\x63", 4, 60), 4); /* user_version in the header of SQLite's file */
    close(fd);
    ck_assert(open_catalog());
    ck_assert_int_eq(access(bad, F_OK), 0);
}
END_TEST

START_TEST(damage_met_during_use_is_an_error_and_the_next_run_starts_anew)
{
    for (uint64_t i = 0; i < 200; i++)
        add_pack(i, i * 1000, 100, false);
    catalog_close(catalog);
    catalog = NULL;
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    int fd = open(path, O_RDWR);
    uint8_t noise[4096];
    memset(noise, 0xa5, sizeof noise);
    for (off_t at = 40 * 4096; at < st.st_size; at += 4096)
        ck_assert_int_eq(pwrite(fd, noise, sizeof noise, at), sizeof noise);
    close(fd);
    ck_assert(!open_catalog());
    int code = 0;
    for (uint64_t i = 0; code == 0 && i < 200000; i += 7) {
        uint64_t numbers[8];
        size_t count;
        struct id id = id_of(i);
        code = catalog_find_blobs(catalog, &id, numbers, 8, &count, &err);
    }
    ck_assert_int_eq(code, ERROR_FAILED);
    ck_assert_ptr_nonnull(strstr(err.message, path));
    ck_assert_str_ne(err.hint, "");
    ck_assert(reopen());
    ck_assert_int_eq(access(bad, F_OK), 0);
}
END_TEST

START_TEST(a_second_process_gets_busy_and_nothing_is_set_aside)
{
    struct catalog *second;
    add_pack(1, 0, 4, false);
    ck_assert_int_eq(catalog_open(path, &repository, &second, NULL, &err), ERROR_BUSY);
    ck_assert_int_ne(access(bad, F_OK), 0);
    ck_assert_uint_eq(add_pack(2, 10, 4, false), 2);
}
END_TEST

START_TEST(what_was_committed_survives_a_kill)
{
    add_pack(1, 0, 4, false);
    ck_assert_int_eq(catalog_commit(catalog, &err), 0);
    add_pack(2, 10, 4, false);
    /* The state of the disk at this moment is what a kill leaves. */
    char *command = memory_format("cp %s %s.copy && cp %s-wal %s.copy-wal", path, path, path, path);
    ck_assert_int_eq(system(command), 0);
    free(command);
    catalog_close(catalog);
    strcat(path, ".copy");
    ck_assert(!open_catalog());
    struct catalog_pack pack;
    ck_assert_int_eq(catalog_pack_by_number(catalog, 1, &pack, &err), 0);
    ck_assert_int_eq(catalog_pack_by_number(catalog, 2, &pack, &err), ERROR_NOT_FOUND);
}
END_TEST

static void *work(void *context)
{
    uint64_t base = *(uint64_t *)context;
    for (uint64_t i = 0; i < 50; i++) {
        uint64_t numbers[8];
        add_pack(base + i, base + 1000 * i, 20, false);
        ck_assert_uint_eq(find(base + 1000 * i + 7, numbers), 1);
    }
    return NULL;
}

START_TEST(several_threads_use_it_at_once)
{
    pthread_t threads[4];
    uint64_t bases[4];
    for (uint64_t i = 0; i < 4; i++) {
        bases[i] = (i + 1) << 32;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &bases[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(catalog_pack_limit(catalog), 200);
    ck_assert_uint_eq(catalog_blob_limit(catalog), 4000);
}
END_TEST

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t blobs;

/* Only with `test_catalog BLOBS`: how fast it is at that size. */
START_TEST(measure)
{
    const uint32_t per_pack = 250;
    uint64_t numbers[8];
    double start = seconds_now();
    for (uint64_t i = 0; i < blobs / per_pack; i++)
        add_pack((1ull << 40) + i, i * per_pack, per_pack, false);
    ck_assert_int_eq(catalog_commit(catalog, &err), 0);
    double inserted = seconds_now();
    for (uint64_t i = 0; i < 200000; i++)
        find(i * 7919 % blobs, numbers);
    double found = seconds_now();
    for (uint64_t i = 0; i < 200000; i++)
        find((1ull << 50) + i, numbers);
    double missed = seconds_now();
    struct buffer row = {0};
    buffer_extend(&row, 500);
    memset(row.data, 'x', row.size);
    for (uint64_t i = 0; i < 10000; i++) {
        struct id key = id_of(i);
        catalog_put_directory(catalog, "files", &key, buffer_bytes(&row), &err);
    }
    catalog_commit(catalog, &err);
    double written = seconds_now();
    for (uint64_t i = 0; i < 10000; i++) {
        struct id key = id_of(i);
        buffer_clear(&row);
        catalog_get_directory(catalog, &key, &row, &err);
    }
    double read = seconds_now();
    buffer_free(&row);
    reopen();
    struct stat st;
    stat(path, &st);
    printf("blobs %llu: insert %.2f us, find %.2f us, miss %.2f us, directory put %.2f us, get %.2f us, "
           "%.1f bytes a blob\n",
           (unsigned long long)blobs, (inserted - start) * 1e6 / (double)blobs, (found - inserted) * 5,
           (missed - found) * 5, (written - missed) * 100, (read - written) * 100,
           (double)st.st_size / (double)blobs);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("catalog");
    TCase *tests = tcase_create("catalog");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, blobs_are_found_by_id_and_their_packs_by_number);
    tcase_add_test(tests, a_pack_added_again_keeps_its_number_and_only_ceases_to_be_pending);
    tcase_add_test(tests, numbers_are_never_given_again);
    tcase_add_test(tests, packs_are_listed_in_order_until_the_callback_says_stop);
    tcase_add_test(tests, a_segment_that_goes_takes_the_packs_that_nothing_else_lists);
    tcase_add_test(tests, records_directories_and_values_are_kept_replaced_and_removed);
    tcase_add_test(tests, the_catalog_of_another_repository_or_no_catalog_at_all_is_set_aside);
    tcase_add_test(tests, the_schema_of_another_version_is_set_aside);
    tcase_add_test(tests, damage_met_during_use_is_an_error_and_the_next_run_starts_anew);
    tcase_add_test(tests, a_second_process_gets_busy_and_nothing_is_set_aside);
    tcase_add_test(tests, what_was_committed_survives_a_kill);
    tcase_add_test(tests, several_threads_use_it_at_once);
    if (argc > 1) {
        blobs = strtoull(argv[1], NULL, 10);
        tcase_set_timeout(tests, 3600);
        tcase_add_test(tests, measure);
    }
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
