#include "notify/web.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "http/http.h"
#include "http/url.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TRY_SECONDS_MAX 10          /* so that one that hangs leaves time for another */
#define FIRST_WAIT_MILLISECONDS 500 /* doubled each time */
#define WAIT_MILLISECONDS_MAX 8000
#define ANSWER_BYTES_MAX 65536 /* taken and thrown away */

static int64_t milliseconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wait_milliseconds(int64_t wait)
{
    struct timespec left = {wait / 1000, wait % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

/* The address, checked; as a secret. */
static int get_url(const struct web_parameters *p, struct buffer *url, struct error *err)
{
    int code = 0;
    if (p->url)
        buffer_append_string(url, p->url);
    else
        code = file_read_secret(p->url_file, HTTP_URL_MAX, url, err);
    size_t mark = url->size - text_without_mark(buffer_bytes(url)).size;
    if (mark)
        memmove(url->data, url->data + mark, url->size -= mark);
    while (url->size && strchr(" \t\r\n", url->data[url->size - 1]))
        url->size--;
    if (code != 0)
        return error_prefix(err, "url_file");
    code = http_url_check(buffer_string(url), p->allow_insecure_http, err);
    return code && !p->url ? error_prefix(err, "url_file %s", p->url_file) : code;
}

static int refusal(const char *url, const struct http_response *response, struct error *err)
{
    char *origin = http_url_origin(url);
    int status = response->status;
    const char *location = http_response_header(response, "location");
    error_set(err, ERROR_FAILED, "%s/... answers with status %d", origin, status);
    if (status / 100 == 3 && location) {
        char *there = http_url_origin(location);
        error_hint(err, "redirects are not followed: this one leads to %s; set the address it leads to",
                   there);
        free(there);
    } else if (status == 401 || status == 403 || status == 404 || status == 410) {
        error_hint(err, "is the address still the one that the service gives out?");
    } else {
        error_hint(err, "the service does not take the message; holdfast notify-test tries it again");
    }
    free(origin);
    return ERROR_FAILED;
}

/* True where another try may help. */
static bool may_pass(int code, int status)
{
    return code == 0 ? status == 408 || status == 429 || status >= 500 : code == ERROR_FAILED;
}

/* One try of at most `left` milliseconds; *again tells whether another one makes sense. */
static int try_once(const struct web_parameters *p, const struct http_request *request, int64_t left,
                    bool *again, struct error *err)
{
    struct http_client *client = NULL;
    struct http_response response = {0};
    unsigned seconds = (unsigned)(left > TRY_SECONDS_MAX * 1000 ? TRY_SECONDS_MAX : (left + 999) / 1000);
    struct http_options options = {.ca_file = p->ca_file,
                                   .connect_timeout = seconds,
                                   .stall_seconds = seconds,
                                   .total_timeout = seconds};
    int code = http_client_new(&options, &client, err);
    *again = false;
    if (code != 0)
        return code;
    code = http_perform(client, request, &response, NULL, err);
    *again = may_pass(code, response.status);
    if (code == ERROR_INTEGRITY)
        code = 0; /* a long answer is an answer: its status has come */
    if (code == 0 && response.status / 100 != 2)
        code = refusal(request->url, &response, err);
    http_response_free(&response);
    http_client_free(client);
    return code;
}

static int perform(const struct web_parameters *p, const struct http_request *request, struct error *err)
{
    int64_t deadline = milliseconds_now() + (int64_t)p->timeout * 1000, wait = FIRST_WAIT_MILLISECONDS;
    bool again;
    for (unsigned tries = 1;; tries++) {
        int code = try_once(p, request, deadline - milliseconds_now(), &again, err);
        if (code == 0)
            return 0;
        if (!again || milliseconds_now() + wait >= deadline)
            return tries > 1 ? error_prefix(err, "after %u tries", tries) : code;
        wait_milliseconds(wait);
        wait = wait * 2 > WAIT_MILLISECONDS_MAX ? WAIT_MILLISECONDS_MAX : wait * 2;
    }
}

int web_post(const struct web_parameters *p, struct bytes json, struct error *err)
{
    static const char *const headers[] = {"Content-Type: application/json"};
    struct buffer url = {0};
    int code = get_url(p, &url, err);
    if (code == 0) {
        struct http_request request = {.method = "POST",
                                       .url = buffer_string(&url),
                                       .headers = headers,
                                       .header_count = 1,
                                       .body = json,
                                       .max_response = ANSWER_BYTES_MAX};
        code = perform(p, &request, err);
    }
    buffer_free_secret(&url);
    return code;
}

/* "https://a/b?c" with "/fail" is "https://a/b/fail?c", with "?d" it is "https://a/b?c&d". */
static void add_suffix(struct buffer *url, const char *base, const char *suffix)
{
    size_t path = strcspn(base, "?");
    bool query = suffix[0] == '?';
    buffer_append(url, base, query ? strlen(base) : path);
    buffer_append_format(url, "%s%s", query && base[path] ? "&" : "", suffix + (query && base[path]));
    if (!query)
        buffer_append_string(url, base + path);
}

int web_ping(const struct web_parameters *p, const char *suffix, struct error *err)
{
    struct buffer base = {0}, url = {0};
    int code = get_url(p, &base, err);
    if (code == 0) {
        buffer_reserve(&url, base.size + strlen(suffix) + 2); /* a secret: it does not move */
        add_suffix(&url, buffer_string(&base), suffix);
        code = http_url_check(buffer_string(&url), p->allow_insecure_http, err);
    }
    if (code == 0) {
        struct http_request request = {
            .method = "GET", .url = buffer_string(&url), .max_response = ANSWER_BYTES_MAX};
        code = perform(p, &request, err);
    }
    buffer_free_secret(&base);
    buffer_free_secret(&url);
    return code;
}
