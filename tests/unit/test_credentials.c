#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "storage/credentials_internal.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct error err;
static char folder[] = "/tmp/holdfast-credentials-XXXXXX";

#define OK(call)                                                                                             \
    do {                                                                                                     \
        int ok_code = (call);                                                                                \
        ck_assert_msg(ok_code == 0, "%s: %s (%s)", #call, err.message, err.hint);                            \
    } while (0)

static char *path_of(const char *name)
{
    static char path[2][200];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static char *put_file(const char *name, const char *text, mode_t mode)
{
    char *path = path_of(name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    ck_assert_int_eq(chmod(path, mode), 0);
    return path;
}

/* Nothing of the environment's own, a home folder of the test's, no instance. */
static void setup(void)
{
    static const char *const names[] = {"AWS_ACCESS_KEY_ID",
                                        "AWS_SECRET_ACCESS_KEY",
                                        "AWS_SESSION_TOKEN",
                                        "AWS_PROFILE",
                                        "AWS_SHARED_CREDENTIALS_FILE",
                                        "AWS_CONFIG_FILE",
                                        "AWS_EC2_METADATA_SERVICE_ENDPOINT"};
    strcpy(strrchr(folder, '-') + 1, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    setenv("HOME", folder, 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    mkdir(path_of(".aws"), 0700);
    log_set_level(LOG_LEVEL_QUIET);
}

static void teardown(void)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static int get(const char *file, const char *profile, struct credentials *out)
{
    struct credentials_options options = {.file = file, .profile = profile};
    struct credentials_source *source = credentials_source_new(&options);
    ck_assert_str_eq(credentials_source_describe(source), "");
    err = (struct error){0};
    int code = credentials_get(source, 0, out, &err);
    credentials_source_free(source);
    return code;
}

static void expect_id(const char *file, const char *profile, const char *id)
{
    struct credentials c;
    OK(get(file, profile, &c));
    ck_assert_str_eq(c.id, id);
    ck_assert_uint_eq(c.generation, 1);
}

static void expect_denied(const char *file, const char *profile, const char *message)
{
    struct credentials c;
    ck_assert_int_eq(get(file, profile, &c), ERROR_DENIED);
    ck_assert_msg(strstr(err.message, message), "\"%s\" lacks \"%s\"", err.message, message);
    ck_assert_msg(err.hint[0], "no hint: %s", err.message);
    ck_assert_msg(!strstr(err.message, "HUSH") && !strstr(err.hint, "HUSH"), "%s", err.message);
}

#define KEYS(id) "aws_access_key_id = " id "\naws_secret_access_key = HUSH/" id "+=\n"

START_TEST(files_of_the_aws_tools_are_read)
{
    struct credentials c;
    const char *path =
        put_file("file",
                 "\xef\xbb\xbf# comment\n; comment\n[default]\r\n" KEYS(
                     "first") "\n"
                              "[ web1 ]\nAWS_ACCESS_KEY_ID=web\naws_secret_access_key\t=\tSECRET#x y\n"
                              "[\"with space\"]\n" KEYS(
                                  "space") "[second]\nregion = x\ns3 =\n"
                                           "  aws_access_key_id = nested\n" KEYS(
                                               "second") "aws_session_token = token==\n"
                                                         "[web11]\n" KEYS(
                                                             "eleven") "[default]\naws_access_key_id = later",
                 0600);
    OK(get(path, NULL, &c));
    ck_assert_str_eq(c.id, "later"); /* sections of one name are one */
    ck_assert_str_eq(c.secret, "HUSH/first+=");
    ck_assert_str_eq(c.token, "");
    ck_assert_int_eq(c.expires, 0);
    OK(get(path, "second", &c));
    ck_assert_str_eq(c.id, "second");
    ck_assert_str_eq(c.token, "token==");
    expect_id(path, "with space", "space");
    expect_id(path, "web11", "eleven");
    expect_denied(path, "web1", ":9: this line of profile web1"); /* a blank within a key */
    expect_denied(path, "web", "there is no profile web in");
    expect_denied(path_of("missing"), NULL, "there is no profile default");
}
END_TEST

START_TEST(what_holds_keys_is_for_its_owner_only)
{
    const char *path = put_file("open", "[default]\n" KEYS("a"), 0640);
    expect_denied(path, NULL, "group or others may access it");
    ck_assert(strstr(err.hint, "chmod 600") != NULL);
    path = put_file("program", "[default]\ncredential_process = /bin/true\n", 0622);
    expect_denied(path, NULL, "group or others may access it");
    /* A file without anything secret may be open, as AWS's own configuration often is. */
    put_file(".aws/config", "[default]\nregion = eu-west-1\n", 0644);
    put_file(".aws/credentials", "[default]\n" KEYS("b"), 0600);
    expect_id(NULL, NULL, "b");
}
END_TEST

START_TEST(broken_files_are_refused_with_their_line)
{
    static const struct {
        const char *text, *message;
    } broken[] = {
        {"[default]\naws_access_key_id\n", ":2: this line"},
        {"[default]\n= x\n", ":2: this line"},
        {"[default]\n\naws_secret_access_key = \n", ":3: this line"},
        {"[default]\naws_secret_access_key = HUSH\x01\n", ":2: this line"},
        {"[default]\naws_access_key_id = a\n", "has only one of"},
        {"[default]\naws_secret_access_key = HUSH\n", "has only one of"},
        {"[default]\ncredential_process =\n", ":2: this line"},
        {"[default]\nsso_session = x\n", "gets its keys by sso_session"},
        {"[default]\nrole_arn = x\nsource_profile = y\n", "gets its keys by source_profile"},
        {"[default]\nregion = x\n", "holds no keys"},
        {"", "there is no profile default"},
    };
    expect_denied(put_file("file", broken[_i].text, 0600), NULL, broken[_i].message);
}
END_TEST

START_TEST(values_that_are_too_long_are_refused)
{
    struct buffer text = {0};
    buffer_append_string(&text, "[default]\naws_secret_access_key = x\naws_access_key_id = ");
    for (int i = 0; i < CREDENTIALS_ID_MAX; i++)
        buffer_append_string(&text, "a");
    expect_denied(put_file("file", buffer_string(&text), 0600), NULL, ":3: this line");
    text.size--;
    struct credentials c;
    OK(get(put_file("file", buffer_string(&text), 0600), NULL, &c));
    ck_assert_uint_eq(strlen(c.id), CREDENTIALS_ID_MAX - 1);
    buffer_free(&text);
}
END_TEST

START_TEST(the_chain_goes_in_order)
{
    char *shared =
        memory_copy_string(put_file("shared", "[default]\n" KEYS("shared") "[p]\n" KEYS("shared-p"), 0600));
    expect_denied(NULL, NULL, "the environment has no AWS_ACCESS_KEY_ID; there is no profile default in /");
    ck_assert(strstr(err.message, "AWS_EC2_METADATA_DISABLED is set") != NULL);
    put_file(".aws/config", "[default]\n" KEYS("config") "[profile p]\n" KEYS("config-p") "[q]\n" KEYS("no"),
             0600);
    expect_id(NULL, NULL, "config");
    expect_id(NULL, "p", "config-p");
    expect_denied(NULL, "q", "there is no profile q in");
    setenv("AWS_PROFILE", "p", 1);
    expect_id(NULL, NULL, "config-p");
    put_file(".aws/credentials", "[default]\n" KEYS("home") "[p]\n" KEYS("home-p"), 0600);
    expect_id(NULL, NULL, "home-p");
    unsetenv("AWS_PROFILE");
    expect_id(NULL, NULL, "home");
    setenv("AWS_SHARED_CREDENTIALS_FILE", shared, 1);
    expect_id(NULL, NULL, "shared");
    setenv("AWS_PROFILE", "gone", 1);
    expect_denied(NULL, NULL, "there is no profile gone in");
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
    setenv("AWS_PROFILE", "p", 1);
    expect_id(NULL, NULL, "config-p");
    setenv("AWS_SHARED_CREDENTIALS_FILE", shared, 1);
    free(shared);
    setenv("AWS_ACCESS_KEY_ID", "environment", 1);
    expect_denied(NULL, NULL, "only one of AWS_ACCESS_KEY_ID");
    setenv("AWS_SECRET_ACCESS_KEY", "HUSH", 1);
    setenv("AWS_SESSION_TOKEN", "token", 1);
    expect_id(NULL, NULL, "environment");
    setenv("AWS_SESSION_TOKEN", "to\nken", 1);
    expect_denied(NULL, NULL, "in the environment are too long or hold blanks");
    setenv("AWS_SESSION_TOKEN", "", 1);
    expect_id(NULL, NULL, "environment");
    expect_id(NULL, "p", "shared-p"); /* named by the configuration: the environment is not asked */
    /* The configuration's file comes first, and is final. */
    expect_id(put_file("mine", "[default]\n" KEYS("mine"), 0600), NULL, "mine");
    expect_denied(path_of("mine"), "p", "there is no profile p in");
}
END_TEST

START_TEST(a_machine_without_the_service_goes_on)
{
    unsetenv("AWS_EC2_METADATA_DISABLED");
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1/", 1);
    expect_denied(NULL, NULL, "the instance's metadata service: nobody answers at http://127.0.0.1:1");
}
END_TEST

static void expect_split(const char *line, const char *joined)
{
    char **argv, *room, text[200] = "";
    bool good = credentials_split(line, &argv, &room);
    ck_assert_msg(good == (joined != NULL), "%s", line);
    for (size_t i = 0; good && argv[i]; i++) {
        strcat(text, argv[i]);
        strcat(text, "|");
    }
    if (joined)
        ck_assert_str_eq(text, joined);
    free(argv);
    free(room);
}

START_TEST(lines_are_split_as_aws_documents)
{
    expect_split("/opt/bin/tool generate web1", "/opt/bin/tool|generate|web1|");
    expect_split("  \"/path with/space\" arg\t'b c' ", "/path with/space|arg|b c|");
    expect_split("a \"\" ''", "a|||");
    expect_split("a\\ b \"c\\\"d\" 'e\\f' \"g\\h\"", "a b|c\"d|e\\f|g\\h|");
    expect_split("x$HOME `id` ~ *;", "x$HOME|`id`|~|*;|");
    expect_split("--a=\"b c\"d", "--a=b cd|");
    expect_split("", NULL);
    expect_split(" \t", NULL);
    expect_split("a \"b", NULL);
    expect_split("a 'b", NULL);
}
END_TEST

/* A program that prints, its profile, and what it is to print. */
static const char *with_program(const char *script)
{
    char text[400];
    put_file("program", script, 0700);
    snprintf(text, sizeof text, "[default]\ncredential_process = \"%s/program\" 'one two' $HOME\n", folder);
    return put_file("file", text, 0600);
}

#define PRINTS(json) "#!/bin/sh\ncat <<'E'\n" json "\nE\n"

START_TEST(a_program_gives_keys)
{
    struct credentials c;
    OK(get(with_program(
               "#!/bin/sh\n[ $# = 2 ] && [ \"$1\" = 'one two' ] && [ \"$2\" = '$HOME' ] || exit 3\n"
               "echo noise >&2\n"
               "echo '{\"Version\": 1, \"AccessKeyId\": \"id\", \"SecretAccessKey\": \"HUSH/+=\", "
               "\"SessionToken\": \"token\", \"Expiration\": \"2199-05-29T00:21:43Z\", \"More\": 1}'\n"),
           NULL, &c));
    ck_assert_str_eq(c.id, "id");
    ck_assert_str_eq(c.secret, "HUSH/+=");
    ck_assert_str_eq(c.token, "token");
    ck_assert_int_eq(c.expires, 7239370903);
    OK(get(with_program(PRINTS("{\"Version\":1,\"AccessKeyId\":\"id\",\"SecretAccessKey\":\"HUSH\","
                               "\"SessionToken\":null}")),
           NULL, &c));
    ck_assert_str_eq(c.token, "");
    ck_assert_int_eq(c.expires, 0);
}
END_TEST

#define GOOD "\"Version\":1,\"AccessKeyId\":\"id\",\"SecretAccessKey\":\"HUSH\""
static const struct {
    const char *script, *message;
} bad_programs[] = {
    {"#!/bin/sh\necho first >&2\necho 'the vault is sealed' >&2\nexit 7\n", "status 7: the vault is sealed"},
    {"#!/bin/sh\nkill -9 $$\n", "signal 9"},
    {"#!/bin/sh\n:\n", "not a JSON object"},
    {PRINTS("{" GOOD), "not a JSON object"},
    {PRINTS("[]"), "not a JSON object"},
    {PRINTS("{\"AccessKeyId\":\"id\",\"SecretAccessKey\":\"HUSH\"}"), "Version is not 1"},
    {PRINTS("{\"Version\":2,\"AccessKeyId\":\"id\",\"SecretAccessKey\":\"HUSH\"}"), "Version is not 1"},
    {PRINTS("{\"Version\":1,\"SecretAccessKey\":\"HUSH\"}"), "AccessKeyId is missing"},
    {PRINTS("{\"Version\":1,\"AccessKeyId\":\"id\"}"), "SecretAccessKey is missing"},
    {PRINTS("{\"Version\":1,\"AccessKeyId\":\"id\",\"SecretAccessKey\":\"HUSH\\r\\nX: y\"}"),
     "SecretAccessKey is"},
    {PRINTS("{\"Version\":1,\"AccessKeyId\":7,\"SecretAccessKey\":\"HUSH\"}"), "AccessKeyId is"},
    {PRINTS("{" GOOD ",\"SessionToken\":\"a b\"}"), "session token is malformed"},
    {PRINTS("{" GOOD ",\"Expiration\":\"soon\"}"), "Expiration is"},
    {PRINTS("{" GOOD ",\"Expiration\":1}"), "Expiration is"},
    {PRINTS("{" GOOD ",\"Expiration\":\"2001-01-01T00:00:00Z\"}"), "expired at 2001-01-01T00:00:00Z"},
    {"#!/bin/sh\nhead -c 100000 /dev/zero\n", "more than 65536 bytes"},
    {"#!/nonexistent\n", "cannot start command"},
    {"#!/bin/sh\nexec sleep 1000\n", "took longer than 1 seconds"},
    {"#!/bin/sh\necho '{" GOOD "}'; exec sleep 1000\n", "took longer than 1 seconds"},
};

START_TEST(a_program_that_fails_is_reported)
{
    const char *script = bad_programs[_i].script;
    struct credentials_options options = {.file = with_program(script),
                                          .process_timeout = strstr(script, "sleep") ? 1 : 60};
    struct credentials_source *source = credentials_source_new(&options);
    struct credentials c;
    ck_assert_int_eq(credentials_get(source, 0, &c, &err), ERROR_DENIED);
    ck_assert_msg(strstr(err.message, bad_programs[_i].message), "%s", err.message);
    ck_assert_msg(strstr(err.message, "credential_process of profile default of /"), "%s", err.message);
    ck_assert(err.hint[0] && !strstr(err.message, "HUSH"));
    credentials_source_free(source);
}
END_TEST

START_TEST(times_are_read_with_offset_and_fraction)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } times[] = {{"1970-01-01T00:00:00Z", 0},
                 {"2026-11-25T16:00:00Z", 1795622400},
                 {"2026-11-25T16:00:00.123456Z", 1795622400},
                 {"2026-11-25T17:00:00+01:00", 1795622400},
                 {"2026-11-25T08:30:00.5-07:30", 1795622400}};
    static const char *const wrong[] = {"",
                                        "2026-11-25",
                                        "2026-11-25T16:00:00",
                                        "2026-11-25 16:00:00Z",
                                        "2026-13-25T16:00:00Z",
                                        "2026-11-25T16:00:00+0100",
                                        "2026-11-25T16:00:00Zx",
                                        "2026-11-25T16:00:00+01:00x",
                                        "2026-11-25T16:00:0"};
    int64_t seconds;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        ck_assert_msg(credentials_parse_time(times[i].text, &seconds), "%s", times[i].text);
        ck_assert_int_eq(seconds, times[i].seconds);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(!credentials_parse_time(wrong[i], &seconds), "%s", wrong[i]);
}
END_TEST

START_TEST(the_metadata_services_form_is_read)
{
    struct credentials c;
    static const char good[] =
        "{\"Code\":\"Success\",\"LastUpdated\":\"x\",\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"id\","
        "\"SecretAccessKey\":\"HUSH\",\"Token\":\"t\",\"Expiration\":\"2199-05-29T00:21:43Z\"}";
    OK(credentials_parse_json(bytes_of_string(good), CREDENTIALS_IMDS, &c, &err));
    ck_assert_str_eq(c.token, "t");
    static const char *const bad[] = {"{\"Code\":\"AssumeRoleUnauthorizedAccess\"}",
                                      "{\"AccessKeyId\":\"id\"}",
                                      "{\"AccessKeyId\":\"id\",\"SecretAccessKey\":\"s\",\"Token\":\"t\"}",
                                      ("{\"AccessKeyId\":\"id\",\"SecretAccessKey\":\"s\",\"Token\":7,"
                                       "\"Expiration\":\"2199-05-29T00:21:43Z\"}")};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(credentials_parse_json(bytes_of_string(bad[i]), CREDENTIALS_IMDS, &c, &err),
                         ERROR_DENIED);
        ck_assert_str_eq(c.id, "");
    }
}
END_TEST

/* Counts its runs in the file `runs`; fails while the file `broken` is there; keys hold for $1 seconds. */
static const char *counting_program(const char *seconds)
{
    char text[800];
    snprintf(text, sizeof text,
             "#!/bin/sh\ncd %s\necho run >>runs\n[ ! -e broken ] || { echo 'out of order' >&2; exit 1; }\n"
             "echo \"{\\\"Version\\\":1,\\\"AccessKeyId\\\":\\\"id$(wc -l "
             "<runs)\\\",\\\"SecretAccessKey\\\":\\\"HUSH\\\","
             "\\\"Expiration\\\":\\\"$(date -u -d \"+%s seconds\" +%%Y-%%m-%%dT%%H:%%M:%%SZ)\\\"}\"\n",
             folder, seconds);
    return with_program(text);
}

static size_t runs(void)
{
    struct buffer text = {0};
    OK(file_read(path_of("runs"), 1000, &text, &err));
    size_t n = text.size / 4;
    buffer_free(&text);
    return n;
}

static struct credentials_source *counting_source(const char *seconds)
{
    struct credentials_options options = {.file = counting_program(seconds)};
    return credentials_source_new(&options);
}

START_TEST(keys_are_kept_while_they_hold)
{
    struct credentials_source *source = counting_source("600");
    struct credentials c;
    for (int i = 0; i < 3; i++)
        OK(credentials_get(source, 0, &c, &err));
    ck_assert_uint_eq(runs(), 1);
    ck_assert(strstr(credentials_source_describe(source), "the credential_process of profile default of /"));
    /* A store that refused them gets new ones, but once for all who were refused the old. */
    OK(credentials_get(source, c.generation, &c, &err));
    ck_assert_uint_eq(runs(), 2);
    ck_assert_str_eq(c.id, "id2");
    ck_assert_uint_eq(c.generation, 2);
    OK(credentials_get(source, 1, &c, &err));
    ck_assert_uint_eq(runs(), 2);
    credentials_source_free(source);
}
END_TEST

START_TEST(keys_are_renewed_before_they_end)
{
    struct credentials_source *source = counting_source("200");
    struct credentials c;
    OK(credentials_get(source, 0, &c, &err));
    ck_assert_uint_eq(runs(), 1);
    /* New ones that end soon as well are not asked for with each request. */
    OK(credentials_get(source, 0, &c, &err));
    OK(credentials_get(source, 0, &c, &err));
    ck_assert_uint_eq(runs(), 1);
    /* A program that fails leaves those that were refused refused. */
    put_file("broken", "", 0600);
    ck_assert_int_eq(credentials_get(source, c.generation, &c, &err), ERROR_DENIED);
    ck_assert(strstr(err.message, "out of order") != NULL);
    OK(credentials_get(source, 0, &c, &err));
    ck_assert_uint_eq(c.generation, 1);
    credentials_source_free(source);

    source = counting_source("3");
    ck_assert_int_eq(credentials_get(source, 0, &c, &err), ERROR_DENIED);
    unlink(path_of("broken"));
    OK(credentials_get(source, 0, &c, &err));
    put_file("broken", "", 0600);
    sleep(4);
    ck_assert_int_eq(credentials_get(source, 0, &c, &err), ERROR_DENIED);
    unlink(path_of("broken"));
    OK(credentials_get(source, 0, &c, &err)); /* ended: at once, whenever the last attempt was */
    ck_assert_uint_eq(c.generation, 2);
    credentials_source_free(source);
}
END_TEST

START_TEST(a_file_that_did_not_change_gives_the_same_generation)
{
    struct credentials_options options = {.file = put_file("file", "[default]\n" KEYS("a"), 0600)};
    struct credentials_source *source = credentials_source_new(&options);
    struct credentials c;
    OK(credentials_get(source, 0, &c, &err));
    OK(credentials_get(source, 1, &c, &err));
    ck_assert_uint_eq(c.generation, 1);
    put_file("file", "[default]\n" KEYS("b"), 0600);
    OK(credentials_get(source, 0, &c, &err));
    ck_assert_str_eq(c.id, "a");
    OK(credentials_get(source, 1, &c, &err));
    ck_assert_str_eq(c.id, "b");
    ck_assert_uint_eq(c.generation, 2);
    credentials_cleanse(&c);
    ck_assert_str_eq(c.id, "");
    ck_assert(strstr(credentials_source_describe(source), "profile default of /") != NULL);
    credentials_source_free(source);
}
END_TEST

static void *get_often(void *context)
{
    struct credentials c;
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(credentials_get(context, (uint64_t)i / 50, &c, NULL), 0);
    return NULL;
}

START_TEST(threads_share_one_renewal)
{
    struct credentials_source *source = counting_source("600");
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, get_often, source);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(runs(), 2);
    credentials_source_free(source);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("credentials");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, files_of_the_aws_tools_are_read);
    tcase_add_test(tests, what_holds_keys_is_for_its_owner_only);
    tcase_add_loop_test(tests, broken_files_are_refused_with_their_line, 0, 11);
    tcase_add_test(tests, values_that_are_too_long_are_refused);
    tcase_add_test(tests, the_chain_goes_in_order);
    tcase_add_test(tests, a_machine_without_the_service_goes_on);
    tcase_add_test(tests, lines_are_split_as_aws_documents);
    tcase_add_test(tests, a_program_gives_keys);
    tcase_add_loop_test(tests, a_program_that_fails_is_reported, 0,
                        sizeof bad_programs / sizeof *bad_programs);
    tcase_add_test(tests, times_are_read_with_offset_and_fraction);
    tcase_add_test(tests, the_metadata_services_form_is_read);
    tcase_add_test(tests, keys_are_kept_while_they_hold);
    tcase_add_test(tests, keys_are_renewed_before_they_end);
    tcase_add_test(tests, a_file_that_did_not_change_gives_the_same_generation);
    tcase_add_test(tests, threads_share_one_renewal);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
