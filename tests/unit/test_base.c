/* Bytes, arenas, maps, queues, text, files and errors. */
#include "base/arena.h"
#include "base/file.h"
#include "base/id_map.h"
#include "base/memory.h"
#include "base/queue.h"
#include "base/text.h"

#include "helpers.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tree_on_disk.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

START_TEST(integers_are_big_endian_and_come_back)
{
    struct buffer b = {0};
    buffer_u8(&b, 0x01);
    buffer_u16(&b, 0x0203);
    buffer_u32(&b, 0x04050607);
    buffer_u64(&b, 0x08090a0b0c0d0e0f);
    buffer_lv(&b, bytes_of("xyz", 3));
    for (uint8_t i = 0; i < 15; i++)
        ck_assert_uint_eq(b.data[i], i + 1u);
    struct reader r = reader_of(buffer_bytes(&b));
    ck_assert_uint_eq(reader_u8(&r), 0x01);
    ck_assert_uint_eq(reader_u16(&r), 0x0203);
    ck_assert_uint_eq(reader_u32(&r), 0x04050607);
    ck_assert_uint_eq(reader_u64(&r), 0x08090a0b0c0d0e0f);
    ck_assert(!reader_finished(&r));
    ck_assert(bytes_equal(reader_lv(&r, 3), bytes_of_string("xyz")));
    ck_assert(reader_finished(&r));
    buffer_free(&b);
}
END_TEST

START_TEST(a_reader_never_passes_the_end)
{
    uint8_t all[15];
    memset(all, 0xff, sizeof all);
    for (size_t size = 0; size < sizeof all; size++) {
        uint8_t *exact = memory_copy(all, size); /* of this very size: a sanitizer sees one byte more */
        uint8_t copy[4] = {9, 9, 9, 9};
        struct reader r = reader_of(bytes_of(exact, size));
        reader_u64(&r);
        reader_u32(&r);
        reader_u16(&r);
        reader_u8(&r);
        ck_assert(r.failed && !reader_finished(&r));
        reader_copy(&r, copy, sizeof copy);
        ck_assert_mem_eq(copy, "\0\0\0\0", 4);
        ck_assert_uint_eq(reader_u8(&r) + reader_u16(&r) + reader_u32(&r) + reader_u64(&r), 0);
        ck_assert_uint_eq(reader_take(&r, 0).size, 0);
        free(exact);
    }
    struct reader r = reader_of(bytes_of(all, 3));
    ck_assert_ptr_null(reader_take(&r, SIZE_MAX).data);
    ck_assert(r.failed);
}
END_TEST

START_TEST(a_length_that_lies_is_refused)
{
    static const uint8_t text[] = {0, 0, 0, 3, 'a', 'b', 'c'};
    struct reader r = reader_of(bytes_of(text, sizeof text));
    reader_lv(&r, 2);
    ck_assert(r.failed); /* longer than the reader allows */
    r = reader_of(bytes_of(text, 6));
    reader_lv(&r, 100);
    ck_assert(r.failed); /* longer than what is there */
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 'a'};
    r = reader_of(bytes_of(huge, sizeof huge));
    ck_assert_uint_eq(reader_lv(&r, SIZE_MAX).size, 0);
    ck_assert(r.failed);
}
END_TEST

START_TEST(bytes_compare_as_memcmp_with_prefixes_first)
{
    ck_assert_int_lt(bytes_compare(bytes_of("ab", 2), bytes_of("abc", 3)), 0);
    ck_assert_int_gt(bytes_compare(bytes_of("\xff", 1), bytes_of("a", 1)), 0);
    ck_assert_int_eq(bytes_compare((struct bytes){0}, (struct bytes){0}), 0);
    ck_assert(bytes_equal((struct bytes){0}, bytes_of("", 0)));
    ck_assert(!bytes_equal(bytes_of("a", 1), bytes_of("ab", 2)));
}
END_TEST

START_TEST(a_buffer_ends_as_a_string_without_counting_the_nul)
{
    struct buffer b = {0};
    ck_assert_str_eq(buffer_string(&b), "");
    buffer_append_format(&b, "%d-%s", 7, "x");
    ck_assert_str_eq(buffer_string(&b), "7-x");
    ck_assert_uint_eq(b.size, 3);
    buffer_free(&b);
}
END_TEST

START_TEST(nothing_at_the_end_of_an_empty_buffer_is_a_place)
{
    struct buffer b = {0};
    ck_assert_ptr_nonnull(buffer_extend(&b, 0));
    ck_assert_uint_eq(b.size, 0);
    buffer_free(&b);
}
END_TEST

START_TEST(hex_is_lower_case_and_of_one_length)
{
    uint8_t out[2];
    ck_assert(hex_decode("0aff", 4, out, 2));
    ck_assert_mem_eq(out, "\x0a\xff", 2);
    ck_assert(!hex_decode("0AFF", 4, out, 2) && !hex_decode("0af", 3, out, 2) &&
              !hex_decode("0afff", 5, out, 2) && !hex_decode("0ag0", 4, out, 2) &&
              !hex_decode("0a 0", 4, out, 2));
}
END_TEST

START_TEST(an_arena_gives_zeroed_aligned_room)
{
    struct arena arena = {0}, other = {0};
    for (size_t size = 0; size < 3000; size += 7) {
        uint8_t *p = arena_alloc(&arena, size);
        ck_assert_uint_eq((uintptr_t)p % alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            ck_assert_uint_eq(p[i], 0);
        memset(p, 0xff, size);
    }
    const char *kept = arena_copy_string(&other, "kept");
    size_t total = arena.total + other.total;
    arena_join(&arena, &other);
    ck_assert_ptr_null(other.blocks);
    ck_assert_uint_eq(arena.total, total);
    ck_assert_str_eq(kept, "kept");
    ck_assert_ptr_nonnull(arena_alloc(&arena, 1u << 20));
    arena_free(&arena);
    ck_assert_uint_eq(arena.total, 0);
}
END_TEST

static void ends_the_process(void (*body)(void))
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null, STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        body();
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(status != 0);
}

static void array_that_wraps(void)
{
    struct arena arena = {0};
    arena_alloc_array(&arena, SIZE_MAX / 4, 8);
}

static void resize_that_wraps(void)
{
    free(memory_resize_array(NULL, SIZE_MAX / 4, 8));
}

START_TEST(products_that_wrap_end_the_process)
{
    ends_the_process(array_that_wraps);
    ends_the_process(resize_that_wraps);
}
END_TEST

/* Ids whose homes are few and at the end of the table: chains are long and wrap around. */
static struct id crowded_id(unsigned n)
{
    struct id id = {0};
    id.b[0] = (uint8_t)(0xfc | (n & 3));
    id.b[1] = id.b[2] = 0xff;
    bytes_store_u32(id.b + 20, n);
    return id;
}

START_TEST(a_map_of_ids_agrees_with_a_plain_array)
{
    enum { IDS = 200, STEPS = 20000 };
    struct id_map *map = id_map_new();
    bool there[IDS] = {false};
    uint64_t values[IDS] = {0}, random = 1;
    size_t count = 0;
    for (unsigned step = 0; step < STEPS; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        unsigned n = (unsigned)(random >> 33) % IDS;
        struct id id = crowded_id(n);
        if (random >> 62 < 2) {
            ck_assert_int_eq(id_map_put(map, &id, step), !there[n]);
            count += !there[n];
            there[n] = true;
            values[n] = step;
        } else if (random >> 62 == 2) {
            ck_assert_int_eq(id_map_remove(map, &id), there[n]);
            count -= there[n];
            there[n] = false;
        } else {
            uint64_t value = 0;
            ck_assert_int_eq(id_map_get(map, &id, &value), there[n]);
            ck_assert(!there[n] || value == values[n]);
        }
        ck_assert_uint_eq(id_map_count(map), count);
    }
    struct id id;
    uint64_t value;
    size_t at = 0, walked = 0;
    for (; id_map_next(map, &at, &id, &value); walked++)
        ck_assert_uint_eq(value, values[bytes_load_u32(id.b + 20)]);
    ck_assert_uint_eq(walked, count);
    id_map_free(map);
}
END_TEST

START_TEST(a_queue_keeps_order_and_its_bound)
{
    int items[3];
    struct queue *q = queue_new(2);
    ck_assert_ptr_null(queue_try_take(q));
    ck_assert(queue_put(q, &items[0]) && queue_try_put(q, &items[1]));
    ck_assert(!queue_try_put(q, &items[2]));
    ck_assert_ptr_eq(queue_take(q), &items[0]);
    ck_assert(queue_put(q, &items[2]));
    queue_close(q);
    ck_assert(!queue_put(q, &items[0]));
    ck_assert_ptr_eq(queue_take(q), &items[1]);
    ck_assert_ptr_eq(queue_try_take(q), &items[2]);
    ck_assert_ptr_null(queue_take(q));
    queue_free(q);
    queue_free(NULL);
}
END_TEST

#define QUEUE_ITEMS 20000

static void *take_all(void *q)
{
    uintptr_t sum = 0;
    for (void *item; (item = queue_take(q));)
        sum += (uintptr_t)item;
    return (void *)sum;
}

static void *put_many(void *q)
{
    for (uintptr_t i = 1; i <= QUEUE_ITEMS; i++)
        ck_assert(queue_put(q, (void *)i));
    return NULL;
}

START_TEST(a_queue_loses_nothing_between_threads)
{
    pthread_t takers[3], putters[2];
    struct queue *q = queue_new(4);
    for (size_t i = 0; i < COUNT(takers); i++)
        ck_assert_int_eq(pthread_create(&takers[i], NULL, take_all, q), 0);
    for (size_t i = 0; i < COUNT(putters); i++)
        ck_assert_int_eq(pthread_create(&putters[i], NULL, put_many, q), 0);
    for (size_t i = 0; i < COUNT(putters); i++)
        pthread_join(putters[i], NULL);
    queue_close(q); /* wakes those that wait */
    uintptr_t sum = 0;
    for (size_t i = 0; i < COUNT(takers); i++) {
        void *part;
        pthread_join(takers[i], &part);
        sum += (uintptr_t)part;
    }
    ck_assert_uint_eq(sum, COUNT(putters) * (uintptr_t)QUEUE_ITEMS * (QUEUE_ITEMS + 1) / 2);
    queue_free(q);
}
END_TEST

static void *put_one(void *q)
{
    return queue_put(q, q) ? q : NULL;
}

START_TEST(closing_wakes_who_waits_for_room)
{
    pthread_t putter;
    void *result;
    struct queue *q = queue_new(1);
    ck_assert(queue_put(q, q));
    ck_assert_int_eq(pthread_create(&putter, NULL, put_one, q), 0);
    usleep(20000);
    queue_close(q);
    pthread_join(putter, &result);
    ck_assert_ptr_null(result);
    queue_free(q);
}
END_TEST

START_TEST(sizes_are_binary_and_bounded)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"1", 1},
                {"20M", 20u << 20},
                {"3K", 3072},
                {"2G", 2ull << 30},
                {"1T", 1ull << 40},
                {"007", 7},
                {"8388607T", 8388607ull << 40},
                {"9223372036854775807", INT64_MAX}};
    static const char *const bad[] = {"",
                                      "K",
                                      "-1",
                                      "1k",
                                      "1KB",
                                      "1 K",
                                      "1.5M",
                                      " 1",
                                      "0x1",
                                      "1P",
                                      "8388608T",
                                      "9223372036854775808",
                                      "18446744073709551616",
                                      "99999999999999999999K"};
    uint64_t bytes;
    for (size_t i = 0; i < COUNT(good); i++) {
        ck_assert_msg(text_parse_size(good[i].text, &bytes), "%s", good[i].text);
        ck_assert_uint_eq(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        ck_assert_msg(!text_parse_size(bad[i], &bytes), "%s", bad[i]);
}
END_TEST

START_TEST(durations_have_units_and_bounds)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } good[] = {{"0", 0},     {"90", 90},          {"90s", 90},       {"2m", 120},
                {"1h", 3600}, {"30d", 30 * 86400}, {"5w", 5 * 604800}};
    static const char *const bad[] = {"",
                                      "d",
                                      "-1d",
                                      "1D",
                                      "1y",
                                      "1 d",
                                      "1d2h",
                                      "99999999999999999w",
                                      "9223372036854775807",
                                      "18446744073709551617"};
    int64_t seconds;
    for (size_t i = 0; i < COUNT(good); i++) {
        ck_assert_msg(text_parse_duration(good[i].text, &seconds), "%s", good[i].text);
        ck_assert_int_eq(seconds, good[i].seconds);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        ck_assert_msg(!text_parse_duration(bad[i], &seconds), "%s", bad[i]);
}
END_TEST

START_TEST(sizes_and_durations_are_shown_briefly)
{
    char text[32];
    ck_assert_str_eq(text_format_size(1023, text), "1023 B");
    ck_assert_str_eq(text_format_size(1536, text), "1.5 KiB");
    ck_assert_str_eq(text_format_size((1u << 20) - 1, text), "1.0 MiB");
    ck_assert_str_eq(text_format_size(UINT64_MAX, text), "16.0 EiB");
    ck_assert_str_eq(text_format_duration(1.25, text), "1.2 s");
    ck_assert_str_eq(text_format_duration(-3, text), "0.0 s");
    ck_assert_str_eq(text_format_duration(59.97, text), "1 min 0 s");
    ck_assert_str_eq(text_format_duration(3725, text), "1 h 2 min");
    ck_assert_str_eq(text_format_duration(180000, text), "2 d 2 h");
}
END_TEST

START_TEST(times_come_back_and_impossible_ones_are_refused)
{
    static const int64_t times[] = {0, -1, 1795489200, 951782400, 4294967296, -62135596800, 253402300799};
    char text[TEXT_TIME_SIZE];
    int64_t back;
    for (size_t i = 0; i < COUNT(times); i++) {
        text_format_compact_time(times[i], text);
        ck_assert_msg(text_parse_compact_time(text, strlen(text), &back), "%s", text);
        ck_assert_int_eq(back, times[i]);
        ck_assert(text_parse_time(text_format_time(times[i], text), &back));
        ck_assert_int_eq(back, times[i]);
    }
    ck_assert(text_parse_time("2026-11-24", &back) && back == 1795478400);
    ck_assert(text_parse_time("2026-11-24T03:00", &back) && back == 1795478400 + 3 * 3600);
    static const char *const bad[] = {"2026-02-30",       "2026-13-01",       "2026-00-10",
                                      "2026-11-24T24:00", "2026-11-24T03:60", "26-11-24",
                                      "2026-11-24 03:00", "2026-11-24T",      ""};
    for (size_t i = 0; i < COUNT(bad); i++)
        ck_assert_msg(!text_parse_time(bad[i], &back), "%s", bad[i]);
    static const char *const bad_compact[] = {"20260230T000000Z", "20261301T000000Z", "20261124T240000Z",
                                              "20261124T000060Z", "20261124t000000Z", "20261124T000000",
                                              "20261124T0000000", "2026112 T000000Z"};
    for (size_t i = 0; i < COUNT(bad_compact); i++)
        ck_assert_msg(!text_parse_compact_time(bad_compact[i], strlen(bad_compact[i]), &back), "%s",
                      bad_compact[i]);
}
END_TEST

START_TEST(names_are_made_visible)
{
    static const struct {
        const char *raw, *visible;
    } cases[] = {{"plain", "plain"},
                 {"a\nb", "a\\x0ab"},
                 {"a\\b", "a\\x5cb"},
                 {"\x1b[31m", "\\x1b[31m"},
                 {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
                 {"\xff", "\\xff"},
                 {"\xc2\x9b", "\\xc2\\x9b"},
                 {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
                 {"\xc0\xaf", "\\xc0\\xaf"},
                 {"\xe2\x82", "\\xe2\\x82"},
                 {"\x7f", "\\x7f"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *text = text_visible(cases[i].raw);
        ck_assert_str_eq(text, cases[i].visible);
        free(text);
    }
    char *text = text_printable("C:\\x\t");
    ck_assert_str_eq(text, "C:\\x\\x09");
    free(text);
    ck_assert(text_is_utf8("gr\xc3\xbc\xc3\x9f", 6) && text_is_utf8("\xf4\x8f\xbf\xbf", 4));
    ck_assert(!text_is_utf8("\xf4\x90\x80\x80", 4) && !text_is_utf8("a\0b", 3) && !text_is_utf8("\xc3", 1) &&
              !text_is_utf8("\x80", 1));
}
END_TEST

START_TEST(the_nearest_name_is_found)
{
    static const char *const names[] = {"compression", "daily", "weekly", "keep"};
    ck_assert_str_eq(text_nearest("compresion", names, 4), "compression");
    ck_assert_str_eq(text_nearest("dialy", names, 4) ? text_nearest("dialy", names, 4) : "none", "none");
    ck_assert_str_eq(text_nearest("weekley", names, 4), "weekly");
    ck_assert_str_eq(text_nearest("kep", names, 4), "keep");
    ck_assert_ptr_null(text_nearest("zzz", names, 4));
    ck_assert_ptr_null(text_nearest("daily", names, 0));
}
END_TEST

static char *inside(const char *name)
{
    return file_join(folder, name);
}

static size_t entries_of_folder(void)
{
    struct buffer out = {0};
    struct error err;
    shell("ls -A | wc -l > /var/tmp/.holdfast-count-$$; mv /var/tmp/.holdfast-count-$$ .count");
    char *path = inside(".count");
    MUST(file_read(path, 100, &out, &err));
    size_t n = (size_t)atol(buffer_string(&out));
    shell("rm .count");
    free(path);
    buffer_free(&out);
    return n;
}

START_TEST(a_file_is_replaced_whole_or_not_at_all)
{
    struct error err;
    struct buffer out = {0};
    struct stat st;
    make_folder();
    char *path = inside("file"), *missing = inside("missing/file");
    MUST(file_write_atomic(path, bytes_of("old", 3), 0600, &err));
    MUST(file_write_atomic(path, bytes_of("newer", 5), 0600, &err));
    MUST(file_read(path, 5, &out, &err));
    ck_assert_str_eq(buffer_string(&out), "newer");
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
    REFUSES(ERROR_EXISTS, file_create_atomic(path, bytes_of("third", 5), 0600, &err));
    REFUSES(ERROR_NOT_FOUND, file_write_atomic(missing, bytes_of("x", 1), 0600, &err));
    buffer_clear(&out);
    MUST(file_read(path, 5, &out, &err));
    ck_assert_str_eq(buffer_string(&out), "newer");
    /* A write that fails leaves the old file and no temporary one. */
    shell("mkdir taken && touch taken/x");
    char *taken = inside("taken");
    ck_assert_int_ne(file_write_atomic(taken, bytes_of("x", 1), 0600, &err), 0);
    ck_assert_uint_eq(entries_of_folder(), 2);
    free(taken);
    free(path);
    free(missing);
    buffer_free(&out);
    remove_folder();
}
END_TEST

START_TEST(reading_has_a_bound)
{
    struct error err;
    struct buffer out = {0};
    make_folder();
    write_text("file", "12345");
    char *path = inside("file");
    REFUSES(ERROR_USAGE, file_read(path, 4, &out, &err));
    ck_assert_uint_eq(out.size, 0);
    REFUSES(ERROR_USAGE, file_read(folder, 100, &out, &err));
    free(path);
    path = inside("none");
    REFUSES(ERROR_NOT_FOUND, file_read(path, 100, &out, &err));
    free(path);
    path = inside("fifo");
    shell("mkfifo -m 600 fifo");
    REFUSES(ERROR_USAGE, file_read(path, 100, &out, &err)); /* at once, though nobody writes */
    free(path);
    buffer_free(&out);
    remove_folder();
}
END_TEST

START_TEST(a_secret_must_be_private)
{
    static const struct {
        mode_t mode;
        int code;
    } modes[] = {
        {0600, 0},           {0400, 0}, {0640, ERROR_DENIED}, {0604, ERROR_DENIED}, {0620, ERROR_DENIED},
        {0610, ERROR_DENIED}};
    struct error err;
    struct buffer out = {0};
    make_folder();
    write_text("secret", "s");
    char *path = inside("secret");
    for (size_t i = 0; i < COUNT(modes); i++) {
        ck_assert_int_eq(chmod(path, modes[i].mode), 0);
        REFUSES(modes[i].code, file_read_secret(path, 10, &out, &err));
        ck_assert(modes[i].code == 0 || strstr(err.hint, "chmod 600"));
    }
    free(path);
    buffer_free_secret(&out);
    remove_folder();
}
END_TEST

START_TEST(folders_are_made_with_their_parents)
{
    struct error err;
    struct stat st;
    make_folder();
    char *path = inside("a/b/c");
    MUST(file_make_directories(path, 0700, &err));
    MUST(file_make_directories(path, 0700, &err));
    ck_assert(stat(path, &st) == 0 && S_ISDIR(st.st_mode));
    free(path);
    write_text("file", "");
    path = inside("file/x");
    ck_assert_int_ne(file_make_directories(path, 0700, &err), 0);
    free(path);
    remove_folder();
}
END_TEST

START_TEST(paths_are_joined_and_parted)
{
    static const char *const joined[][3] = {{"a", "b", "a/b"},
                                            {"a/", "b", "a/b"},
                                            {"/", "b", "/b"},
                                            {"a//", "//b", "a/b"},
                                            {"/a", "b/c", "/a/b/c"}};
    static const char *const parents[][2] = {{"a", "."}, {"/a", "/"}, {"a/b", "a"}, {"/a/b/c", "/a/b"}};
    for (size_t i = 0; i < COUNT(joined); i++) {
        char *path = file_join(joined[i][0], joined[i][1]);
        ck_assert_str_eq(path, joined[i][2]);
        free(path);
    }
    for (size_t i = 0; i < COUNT(parents); i++) {
        char *path = file_parent(parents[i][0]);
        ck_assert_str_eq(path, parents[i][1]);
        free(path);
    }
}
END_TEST

START_TEST(errors_gain_context_and_keep_their_code)
{
    struct error err;
    static const struct {
        int number, code;
    } codes[] = {{ENOENT, ERROR_NOT_FOUND}, {EEXIST, ERROR_EXISTS},   {EACCES, ERROR_DENIED},
                 {EPERM, ERROR_DENIED},     {ENOSPC, ERROR_NO_SPACE}, {EDQUOT, ERROR_NO_SPACE},
                 {EIO, ERROR_FAILED}};
    for (size_t i = 0; i < COUNT(codes); i++) {
        ck_assert_int_eq(error_set_errno(&err, codes[i].number, "cannot open %s", "x"), codes[i].code);
        ck_assert_ptr_nonnull(strstr(err.message, "cannot open x: "));
    }
    ck_assert_int_eq(error_set_errno(&err, ENOSPC, "x"), ERROR_NO_SPACE);
    ck_assert_int_ne(err.hint[0], 0);
    ck_assert_int_eq(error_set(&err, ERROR_BUSY, "%d holds it", 7), ERROR_BUSY);
    ck_assert_int_eq(err.hint[0], 0); /* an old hint does not stick */
    ck_assert_int_eq(error_hint(&err, "wait"), ERROR_BUSY);
    ck_assert_int_eq(error_prefix(&err, "target %s", "a"), ERROR_BUSY);
    ck_assert_str_eq(err.message, "target a: 7 holds it");
    ck_assert_str_eq(err.hint, "wait");
    ck_assert_int_eq(error_set(NULL, ERROR_BUSY, "x"), ERROR_BUSY);
    ck_assert_int_eq(error_prefix(NULL, "x"), ERROR_FAILED);
}
END_TEST

START_TEST(long_errors_are_cut_at_their_bound)
{
    struct error err;
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error_set(&err, ERROR_FAILED, "%s", text);
    ck_assert_uint_eq(strlen(err.message), sizeof err.message - 1);
    for (size_t length = sizeof err.message - 5; length < sizeof err.message + 5; length++) {
        error_set(&err, ERROR_FAILED, "%s", text);
        error_prefix(&err, "%.*s", (int)length, text);
        ck_assert_uint_lt(strlen(err.message), sizeof err.message);
    }
    error_hint(&err, "%s", text);
    ck_assert_uint_eq(strlen(err.hint), sizeof err.hint - 1);
}
END_TEST

START_TEST(spellings_of_one_path_are_one)
{
    static const char *const cases[][2] = {{"/x/src", "/x/src"},
                                           {"/x/src/", "/x/src"},
                                           {"/x/src/.", "/x/src"},
                                           {"/x/./src", "/x/src"},
                                           {"//x///src//", "/x/src"},
                                           {"/", "/"},
                                           {"//", "/"},
                                           {"/.", "/"},
                                           {"/./", "/"},
                                           {"./a/b", "a/b"},
                                           {"a/", "a"},
                                           {".", "."},
                                           {"./", "."},
                                           {"", ""},
                                           {"/.x/..y/...", "/.x/..y/..."},
                                           {"/a/b.", "/a/b."}};
    static const char *const refused[] = {"..", "/..", "/a/../b", "a/..", "../a"};
    struct error err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *clean;
        MUST(file_clean_path(cases[i][0], &clean, &err));
        ck_assert_str_eq(clean, cases[i][1]);
        free(clean);
    }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char *clean;
        REFUSES(ERROR_USAGE, file_clean_path(refused[i], &clean, &err));
    }
}
END_TEST

RUN_TESTS("base", spellings_of_one_path_are_one, integers_are_big_endian_and_come_back,
          a_reader_never_passes_the_end, a_length_that_lies_is_refused,
          bytes_compare_as_memcmp_with_prefixes_first, a_buffer_ends_as_a_string_without_counting_the_nul,
          nothing_at_the_end_of_an_empty_buffer_is_a_place, hex_is_lower_case_and_of_one_length,
          an_arena_gives_zeroed_aligned_room, products_that_wrap_end_the_process,
          a_map_of_ids_agrees_with_a_plain_array, a_queue_keeps_order_and_its_bound,
          a_queue_loses_nothing_between_threads, closing_wakes_who_waits_for_room,
          sizes_are_binary_and_bounded, durations_have_units_and_bounds,
          sizes_and_durations_are_shown_briefly, times_come_back_and_impossible_ones_are_refused,
          names_are_made_visible, the_nearest_name_is_found, a_file_is_replaced_whole_or_not_at_all,
          reading_has_a_bound, a_secret_must_be_private, folders_are_made_with_their_parents,
          paths_are_joined_and_parted, errors_gain_context_and_keep_their_code,
          long_errors_are_cut_at_their_bound)
