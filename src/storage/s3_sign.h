/*
 * AWS Signature Version 4, header form, as S3 wants it: the path encoded once and not normalised. Pure. For
 * the S3 driver.
 */
#ifndef STORAGE_S3_SIGN_H
#define STORAGE_S3_SIGN_H

#include "base/bytes.h"

#include <stdbool.h>

#define S3_DAY_SIZE 9   /* "20261124" */
#define S3_TIME_SIZE 17 /* "20261124T030000Z" */

struct s3_parameter {
    const char *name, *value;
};

/* Percent-encoding of RFC 3986: all but letters, digits and "-._~" (and "/" with keep_slash). Appends. */
void s3_encode(const char *text, bool keep_slash, struct buffer *out);
/* The query as it is both sent and signed: encoded, sorted; without a question mark. Appends. */
void s3_encode_query(const struct s3_parameter *parameters, size_t count, struct buffer *out);

void s3_signing_key(const char *secret, const char *day, const char *region, const char *service,
                    uint8_t key[32]);

struct s3_signed_request {
    const char *method;
    const char *path;           /* encoded */
    const char *query;          /* encoded and sorted, or "" */
    const char *const *headers; /* "Name: value"; all are signed; at most S3_SIGNED_HEADERS_MAX */
    size_t header_count;
    const char *payload_hash; /* hex, as in x-amz-content-sha256 */
};
#define S3_SIGNED_HEADERS_MAX 32

/* Appends the value of the Authorization header. `time` is what x-amz-date says. */
void s3_sign(const struct s3_signed_request *request, const uint8_t key[32], const char *access_key,
             const char *region, const char *service, const char *time, struct buffer *out);

#endif
