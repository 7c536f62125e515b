#include "storage/storage.h"

#include "base/file.h"
#include "base/memory.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folder[64];
static struct storage *storage;
static struct error err;

static void setup(void)
{
    strcpy(folder, "/tmp/holdfast-storage-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(storage_open_local("disk", folder, false, &storage, &err), 0);
}

static void teardown(void)
{
    storage_free(storage);
    char *command = memory_format("rm -rf %s %s.moved", folder, folder);
    ck_assert_int_eq(system(command), 0);
    free(command);
}

static int put(const char *name, const char *text)
{
    return storage_put(storage, name, bytes_of_string(text), &err);
}

static char *below(const char *name)
{
    static char paths[2][512]; /* two, for calls with two names */
    static unsigned calls;
    char *path = paths[calls++ % 2];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    ck_assert_int_eq(file_write_atomic(below(name), bytes_of_string(text), 0600, &err), 0);
}

static void assert_object(const char *name, const char *text)
{
    struct buffer out = {0};
    ck_assert_int_eq(storage_get(storage, name, 1000, &out, &err), 0);
    ck_assert_str_eq(buffer_string(&out), text);
    buffer_free(&out);
}

/* Names and sizes of a listing, sorted, as one line. */
struct names {
    char *list[100];
    size_t count;
};

static int collect(const struct storage_object *object, void *context)
{
    struct names *names = context;
    names->list[names->count++] = memory_format("%s:%llu", object->name, (unsigned long long)object->size);
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void assert_list(const char *prefix, const char *expected)
{
    struct names names = {.count = 0};
    struct buffer line = {0};
    ck_assert_int_eq(storage_list(storage, prefix, collect, &names, &err), 0);
    qsort(names.list, names.count, sizeof *names.list, compare);
    for (size_t i = 0; i < names.count; i++) {
        buffer_append_format(&line, "%s%s", i ? " " : "", names.list[i]);
        free(names.list[i]);
    }
    ck_assert_str_eq(buffer_string(&line), expected);
    buffer_free(&line);
}

START_TEST(what_was_put_is_got_whole_and_in_ranges)
{
    struct buffer out = {0};
    ck_assert_int_eq(put("packs/ab/abcd", "0123456789"), 0);
    ck_assert_int_eq(put("empty", ""), 0);
    assert_object("packs/ab/abcd", "0123456789");
    assert_object("empty", "");
    buffer_append_string(&out, "x");
    ck_assert_int_eq(storage_get_range(storage, "packs/ab/abcd", 3, 4, &out, &err), 0);
    ck_assert_int_eq(storage_get_range(storage, "packs/ab/abcd", 10, 0, &out, &err), 0);
    ck_assert_str_eq(buffer_string(&out), "x3456");
    ck_assert_int_eq(storage_get_range(storage, "packs/ab/abcd", 3, 8, &out, &err), ERROR_INTEGRITY);
    ck_assert_int_eq(storage_get_range(storage, "packs/ab/abcd", UINT64_MAX, 2, &out, &err), ERROR_INTEGRITY);
    ck_assert_int_eq(storage_get(storage, "packs/ab/abcd", 9, &out, &err), ERROR_INTEGRITY);
    ck_assert_uint_eq(out.size, 5);
    buffer_free(&out);

    uint64_t size;
    int64_t taken;
    ck_assert_int_eq(storage_head(storage, "packs/ab/abcd", &size, &taken, &err), 0);
    ck_assert_uint_eq(size, 10);
    ck_assert_int_le(llabs(taken - time(NULL)), 5);
}
END_TEST

START_TEST(megabytes_that_begin_at_a_page_are_got_back)
{
    /* Whole pages go past the page cache, the rest through it; then a size of whole pages, and odd memory. */
    static const struct {
        size_t size, shift;
    } cases[] = {{(2u << 20) + 12345, 0}, {2u << 20, 0}, {2u << 20, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer data = {0}, out = {0};
        buffer_reserve_pages(&data, 4u << 20);
        for (size_t n = 0; n < cases[i].size + cases[i].shift; n++)
            buffer_u8(&data, (uint8_t)(n * 2654435761u >> 13));
        struct bytes whole = bytes_of(data.data + cases[i].shift, cases[i].size);
        ck_assert_int_eq(storage_put(storage, "packs/ab/large", whole, &err), 0);
        ck_assert_int_eq(storage_get(storage, "packs/ab/large", whole.size, &out, &err), 0);
        ck_assert(bytes_equal(buffer_bytes(&out), whole));
        buffer_free(&data);
        buffer_free(&out);
    }
}
END_TEST

START_TEST(a_missing_object_is_not_found_and_its_removal_a_success)
{
    struct buffer out = {0};
    ck_assert_int_eq(storage_get(storage, "packs/ab/none", 9, &out, &err), ERROR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "disk"));
    ck_assert_ptr_nonnull(strstr(err.message, below("packs/ab/none")));
    ck_assert_int_eq(storage_head(storage, "none", NULL, NULL, &err), ERROR_NOT_FOUND);
    ck_assert_int_eq(storage_remove(storage, "packs/ab/none", &err), 0);
    ck_assert_int_eq(put("a/b", "1"), 0);
    ck_assert_int_eq(storage_remove(storage, "a/b", &err), 0);
    ck_assert_int_eq(storage_remove(storage, "a/b", &err), 0);
    assert_list("", "");
}
END_TEST

START_TEST(names_that_could_leave_the_folder_or_hide_are_refused)
{
    static const char *const bad[] = {"",     "/etc/x",        "../x",    "a/../b", "a//b",
                                      "a/",   ".tmp-1-1",      "a/.hide", "a b",    "a\nb",
                                      "a\\b", "\xc3\xa9toile", "./config"};
    struct buffer out = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(!storage_is_name(bad[i]), "%s", bad[i]);
        ck_assert_int_eq(put(bad[i], "x"), ERROR_USAGE);
        ck_assert_int_eq(storage_get(storage, bad[i], 9, &out, &err), ERROR_USAGE);
        ck_assert_int_eq(storage_remove(storage, bad[i], &err), ERROR_USAGE);
    }
    ck_assert_int_eq(storage_list(storage, "../", collect, NULL, &err), ERROR_USAGE);
    ck_assert_int_eq(storage_list(storage, "packs", collect, NULL, &err), ERROR_USAGE);
    char name[STORAGE_NAME_MAX + 2];
    memset(name, 'a', sizeof name);
    name[STORAGE_NAME_MAX + 1] = '\0';
    ck_assert_int_eq(put(name, "x"), ERROR_USAGE);
    name[STORAGE_NAME_MAX] = '\0';
    ck_assert_int_eq(put(name, "x"), 0);
}
END_TEST

START_TEST(a_put_of_the_same_bytes_writes_nothing_and_of_others_repairs)
{
    struct stat before, after;
    ck_assert_int_eq(put("index/aa", "good"), 0);
    ck_assert_int_eq(stat(below("index/aa"), &before), 0);
    ck_assert_uint_eq(before.st_mode & 07777, 0600);
    ck_assert_int_eq(put("index/aa", "good"), 0);
    ck_assert_int_eq(stat(below("index/aa"), &after), 0);
    ck_assert_uint_eq(before.st_ino, after.st_ino);
    write_file("index/aa", "goop");
    ck_assert_int_eq(put("index/aa", "good"), 0);
    assert_object("index/aa", "good");
    write_file("index/aa", "goodbye");
    ck_assert_int_eq(put("index/aa", "good"), 0);
    assert_object("index/aa", "good");
    ck_assert_int_eq(stat(below("index"), &after), 0);
    ck_assert_uint_eq(after.st_mode & 07777, 0700);
}
END_TEST

START_TEST(a_listing_has_the_objects_below_a_prefix_and_nothing_foreign)
{
    ck_assert_int_eq(put("config", "c"), 0);
    ck_assert_int_eq(put("packs/ab/1", "11"), 0);
    ck_assert_int_eq(put("packs/ac/2", "222"), 0);
    ck_assert_int_eq(put("packsaside/3", ""), 0);
    write_file("packs/ab/notes~", "x");
    write_file("packs/ab/.hidden", "x");
    ck_assert_int_eq(mkdir(below("packs/lost+found"), 0700), 0);
    write_file("packs/lost+found/x", "x");
    ck_assert_int_eq(symlink(below("config"), below("packs/link")), 0);
    ck_assert_int_eq(symlink(below("packs/ab"), below("packs/linked")), 0);
    ck_assert_int_eq(mkfifo(below("packs/fifo"), 0600), 0);
    assert_list("", "config:1 packs/ab/1:2 packs/ac/2:3 packsaside/3:0");
    assert_list("packs/", "packs/ab/1:2 packs/ac/2:3");
    assert_list("packs/ac/", "packs/ac/2:3");
    assert_list("snapshots/", "");
}
END_TEST

static int stop(const struct storage_object *object, void *context)
{
    (void)object;
    return ++*(int *)context == 2 ? ERROR_CANCELLED : 0;
}

static int remove_each(const struct storage_object *object, void *context)
{
    (void)context;
    return storage_remove(storage, object->name, &err);
}

START_TEST(a_listing_ends_where_its_callback_says_and_stands_removals)
{
    int calls = 0;
    for (int i = 0; i < 60; i++) {
        char name[32];
        snprintf(name, sizeof name, "runs/%d", i);
        ck_assert_int_eq(put(name, ""), 0);
    }
    ck_assert_int_eq(storage_list(storage, "", stop, &calls, &err), ERROR_CANCELLED);
    ck_assert_int_eq(calls, 2);
    ck_assert_int_eq(storage_list(storage, "runs/", remove_each, NULL, &err), 0);
    assert_list("", "");
}
END_TEST

START_TEST(leftovers_of_crashes_are_invisible_and_removed_after_a_day)
{
    ck_assert_int_eq(put("packs/ab/1", "11"), 0);
    write_file("packs/ab/.tmp-123-4", "half");
    write_file("packs/ab/.tmp-123-5", "half");
    write_file("packs/ab/.tmp-mine", "not ours");
    struct timespec old[2] = {{time(NULL) - 90000, 0}, {time(NULL) - 90000, 0}};
    ck_assert_int_eq(utimensat(AT_FDCWD, below("packs/ab/.tmp-123-4"), old, 0), 0);
    ck_assert_int_eq(utimensat(AT_FDCWD, below("packs/ab/.tmp-mine"), old, 0), 0);
    assert_list("", "packs/ab/1:2");
    ck_assert_int_ne(access(below("packs/ab/.tmp-123-4"), F_OK), 0);
    ck_assert_int_eq(access(below("packs/ab/.tmp-123-5"), F_OK), 0);
    ck_assert_int_eq(access(below("packs/ab/.tmp-mine"), F_OK), 0);
}
END_TEST

START_TEST(links_below_the_folder_are_not_followed)
{
    struct buffer out = {0};
    ck_assert_int_eq(put("secret", "s"), 0);
    ck_assert_int_eq(symlink(below("secret"), below("link")), 0);
    ck_assert_int_eq(symlink("/tmp", below("packs")), 0);
    ck_assert_int_eq(storage_get(storage, "link", 9, &out, &err), ERROR_INTEGRITY);
    ck_assert_int_eq(storage_head(storage, "link", NULL, NULL, &err), ERROR_INTEGRITY);
    ck_assert_int_eq(put("packs/holdfast-escaped/1", "1"), ERROR_INTEGRITY);
    ck_assert_int_ne(access("/tmp/holdfast-escaped", F_OK), 0);
    ck_assert_int_eq(put("link", "new"), 0); /* replaces the link, not what it points to */
    assert_object("secret", "s");
    assert_object("link", "new");
    ck_assert_int_eq(mkfifo(below("fifo"), 0600), 0);
    ck_assert_int_eq(storage_get(storage, "fifo", 9, &out, &err), ERROR_INTEGRITY);
}
END_TEST

START_TEST(a_folder_that_vanished_or_was_replaced_is_an_error_not_an_empty_repository)
{
    struct buffer out = {0};
    char moved[80];
    snprintf(moved, sizeof moved, "%s.moved", folder);
    ck_assert_int_eq(put("config", "c"), 0);
    ck_assert_int_eq(rename(folder, moved), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(storage_get(storage, "config", 9, &out, &err), ERROR_FAILED);
        ck_assert_int_eq(storage_list(storage, "", collect, NULL, &err), ERROR_FAILED);
        ck_assert_int_eq(put("packs/1", "x"), ERROR_FAILED);
        ck_assert_str_ne(err.hint, "");
        if (i == 0)
            ck_assert_int_eq(mkdir(folder, 0700), 0); /* as under an unmounted disk */
    }
    ck_assert_int_eq(rmdir(folder), 0);
    ck_assert_int_eq(rename(moved, folder), 0);
    assert_object("config", "c");
}
END_TEST

START_TEST(a_missing_folder_is_made_only_when_asked)
{
    struct storage *other;
    char *path = memory_format("%s/new/deep", folder);
    ck_assert_int_eq(storage_open_local("usb", path, false, &other, &err), ERROR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "usb"));
    ck_assert_str_ne(err.hint, "");
    ck_assert_int_eq(storage_open_local("usb", path, true, &other, &err), 0);
    ck_assert_str_eq(storage_label(other), "usb");
    ck_assert_str_eq(storage_location(other), path);
    /* By the first put, not by looking. */
    ck_assert_int_eq(storage_list(other, "", collect, NULL, &err), 0);
    ck_assert_int_eq(storage_head(other, "config", NULL, NULL, &err), ERROR_NOT_FOUND);
    ck_assert_int_eq(storage_remove(other, "config", &err), 0);
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(storage_put(other, "config", bytes_of_string("c"), &err), 0);
    storage_free(other);

    char *url = memory_format("file://%s", path);
    ck_assert_int_eq(storage_open_url(url, &other, &err), 0);
    storage_free(other);
    ck_assert_int_eq(storage_open_url(path, &other, &err), 0);
    storage_free(other);
    ck_assert_int_eq(storage_open_url("gopher://x/y", &other, &err), ERROR_USAGE);
    ck_assert_int_eq(storage_open_url("file://host/y", &other, &err), ERROR_USAGE);
    ck_assert_int_eq(storage_open_url("", &other, &err), ERROR_USAGE);
    free(url);
    free(path);
}
END_TEST

START_TEST(a_full_disk_is_said_and_leaves_nothing_half_written)
{
    if (mount("holdfast-test", folder, "tmpfs", 0, "size=64k") != 0)
        return; /* only root can make a full disk */
    struct storage *small;
    char *big = memory_alloc_array(100001, 1);
    memset(big, 'x', 100000);
    ck_assert_int_eq(storage_open_local("usb", folder, false, &small, &err), 0);
    int code = storage_put(small, "packs/aa/1", bytes_of_string(big), &err);
    struct error full = err;
    /* The way past the page cache says it no less. */
    struct buffer pages = {0};
    buffer_reserve_pages(&pages, 2u << 20);
    memset(buffer_extend(&pages, 2u << 20), 'x', 2u << 20);
    int pages_code = storage_put(small, "packs/aa/3", buffer_bytes(&pages), &err);
    buffer_free(&pages);
    int small_code = storage_put(small, "packs/aa/2", bytes_of_string("fits"), &err);
    char temporary[128];
    snprintf(temporary, sizeof temporary, "ls -A %s/packs/aa | grep -qvx 2", folder);
    int left = system(temporary);
    storage_free(small);
    free(big);
    ck_assert_int_eq(umount(folder), 0);
    ck_assert_int_eq(code, ERROR_NO_SPACE);
    ck_assert_int_eq(pages_code, ERROR_NO_SPACE);
    ck_assert_ptr_nonnull(strstr(full.message, "usb"));
    ck_assert_ptr_nonnull(strstr(full.message, "packs/aa/1"));
    ck_assert_str_ne(full.hint, "");
    ck_assert_int_eq(small_code, 0);
    ck_assert_int_ne(left, 0);
}
END_TEST

START_TEST(a_process_killed_while_it_puts_leaves_whole_objects_only)
{
    size_t size = 300000;
    char *data = memory_alloc_array(size + 1, 1);
    memset(data, 'y', size);
    for (int round = 0; round < 10; round++) {
        pid_t child = fork();
        if (child == 0) {
            for (int i = 0;; i++) {
                char name[32];
                snprintf(name, sizeof name, "packs/%d/%d", i % 3, round * 100000 + i);
                storage_put(storage, name, bytes_of(data, size), NULL);
            }
        }
        usleep(10000 + (useconds_t)round * 3000);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    free(data);
    char *command =
        memory_format("find %s/packs -type f ! -name '.tmp-*' ! -size 300000c | grep -q .", folder);
    ck_assert_int_ne(system(command), 0);
    free(command);
    command = memory_format("find %s/packs -type f ! -name '.tmp-*' | grep -q .", folder);
    ck_assert_int_eq(system(command), 0);
    free(command);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("storage");
    TCase *tests = tcase_create("local");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, what_was_put_is_got_whole_and_in_ranges);
    tcase_add_test(tests, megabytes_that_begin_at_a_page_are_got_back);
    tcase_add_test(tests, a_missing_object_is_not_found_and_its_removal_a_success);
    tcase_add_test(tests, names_that_could_leave_the_folder_or_hide_are_refused);
    tcase_add_test(tests, a_put_of_the_same_bytes_writes_nothing_and_of_others_repairs);
    tcase_add_test(tests, a_listing_has_the_objects_below_a_prefix_and_nothing_foreign);
    tcase_add_test(tests, a_listing_ends_where_its_callback_says_and_stands_removals);
    tcase_add_test(tests, leftovers_of_crashes_are_invisible_and_removed_after_a_day);
    tcase_add_test(tests, links_below_the_folder_are_not_followed);
    tcase_add_test(tests, a_folder_that_vanished_or_was_replaced_is_an_error_not_an_empty_repository);
    tcase_add_test(tests, a_missing_folder_is_made_only_when_asked);
    tcase_add_test(tests, a_full_disk_is_said_and_leaves_nothing_half_written);
    tcase_add_test(tests, a_process_killed_while_it_puts_leaves_whole_objects_only);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
