/*
 * HTTP/1.1 requests over libcurl (the only place that includes it): a client keeps a few connections to one
 * server and is shared by threads. TLS 1.2 or better. It neither retries nor follows redirects nor knows what
 * S3 is. Used by storage (objects, credentials) and notify.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/bytes.h"
#include "base/error.h"

#include <stdbool.h>

/* A rate that several clients share: at most so many bytes a second, over all connections, per direction. */
struct http_limit;
struct http_limit *http_limit_new(uint64_t bytes_per_second);
/* Gives up a reference: it goes with the last one. */
void http_limit_free(struct http_limit *limit);

struct http_options {
    unsigned connections;            /* requests at the same time; at least 1; further callers wait */
    const char *ca_file;             /* PEM; NULL: the system's */
    bool no_proxy;                   /* not even where the environment names one (link-local addresses) */
    unsigned connect_timeout;        /* seconds; 0: 10 */
    unsigned stall_seconds;          /* under 1 KiB/s for so long is a failure; 0: 60 */
    unsigned total_timeout;          /* seconds for a whole request; 0: none */
    struct http_limit *upload_limit; /* NULL: none; the client keeps a reference */
    struct http_limit *download_limit;
};

struct http_client;
/* USAGE if the CA file cannot be read. */
int http_client_new(const struct http_options *options, struct http_client **client, struct error *err);
void http_client_free(struct http_client *client);
/* Requests under way end soon with CANCELLED, and later ones at once. Any thread may call it. */
void http_client_cancel(struct http_client *client);

struct http_request {
    const char *method;         /* GET, PUT, POST, HEAD, DELETE */
    const char *url;            /* sent as it is: no path normalisation */
    const char *const *headers; /* "Name: value" lines; "Name:" leaves out one that libcurl would send */
    size_t header_count;
    struct bytes body;
    size_t max_response;   /* bytes of a body that are accepted: more is INTEGRITY */
    bool fresh_connection; /* after a failure */
};

/* Headers that are kept: ETag, Date, Last-Modified, Retry-After, Content-Length, Location, and x-amz-*. */
struct http_response {
    int status;
    bool repeated;      /* libcurl sent the request a second time: the first one may have been carried out */
    struct buffer body; /* appended to: may hold something before */
    struct buffer headers; /* "name\0value\0"..., names in lower case, at most 16 KiB */
};

/* What to do about the status 407, with which a plain http proxy answers itself. */
#define HTTP_PROXY_PASSWORD_HINT                                                                             \
    "the proxy wants a name and a password, or others than these: "                                          \
    "https_proxy=http://NAME:PASSWORD@HOST:PORT"

/* 0 for every complete answer, whatever its status. FAILED with the cause where there was no complete answer
 * (name resolution, connection, TLS, time-out, reset, truncated body), DENIED where it would be the same
 * again (certificate, version of TLS, a proxy that refuses); `*processed` (may be NULL) is false if the
 * server cannot have seen the whole request. The body is rewound to what it held before. Hints name
 * certificates, proxies, DNS. CANCELLED, INTEGRITY (too long; an answer that is no success may have 64 KiB in
 * any case). */
int http_perform(struct http_client *client, const struct http_request *request,
                 struct http_response *response, bool *processed, struct error *err);
void http_response_free(struct http_response *response);
/* The value of a header (name in lower case), or NULL; valid until the response changes. */
const char *http_response_header(const struct http_response *response, const char *name);
/* Unix seconds of an HTTP date (RFC 9110, 5.6.7); -1 if it is none. */
int64_t http_parse_date(const char *text);

#endif
