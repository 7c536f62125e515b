/* What a bucket can do and where it is, and the retention of its objects. */
#include "storage/s3_internal.h"

#include "base/text.h"
#include "storage/s3_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAYS_OF_A_YEAR 365 /* as S3 counts */
#define DAYS_MAX 1000000

#define RETAIN_XML                                                                                           \
    "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>%s</Mode>"                           \
    "<RetainUntilDate>%s</RetainUntilDate></Retention>"

/* True where the store answered that it cannot or will not say, or has nothing of the kind. */
static bool is_absent(int code, const struct s3_refusal *refusal)
{
    return code != 0 && refusal->status >= 400 && refusal->status < 600 &&
           s3_judge(refusal->status, refusal->code) == S3_FINAL &&
           strcmp(refusal->code, "NoSuchBucket") != 0 &&
           strcmp(refusal->code, "SignatureDoesNotMatch") != 0 && !s3_refuses_credentials(refusal->code);
}

/* The answer to GET ?name; the body is empty where there is nothing of the kind. Half an answer is an error:
 * it must not be taken for that, or what is removed would not be gone. */
static int ask(struct s3 *s3, const struct s3_call *call, struct buffer *body, struct s3_refusal *refusal,
               struct error *err)
{
    struct http_response response = {0};
    int code = s3_send(s3, call, &response, refusal, err);
    buffer_clear(body);
    if (code == 0)
        buffer_append_bytes(body, buffer_bytes(&response.body));
    http_response_free(&response);
    return is_absent(code, refusal) ? 0 : code;
}

/* *told is false where the bucket does not say, or these keys may not ask. */
static int ask_bucket(struct s3 *s3, const char *what, const char *root, struct buffer *body, bool *told,
                      struct error *err)
{
    struct s3_call call = {.what = "cannot ask the state of", .method = "GET", .root = root};
    struct s3_refusal refusal = {0};
    s3_call_query(&call, what, "");
    int code = ask(s3, &call, body, &refusal, err);
    /* "There is none" is an answer. */
    bool none = strcmp(refusal.code, "ObjectLockConfigurationNotFoundError") == 0;
    *told = (code == 0 && refusal.status < 300) || none;
    return code;
}

static int64_t default_retention(struct bytes xml)
{
    char text[16];
    int64_t days = 0;
    if (s3_xml_text(xml, "Days", text, sizeof text))
        days = strtoll(text, NULL, 10);
    else if (s3_xml_text(xml, "Years", text, sizeof text))
        days = strtoll(text, NULL, 10) * DAYS_OF_A_YEAR;
    return days > 0 && days < DAYS_MAX ? days * 86400 : 0;
}

static int ask_versions(struct s3 *s3, struct storage_facts *facts, struct error *err)
{
    char text[32];
    struct buffer body = {0};
    int code = ask_bucket(s3, "versioning", "VersioningConfiguration", &body, &facts->versions_known, err);
    /* Where it is suspended there may be versions from before. */
    facts->versions = s3_xml_text(buffer_bytes(&body), "Status", text, sizeof text);
    buffer_free(&body);
    return code;
}

static int ask_lock(struct s3 *s3, struct storage_facts *facts, struct error *err)
{
    char text[32];
    struct buffer body = {0};
    int code = ask_bucket(s3, "object-lock", "ObjectLockConfiguration", &body, &facts->lock_known, err);
    facts->lock = s3_xml_text(buffer_bytes(&body), "ObjectLockEnabled", text, sizeof text) &&
                  strcmp(text, "Enabled") == 0;
    facts->default_retention = facts->lock ? default_retention(buffer_bytes(&body)) : 0;
    buffer_free(&body);
    return code;
}

int s3_describe(void *driver, struct storage_facts *facts, struct error *err)
{
    struct buffer body = {0};
    bool told;
    int code = ask_versions(driver, facts, err);
    if (code == 0)
        code = ask_lock(driver, facts, err);
    if (code == 0)
        code = ask_bucket(driver, "location", "LocationConstraint", &body, &told, err);
    if (code == 0)
        s3_xml_text(buffer_bytes(&body), "LocationConstraint", facts->location, sizeof facts->location);
    buffer_free(&body);
    if (strcmp(facts->location, "default") == 0) /* how Ceph says that it has no name for it */
        facts->location[0] = '\0';
    if (strcmp(facts->location, "EU") == 0) /* how the oldest buckets of eu-west-1 name it */
        strcpy(facts->location, "eu-west-1");
    const struct s3 *s3 = driver;
    snprintf(facts->keys_from, sizeof facts->keys_from, "%s", credentials_source_describe(s3->credentials));
    return code;
}

int s3_get_features(struct s3 *s3, unsigned *features, struct error *err)
{
    struct storage_facts facts = {0};
    pthread_mutex_lock(&s3->lock);
    bool known = s3->features_known;
    *features = s3->features;
    pthread_mutex_unlock(&s3->lock);
    if (known)
        return 0;
    int code = ask_versions(s3, &facts, err);
    if (code == 0 && !facts.versions_known)
        code = ask_lock(s3, &facts, err);
    if (code != 0)
        return code;
    *features = STORAGE_INDEPENDENT_TIME;
    /* A bucket that takes locks keeps versions, too. */
    if (facts.versions || facts.lock || s3->p.lock != S3_LOCK_NONE)
        *features |= STORAGE_VERSIONS;
    if (s3->p.lock != S3_LOCK_NONE)
        *features |= STORAGE_RETENTION;
    pthread_mutex_lock(&s3->lock);
    s3->features = *features;
    s3->unversioned = facts.versions_known && !(*features & STORAGE_VERSIONS);
    s3->features_known = true;
    pthread_mutex_unlock(&s3->lock);
    return 0;
}

unsigned s3_features(void *driver)
{
    unsigned features;
    return s3_get_features(driver, &features, NULL) == 0 ? features : STORAGE_INDEPENDENT_TIME;
}

/* ---- retention ---- */

static int get_retention(struct s3 *s3, const char *name, const char *version, char mode[32], int64_t *until,
                         struct error *err)
{
    struct s3_call call = {
        .what = "cannot ask the lock of", .method = "GET", .name = name, .root = "Retention"};
    struct buffer body = {0};
    char date[64];
    s3_call_query(&call, "retention", "");
    if (version)
        s3_call_query(&call, "versionId", version);
    *until = 0;
    mode[0] = '\0';
    struct s3_refusal refusal = {0};
    int code = ask(s3, &call, &body, &refusal, err);
    if (refusal.status == 401 || refusal.status == 403) {
        code = ERROR_DENIED; /* whether it is locked is not known then */
    } else if (code == 0 && s3_xml_text(buffer_bytes(&body), "RetainUntilDate", date, sizeof date)) {
        *until = s3_parse_time(date);
        s3_xml_text(buffer_bytes(&body), "Mode", mode, 32);
        if (*until < 0)
            code = error_set(err, ERROR_FAILED, "the lock of %s in %s ends at no date", name, s3->location);
    }
    buffer_free(&body);
    return code;
}

int s3_retention(void *driver, const char *name, const char *version, int64_t *until, struct error *err)
{
    char mode[32];
    return get_retention(driver, name, version, mode, until, err);
}

int s3_retain(void *driver, const char *name, const char *version, int64_t until, struct error *err)
{
    struct s3 *s3 = driver;
    char mode[32], time[TEXT_TIME_SIZE];
    int64_t present;
    int code = get_retention(s3, name, version, mode, &present, err);
    /* Who may lock but not ask: the store itself lets nobody shorten a lock. */
    if ((code != 0 && code != ERROR_DENIED) || present >= until)
        return code;
    /* The mode stays: compliance cannot be taken back, and a change would be refused. */
    bool compliance = *mode ? strcmp(mode, "COMPLIANCE") == 0 : s3->p.lock == S3_LOCK_COMPLIANCE;
    struct buffer body = {0};
    buffer_append_format(&body, RETAIN_XML, compliance ? "COMPLIANCE" : "GOVERNANCE",
                         text_format_time(until, time));
    struct s3_call call = {
        .what = "cannot extend the lock of", .method = "PUT", .name = name, .body = buffer_bytes(&body)};
    s3_call_query(&call, "retention", "");
    s3_call_query(&call, "versionId", version);
    code = s3_send_only(s3, &call, NULL, err);
    buffer_free(&body);
    return code;
}
