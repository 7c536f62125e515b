/* Output, progress and passphrases of the command line. */
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/output.h"
#include "cli/passphrase.h"
#include "cli/progress.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static struct error err;

/* What print() writes to standard output. */
static char *captured(void (*print)(void))
{
    static char text[4096];
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    FILE *file = tmpfile();
    dup2(fileno(file), STDOUT_FILENO);
    print();
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void print_table(void)
{
    struct output_table *table = output_table_new((const char *const[]){"name", ">size", "note", NULL});
    static const char *const cells[] = {"a", "1",   "x", "\xc3\xa4\xc3\xb6", "12345", "", "e\x1b[2J\xff",
                                        "7", "last"};
    for (size_t i = 0; i < 9; i++)
        output_table_cell(table, cells[i]);
    output_table_print(table);
    output_table_free(table);
}

START_TEST(tables_align_by_characters_and_escape)
{
    ck_assert_str_eq(captured(print_table), "name           size  note\n"
                                            "a                 1  x\n"
                                            "\xc3\xa4\xc3\xb6            12345\n"
                                            "e\\x1b[2J\\xff      7  last\n");
}
END_TEST

static void print_document(void)
{
    struct id id = {{0xab, 1}};
    json_t *object = json_object();
    output_json_id(object, "id", &id);
    output_json_time(object, "time", 1795489200);
    output_json_number(object, "bytes", UINT64_MAX);
    output_json_bytes(object, "name", bytes_of("a\"\n\xc3\xa4", 5));
    output_json_bytes(object, "path", bytes_of("/x\xff\xfe", 4));
    output_json_print(object);
}

START_TEST(json_has_exact_bytes_of_any_name)
{
    json_error_t problem;
    json_t *object = json_loads(captured(print_document), 0, &problem);
    ck_assert_ptr_nonnull(object);
    ck_assert_uint_eq(json_string_length(json_object_get(object, "id")), 64);
    ck_assert_str_eq(json_string_value(json_object_get(object, "time")), "2026-11-24T03:00:00Z");
    ck_assert_int_eq(json_integer_value(json_object_get(object, "bytes")), INT64_MAX);
    ck_assert_str_eq(json_string_value(json_object_get(object, "name")), "a\"\n\xc3\xa4");
    ck_assert_ptr_null(json_object_get(object, "name_base64"));
    ck_assert_str_eq(json_string_value(json_object_get(object, "path")), "/x\\xff\\xfe");
    ck_assert_str_eq(json_string_value(json_object_get(object, "path_base64")), "L3j//g==");
    json_decref(object);
    struct id id = {{0xab, 0xcd, 0xef, 1, 2, 3}};
    char text[OUTPUT_SHORT_ID_SIZE];
    ck_assert_str_eq(output_short_id(&id, text), "abcdef0102");
}
END_TEST

static void print_lists(void)
{
    struct output_list list;
    output_list_begin(&list, "none");
    output_list_end(&list);
    output_list_begin(&list, "some");
    output_list_item(&list, json_pack("{s:i}", "a", 1));
    output_list_item(&list, json_pack("{s:i}", "a", 2));
    output_list_end(&list);
}

START_TEST(long_listings_are_one_document)
{
    ck_assert_str_eq(captured(print_lists), "{\"none\":[]}\n{\"some\":[\n{\"a\":1},\n{\"a\":2}\n]}\n");
}
END_TEST

START_TEST(progress_shows_rate_and_time_left_within_the_terminal)
{
    char text[256];
    progress_format("backup", 512 << 20, 1024 << 20, 4, 79, text, sizeof text);
    ck_assert_str_eq(text, "backup: 512.0 MiB of 1.0 GiB (50 %), 128.0 MiB/s, 4.0 s left");
    progress_format("backup", 100, 0, 0.1, 79, text, sizeof text);
    ck_assert_str_eq(text, "backup: 100 B");
    progress_format("b", 200, 100, 0.1, 79, text, sizeof text);
    ck_assert_str_eq(text, "b: 200 B of 100 B (100 %)");
    progress_format("\xc3\xa4\xc3\xb6\xc3\xbc", 1, 2, 9, 2, text, sizeof text);
    ck_assert_str_eq(text, "\xc3\xa4\xc3\xb6");
    ck_assert_ptr_null(progress_new(&(struct options){.quiet = true}, "x"));
    ck_assert_ptr_null(progress_new(&(struct options){.json = true}, "x"));
    progress_update(NULL, 1, 2);
    progress_free(NULL);
}
END_TEST

START_TEST(weak_passphrases_are_refused)
{
    static const char *const weak[] = {
        "",
        "short1!Ab",
        "aaaaaaaaaaaaaa",
        "abababababab",
        "abcabcabcabcabc",
        "abcdefghijkl",
        "0123456789",
        "98765432109876",
        "qwertyuiop",
        "2026-11-24 03:00",
        "24.12.1975 12",
        "password123",
        "P@ssw0rd2026",
        "Welcome2026!",
        "holdfast-2026",
        "Letmein1234",
        "password1password1",
    };
    for (size_t i = 0; i < sizeof weak / sizeof *weak; i++)
        ck_assert_msg(passphrase_check(bytes_of_string(weak[i]), &err) == ERROR_USAGE, "%s", weak[i]);
    ck_assert(err.hint[0]);
    static const char *const strong[] = {
        "correct pony stapler",
        "zT7#kq!m2Wp9",
        "wir gehen morgen schwimmen",
        "\xd0\xbf\xd0\xb0\xd1\x80\xd0\xbe\xd0\xbb\xd1\x8c \xd0\xbc\xd0\xbe\xd1\x80\xd0\xb5",
        "38462950173846291057",
    };
    for (size_t i = 0; i < sizeof strong / sizeof *strong; i++)
        ck_assert_msg(passphrase_check(bytes_of_string(strong[i]), &err) == 0, "%s: %s", strong[i],
                      err.message);
}
END_TEST

START_TEST(passphrases_that_are_not_the_same_everywhere_are_refused)
{
    static const char *const odd[][2] = {
        {"seven words that\nnobody guesses", "more than one line"},
        {"seven words that nobody guesses\r", "more than one line"},
        {"seven words that nobody guesses\n", "more than one line"},
        {"seven words\tthat nobody guesses", "a tab"},
        {"seven words\033[D that nobody guesses", "a control character"},
        {"seven words \xc2\x85 that nobody guesses", "a control character"},
        {"\xef\xbb\xbfseven words that nobody guesses", "byte-order mark"},
        {"\xff\xfeseven words that nobody guesses", "UTF-16"},
        {"seven w\xf6rds that nobody guesses", "not text in UTF-8"},
        {"seven words that nobody guesses ", "begins or ends with a space"},
        {" seven words that nobody guesses", "begins or ends with a space"},
        {"seven\xc2\xa0words that nobody guesses", "cannot be seen"},
        {"seven words\xe2\x80\x8b that nobody guesses", "cannot be seen"},
        {"seven wo\xcc\x88rds that nobody guesses", "as two"},
        {"seven \xe2\x84\xab words that nobody guesses", "as two"},
        {"\xe1\x84\x80\xe1\x85\xa1 seven words that nobody guesses", "as two"},
    };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        ck_assert_int_eq(passphrase_check(bytes_of_string(odd[i][0]), &err), ERROR_USAGE);
        ck_assert_msg(strstr(err.message, odd[i][1]) != NULL && err.hint[0], "%zu: %s", i, err.message);
    }
    ck_assert_int_eq(passphrase_check(bytes_of("seven words\0 that nobody guesses", 33), &err), ERROR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.message, "NUL"));
    ck_assert_int_eq(passphrase_check(bytes_of_string("\xe6\x97\xa5 gr\xc3\xbc\xc3\x9f dich wald"), &err), 0);
}
END_TEST

/* One of many scripts, where their ranges begin and end; the rest can be typed. */
START_TEST(characters_that_change_where_text_is_normalised_are_refused)
{
    static const char *const composed[] = {
        "\xcc\x80",     "\xcd\x84",         "\xcd\xaf",         "\xe0\xa5\x98",     "\xe0\xbd\x83",
        "\xe1\x87\x82", "\xe1\xbf\xbd",     "\xe2\x84\xa6",     "\xe3\x82\x99",     "\xef\xa4\x80",
        "\xef\xad\x8e", "\xf0\x9d\x85\xa0", "\xf0\xaf\xa0\x80", "\xf0\xaf\xa8\x9d",
    };
    static const char *const unseen[] = {"\xc2\xad", "\xe2\x80\xae", "\xe3\x80\x80", "\xef\xb8\x8f",
                                         "\xf3\xa0\x80\x81"};
    static const char *const common[] = {"\xc3\xa9", "\xea\xb0\x80", "\xe3\x81\x8c", "\xe4\xb8\x80",
                                         "\xe2\x82\xac"};
    char text[64];
    for (size_t i = 0; i < 14 + 5 + 5; i++) {
        const char *character = i < 14 ? composed[i] : i < 19 ? unseen[i - 14] : common[i - 19];
        snprintf(text, sizeof text, "seven words %s that nobody guesses", character);
        int code = passphrase_check(bytes_of_string(text), &err);
        ck_assert_msg(code == (i < 19 ? ERROR_USAGE : 0), "%zu: %d", i, code);
        ck_assert_msg(i >= 19 || strstr(err.message, i < 14 ? "as two" : "cannot be seen"), "%zu", i);
    }
}
END_TEST

/* What older versions took along, from a file that was then or is now one of another system. */
START_TEST(a_passphrase_is_tried_as_it_may_have_been_set)
{
    static const char *const seen[] = {"words", "\xef\xbb\xbfwords", "words\r", "words\n",
                                       "\xef\xbb\xbfwords\r"};
    struct buffer spelling = {0};
    for (size_t given = 0; given < 5; given++) {
        unsigned found = 0;
        for (unsigned i = 0; i < PASSPHRASE_SPELLINGS; i++) {
            passphrase_spell(bytes_of_string(seen[given]), i, &spelling);
            ck_assert(i != 0 || bytes_equal(buffer_bytes(&spelling), bytes_of_string("words")));
            for (size_t set = 0; set < 5; set++)
                if (bytes_equal(buffer_bytes(&spelling), bytes_of_string(seen[set]))) {
                    ck_assert(!(found & 1u << set)); /* each costs a second */
                    found |= 1u << set;
                }
        }
        ck_assert_uint_eq(found, 31);
    }
    passphrase_spell(bytes_of("wo\0rds", 6), 0, &spelling); /* of which only so much was taken once */
    ck_assert(bytes_equal(buffer_bytes(&spelling), bytes_of_string("wo")));
    passphrase_spell(bytes_of("wo\0rds", 6), 1, &spelling);
    ck_assert(bytes_equal(buffer_bytes(&spelling), bytes_of("wo\0rds", 6)));
    buffer_free_secret(&spelling);
}
END_TEST

START_TEST(offered_words_are_seven_strong_and_different_each_time)
{
    char last[128] = "";
    for (int i = 0; i < 200; i++) {
        struct buffer words = {0};
        ck_assert_int_eq(passphrase_words(&words, &err), 0);
        const char *text = buffer_string(&words);
        size_t spaces = 0;
        for (const char *p = text; *p; p++) {
            ck_assert(*p == ' ' || (*p >= 'a' && *p <= 'z'));
            spaces += *p == ' ';
        }
        ck_assert_uint_eq(spaces, 6);
        ck_assert_int_eq(passphrase_check(buffer_bytes(&words), &err), 0);
        ck_assert_str_ne(text, last);
        snprintf(last, sizeof last, "%s", text);
        buffer_free_secret(&words);
    }
}
END_TEST

static int read_passphrase_file(const char *contents, size_t size, mode_t mode, struct buffer *out)
{
    char path[] = "/tmp/test-passphrase-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, contents, size), (ssize_t)size);
    fchmod(fd, mode);
    close(fd);
    struct options options = {.passphrase_file = path};
    buffer_clear(out);
    int code = passphrase_get(&options, NULL, out, &err);
    unlink(path);
    return code;
}

START_TEST(passphrase_files_lose_one_newline_and_must_be_private)
{
    struct buffer out = {0};
    ck_assert_int_eq(read_passphrase_file("secret\r\n", 8, 0600, &out), 0);
    ck_assert(bytes_equal(buffer_bytes(&out), bytes_of_string("secret")));
    ck_assert_int_eq(read_passphrase_file("secret\r", 7, 0600, &out), 0);
    ck_assert(bytes_equal(buffer_bytes(&out), bytes_of_string("secret\r")));
    ck_assert_int_eq(read_passphrase_file("secret\n\n", 8, 0600, &out), 0);
    ck_assert(bytes_equal(buffer_bytes(&out), bytes_of_string("secret\n")));
    ck_assert_int_eq(read_passphrase_file("secret", 6, 0400, &out), 0);
    ck_assert(bytes_equal(buffer_bytes(&out), bytes_of_string("secret")));
    ck_assert_int_eq(read_passphrase_file("\n", 1, 0600, &out), ERROR_USAGE);
    ck_assert_int_eq(read_passphrase_file("secret", 6, 0640, &out), ERROR_DENIED);
    char *large = memory_alloc(PASSPHRASE_MAX + 2);
    memset(large, 'x', PASSPHRASE_MAX + 2);
    ck_assert_int_eq(read_passphrase_file(large, PASSPHRASE_MAX, 0600, &out), 0);
    ck_assert_int_eq(read_passphrase_file(large, PASSPHRASE_MAX + 1, 0600, &out), ERROR_USAGE);
    ck_assert_int_eq(read_passphrase_file(large, PASSPHRASE_MAX + 2, 0600, &out), ERROR_USAGE);
    free(large);
    buffer_free_secret(&out);
}
END_TEST

/* ---- on a terminal ---- */

/* Runs ask() in a child with a terminal of its own; the child exits with what it returns. */
static pid_t start_on_terminal(int (*ask)(void), int *terminal)
{
    pid_t pid = forkpty(terminal, NULL, NULL, NULL);
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        unsetenv("HOLDFAST_PASSPHRASE_FILE");
        signal(SIGINT, SIG_DFL); /* ignored in what a script runs in the background */
        _exit(ask());
    }
    return pid;
}

/* Appends what the terminal shows next. */
static void read_more(int terminal, char *shown, size_t size)
{
    size_t n = strlen(shown);
    struct pollfd polled = {.fd = terminal, .events = POLLIN};
    ck_assert_msg(poll(&polled, 1, 10000) == 1, "nothing came behind \"%s\"", shown);
    ssize_t got = read(terminal, shown + n, size - 1 - n);
    ck_assert_msg(got > 0, "nothing came behind \"%s\"", shown);
    shown[n + (size_t)got] = '\0';
}

/* Reads until the terminal shows `text`; it and what came before is cut off. */
static void wait_for(int terminal, const char *text, char *shown, size_t size)
{
    char *found;
    while (!(found = strstr(shown, text)))
        read_more(terminal, shown, size);
    found += strlen(text);
    memmove(shown, found, strlen(found) + 1);
}

static void type(int terminal, const char *text)
{
    ck_assert_int_eq(write(terminal, text, strlen(text)), (ssize_t)strlen(text));
}

static int ask_for_known(void)
{
    struct buffer out = {0};
    struct options options = {0};
    if (passphrase_get(&options, "admin", &out, &err))
        return 1;
    bool same = bytes_equal(buffer_bytes(&out), bytes_of_string("three blue words"));
    buffer_free_secret(&out);
    return same ? 0 : 2;
}

START_TEST(prompt_reads_without_echo)
{
    int terminal, status;
    char shown[1024] = "";
    pid_t pid = start_on_terminal(ask_for_known, &terminal);
    wait_for(terminal, "Passphrase for admin: ", shown, sizeof shown);
    type(terminal, "three blue words\n");
    waitpid(pid, &status, 0);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ssize_t n = read(terminal, shown, sizeof shown - 1);
    shown[n > 0 ? n : 0] = '\0';
    ck_assert_ptr_null(strstr(shown, "blue"));
    close(terminal);
}
END_TEST

START_TEST(interrupted_prompt_turns_the_echo_on_again)
{
    int terminal, status;
    char shown[1024] = "";
    struct termios mode;
    pid_t pid = start_on_terminal(ask_for_known, &terminal);
    wait_for(terminal, "Passphrase for admin: ", shown, sizeof shown);
    ck_assert_int_eq(tcgetattr(terminal, &mode), 0);
    ck_assert(!(mode.c_lflag & ECHO));
    kill(pid, SIGINT);
    waitpid(pid, &status, 0);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    ck_assert_int_eq(tcgetattr(terminal, &mode), 0);
    ck_assert(mode.c_lflag & ECHO);
    close(terminal);
}
END_TEST

static int choose(void)
{
    struct buffer out = {0};
    struct options options = {0};
    int code = passphrase_choose(&options, NULL, &out, &err);
    if (code)
        return 1;
    code = passphrase_check(buffer_bytes(&out), &err);
    buffer_free_secret(&out);
    return code ? 2 : 0;
}

START_TEST(choosing_takes_the_offered_words_when_they_are_typed)
{
    int terminal, status;
    char shown[4096] = "";
    pid_t pid = start_on_terminal(choose, &terminal);
    wait_for(terminal, "for a passphrase:", shown, sizeof shown);
    wait_for(terminal, "\n    ", shown, sizeof shown);
    char words[128];
    while (!strchr(shown, '\n'))
        read_more(terminal, shown, sizeof shown);
    snprintf(words, sizeof words, "%.*s\n", (int)strcspn(shown, "\r\n"), shown);
    wait_for(terminal, "Passphrase: ", shown, sizeof shown);
    type(terminal, "\n");
    wait_for(terminal, "once more: ", shown, sizeof shown);
    type(terminal, words);
    waitpid(pid, &status, 0);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(terminal);
}
END_TEST

START_TEST(choosing_asks_again_after_weak_and_differing_answers)
{
    int terminal, status;
    char shown[4096] = "";
    pid_t pid = start_on_terminal(choose, &terminal);
    wait_for(terminal, "Passphrase: ", shown, sizeof shown);
    type(terminal, "password123\n");
    wait_for(terminal, "too weak", shown, sizeof shown);
    wait_for(terminal, "Passphrase: ", shown, sizeof shown);
    type(terminal, "three blue words\n");
    wait_for(terminal, "once more: ", shown, sizeof shown);
    type(terminal, "three blue swords\n");
    wait_for(terminal, "not the same", shown, sizeof shown);
    wait_for(terminal, "Passphrase: ", shown, sizeof shown);
    type(terminal, "three blue words\n");
    wait_for(terminal, "once more: ", shown, sizeof shown);
    type(terminal, "three blue words\n");
    waitpid(pid, &status, 0);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(terminal);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli");
    TCase *tests = tcase_create("cli");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, tables_align_by_characters_and_escape);
    tcase_add_test(tests, json_has_exact_bytes_of_any_name);
    tcase_add_test(tests, long_listings_are_one_document);
    tcase_add_test(tests, progress_shows_rate_and_time_left_within_the_terminal);
    tcase_add_test(tests, weak_passphrases_are_refused);
    tcase_add_test(tests, offered_words_are_seven_strong_and_different_each_time);
    tcase_add_test(tests, passphrases_that_are_not_the_same_everywhere_are_refused);
    tcase_add_test(tests, characters_that_change_where_text_is_normalised_are_refused);
    tcase_add_test(tests, a_passphrase_is_tried_as_it_may_have_been_set);
    tcase_add_test(tests, passphrase_files_lose_one_newline_and_must_be_private);
    tcase_add_test(tests, prompt_reads_without_echo);
    tcase_add_test(tests, interrupted_prompt_turns_the_echo_on_again);
    tcase_add_test(tests, choosing_takes_the_offered_words_when_they_are_typed);
    tcase_add_test(tests, choosing_asks_again_after_weak_and_differing_answers);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
