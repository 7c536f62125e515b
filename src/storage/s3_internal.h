/*
 * What the files of the S3 driver share. Nobody else includes it.
 */
#ifndef STORAGE_S3_INTERNAL_H
#define STORAGE_S3_INTERNAL_H

#include "storage/s3.h"
#include "storage/s3_sign.h"

#include <pthread.h>

#define S3_CODE_SIZE 64
#define S3_REGION_SIZE 65
#define S3_CUSTOMER_KEYS_MAX 16

struct s3 {
    struct s3_parameters p; /* with copies of the strings */
    char *location;         /* "s3://BUCKET/PREFIX" */
    struct credentials_source *credentials;
    struct http_client *http;
    uint8_t customer_keys[S3_CUSTOMER_KEYS_MAX][STORAGE_CUSTOMER_KEY];
    size_t customer_key_count;
    bool keys_may_be_sent; /* the way there is encrypted, or it is what was asked for */

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake;  /* cancelled */
    bool cancelled;
    struct s3_address address;
    bool region_followed;
    int64_t clock_offset; /* the store's clock minus this machine's, seconds */
    bool clock_wrong;     /* requests are signed by the store's clock */
    bool has_answered;
    double failing_since; /* monotonic seconds; 0: the last request got an answer */
    bool warned_failing;
    struct {
        uint8_t key[32];
        char day[S3_DAY_SIZE];
        char region[S3_REGION_SIZE];
        uint64_t generation;
    } signing;
    unsigned features;
    bool features_known;
    bool no_condition; /* the store knows no If-None-Match */
    bool unversioned;  /* it said so: nothing in it can be locked */
};

/* ---- s3_request.c ---- */

#define S3_QUERY_MAX 8
#define S3_HEADERS_MAX 8

struct s3_call {
    const char *what; /* "cannot store": for messages */
    const char *method;
    const char *name; /* of the object, below the prefix; NULL: the bucket */
    struct s3_parameter query[S3_QUERY_MAX];
    size_t query_count;
    const char *headers[S3_HEADERS_MAX]; /* "Name: value" */
    size_t header_count;
    struct bytes body;
    const char *body_hash; /* hex SHA-256, or NULL: to be computed */
    bool no_md5;           /* the signed SHA-256 is enough */
    const uint8_t *customer_key;
    size_t max;       /* bytes of the answer's body */
    bool gives_bytes; /* the answer's body is an object, not XML */
    const char *root; /* NULL, or the element that the answer must be */
};

/* Why a store refused. */
struct s3_refusal {
    int status; /* HTTP; 0: there was no answer */
    char code[S3_CODE_SIZE];
    bool maybe_done; /* an attempt before may have been carried out all the same */
};

/* Signs and sends until there is a final answer or the budget is spent. 0 for a success, its body appended to
 * response->body; else the error's code, the body as before, and *refusal (may be NULL) with the details. */
int s3_send(struct s3 *s3, const struct s3_call *call, struct http_response *response,
            struct s3_refusal *refusal, struct error *err);
/* The same where the answer's body and headers are of no interest. */
int s3_send_only(struct s3 *s3, const struct s3_call *call, struct s3_refusal *refusal, struct error *err);
void s3_call_query(struct s3_call *call, const char *name, const char *value);
void s3_call_header(struct s3_call *call, const char *line);
int64_t s3_now(struct s3 *s3);

/* ---- s3_refusal.c: pure ---- */

enum s3_verdict { S3_FINAL, S3_RETRY, S3_RETRY_BRIEFLY, S3_RETRY_THROTTLED };
/* What to do about an answer. */
enum s3_verdict s3_judge(int status, const char *code);
/* Seconds to wait before attempt number `attempt` (1: the first retry); `random` from 0 to 1; retry_after:
 * what the store asked for, 0 if nothing. */
double s3_retry_delay(unsigned attempt, bool throttled, double random, double retry_after);
bool s3_refuses_credentials(const char *code);
/* Sets err from a refusal; message is the store's own. */
int s3_refuse(const struct s3 *s3, const struct s3_call *call, const struct s3_refusal *refusal,
              const char *message, struct error *err);

/* ---- s3_object.c ---- */

int s3_put_new(void *driver, const char *name, struct bytes data, struct error *err);
int s3_put(void *driver, const char *name, struct bytes data, struct error *err);
int s3_get(void *driver, const char *name, uint64_t offset, size_t size, bool whole, struct buffer *out,
           struct error *err);
int s3_get_version(void *driver, const char *name, const char *version, size_t max, struct buffer *out,
                   struct error *err);
int s3_head(void *driver, const char *name, uint64_t *size, int64_t *time, struct error *err);
int s3_remove(void *driver, const char *name, struct error *err);
int s3_remove_version(void *driver, const char *name, const char *version, struct error *err);

/* ---- s3_list.c ---- */

int s3_list(void *driver, const char *prefix, storage_list_callback *callback, void *context,
            struct error *err);
int s3_list_versions(void *driver, const char *prefix, storage_versions_callback *callback, void *context,
                     struct error *err);

/* ---- s3_bucket.c ---- */

/* Asks the bucket the first time. FAILED and the like where it cannot be reached. */
int s3_get_features(struct s3 *s3, unsigned *features, struct error *err);
unsigned s3_features(void *driver);
int s3_describe(void *driver, struct storage_facts *facts, struct error *err);
int s3_retention(void *driver, const char *name, const char *version, int64_t *until, struct error *err);
int s3_retain(void *driver, const char *name, const char *version, int64_t until, struct error *err);

#endif
