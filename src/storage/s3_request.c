/* One request to the bucket: signed, sent, tried again, and its refusals understood. */
#include "storage/s3_internal.h"

#include "base/id.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "storage/s3_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SKEW_SECONDS (14 * 60) /* stores refuse from 15 minutes on */
#define BRIEF_ATTEMPTS 3
#define FIRST_CONTACT_SECONDS 60.0 /* for a store that has not answered once yet */
#define MESSAGE_SIZE 512
#define MD5_BASE64_SIZE 25
#define KEY_BASE64_SIZE 45

static double monotonic_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void s3_call_query(struct s3_call *call, const char *name, const char *value)
{
    call->query[call->query_count++] = (struct s3_parameter){name, value};
}

void s3_call_header(struct s3_call *call, const char *line)
{
    call->headers[call->header_count++] = line;
}

int64_t s3_now(struct s3 *s3)
{
    pthread_mutex_lock(&s3->lock);
    int64_t now = (int64_t)time(NULL) + s3->clock_offset;
    pthread_mutex_unlock(&s3->lock);
    return now;
}

/* ---- building ---- */

/* What one attempt is made of, and what came of it. */
struct attempt {
    struct s3_address address;
    struct credentials credentials;
    uint8_t key[32];
    int64_t time; /* it is signed with */
    char *url;
    char *headers[S3_SIGNED_HEADERS_MAX];
    size_t header_count;
    struct s3_refusal refusal;
    char message[MESSAGE_SIZE]; /* the store's */
    char region[S3_REGION_SIZE];
    bool fresh;     /* a new connection */
    bool processed; /* it may have been */
};

static void add_header(struct attempt *a, char *line)
{
    a->headers[a->header_count++] = line;
}

static void free_attempt(struct attempt *a)
{
    for (size_t i = 0; i < a->header_count; i++) {
        cleanse(a->headers[i], strlen(a->headers[i])); /* a session token, a customer key */
        free(a->headers[i]);
    }
    a->header_count = 0;
    free(a->url);
    a->url = NULL;
    credentials_cleanse(&a->credentials);
    cleanse(a->key, sizeof a->key);
}

/* What this attempt shares with others, as it stands now. */
static void take_state(struct s3 *s3, struct attempt *a)
{
    char text[S3_TIME_SIZE + 16], day[S3_DAY_SIZE];
    pthread_mutex_lock(&s3->lock);
    a->address = s3->address;
    a->time = (int64_t)time(NULL) + (s3->clock_wrong ? s3->clock_offset : 0);
    text_format_compact_time(a->time, text);
    snprintf(day, sizeof day, "%.8s", text);
    if (strcmp(s3->signing.day, day) != 0 || strcmp(s3->signing.region, a->address.region) != 0 ||
        s3->signing.generation != a->credentials.generation) {
        s3_signing_key(a->credentials.secret, day, a->address.region, "s3", s3->signing.key);
        strcpy(s3->signing.day, day);
        strcpy(s3->signing.region, a->address.region);
        s3->signing.generation = a->credentials.generation;
    }
    memcpy(a->key, s3->signing.key, sizeof a->key);
    pthread_mutex_unlock(&s3->lock);
}

static void add_customer_key(struct attempt *a, const uint8_t key[STORAGE_CUSTOMER_KEY])
{
    char text[KEY_BASE64_SIZE], sum[MD5_BASE64_SIZE];
    uint8_t digest[16];
    base64_encode(key, STORAGE_CUSTOMER_KEY, text);
    md5(bytes_of(key, STORAGE_CUSTOMER_KEY), digest);
    base64_encode(digest, sizeof digest, sum);
    add_header(a, memory_copy_string("x-amz-server-side-encryption-customer-algorithm: AES256"));
    add_header(a, memory_format("x-amz-server-side-encryption-customer-key: %s", text));
    add_header(a, memory_format("x-amz-server-side-encryption-customer-key-MD5: %s", sum));
    cleanse(text, sizeof text);
}

static void build(const struct s3 *s3, const struct s3_call *call, const char *body_hash,
                  const char *body_md5, struct attempt *a)
{
    struct buffer path = {0}, query = {0}, authorization = {0};
    char time[TEXT_TIME_SIZE];
    buffer_append_string(&path, a->address.base);
    if (call->name || !*a->address.base)
        buffer_u8(&path, '/');
    if (call->name) {
        s3_encode(s3->p.prefix, true, &path);
        s3_encode(call->name, true, &path);
    }
    s3_encode_query(call->query, call->query_count, &query);
    text_format_compact_time(a->time, time);
    add_header(a, memory_format("Host: %s", a->address.host));
    add_header(a, memory_format("x-amz-date: %s", time));
    add_header(a, memory_format("x-amz-content-sha256: %s", body_hash));
    if (*a->credentials.token)
        add_header(a, memory_format("x-amz-security-token: %s", a->credentials.token));
    if (*body_md5)
        add_header(a, memory_format("Content-MD5: %s", body_md5));
    for (size_t i = 0; i < call->header_count; i++)
        add_header(a, memory_copy_string(call->headers[i]));
    if (call->customer_key)
        add_customer_key(a, call->customer_key);
    struct s3_signed_request r = {
        .method = call->method,
        .path = buffer_string(&path),
        .query = buffer_string(&query),
        .headers = (const char *const *)a->headers,
        .header_count = a->header_count,
        .payload_hash = body_hash,
    };
    buffer_append_string(&authorization, "Authorization: ");
    s3_sign(&r, a->key, a->credentials.id, a->address.region, "s3", time, &authorization);
    add_header(a, memory_copy_string(buffer_string(&authorization)));
    a->url = memory_format("%s://%s%s%s%s", a->address.tls ? "https" : "http", a->address.host, r.path,
                           query.size ? "?" : "", r.query);
    buffer_free(&path);
    buffer_free(&query);
    buffer_free(&authorization);
}

/* ---- understanding ---- */

/* How far the store's clock is from ours; a second more or less is the rounding of the header. */
static void note_clock(struct s3 *s3, const struct http_response *response, bool *known, int64_t *skew,
                       const struct attempt *a)
{
    const char *date = http_response_header(response, "date");
    int64_t theirs = date ? http_parse_date(date) : -1;
    *known = theirs > 0;
    if (!*known)
        return;
    int64_t offset = theirs - (int64_t)time(NULL);
    *skew = theirs - a->time;
    pthread_mutex_lock(&s3->lock);
    if (offset - s3->clock_offset > 1 || offset - s3->clock_offset < -1)
        s3->clock_offset = offset;
    pthread_mutex_unlock(&s3->lock);
}

static struct bytes body_of(const struct http_response *response, size_t from)
{
    size_t size = response->body.size - from;
    return size ? bytes_of(response->body.data + from, size) : (struct bytes){0};
}

static void read_refusal(const struct http_response *response, size_t body_before, struct attempt *a)
{
    struct bytes body = body_of(response, body_before);
    a->refusal.status = response->status;
    if (s3_xml_is(body, "Error")) {
        char code[S3_CODE_SIZE];
        s3_xml_text(body, "Code", code, sizeof code);
        char *visible = text_visible(code);
        snprintf(a->refusal.code, sizeof a->refusal.code, "%s", visible);
        free(visible);
        s3_xml_text(body, "Message", a->message, sizeof a->message);
        s3_xml_text(body, "Region", a->region, sizeof a->region);
    }
    const char *region = http_response_header(response, "x-amz-bucket-region");
    if (region && strlen(region) < sizeof a->region)
        strcpy(a->region, region);
}

/* ---- correcting: true if the same request is to be sent again at once ---- */

static bool correct_clock(struct s3 *s3, const struct attempt *a, bool known, int64_t skew)
{
    bool far = known && (skew > SKEW_SECONDS || skew < -SKEW_SECONDS);
    bool said = strcmp(a->refusal.code, "RequestTimeTooSkewed") == 0;
    /* An answer to HEAD has no body to say so. */
    bool mute = !*a->refusal.code && (a->refusal.status == 403 || a->refusal.status == 400);
    if (!far || !(said || mute))
        return false;
    pthread_mutex_lock(&s3->lock);
    bool first = !s3->clock_wrong;
    s3->clock_wrong = true;
    pthread_mutex_unlock(&s3->lock);
    if (first) {
        char text[32];
        text_format_duration(skew < 0 ? (double)-skew : (double)skew, text);
        log_warning(
            "target %s: this machine's clock is %s %s the store's; requests are signed by the store's",
            s3->p.label, text, skew < 0 ? "ahead of" : "behind");
        log_hint("set the clock (timedatectl, chrony): schedules go by it");
    }
    return true;
}

static bool is_region_refusal(const struct s3_refusal *refusal)
{
    return refusal->status == 301 || refusal->status == 307 ||
           strcmp(refusal->code, "AuthorizationHeaderMalformed") == 0 ||
           (refusal->status == 400 && !*refusal->code);
}

/* The host comes from the provider's table or the configuration, never from the answer. */
static int follow_region(struct s3 *s3, const struct attempt *a, bool *again, struct error *err)
{
    *again = false;
    if (!is_region_refusal(&a->refusal) || !*a->region || strcmp(a->region, a->address.region) == 0)
        return 0;
    char *shown = text_visible(a->region);
    bool first = false;
    int code = 0;
    if (s3->p.keep_region) {
        code = error_set(err, ERROR_USAGE, "bucket %s is in region %s, not in %s, and residency is set",
                         s3->p.bucket, shown, a->address.region);
        error_hint(err, "correct the region, or use a bucket in the region that was meant");
    } else {
        struct s3_parameters moved = s3->p;
        struct s3_address address;
        moved.region = a->region;
        pthread_mutex_lock(&s3->lock);
        if (strcmp(s3->address.region, a->address.region) != 0) {
            *again = true; /* another thread has followed meanwhile */
        } else if (!s3->region_followed && s3_address_find(&moved, &address, NULL) == 0) {
            s3->address = address;
            s3->region_followed = *again = first = true;
        }
        pthread_mutex_unlock(&s3->lock);
        if (first)
            log_warning("target %s: bucket %s is in region %s, not in %s: going on there; correct the "
                        "configuration",
                        s3->p.label, s3->p.bucket, shown, a->address.region);
    }
    free(shown);
    return code;
}

/* ---- trying again ---- */

/* How long this request is tried in all: the object's own budget, and what is left of the time for which the
 * target may have answered nothing. So a store that is dead keeps up one request for long, not each. */
static double time_left(struct s3 *s3, double started)
{
    double now = monotonic_now(), budget = (double)s3->p.retry_budget;
    pthread_mutex_lock(&s3->lock);
    if (s3->failing_since == 0)
        s3->failing_since = now;
    if (!s3->has_answered && budget > FIRST_CONTACT_SECONDS)
        budget = FIRST_CONTACT_SECONDS;
    double since = s3->failing_since < started ? s3->failing_since : started;
    pthread_mutex_unlock(&s3->lock);
    return since + budget - now;
}

static void note_success(struct s3 *s3)
{
    pthread_mutex_lock(&s3->lock);
    s3->has_answered = true;
    s3->failing_since = 0;
    if (s3->warned_failing)
        log_info("target %s answers again", s3->p.label);
    s3->warned_failing = false;
    pthread_mutex_unlock(&s3->lock);
}

static double random_fraction(void)
{
    uint32_t bits;
    random_bytes(&bits, sizeof bits);
    return (double)bits / (double)UINT32_MAX;
}

static double retry_after(struct s3 *s3, const struct http_response *response)
{
    const char *text = http_response_header(response, "retry-after");
    if (!text)
        return 0;
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end) {
        int64_t date = http_parse_date(text);
        seconds = date > 0 ? (double)(date - s3_now(s3)) : 0;
    }
    return seconds > 0 ? seconds : 0;
}

/* Sleeps; CANCELLED. */
static int wait_for(struct s3 *s3, double seconds, struct error *err)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    double whole = (double)until.tv_nsec / 1e9 + seconds;
    until.tv_sec += (time_t)whole;
    until.tv_nsec = (long)((whole - (double)(time_t)whole) * 1e9);
    pthread_mutex_lock(&s3->lock);
    while (!s3->cancelled && pthread_cond_timedwait(&s3->wake, &s3->lock, &until) == 0)
        ;
    bool cancelled = s3->cancelled;
    pthread_mutex_unlock(&s3->lock);
    return cancelled ? error_set(err, ERROR_CANCELLED, "cancelled") : 0;
}

/* The person should know why nothing seems to happen. */
static void say_once(struct s3 *s3, double left, double delay, const struct error *err)
{
    pthread_mutex_lock(&s3->lock);
    bool say = !s3->warned_failing && delay >= 1;
    s3->warned_failing |= say;
    pthread_mutex_unlock(&s3->lock);
    if (!say)
        return;
    char text[32];
    log_info("target %s: %s; trying again for %s at most", s3->p.label, err->message,
             text_format_duration(left, text));
}

/* ---- sending ---- */

static int connect_failed(const struct s3_call *call, const struct s3 *s3, struct error *err)
{
    return error_prefix(err, "%s %s%s%s", call->what, call->name ? call->name : "", call->name ? " in " : "",
                        s3->location);
}

/* Sends once. *verdict says what is to be done about a failure. */
static int send_once(struct s3 *s3, const struct s3_call *call, const char *body_hash, const char *body_md5,
                     struct attempt *a, struct http_response *response, enum s3_verdict *verdict,
                     struct error *err)
{
    size_t body_before = response->body.size;
    build(s3, call, body_hash, body_md5, a);
    struct http_request request = {
        .method = call->method,
        .url = a->url,
        .headers = (const char *const *)a->headers,
        .header_count = a->header_count,
        .body = call->body,
        .max_response = call->max ? call->max : S3_ANSWER_MAX,
        .fresh_connection = a->fresh,
    };
    *verdict = S3_FINAL;
    memset(&a->refusal, 0, sizeof a->refusal);
    a->message[0] = a->region[0] = '\0';
    int code = http_perform(s3->http, &request, response, &a->processed, err);
    if (code != 0) {
        *verdict = code == ERROR_FAILED ? S3_RETRY : S3_FINAL;
        return code == ERROR_CANCELLED ? code : connect_failed(call, s3, err);
    }
    bool good = response->status >= 200 && response->status < 300;
    if (good && call->root && !s3_xml_is(body_of(response, body_before), call->root) &&
        !s3_xml_is(body_of(response, body_before), "Error")) {
        response->body.size = body_before;
        *verdict = S3_RETRY_BRIEFLY; /* cut short without saying so */
        error_set(err, ERROR_FAILED, "%s %s: the answer is no %s", call->what, s3->location, call->root);
        return error_hint(err, "is it an S3 store, and does nothing on the way answer in its place?");
    }
    /* What is stored never looks like XML; its beginning may. */
    bool bytes =
        call->gives_bytes && (response->body.size == body_before || response->body.data[body_before] != '<');
    if (good && (bytes || response->body.size == body_before))
        return 0;
    read_refusal(response, body_before, a);
    if (good && !*a->refusal.code)
        return 0;
    response->body.size = body_before;
    *verdict = s3_judge(a->refusal.status, a->refusal.code);
    return s3_refuse(s3, call, &a->refusal, a->message, err);
}

/* After a refusal, what may be wrong on this side; each is put right once. */
struct corrections {
    bool clock, region, credentials;
    uint64_t refused; /* generation of credentials */
};

static int correct(struct s3 *s3, struct corrections *done, const struct attempt *a,
                   const struct http_response *response, bool *again, struct error *err)
{
    bool known;
    int64_t skew = 0;
    *again = false;
    note_clock(s3, response, &known, &skew, a);
    if (!done->clock && correct_clock(s3, a, known, skew)) {
        done->clock = *again = true;
        return 0;
    }
    if (!done->credentials && s3_refuses_credentials(a->refusal.code)) {
        done->credentials = *again = true;
        done->refused = a->credentials.generation;
        return 0;
    }
    if (done->region)
        return 0;
    int code = follow_region(s3, a, again, err);
    done->region = *again;
    return code;
}

static int try_until_final(struct s3 *s3, const struct s3_call *call, const char *body_hash,
                           const char *body_md5, struct attempt *a, struct http_response *response,
                           struct error *err)
{
    struct corrections corrections = {0};
    bool maybe_done = false;
    double started = monotonic_now();
    for (unsigned attempt = 1;; attempt++) {
        enum s3_verdict verdict;
        uint64_t before = corrections.refused;
        struct error reason = {0};
        bool again = false;
        int code = credentials_get(s3->credentials, corrections.refused, &a->credentials, err);
        if (code != 0)
            return code;
        if (before && a->credentials.generation == before)
            return s3_refuse(s3, call, &a->refusal, a->message, err); /* there are no others */
        take_state(s3, a);
        code = send_once(s3, call, body_hash, body_md5, a, response, &verdict, &reason);
        a->refusal.maybe_done = maybe_done || response->repeated;
        if (code == 0 || response->status != 0) {
            int other = correct(s3, &corrections, a, response, &again, &reason);
            code = other ? other : code;
        }
        if (code == 0 || (verdict == S3_FINAL && response->status != 0))
            note_success(s3);
        if (code == 0)
            return 0;
        free_attempt(a);
        if (again)
            continue;
        double left = verdict == S3_FINAL ? 0 : time_left(s3, started);
        double delay = s3_retry_delay(attempt, verdict == S3_RETRY_THROTTLED, random_fraction(),
                                      response->status ? retry_after(s3, response) : 0);
        if (delay >= left || (verdict == S3_RETRY_BRIEFLY && attempt >= BRIEF_ATTEMPTS)) {
            if (err)
                *err = reason;
            return code;
        }
        say_once(s3, left, delay, &reason);
        maybe_done |= a->processed;
        a->fresh = true;
        code = wait_for(s3, delay, err);
        if (code != 0)
            return code;
    }
}

int s3_send(struct s3 *s3, const struct s3_call *call, struct http_response *response,
            struct s3_refusal *refusal, struct error *err)
{
    char hash_text[ID_HEX_SIZE], md5_text[MD5_BASE64_SIZE] = "";
    if (!call->body_hash) {
        struct id hash;
        sha256(call->body, &hash);
        id_to_hex(&hash, hash_text);
    }
    if (call->body.size && !call->no_md5) {
        uint8_t digest[16];
        md5(call->body, digest);
        base64_encode(digest, sizeof digest, md5_text);
    }
    struct attempt *a = memory_new(struct attempt); /* credentials are too large for a thread's stack */
    int code =
        try_until_final(s3, call, call->body_hash ? call->body_hash : hash_text, md5_text, a, response, err);
    if (refusal)
        *refusal = a->refusal;
    free_attempt(a);
    free(a);
    return code;
}

int s3_send_only(struct s3 *s3, const struct s3_call *call, struct s3_refusal *refusal, struct error *err)
{
    struct http_response response = {0};
    int code = s3_send(s3, call, &response, refusal, err);
    http_response_free(&response);
    return code;
}
