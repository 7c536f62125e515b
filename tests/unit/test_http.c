/* Requests over real connections to a server that answers what a test tells it. */
#include "helpers.h"
#include "http/http.h"
#include "http/url.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct error err;
static struct http_client *client;
static struct http_response response;

/* Serves connections one after the other: a request's head and body, then `answer` as it is. */
static struct server {
    pthread_t thread;
    int listener;
    uint16_t port;
    const char *answer; /* to every request; NULL: none, the connection stays open until the client ends it */
    bool closes;        /* after an answer */
    unsigned
        unanswered; /* the number of a request that is taken, and the connection closed instead; 0: none */
    unsigned connections, requests;
    struct buffer head; /* of the request that is being read */
    char last[4096];    /* head of the last one */
    size_t body;        /* bytes of its body */
} server;

static size_t content_length(const char *head)
{
    const char *at = strstr(head, "Content-Length: ");
    return at ? strtoul(at + 16, NULL, 10) : 0;
}

/* False at the end of the connection. */
static bool read_request(int fd)
{
    char bytes[65536];
    const char *end;
    buffer_clear(&server.head);
    while (!(end = strstr(buffer_string(&server.head), "\r\n\r\n"))) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n <= 0)
            return false;
        buffer_append(&server.head, bytes, (size_t)n);
    }
    server.requests++;
    snprintf(server.last, sizeof server.last, "%s", (const char *)server.head.data);
    size_t wanted = content_length((const char *)server.head.data);
    server.body = server.head.size - (size_t)(end + 4 - (const char *)server.head.data);
    while (server.body < wanted) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n <= 0)
            return false;
        server.body += (size_t)n;
    }
    return true;
}

static void *serve(void *argument)
{
    (void)argument;
    int fd;
    while ((fd = accept(server.listener, NULL, NULL)) >= 0) {
        server.connections++;
        while (read_request(fd) && server.requests != server.unanswered) {
            if (server.answer && write(fd, server.answer, strlen(server.answer)) < 0)
                break;
            if (server.answer && server.closes)
                break;
        }
        close(fd);
    }
    return NULL;
}

static char url[64];

static void start(const char *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    signal(SIGPIPE, SIG_IGN);
    server = (struct server){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .answer = answer};
    ck_assert_int_eq(bind(server.listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(server.listener, 8), 0);
    ck_assert_int_eq(getsockname(server.listener, (struct sockaddr *)&address, &size), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/a/../b?c=d", ntohs(address.sin_port));
    ck_assert_int_eq(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void connect_with(struct http_options options)
{
    options.no_proxy = true;
    MUST(http_client_new(&options, &client, &err));
}

static void stop(void)
{
    if (server.listener < 0)
        return;
    shutdown(server.listener, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    close(server.listener);
    server.listener = -1;
}

static void finish(void)
{
    http_response_free(&response);
    response = (struct http_response){0};
    http_client_free(client);
    stop();
    buffer_free(&server.head);
}

static int request(const char *method, struct bytes body, size_t max, bool *processed)
{
    const char *const headers[] = {"X-One: 1"};
    struct http_request r = {.method = method,
                             .url = url,
                             .headers = headers,
                             .header_count = 1,
                             .body = body,
                             .max_response = max};
    return http_perform(client, &r, &response, processed, &err);
}

static const struct bytes nothing;
#define OK_5                                                                                                 \
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"x\"\r\nX-Amz-Thing:  two words \r\nOther: "             \
    "y\r\n\r\nhello"

START_TEST(requests_share_a_connection_and_are_sent_as_they_are)
{
    start(OK_5);
    connect_with((struct http_options){.connections = 1});
    buffer_append_string(&response.body, "before ");
    MUST(request("GET", nothing, 5, NULL));
    ck_assert_int_eq(response.status, 200);
    ck_assert_str_eq(buffer_string(&response.body), "before hello");
    ck_assert_str_eq(http_response_header(&response, "etag"), "\"x\"");
    ck_assert_str_eq(http_response_header(&response, "x-amz-thing"), "two words");
    ck_assert_ptr_null(http_response_header(&response, "other"));
    ck_assert(strstr(server.last, "GET /a/../b?c=d HTTP/1.1\r\n") != NULL);
    ck_assert(strstr(server.last, "X-One: 1\r\n") != NULL);
    bool processed;
    MUST(request("PUT", bytes_of_string("four"), 5, &processed));
    ck_assert(processed);
    ck_assert_uint_eq(server.body, 4);
    ck_assert_ptr_null(strstr(server.last, "Expect"));
    MUST(request("DELETE", nothing, 5, NULL));
    ck_assert(strstr(server.last, "DELETE /a/../b") != NULL);
    ck_assert_uint_eq(server.connections, 1);
    ck_assert_uint_eq(server.requests, 3);
    finish();
}
END_TEST

START_TEST(a_connection_that_was_closed_meanwhile_is_made_anew)
{
    start(OK_5);
    server.closes = true;
    connect_with((struct http_options){.connections = 1});
    MUST(request("PUT", bytes_of_string("four"), 5, NULL));
    MUST(request("PUT", bytes_of_string("four"), 5, NULL));
    ck_assert_uint_eq(server.body, 4);
    finish();
}
END_TEST

START_TEST(a_request_that_is_sent_anew_may_have_been_carried_out_before)
{
    start(OK_5);
    server.unanswered = 2;
    connect_with((struct http_options){.connections = 1});
    MUST(request("PUT", bytes_of_string("four"), 5, NULL));
    ck_assert(!response.repeated);
    MUST(request("PUT", bytes_of_string("four"), 5, NULL));
    ck_assert(response.repeated);
    ck_assert_uint_eq(server.requests, 3);
    MUST(request("PUT", bytes_of_string("four"), 5, NULL));
    ck_assert(!response.repeated);
    finish();
}
END_TEST

START_TEST(answers_are_bounded)
{
    start(OK_5);
    connect_with((struct http_options){.connections = 1});
    buffer_append_string(&response.body, "x");
    REFUSES(ERROR_INTEGRITY, request("GET", nothing, 4, NULL));
    ck_assert_uint_eq(response.body.size, 1);
    finish();
    /* What a store says about a failure may be longer than what was asked for. */
    start("HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\nhello");
    connect_with((struct http_options){.connections = 1});
    MUST(request("GET", nothing, 1, NULL));
    ck_assert_int_eq(response.status, 403);
    ck_assert_uint_eq(response.body.size, 5);
    finish();
}
END_TEST

START_TEST(an_answer_that_breaks_off_is_none)
{
    start("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello");
    server.closes = true;
    connect_with((struct http_options){.connections = 1});
    bool processed = false;
    REFUSES(ERROR_FAILED, request("GET", nothing, 50, &processed));
    ck_assert(processed);
    ck_assert_int_eq(response.status, 0);
    ck_assert_uint_eq(response.body.size, 0);
    ck_assert_str_ne(err.hint, "");
    finish();
}
END_TEST

START_TEST(no_server)
{
    start(OK_5);
    connect_with((struct http_options){.connections = 1});
    stop();
    bool processed = true;
    REFUSES(ERROR_FAILED, request("GET", nothing, 50, &processed));
    ck_assert(!processed);
    snprintf(url, sizeof url, "file:///etc/passwd");
    REFUSES(ERROR_DENIED, request("GET", nothing, 50, &processed));
    finish();
}
END_TEST

static void *cancel_soon(void *argument)
{
    usleep(100000);
    http_client_cancel(argument);
    return NULL;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

START_TEST(a_cancel_ends_requests)
{
    pthread_t thread;
    start(NULL);
    connect_with((struct http_options){.connections = 1});
    double begin = now();
    ck_assert_int_eq(pthread_create(&thread, NULL, cancel_soon, client), 0);
    REFUSES(ERROR_CANCELLED, request("GET", nothing, 5, NULL));
    ck_assert(now() - begin < 60);
    REFUSES(ERROR_CANCELLED, request("GET", nothing, 5, NULL));
    pthread_join(thread, NULL);
    finish();
}
END_TEST

START_TEST(a_stalled_connection_is_given_up)
{
    start(NULL);
    connect_with((struct http_options){.connections = 1, .stall_seconds = 1});
    double begin = now();
    REFUSES(ERROR_FAILED, request("GET", nothing, 5, NULL));
    ck_assert(now() - begin < 60);
    finish();
}
END_TEST

START_TEST(a_limit_holds_in_both_directions)
{
    struct buffer body = {0}, answer = {0};
    struct http_limit *up = http_limit_new(400000), *down = http_limit_new(400000);
    memset(buffer_extend(&body, 200000), 'x', 200000);
    buffer_append_string(&answer, "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n");
    buffer_append_bytes(&answer, buffer_bytes(&body));
    start(buffer_string(&answer));
    connect_with((struct http_options){.connections = 1, .upload_limit = up, .download_limit = down});
    http_limit_free(up);
    http_limit_free(down);
    double begin = now();
    MUST(request("PUT", buffer_bytes(&body), 200000, NULL));
    double took = now() - begin;
    ck_assert_msg(took > 0.7 && took < 60, "%f s", took); /* half a second each */
    ck_assert_uint_eq(response.body.size, 200000);
    ck_assert_uint_eq(server.body, 200000);
    finish();
    buffer_free(&body);
    buffer_free(&answer);
}
END_TEST

START_TEST(dates)
{
    ck_assert_int_eq(http_parse_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
    ck_assert_int_eq(http_parse_date("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
    ck_assert_int_eq(http_parse_date("Sun Nov  6 08:49:37 1994"), 784111777);
    ck_assert_int_eq(http_parse_date("soon"), -1);
    ck_assert_int_eq(http_parse_date(""), -1);
}
END_TEST

START_TEST(files_of_authorities)
{
    struct http_options options = {.ca_file = "/nonexistent"};
    REFUSES(ERROR_USAGE, http_client_new(&options, &client, &err));
    options.ca_file = "/etc/hostname";
    REFUSES(ERROR_USAGE, http_client_new(&options, &client, &err));
}
END_TEST

START_TEST(addresses_are_taken_apart)
{
    struct http_url u;
    ck_assert_ptr_null(http_url_parse("https://user:se@cret@Hooks.Example.net:8443/a?token=b", &u));
    ck_assert(u.tls && u.has_user && !u.literal && !u.loopback);
    ck_assert_str_eq(u.host, "hooks.example.net");
    ck_assert_uint_eq(u.port, 8443);
    ck_assert_str_eq(u.rest, "/a?token=b");
    ck_assert_ptr_null(http_url_parse("http://127.0.0.1?x", &u));
    ck_assert(!u.tls && !u.has_user && u.literal && u.loopback);
    ck_assert_str_eq(u.rest, "?x");
    static const char *const wrong[] = {"ftp://a/",     "https://",        "https://a b/",
                                        "https://a/#b", "https://a/\r\nb", "https://a\\@b/c:d",
                                        "https://@/",   "https://a:0/"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(http_url_parse(wrong[i], &u) != NULL, "%s", wrong[i]);
}
END_TEST

START_TEST(what_is_secret_in_an_address_is_not_shown)
{
    static const char *const list[][2] = {
        {"https://user:secret@example.net/secret?secret", "https://example.net"},
        {"https://example.net:8443?secret", "https://example.net:8443"},
        {"http://user:secret@[::1]:81/secret", "http://[::1]:81"},
        {"https://user:secret@exa mple.net/", "the server"}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        char *shown = http_url_origin(list[i][0]);
        ck_assert_str_eq(shown, list[i][1]);
        free(shown);
    }
    static const char *const users[][2] = {
        {"s3+https://user:secret@example.net/b?x@y", "s3+https://example.net/b?x@y"},
        {"https://a@b:secret@[::1]:81", "https://[::1]:81"},
        {"user:secret@example.net", "example.net"},
        {"https://example.net/a@b\n", "https://example.net/a@b\\x0a"}};
    for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
        char *shown = http_url_without_user(users[i][0]);
        ck_assert_str_eq(shown, users[i][1]);
        free(shown);
    }
    /* Nor in the messages of requests: port 1 is closed. */
    connect_with((struct http_options){0});
    struct http_request r = {.method = "GET", .url = "http://user:secret@127.0.0.1:1/secret?secret"};
    REFUSES(ERROR_FAILED, http_perform(client, &r, &response, NULL, &err));
    ck_assert(strstr(err.message, "http://127.0.0.1:1:") != NULL && !strstr(err.message, "secret"));
    http_client_free(client);
    http_response_free(&response);
    response = (struct http_response){0};
}
END_TEST

RUN_TESTS("http", addresses_are_taken_apart, what_is_secret_in_an_address_is_not_shown,
          requests_share_a_connection_and_are_sent_as_they_are,
          a_connection_that_was_closed_meanwhile_is_made_anew,
          a_request_that_is_sent_anew_may_have_been_carried_out_before, answers_are_bounded,
          an_answer_that_breaks_off_is_none, no_server, a_cancel_ends_requests,
          a_stalled_connection_is_given_up, a_limit_holds_in_both_directions, dates, files_of_authorities)
