/*
 * An S3 bucket as a target: what wire.c and check-config say to the driver. See storage.h for the rest.
 */
#ifndef STORAGE_S3_H
#define STORAGE_S3_H

#include "http/http.h"
#include "storage/credentials.h"
#include "storage/storage.h"

enum s3_provider { S3_AWS, S3_DIGITALOCEAN, S3_HETZNER, S3_OTHER };
enum s3_sse { S3_SSE_NONE, S3_SSE_AES256, S3_SSE_CUSTOMER };
enum s3_lock { S3_LOCK_NONE, S3_LOCK_GOVERNANCE, S3_LOCK_COMPLIANCE };
enum s3_addressing { S3_ADDRESSING_AUTO, S3_ADDRESSING_PATH, S3_ADDRESSING_VIRTUAL };

struct s3_parameters {
    const char *label; /* the target's name, for messages */
    enum s3_provider provider;
    const char *region;
    const char *bucket;
    const char *endpoint; /* URL, or NULL: the provider's */
    const char *prefix;   /* "", or ends with a slash (one is added) */
    enum s3_addressing addressing;
    struct credentials_options credentials;
    const char *ca_file;
    bool allow_insecure_http;
    const char *storage_class; /* NULL: the bucket's */
    enum s3_sse sse;           /* CUSTOMER needs a key: storage_set_customer_key() */
    enum s3_lock lock;
    int64_t retain; /* seconds */
    unsigned connections;
    int64_t retry_budget; /* seconds in all for one object */
    int64_t stall;        /* seconds without progress after which a connection is given up */
    struct http_limit *upload_limit, *download_limit;
    bool keep_region; /* a bucket in another region is an error, never followed there: residency */
};

/* No request is made yet. Copies everything. USAGE for an endpoint that is no URL, plain http to a host that
 * is not loopback without allow_insecure_http, a region that the provider does not have. */
int storage_open_s3(const struct s3_parameters *parameters, struct storage **storage, struct error *err);

/* ---- s3_url.c: a bucket as one line, for a machine that has no configuration ----
 *
 * s3://BUCKET/PREFIX?NAME=VALUE&...                 at the provider's own endpoint
 * s3+https://HOST[:PORT]/BUCKET/PREFIX?...          at this one (s3+http likewise, as far as http is allowed)
 * with provider, region, addressing, profile, credentials_file, ca_file and allow_insecure_http, which mean
 * what they do in the configuration file. For reading: how objects are encrypted by the store need not be
 * said. */

bool s3_is_url(const char *url);
/* USAGE if it is malformed. */
int storage_open_s3_url(const char *url, struct storage **storage, struct error *err);

/* ---- endpoint.c: which host serves a bucket ---- */

#define S3_HOST_MAX 512
struct s3_address {
    bool tls;
    char host[S3_HOST_MAX]; /* with ":port" unless it is the scheme's own: what the Host header says */
    char base[S3_HOST_MAX]; /* path before the key: "" for a virtual host, "/bucket" for path style */
    char region[65];        /* for signing */
    bool virtual_host;
};
/* The provider's table, or the endpoint. USAGE as above, and for a bucket's name that is none. Where there is
 * an endpoint the region is not looked up: it may be newer than the table. */
int s3_address_find(const struct s3_parameters *parameters, struct s3_address *address, struct error *err);

struct s3_region {
    enum s3_provider provider;
    const char *name;
    const char *country; /* two capital letters: where its disks are */
};
/* All that are known. */
const struct s3_region *s3_regions(size_t *count);
/* NULL if the provider has none of this name, as far as is known. */
const struct s3_region *s3_region_find(enum s3_provider provider, const char *name);
/* "aws", "digitalocean", "hetzner", "other". */
const char *s3_provider_name(enum s3_provider provider);

#endif
