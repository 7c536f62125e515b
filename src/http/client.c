#include "http/http.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "http/limit.h"
#include "http/url.h"

#include <ctype.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CA_FILE_MAX ((size_t)8 << 20)
#define HEADERS_KEPT_MAX ((size_t)16 * 1024)
#define HEADERS_MAX ((size_t)256 * 1024)
#define REFUSAL_MAX ((size_t)64 * 1024) /* of an answer that is no success, whatever was asked for */
#define BUFFER_BYTES (128L * 1024)
#define STALL_BYTES_PER_SECOND 1024L
#define SLOW_LIMIT 65536 /* under such a rate limit a connection may rightly be slower than a stalled one */

struct http_client {
    struct http_options options;
    char *ca_file;
    pthread_mutex_t lock; /* guards idle and idle_count */
    pthread_cond_t returned;
    CURL **idle; /* connections are kept open by them */
    size_t idle_count;
    unsigned handles; /* made so far */
    atomic_bool cancelled;
};

/* One request under way, as the callbacks see it. */
struct transfer {
    struct http_client *client;
    const struct http_request *request;
    struct http_response *response;
    CURL *curl;
    size_t sent;         /* of the body */
    size_t body_before;  /* what the response's body held */
    size_t header_bytes; /* seen, of all kinds */
    bool too_long;
    bool started;  /* the first bytes of the answer's body have come */
    bool repeated; /* all of the request was sent before */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void initialise(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- callbacks ---- */

static size_t give_body(char *to, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    size_t n = size * count, left = t->request->body.size - t->sent;
    size_t piece = http_limit_piece(t->client->options.upload_limit);
    if (t->client->options.upload_limit && n > piece)
        n = piece;
    if (n > left)
        n = left;
    if (n == 0)
        return 0;
    if (!http_limit_wait(t->client->options.upload_limit, n, &t->client->cancelled))
        return CURL_READFUNC_ABORT;
    memcpy(to, t->request->body.data + t->sent, n);
    t->sent += n;
    return n;
}

/* libcurl begins anew where a kept connection turns out to be closed, be it after the request was sent. */
static int seek_body(void *context, curl_off_t offset, int origin)
{
    struct transfer *t = context;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->request->body.size)
        return CURL_SEEKFUNC_FAIL;
    t->repeated |= t->sent == t->request->body.size;
    t->sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t body_max(struct transfer *t)
{
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    bool refusal = status >= 300 && t->request->max_response < REFUSAL_MAX;
    return refusal ? REFUSAL_MAX : t->request->max_response;
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    size_t n = size * count, max = body_max(t);
    struct buffer *body = &t->response->body;
    if (n > max - (body->size - t->body_before)) {
        t->too_long = true;
        return 0;
    }
    curl_off_t length = -1;
    if (!t->started && curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length) == CURLE_OK &&
        length > 0 && (uint64_t)length <= max)
        buffer_reserve(body, (size_t)length);
    t->started = true;
    if (n && !http_limit_wait(t->client->options.download_limit, n, &t->client->cancelled))
        return 0;
    buffer_append(body, data, n);
    return n;
}

static bool is_kept(const char *name)
{
    static const char *const kept[] = {"etag",        "date",           "last-modified",
                                       "retry-after", "content-length", "location"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (strcmp(name, kept[i]) == 0)
            return true;
    return strncmp(name, "x-amz-", 6) == 0;
}

static void keep_header(struct buffer *headers, const char *data, size_t size)
{
    const char *colon = memchr(data, ':', size);
    char name[64];
    size_t length = colon ? (size_t)(colon - data) : 0;
    if (length == 0 || length >= sizeof name || memchr(data, 0, size))
        return;
    for (size_t i = 0; i < length; i++)
        name[i] = (char)tolower((unsigned char)data[i]);
    name[length] = '\0';
    const char *value = colon + 1, *end = data + size;
    while (value < end && isspace((unsigned char)*value))
        value++;
    while (end > value && isspace((unsigned char)end[-1]))
        end--;
    if (!is_kept(name) || headers->size + length + (size_t)(end - value) + 2 > HEADERS_KEPT_MAX)
        return;
    buffer_append(headers, name, length + 1);
    buffer_append(headers, value, (size_t)(end - value));
    buffer_u8(headers, 0);
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    size_t n = size * count;
    t->header_bytes += n;
    if (t->header_bytes > HEADERS_MAX) {
        t->too_long = true;
        return 0;
    }
    if (n >= 5 && memcmp(data, "HTTP/", 5) == 0)
        buffer_clear(&t->response->headers); /* before it there was an interim answer */
    keep_header(&t->response->headers, data, n);
    return n;
}

static int look(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    struct transfer *t = context;
    return atomic_load(&t->client->cancelled);
}

/* Commands that the program starts must not inherit connections. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)context, (void)purpose;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- the client ---- */

int http_client_new(const struct http_options *options, struct http_client **client, struct error *err)
{
    pthread_once(&once, initialise);
    if (options->ca_file) {
        struct buffer ca = {0};
        int code = file_read(options->ca_file, CA_FILE_MAX, &ca, err);
        if (code == 0 && !strstr(buffer_string(&ca), "-----BEGIN"))
            code = error_set(err, ERROR_USAGE, "%s holds no certificate in PEM form", options->ca_file);
        buffer_free(&ca);
        if (code != 0) {
            error_prefix(err, "ca_file");
            if (err)
                err->code = ERROR_USAGE;
            error_hint(err,
                       "name a file with the certificates of the authorities to be trusted, in PEM form");
            return ERROR_USAGE;
        }
    }
    struct http_client *c = memory_new(struct http_client);
    c->options = *options;
    c->options.connections = options->connections ? options->connections : 1;
    c->options.ca_file = NULL; /* the caller's */
    http_limit_share(c->options.upload_limit);
    http_limit_share(c->options.download_limit);
    c->ca_file = options->ca_file ? memory_copy_string(options->ca_file) : NULL;
    c->idle = memory_alloc_array(c->options.connections, sizeof(CURL *));
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->returned, NULL);
    *client = c;
    return 0;
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    for (size_t i = 0; i < client->idle_count; i++)
        curl_easy_cleanup(client->idle[i]);
    pthread_cond_destroy(&client->returned);
    pthread_mutex_destroy(&client->lock);
    http_limit_free(client->options.upload_limit);
    http_limit_free(client->options.download_limit);
    free(client->idle);
    free(client->ca_file);
    free(client);
}

void http_client_cancel(struct http_client *client)
{
    atomic_store(&client->cancelled, true);
    pthread_mutex_lock(&client->lock);
    pthread_cond_broadcast(&client->returned);
    pthread_mutex_unlock(&client->lock);
}

static int is_cancelled(struct http_client *client, struct error *err)
{
    return atomic_load(&client->cancelled) ? error_set(err, ERROR_CANCELLED, "cancelled") : 0;
}

static int borrow(struct http_client *client, CURL **curl, struct error *err)
{
    pthread_mutex_lock(&client->lock);
    while (client->idle_count == 0 && client->handles == client->options.connections &&
           !atomic_load(&client->cancelled))
        pthread_cond_wait(&client->returned, &client->lock);
    int code = is_cancelled(client, err);
    if (code == 0 && client->idle_count > 0) {
        *curl = client->idle[--client->idle_count];
    } else if (code == 0) {
        *curl = curl_easy_init();
        if (*curl)
            client->handles++;
        else
            code = error_set(err, ERROR_FAILED, "libcurl cannot be initialised");
    }
    pthread_mutex_unlock(&client->lock);
    return code;
}

static void give_back(struct http_client *client, CURL *curl)
{
    pthread_mutex_lock(&client->lock);
    client->idle[client->idle_count++] = curl;
    pthread_cond_signal(&client->returned);
    pthread_mutex_unlock(&client->lock);
}

/* ---- one request ---- */

static void set_connection(CURL *curl, const struct http_client *client)
{
    const struct http_options *o = &client->options;
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "holdfast/" HOLDFAST_VERSION);
    if (client->ca_file) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, client->ca_file);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL); /* these authorities only */
    }
    if (o->no_proxy)
        curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    bool slow =
        http_limit_rate(o->upload_limit) < SLOW_LIMIT || http_limit_rate(o->download_limit) < SLOW_LIMIT;
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, o->connect_timeout ? (long)o->connect_timeout : 10L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, slow ? 1L : STALL_BYTES_PER_SECOND);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, o->stall_seconds ? (long)o->stall_seconds : 60L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)o->total_timeout);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE,
                     o->download_limit ? (long)http_limit_piece(o->download_limit) : BUFFER_BYTES);
    curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_BYTES);
}

static void set_method(CURL *curl, struct transfer *t)
{
    const struct http_request *r = t->request;
    if (strcmp(r->method, "HEAD") == 0) {
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    } else if (r->body.size || strcmp(r->method, "PUT") == 0 || strcmp(r->method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->body.size);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_body);
        curl_easy_setopt(curl, CURLOPT_READDATA, t);
        curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, seek_body);
        curl_easy_setopt(curl, CURLOPT_SEEKDATA, t);
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, r->method);
    } else if (strcmp(r->method, "GET") != 0) {
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, r->method);
    }
}

static struct curl_slist *make_headers(const struct http_request *r)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; list && i < r->header_count; i++) {
        struct curl_slist *longer = curl_slist_append(list, r->headers[i]);
        if (!longer)
            curl_slist_free_all(list);
        list = longer;
    }
    if (!list)
        abort(); /* as for memory: nothing can be reported better */
    return list;
}

static const char *hint_of(CURLcode result)
{
    switch (result) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return "is the name of the host right, and can this machine resolve names (getent hosts NAME)?";
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
        return "check http_proxy, https_proxy and no_proxy in the environment";
    case CURLE_COULDNT_CONNECT:
        return "is the server up, are address and port right, and does a firewall or a proxy stand between?";
    case CURLE_PEER_FAILED_VERIFICATION:
        return "the server's certificate is not trusted: check the name of the host and this machine's "
               "clock; "
               "for an authority of your own set ca_file";
    case CURLE_SSL_CACERT_BADFILE:
        return "install the system's certificates (ca-certificates), or set ca_file";
    case CURLE_SSL_CONNECT_ERROR:
        return "the server must speak TLS 1.2 or newer; is it https that listens there?";
    case CURLE_OPERATION_TIMEDOUT:
        return "the connection is slow or stalled: check the network between here and there";
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return "an address begins with https:// (or http://), then the host";
    default:
        return "the connection broke: check the network between here and there, and the server's state";
    }
}

/* What libcurl says then holds the address, the password in it and all. */
static bool is_bad_proxy(const char *detail)
{
    return strncmp(detail, "Unsupported proxy", 17) == 0;
}

/* True where the same would happen again: an untrusted certificate, no version of TLS in common, a proxy's
 * address that is none. */
static bool is_lasting(CURLcode result, const char *detail)
{
    return is_bad_proxy(detail) || result == CURLE_PEER_FAILED_VERIFICATION ||
           result == CURLE_SSL_CACERT_BADFILE || result == CURLE_UNSUPPORTED_PROTOCOL ||
           result == CURLE_URL_MALFORMAT ||
           (result == CURLE_SSL_CONNECT_ERROR && strstr(detail, "SSL routines"));
}

/* With what status a proxy refused to connect, so that it would refuse again; 0: none did. */
static long proxy_refusal(CURL *curl)
{
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_HTTP_CONNECTCODE, &status);
    return status >= 400 && status < 500 && status != 408 && status != 429 ? status : 0;
}

/* Of a transfer that gave no complete answer. */
static int failure(struct transfer *t, CURLcode result, const char *detail, struct error *err)
{
    int code = is_cancelled(t->client, err);
    if (code != 0)
        return code;
    char *server = http_url_origin(t->request->url);
    if (t->too_long) {
        code = error_set(err, ERROR_INTEGRITY, "%s answers with more than the %zu bytes expected", server,
                         t->request->max_response);
        error_hint(err, "is it the right server? a proxy may have answered in its place");
    } else {
        bool bad_proxy = is_bad_proxy(detail);
        char *reason =
            text_visible(bad_proxy ? "the environment names a proxy in a way that is not understood"
                         : *detail ? detail
                                   : curl_easy_strerror(result));
        long refused = proxy_refusal(t->curl);
        code = error_set(err, refused || is_lasting(result, detail) ? ERROR_DENIED : ERROR_FAILED,
                         "no complete answer from %s: %s", server, reason);
        error_hint(err, "%s",
                   bad_proxy        ? "write http_proxy and https_proxy as http://HOST:PORT or "
                                      "http://NAME:PASSWORD@HOST:PORT"
                   : refused == 407 ? HTTP_PROXY_PASSWORD_HINT
                   : refused        ? "the proxy that the environment names does not connect to it: ask who "
                                      "runs the proxy, or name the host in no_proxy"
                                    : hint_of(result));
        free(reason);
    }
    free(server);
    return code;
}

/* False only where the server cannot have seen the whole request. */
static bool may_be_processed(const struct transfer *t)
{
    long request_bytes = 0;
    curl_easy_getinfo(t->curl, CURLINFO_REQUEST_SIZE, &request_bytes);
    return t->repeated || (request_bytes > 0 && t->sent == t->request->body.size);
}

int http_perform(struct http_client *client, const struct http_request *request,
                 struct http_response *response, bool *processed, struct error *err)
{
    struct transfer t = {.client = client, .request = request, .response = response};
    t.body_before = response->body.size;
    response->status = 0;
    response->repeated = false;
    buffer_clear(&response->headers);
    if (processed)
        *processed = false;
    int code = borrow(client, &t.curl, err);
    if (code != 0)
        return code;
    char detail[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = make_headers(request);
    curl_easy_reset(t.curl); /* options, not connections */
    set_connection(t.curl, client);
    set_method(t.curl, &t);
    curl_easy_setopt(t.curl, CURLOPT_URL, request->url);
    curl_easy_setopt(t.curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(t.curl, CURLOPT_FRESH_CONNECT, request->fresh_connection ? 1L : 0L);
    curl_easy_setopt(t.curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(t.curl, CURLOPT_WRITEDATA, &t);
    curl_easy_setopt(t.curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(t.curl, CURLOPT_HEADERDATA, &t);
    curl_easy_setopt(t.curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(t.curl, CURLOPT_XFERINFOFUNCTION, look);
    curl_easy_setopt(t.curl, CURLOPT_XFERINFODATA, &t);
    curl_easy_setopt(t.curl, CURLOPT_ERRORBUFFER, detail);
    CURLcode result = curl_easy_perform(t.curl);
    if (result == CURLE_OK) {
        long status = 0;
        curl_easy_getinfo(t.curl, CURLINFO_RESPONSE_CODE, &status);
        response->status = (int)status;
        response->repeated = t.repeated;
    } else {
        code = failure(&t, result, detail, err);
        response->body.size = t.body_before;
    }
    if (processed)
        *processed = result == CURLE_OK || may_be_processed(&t);
    curl_easy_setopt(t.curl, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(t.curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    give_back(client, t.curl);
    return code;
}
