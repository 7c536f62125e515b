/* Exclude patterns mean what gitignore(5) says. */
#include "source/exclude.h"

#include <check.h>
#include <string.h>
#include <time.h>

static bool matches(const char *const *patterns, size_t count, const char *path, bool is_directory)
{
    struct exclude *exclude;
    struct error err;
    ck_assert_msg(exclude_new(patterns, count, &exclude, &err) == 0, "%s", err.message);
    bool result = exclude_match(exclude, bytes_of_string(path), is_directory);
    exclude_free(exclude);
    return result;
}

static const struct {
    const char *pattern, *path;
    bool directory, excluded;
} cases[] = {
    {"*.tmp", "/srv/a.tmp", false, true},
    {"*.tmp", "/srv/.tmp", false, true},
    {"*.tmp", "/srv/a.tmpx", false, false},
    {"*.tmp", "/a.tmp/b", false, false},
    {"cache", "/srv/cache", true, true},
    {"cache", "/srv/deep/er/cache", false, true},
    {"cache/", "/srv/cache", true, true},
    {"cache/", "/srv/cache", false, false},
    {"/srv/cache", "/srv/cache", true, true},
    {"/srv/cache", "/mnt/srv/cache", true, false},
    {"/srv/cache", "/srv/cache/x", false, false},
    {"srv/cache", "/srv/cache", true, true},
    {"srv/cache", "/mnt/srv/cache", true, false},
    {"/srv", "/srv", true, true},
    {"/srv", "/mnt/srv", true, false},
    {"/srv/*", "/srv/a", false, true},
    {"/srv/*", "/srv/a/b", false, false},
    {"/srv/*/c", "/srv/b/c", false, true},
    {"/srv/*/c", "/srv/a/b/c", false, false},
    {"**/foo", "/foo", false, true},
    {"**/foo", "/a/b/foo", false, true},
    {"**/foo/bar", "/a/foo/bar", false, true},
    {"**/foo/bar", "/a/foo/x/bar", false, false},
    {"abc/**", "/abc/x", false, true},
    {"abc/**", "/abc/x/y", false, true},
    {"abc/**", "/abc", true, false},
    {"a/**/b", "/a/b", false, true},
    {"a/**/b", "/a/x/b", false, true},
    {"a/**/b", "/a/x/y/b", false, true},
    {"a/**/b", "/a/x/y/c", false, false},
    {"a/**/b/**/c", "/a/b/x/b/y/c", false, true},
    {"a**b", "/x/a1b", false, true},
    {"/a**b", "/a/b", false, false},
    {"a***/b", "/aZ/b", false, true},
    {"?", "/a", false, true},
    {"?", "/ab", false, false},
    {"/a?b", "/a/b", false, false},
    {"[abc]x", "/bx", false, true},
    {"[a-c]x", "/dx", false, false},
    {"[!a-c]x", "/dx", false, true},
    {"[^a-c]x", "/ax", false, false},
    {"[]-]x", "/]x", false, true},
    {"[]-]x", "/-x", false, true},
    {"[a-]x", "/-x", false, true},
    {"[\\]]x", "/]x", false, true},
    {"[[:digit:]]*", "/7up", false, true},
    {"[![:digit:]]*", "/7up", false, false},
    {"[[:x]", "/:", false, true},
    {"/a[!b]c", "/a/c", false, false},
    {"\\!important", "/!important", false, true},
    {"\\#hash", "/#hash", false, true},
    {"#hash", "/#hash", false, true},
    {"a\\*b", "/a*b", false, true},
    {"a\\*b", "/axb", false, false},
    {"a\\\\b", "/a\\b", false, true},
    {"space ", "/space ", false, true},
    {"space ", "/space", false, false},
    {"*", "/x/\xff\xfe", false, true},
    {"\xff?", "/\xff\x01", false, true},
    {"**", "/a/b", false, true},
    {"/**", "/a/b", false, true},
    {"/srv//cache", "/srv/cache", true, true},
    {"/srv/./cache/.", "/srv/cache", true, true},
    {"/srv/cache//", "/srv/cache", false, false},
    {"cache//", "/srv/cache", true, true},
};

START_TEST(patterns_match_as_gitignore_says)
{
    const char *const list[] = {cases[_i].pattern};
    ck_assert_msg(matches(list, 1, cases[_i].path, cases[_i].directory) == cases[_i].excluded,
                  "\"%s\" against %s (directory: %d) must give %d", cases[_i].pattern, cases[_i].path,
                  cases[_i].directory, cases[_i].excluded);
}
END_TEST

START_TEST(the_last_matching_pattern_decides)
{
    const char *const list[] = {"*.log", "!keep.log", "/var/keep.log"};
    ck_assert(matches(list, 3, "/srv/a.log", false));
    ck_assert(!matches(list, 3, "/srv/keep.log", false));
    ck_assert(matches(list, 3, "/var/keep.log", false));
    ck_assert(!matches(list, 0, "/srv/a.log", false));
    ck_assert(!exclude_match(NULL, bytes_of_string("/a"), false));
}
END_TEST

START_TEST(a_pattern_that_can_never_match_is_refused)
{
    static const char *const bad[] = {
        "", "/", "!", "!/", "/.", "a/../b", "..", "a[b", "a\\", "[[:nothing:]]", "a/[b/c"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct exclude *exclude;
        struct error err;
        ck_assert_msg(exclude_new(&bad[i], 1, &exclude, &err) == ERROR_USAGE, "\"%s\" was taken", bad[i]);
        ck_assert_ptr_nonnull(strstr(err.message, "exclude pattern"));
    }
}
END_TEST

START_TEST(matching_takes_no_exponential_time)
{
    char pattern[401] = {0}, path[4097] = {0}, deep[601] = {0};
    for (size_t i = 0; i < 200; i++)
        memcpy(pattern + 2 * i, "a*", 2);
    memset(path, 'a', 4096);
    path[0] = '/';
    pattern[399] = 'b';
    for (size_t i = 0; i < 100; i++)
        memcpy(deep + 6 * i, "/**/a*", 6);
    deep[599] = 'b';
    for (size_t i = 2; i < 4096; i += 2)
        path[i] = i > 2048 ? '/' : 'a';
    const char *const list[] = {pattern, deep};
    clock_t before = clock();
    ck_assert(!matches(list, 2, path, false));
    ck_assert_msg(clock() - before < 2 * CLOCKS_PER_SEC, "it took %ld ms",
                  (long)(clock() - before) / (CLOCKS_PER_SEC / 1000));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exclude");
    TCase *tests = tcase_create("exclude");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, patterns_match_as_gitignore_says, 0, (int)(sizeof cases / sizeof *cases));
    tcase_add_test(tests, the_last_matching_pattern_decides);
    tcase_add_test(tests, a_pattern_that_can_never_match_is_refused);
    tcase_add_test(tests, matching_takes_no_exponential_time);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
