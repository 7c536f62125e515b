/* Hooks, and the channels as far as they go without a server: tests/scenarios/notify.bats has the rest. */
#include "helpers.h"
#include "notify/environment.h"
#include "notify/hook.h"
#include "notify/log_service.h"
#include "notify/mail.h"
#include "notify/web.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static struct error err;

/* ---- mail ---- */

static const char *const to[] = {"root", "admin@example.org"};

static char *compose(const char *subject, const char *text)
{
    struct mail_parameters p = {.to = to, .to_count = 2, .from = "holdfast@example.org", .timeout = 5};
    struct notify_message m = {.subject = subject, .text = text};
    struct buffer out = {0};
    MUST(mail_compose(&p, &m, 1764100000, &out, &err));
    char *copy = strdup(buffer_string(&out));
    buffer_free(&out);
    return copy;
}

START_TEST(a_mail_has_its_headers_and_short_lines)
{
    char *mail = compose("all is well", "one\ntwo = 2\n.\nFrom here\ntrailing \n");
    static const char head[] = "From: holdfast@example.org\nTo: root,\n admin@example.org\n"
                               "Subject: all is well\nDate: Tue, 25 Nov 2025 19:46:40 +0000\n"
                               "Message-ID: <";
    ck_assert_msg(strncmp(mail, head, strlen(head)) == 0, "%s", mail);
    ck_assert(strstr(mail, "\n\none\ntwo =3D 2\n=2E\n=46rom here\ntrailing=20\n") != NULL);
    free(mail);
    struct buffer text = {0};
    for (int i = 0; i < 400; i++)
        buffer_append_string(&text, i % 7 ? "x" : "\xc3\xbc ");
    mail = compose(buffer_string(&text), buffer_string(&text));
    size_t lines = 0;
    for (char *line = strtok(mail, "\n"); line; line = strtok(NULL, "\n"), lines++)
        ck_assert_msg(strlen(line) <= 76 || strncmp(line, "Message-ID", 10) == 0, "%s", line);
    ck_assert_uint_gt(lines, 15);
    buffer_free(&text);
    free(mail);
}
END_TEST

START_TEST(nothing_in_a_mail_makes_a_header)
{
    char *mail = compose("bad\r\nBcc: thief@example.net\n\nbody", "x\n");
    ck_assert(!strstr(mail, "\nBcc") && strncmp(strstr(mail, "\n\n"), "\n\nx\n", 4) == 0);
    free(mail);
    static const char *const wrong[] = {"", "a b@c", "a@b\nBcc: x", "a@b,c@d", "<a@b>", "b\xc3\xbc@c"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct mail_parameters p = {.to = &wrong[i], .to_count = 1, .timeout = 5};
        struct notify_message m = {.subject = "s", .text = "t"};
        struct buffer out = {0};
        REFUSES(ERROR_USAGE, mail_compose(&p, &m, 0, &out, &err));
        p = (struct mail_parameters){.to = to, .to_count = 1, .from = wrong[i]};
        REFUSES(ERROR_USAGE, mail_compose(&p, &m, 0, &out, &err));
        buffer_free(&out);
    }
}
END_TEST

START_TEST(a_mailer_that_fails_hangs_or_is_not_there_is_an_error)
{
    static const char *const fails[] = {"sh", "-c", "echo no route >&2; exit 75", NULL};
    static const char *const hangs[] = {"sleep", "1000", NULL};
    static const char *const none[] = {"/nonexistent/sendmail", NULL};
    static const char *const good[] = {"sh", "-c", "grep -q '^Subject: s$'", NULL};
    struct notify_message m = {.subject = "s", .text = "t"};
    struct mail_parameters p = {.to = to, .to_count = 1, .command = fails, .timeout = 1};
    REFUSES(ERROR_FAILED, mail_send(&p, &m, &err));
    ck_assert(strstr(err.message, "status 75: no route") != NULL);
    p.command = hangs;
    REFUSES(ERROR_FAILED, mail_send(&p, &m, &err));
    ck_assert(strstr(err.message, "longer than 1 seconds") != NULL);
    p.command = none;
    REFUSES(ERROR_NOT_FOUND, mail_send(&p, &m, &err));
    p.command = good;
    MUST(mail_send(&p, &m, &err));
}
END_TEST

/* ---- hooks ---- */

static int hook_seconds = 60;

static int run_hook(const char *script, const volatile int *stop)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    static const char *const environment[] = {"HOLDFAST_JOB=web", NULL};
    struct buffer input = {0};
    buffer_append_string(&input, "{\"job\":\"web\"}");
    memset(buffer_extend(&input, 200000), ' ', 200000);
    struct hook hook = {.name = "before of job web",
                        .argv = argv,
                        .environment = environment,
                        .input = buffer_bytes(&input),
                        .timeout = hook_seconds,
                        .stop = stop};
    err = (struct error){0};
    int code = hook_run(&hook, &err);
    buffer_free(&input);
    return code;
}

START_TEST(a_hook_gets_facts_and_no_secrets)
{
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    setenv("https_proxy", "http://user:secret@proxy/", 1);
    setenv("LC_TIME", "C", 1);
    MUST(run_hook(
        "test \"$HOLDFAST_JOB\" = web && test \"$LC_TIME\" = C && test -n \"$PATH\" && ! env | grep secret",
        NULL));
    MUST(run_hook("grep -q '\"job\":\"web\"'", NULL));
    MUST(run_hook("true", NULL)); /* reads nothing */
    MUST(run_hook("exec <&-", NULL));
    unsetenv("PATH");
    MUST(run_hook("test -n \"$PATH\"", NULL));
}
END_TEST

START_TEST(a_hook_that_fails_says_all_it_can)
{
    REFUSES(ERROR_FAILED, run_hook("echo one; echo two >&2; printf 'th\\033ree\\n\\n' >&2; exit 9", NULL));
    ck_assert_msg(strncmp(err.message, "command sh -c echo one;", 23) == 0 &&
                      strstr(err.message, " ended with status 9: th\\x1bree (before that: one | two)"),
                  "%s", err.message);
    REFUSES(ERROR_FAILED, run_hook("yes 0123456789 | head -c 1000000; exit 1", NULL));
    ck_assert_uint_lt(strlen(err.message), 1400);
    hook_seconds = 1;
    REFUSES(ERROR_FAILED, run_hook("exec sleep 1000", NULL));
    hook_seconds = 60;
    ck_assert(strstr(err.message, "longer than 1 seconds") != NULL);
    int stop = 1;
    REFUSES(ERROR_CANCELLED, run_hook("exec sleep 1000", &stop));
    /* What stays in the background is not waited for. */
    MUST(run_hook("sleep 100 & echo", NULL));
}
END_TEST

/* ---- addresses ---- */

START_TEST(addresses_are_never_shown)
{
    struct web_parameters p = {.url = "http://user:secret@127.0.0.1:1/secret?secret", .timeout = 1};
    struct bytes body = bytes_of_string("{}");
    REFUSES(ERROR_FAILED, web_post(&p, body, &err));
    ck_assert_msg(strstr(err.message, "http://127.0.0.1:1") && !strstr(err.message, "secret"), "%s",
                  err.message);
    ck_assert_msg(strstr(err.message, "tries") != NULL, "%s", err.message);
    static const char *const wrong[] = {"http://example.org/secret", "secret",
                                        "https://secret\n.example.org/"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        p.url = wrong[i];
        REFUSES(ERROR_USAGE, web_ping(&p, "/fail", &err));
        ck_assert(!strstr(err.message, "secret") && !strstr(err.hint, "secret"));
    }
    char path[] = "/tmp/holdfast-notify-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_eq((int)write(fd, "http://127.0.0.1:1/secret\n", 26), 26);
    p = (struct web_parameters){.url_file = path, .timeout = 1};
    REFUSES(ERROR_FAILED, web_ping(&p, "", &err));
    ck_assert(!strstr(err.message, "secret"));
    fchmod(fd, 0644);
    REFUSES(ERROR_DENIED, web_ping(&p, "", &err));
    close(fd);
    unlink(path);
}
END_TEST

/* ---- the system's log ---- */

START_TEST(the_log_gets_lines_or_it_is_an_error)
{
    char folder[] = "/tmp/holdfast-notify-XXXXXX", path[64], text[2048];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/log", folder);
    struct notify_message m = {NOTIFY_FAILURE, "it failed", "one\n\ntwo\x1b\n", "{}"};
    REFUSES(ERROR_FAILED, log_service_send(path, LOG_DAEMON, &m, 1, &err));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    MUST(log_service_send(path, LOG_LOCAL3, &m, 1, &err));
    static const char *const expected[] = {"it failed", "one", "two\\x1b"};
    for (size_t i = 0; i < 3; i++) {
        ssize_t n = recv(fd, text, sizeof text - 1, 0);
        ck_assert_int_gt(n, 0);
        text[n] = '\0';
        ck_assert_msg(strncmp(text, "<155>", 5) == 0 && strstr(text, " holdfast[") != NULL, "%s", text);
        ck_assert_str_eq(strstr(text, "]: ") + 3, expected[i]);
    }
    /* A daemon that hangs: its queue is full soon. */
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    int code = 0;
    for (int i = 0; i < 3000 && code == 0; i++)
        code = log_service_send(path, LOG_DAEMON, &m, 1, &err);
    clock_gettime(CLOCK_MONOTONIC, &after);
    ck_assert_int_eq(code, ERROR_FAILED);
    ck_assert_int_le(after.tv_sec - before.tv_sec, 60);
    close(fd);
    unlink(path);
    rmdir(folder);
}
END_TEST

RUN_TESTS("notify", a_mail_has_its_headers_and_short_lines, nothing_in_a_mail_makes_a_header,
          a_mailer_that_fails_hangs_or_is_not_there_is_an_error, a_hook_gets_facts_and_no_secrets,
          a_hook_that_fails_says_all_it_can, addresses_are_never_shown, the_log_gets_lines_or_it_is_an_error)
