/* Objects of a bucket: put, get, head, remove. */
#include "storage/s3_internal.h"

#include "base/id.h"
#include "base/memory.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "storage/s3_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool begins_with(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Whoever opens a repository needs these first, and has no keys yet. */
static bool is_encrypted_kind(const char *name)
{
    return strcmp(name, "config") != 0 && !begins_with(name, "keys/");
}

static bool wants_customer_key(const struct s3 *s3, const char *name)
{
    return s3->p.sse == S3_SSE_CUSTOMER && is_encrypted_kind(name);
}

/* Keyrings, person keys, leases and events must be removable. */
static bool is_locked_kind(const char *name)
{
    return begins_with(name, "packs/") || begins_with(name, "index/") || begins_with(name, "snapshots/") ||
           begins_with(name, "runs/");
}

/* All names but config's end in the SHA-256 of the object: it need not be computed again, and a store refuses
 * bytes that it is not the hash of. */
static const char *hash_in_name(const char *name)
{
    struct id hash;
    size_t n = strlen(name);
    return n >= 64 && hex_decode(name + n - 64, 64, hash.b, sizeof hash.b) ? name + n - 64 : NULL;
}

/* ---- put ---- */

static int put_once(struct s3 *s3, const char *name, struct bytes data, bool only_if_absent,
                    struct s3_refusal *refusal, struct error *err)
{
    struct s3_call call = {
        .what = "cannot store", .method = "PUT", .name = name, .body = data, .body_hash = hash_in_name(name)};
    char *storage_class = NULL, *until = NULL;
    /* AWS demands the MD5 where a lock may come of the put, be it the bucket's default; else it would only be
     * one more hash of each byte: the signed SHA-256 says as much. */
    pthread_mutex_lock(&s3->lock);
    call.no_md5 = s3->unversioned;
    pthread_mutex_unlock(&s3->lock);
    if (wants_customer_key(s3, name) && s3->customer_key_count == 0)
        return error_set(err, ERROR_DENIED, "cannot store %s: its customer key is not known yet", name);
    if (only_if_absent)
        s3_call_header(&call, "If-None-Match: *");
    if (s3->p.storage_class && begins_with(name, "packs/")) {
        storage_class = memory_format("x-amz-storage-class: %s", s3->p.storage_class);
        s3_call_header(&call, storage_class);
    }
    if (s3->p.sse == S3_SSE_AES256)
        s3_call_header(&call, "x-amz-server-side-encryption: AES256");
    if (wants_customer_key(s3, name))
        call.customer_key = s3->customer_keys[0];
    if (s3->p.lock != S3_LOCK_NONE && is_locked_kind(name)) {
        char time[TEXT_TIME_SIZE];
        until = memory_format("x-amz-object-lock-retain-until-date: %s",
                              text_format_time(s3_now(s3) + s3->p.retain, time));
        s3_call_header(&call, s3->p.lock == S3_LOCK_COMPLIANCE ? "x-amz-object-lock-mode: COMPLIANCE"
                                                               : "x-amz-object-lock-mode: GOVERNANCE");
        s3_call_header(&call, until);
    }
    int code = s3_send_only(s3, &call, refusal, err);
    free(storage_class);
    free(until);
    return code;
}

/* ---- head ---- */

static int head_once(struct s3 *s3, const char *name, const uint8_t *customer_key,
                     struct http_response *response, struct s3_refusal *refusal, struct error *err)
{
    struct s3_call call = {
        .what = "cannot look at", .method = "HEAD", .name = name, .customer_key = customer_key};
    int code = s3_send(s3, &call, response, refusal, err);
    if (code == 0 || refusal->status < 400 || refusal->status == 404)
        return code;
    /* An answer to HEAD has no body that would say why. */
    struct http_response why = {0};
    struct s3_call get = {
        .what = call.what, .method = "GET", .name = name, .customer_key = customer_key, .gives_bytes = true};
    s3_call_header(&get, "Range: bytes=0-0");
    struct s3_refusal reason = {0};
    struct error err2 = {0};
    int code2 = s3_send(s3, &get, &why, &reason, &err2);
    http_response_free(&why);
    if (code2 != 0 && reason.status) {
        *refusal = reason;
        if (err)
            *err = err2;
        code = code2;
    }
    return code;
}

typedef int once_callback(struct s3 *s3, const char *name, const uint8_t *key, void *context,
                          struct s3_refusal *refusal, struct error *err);

/* Calls `once` with each customer key and with none, until one fits: newest first where new objects get one,
 * else none first (what was stored before a setting changed, or a bucket that is known by its address only).
 */
static int with_each_key(struct s3 *s3, const char *name, once_callback *once, void *context,
                         struct error *err)
{
    struct s3_refusal refusal = {0};
    size_t count = s3->keys_may_be_sent && is_encrypted_kind(name) ? s3->customer_key_count : 0;
    bool keys_first = s3->p.sse == S3_SSE_CUSTOMER;
    struct error first = {0};
    int first_code = 0;
    for (size_t i = 0; i <= count; i++) {
        const uint8_t *key = NULL;
        if (keys_first && i < count)
            key = s3->customer_keys[i];
        else if (!keys_first && i > 0)
            key = s3->customer_keys[i - 1];
        int code = once(s3, name, key, context, &refusal, err);
        /* How an object is refused that is encrypted under another key, or under none. */
        bool wrong_key = code != 0 && (refusal.status == 400 || (keys_first && refusal.status == 403));
        if (!wrong_key)
            return code;
        if (i == 0) {
            first_code = code;
            if (err)
                first = *err;
        }
    }
    if (err)
        *err = first;
    return first_code;
}

static int head_with(struct s3 *s3, const char *name, const uint8_t *key, void *context,
                     struct s3_refusal *refusal, struct error *err)
{
    return head_once(s3, name, key, context, refusal, err);
}

static uint64_t number_in(const char *text)
{
    return text ? strtoull(text, NULL, 10) : 0;
}

int s3_head(void *driver, const char *name, uint64_t *size, int64_t *time, struct error *err)
{
    struct s3 *s3 = driver;
    struct http_response response = {0};
    int code = with_each_key(s3, name, head_with, &response, err);
    if (code == 0 && size)
        *size = number_in(http_response_header(&response, "content-length"));
    if (code == 0 && time) {
        const char *modified = http_response_header(&response, "last-modified");
        *time = modified ? http_parse_date(modified) : s3_now(s3);
    }
    http_response_free(&response);
    return code;
}

/* The ETag is the MD5 of what was put, unless it is encrypted under keys of the store's users. */
static bool has_md5(const struct s3 *s3, const struct http_response *response, uint8_t theirs[16])
{
    const char *etag = http_response_header(response, "etag");
    const char *sse = http_response_header(response, "x-amz-server-side-encryption");
    return s3->p.sse == S3_SSE_NONE && (!sse || strcmp(sse, "AES256") == 0) && etag && strlen(etag) == 34 &&
           hex_decode(etag + 1, 32, theirs, 16);
}

/* After a 412: is what is there what we are to store? Where the ETag is no MD5 the size must do: the object
 * is checked by its name's hash when it is read. */
static bool is_stored(struct s3 *s3, const char *name, struct bytes data)
{
    struct http_response response = {0};
    struct error err;
    uint8_t digest[16], theirs[16];
    bool same = false;
    if (with_each_key(s3, name, head_with, &response, &err) == 0 &&
        number_in(http_response_header(&response, "content-length")) == data.size) {
        md5(data, digest);
        same = !has_md5(s3, &response, theirs) || memcmp(digest, theirs, sizeof theirs) == 0;
    }
    http_response_free(&response);
    return same;
}

int s3_put(void *driver, const char *name, struct bytes data, struct error *err)
{
    struct s3 *s3 = driver;
    struct s3_refusal refusal = {0};
    unsigned features;
    int code = s3_get_features(s3, &features, err);
    if (code != 0)
        return code;
    /* Where versions are kept a second put would leave a second copy; elsewhere it changes nothing. */
    pthread_mutex_lock(&s3->lock);
    bool only_if_absent = (features & STORAGE_VERSIONS) && !s3->no_condition;
    pthread_mutex_unlock(&s3->lock);
    code = put_once(s3, name, data, only_if_absent, &refusal, err);
    if (code == 0 || !only_if_absent || (refusal.status != 412 && refusal.status != 501))
        return code;
    if (refusal.status == 412 && is_stored(s3, name, data))
        return 0;
    pthread_mutex_lock(&s3->lock);
    s3->no_condition |= refusal.status == 501;
    pthread_mutex_unlock(&s3->lock);
    return put_once(s3, name, data, false, &refusal, err);
}

int s3_put_new(void *driver, const char *name, struct bytes data, struct error *err)
{
    struct s3 *s3 = driver;
    struct s3_refusal refusal = {0};
    int code = put_once(s3, name, data, true, &refusal, err);
    /* The first attempt's answer may have been lost. */
    if (refusal.status == 412 && refusal.maybe_done && is_stored(s3, name, data))
        return 0;
    if (refusal.status == 412) {
        error_set(err, ERROR_EXISTS, "%s is in %s already", name, s3->location);
        return ERROR_EXISTS;
    }
    if (refusal.status == 501)
        return error_set(err, ERROR_UNSUPPORTED, "%s has no conditional put", s3->location);
    return code;
}

/* ---- get ---- */

/* Also where a few bytes are asked for: an error may come with the status of a success. */
#define ERROR_BODY_MAX ((size_t)64 * 1024)

struct get {
    uint64_t offset;
    size_t size;
    bool whole;
    const char *version;
    struct buffer *out;
};

static int wrong_length(const struct s3 *s3, const char *name, bool longer, struct error *err)
{
    error_set(err, ERROR_INTEGRITY, "%s in %s is %s than it must be", name, s3->location,
              longer ? "longer" : "shorter");
    return error_hint(err, "holdfast heal repairs what another target holds");
}

static int get_with(struct s3 *s3, const char *name, const uint8_t *key, void *context,
                    struct s3_refusal *refusal, struct error *err)
{
    struct get *get = context;
    struct s3_call call = {.what = "cannot read",
                           .method = "GET",
                           .name = name,
                           .customer_key = key,
                           .max = get->size > ERROR_BODY_MAX ? get->size : ERROR_BODY_MAX,
                           .gives_bytes = true};
    char range[80];
    size_t before = get->out->size;
    if (!get->whole) {
        snprintf(range, sizeof range, "Range: bytes=%llu-%llu", (unsigned long long)get->offset,
                 (unsigned long long)(get->offset + get->size - 1));
        s3_call_header(&call, range);
    }
    if (get->version)
        s3_call_query(&call, "versionId", get->version);
    struct http_response response = {.body = *get->out};
    int code = s3_send(s3, &call, &response, refusal, err);
    *get->out = response.body;
    response.body = (struct buffer){0};
    bool partial = response.status == 206;
    http_response_free(&response);
    /* Encrypted under a key that is none of ours, perhaps by a stranger: like what may not be read. */
    if (code == ERROR_FAILED && refusal->status == 400) {
        code = ERROR_DENIED;
        if (err)
            err->code = code;
    }
    if (code != 0)
        return code;
    size_t got = get->out->size - before;
    if (get->whole ? got <= get->size : got == get->size && (partial || get->offset == 0))
        return 0;
    get->out->size = before;
    if (!get->whole && !partial && got > get->size)
        return error_set(err, ERROR_FAILED, "cannot read a part of %s in %s: the store gives the whole", name,
                         s3->location);
    return wrong_length(s3, name, got > get->size, err);
}

int s3_get(void *driver, const char *name, uint64_t offset, size_t size, bool whole, struct buffer *out,
           struct error *err)
{
    struct get get = {offset, size, whole, NULL, out};
    if (!whole && size == 0)
        return s3_head(driver, name, NULL, NULL, err);
    if (!whole && offset > UINT64_MAX - size)
        return wrong_length(driver, name, false, err);
    return with_each_key(driver, name, get_with, &get, err);
}

int s3_get_version(void *driver, const char *name, const char *version, size_t max, struct buffer *out,
                   struct error *err)
{
    struct get get = {0, max, true, version, out};
    return with_each_key(driver, name, get_with, &get, err);
}

/* ---- remove ---- */

static int locked(struct s3 *s3, const char *name, int64_t until, struct error *err)
{
    char time[TEXT_TIME_SIZE];
    error_set(err, ERROR_LOCKED, "%s in %s is locked until %s", name, s3->location,
              text_format_time(until, time));
    return error_hint(err, "nobody can remove it before; a later run does");
}

static int remove_one(struct s3 *s3, const char *name, const char *version, struct error *err)
{
    struct s3_call call = {.what = "cannot remove", .method = "DELETE", .name = name};
    struct s3_refusal refusal = {0};
    struct error why = {0};
    if (version)
        s3_call_query(&call, "versionId", version);
    int code = s3_send_only(s3, &call, &refusal, &why);
    if (code == 0 || code == ERROR_NOT_FOUND)
        return 0;
    int64_t until = 0;
    if (version && refusal.status >= 400 && refusal.status < 500 &&
        s3_retention(s3, name, version, &until, NULL) == 0 && until > s3_now(s3))
        return locked(s3, name, until, err);
    if (err)
        *err = why;
    return code;
}

int s3_remove_version(void *driver, const char *name, const char *version, struct error *err)
{
    return remove_one(driver, name, version, err);
}

/* Versions of one object; the first failure that is worse than a lock is kept, else the first, and the others
 * are removed all the same. */
struct removal {
    struct s3 *s3;
    const char *name;
    int code;
    struct error why;
};

static int remove_if_same(const struct storage_version *version, void *context)
{
    struct removal *removal = context;
    struct error err = {0};
    if (strcmp(version->name, removal->name) != 0)
        return 0;
    int code = remove_one(removal->s3, removal->name, version->version, &err);
    if (code != 0 && (removal->code == 0 || (removal->code == ERROR_LOCKED && code != ERROR_LOCKED))) {
        removal->code = code;
        removal->why = err;
    }
    return code == ERROR_CANCELLED ? code : 0;
}

int s3_remove(void *driver, const char *name, struct error *err)
{
    struct s3 *s3 = driver;
    unsigned features;
    int code = s3_get_features(s3, &features, err);
    if (code != 0)
        return code;
    if (!(features & STORAGE_VERSIONS))
        return remove_one(s3, name, NULL, err);
    struct removal *removal = memory_new(struct removal);
    removal->s3 = s3;
    removal->name = name;
    code = s3_list_versions(s3, name, remove_if_same, removal, err);
    if (removal->code != 0) {
        code = removal->code;
        if (err)
            *err = removal->why;
    }
    free(removal);
    return code;
}
