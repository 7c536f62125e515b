/* Which refusals are tried again and how soon, and what they are called. */
#include "helpers.h"
#include "storage/s3_internal.h"

#include <stdio.h>

START_TEST(verdicts)
{
    ck_assert_int_eq(s3_judge(500, "InternalError"), S3_RETRY);
    ck_assert_int_eq(s3_judge(200, "InternalError"), S3_RETRY);
    ck_assert_int_eq(s3_judge(400, "RequestTimeout"), S3_RETRY);
    ck_assert_int_eq(s3_judge(409, "OperationAborted"), S3_RETRY);
    for (size_t i = 0; i < 5; i++)
        ck_assert_int_eq(s3_judge((const int[]){408, 500, 502, 503, 504}[i], ""), S3_RETRY);
    ck_assert_int_eq(s3_judge(503, "SlowDown"), S3_RETRY_THROTTLED);
    ck_assert_int_eq(s3_judge(429, ""), S3_RETRY_THROTTLED);
    ck_assert_int_eq(s3_judge(400, "BadDigest"), S3_RETRY_BRIEFLY);
    ck_assert_int_eq(s3_judge(403, "AccessDenied"), S3_FINAL);
    ck_assert_int_eq(s3_judge(404, "NoSuchBucket"), S3_FINAL);
    ck_assert_int_eq(s3_judge(404, "NoSuchKey"), S3_FINAL);
    ck_assert_int_eq(s3_judge(416, "InvalidRange"), S3_FINAL);
    ck_assert_int_eq(s3_judge(403, "SignatureDoesNotMatch"), S3_FINAL);
    ck_assert_int_eq(s3_judge(412, "PreconditionFailed"), S3_FINAL);
    ck_assert_int_eq(s3_judge(501, "NotImplemented"), S3_FINAL);
    ck_assert(s3_refuses_credentials("ExpiredToken"));
    ck_assert(!s3_refuses_credentials("AccessDenied"));
    ck_assert(!s3_refuses_credentials(""));
}
END_TEST

#define IS(seconds, call) ck_assert_double_eq_tol((call), (seconds), 1e-9)

START_TEST(delays)
{
    IS(0, s3_retry_delay(1, false, 0, 0));
    IS(0.1, s3_retry_delay(1, false, 1, 0));
    IS(0.4, s3_retry_delay(3, false, 1, 0));
    IS(0.2, s3_retry_delay(3, false, 0.5, 0));
    IS(20, s3_retry_delay(12, false, 1, 0));
    IS(20, s3_retry_delay(1000000, false, 1, 0));
    IS(1, s3_retry_delay(1, true, 1, 0));
    IS(4, s3_retry_delay(3, true, 1, 0));
    IS(7, s3_retry_delay(3, true, 1, 7)); /* the store's wish is the least */
    IS(20, s3_retry_delay(9, true, 1, 7));
}
END_TEST

static int refuse(int status, const char *code, const char *name, struct error *err)
{
    struct s3 s3 = {.location = (char *)"s3://b/p/"};
    struct s3_call call = {.what = "cannot read", .name = name};
    struct s3_refusal refusal = {.status = status};
    snprintf(refusal.code, sizeof refusal.code, "%s", code);
    return s3_refuse(&s3, &call, &refusal, "It says\x1b[31m so", err);
}

START_TEST(codes_and_messages)
{
    struct error err;
    REFUSES(ERROR_NOT_FOUND, refuse(404, "NoSuchKey", "packs/a", &err));
    ck_assert_str_eq(err.message,
                     "cannot read packs/a in s3://b/p/: NoSuchKey: It says\\x1b[31m so (HTTP 404)");
    /* Only an object that is not there is "not found": else a wrong bucket would look like an empty one. */
    REFUSES(ERROR_FAILED, refuse(404, "NoSuchBucket", "packs/a", &err));
    ck_assert(strstr(err.hint, "make the bucket") != NULL);
    REFUSES(ERROR_FAILED, refuse(404, "Whatever", NULL, &err));
    REFUSES(ERROR_NOT_FOUND, refuse(404, "", "packs/a", &err));
    REFUSES(ERROR_DENIED, refuse(403, "", "packs/a", &err));
    REFUSES(ERROR_DENIED, refuse(403, "SignatureDoesNotMatch", NULL, &err));
    REFUSES(ERROR_NO_SPACE, refuse(403, "QuotaExceeded", "packs/a", &err));
    REFUSES(ERROR_NO_SPACE, refuse(507, "", "packs/a", &err));
    REFUSES(ERROR_DENIED, refuse(403, "InvalidObjectState", "packs/a", &err));
    REFUSES(ERROR_INTEGRITY, refuse(416, "InvalidRange", "packs/a", &err));
    REFUSES(ERROR_DENIED, refuse(407, "", NULL, &err));
    ck_assert(strstr(err.hint, "https_proxy=") != NULL);
    REFUSES(ERROR_FAILED, refuse(503, "SlowDown", NULL, &err));
    ck_assert(strstr(err.hint, "fewer requests") != NULL);
    REFUSES(ERROR_FAILED, refuse(429, "Whatever", NULL, &err));
    ck_assert(strstr(err.hint, "fewer requests") != NULL);
    REFUSES(ERROR_FAILED, refuse(400, "BadDigest", "packs/a", &err));
    ck_assert(strstr(err.hint, "changed or lost on the way") != NULL);
    REFUSES(ERROR_FAILED, refuse(503, "", NULL, &err));
    ck_assert_str_eq(err.message, "cannot read s3://b/p/: It says\\x1b[31m so (HTTP 503)");
    ck_assert_str_ne(err.hint, "");
}
END_TEST

RUN_TESTS("s3_refusal", verdicts, delays, codes_and_messages)
