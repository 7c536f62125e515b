/* What the refusals of a store mean: for the program (try again or not) and for people. */
#include "storage/s3_internal.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define BASE_SECONDS 0.1
#define THROTTLED_BASE_SECONDS 1.0
#define CAP_SECONDS 20.0

static bool is_one_of(const char *code, const char *const *list)
{
    for (; *list; list++) {
        if (strcmp(code, *list) == 0)
            return true;
    }
    return false;
}

enum s3_verdict s3_judge(int status, const char *code)
{
    static const char *const throttled[] = {"SlowDown",
                                            "Throttling",
                                            "ThrottlingException",
                                            "TooManyRequests",
                                            "RequestLimitExceeded",
                                            "RequestThrottled",
                                            "BandwidthLimitExceeded",
                                            NULL};
    static const char *const passing[] = {"InternalError",
                                          "RequestTimeout",
                                          "ServiceUnavailable",
                                          "OperationAborted",
                                          "ConditionalRequestConflict",
                                          NULL};
    /* Bytes changed on the way: but if they are changed each time there is no use in going on for long. */
    static const char *const damaged[] = {"BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch", NULL};
    if (status == 429 || is_one_of(code, throttled))
        return S3_RETRY_THROTTLED;
    if (is_one_of(code, damaged))
        return S3_RETRY_BRIEFLY;
    if (is_one_of(code, passing))
        return S3_RETRY;
    return status == 408 || status == 500 || status == 502 || status == 503 || status == 504 ? S3_RETRY
                                                                                             : S3_FINAL;
}

double s3_retry_delay(unsigned attempt, bool throttled, double random, double retry_after)
{
    double most = throttled ? THROTTLED_BASE_SECONDS : BASE_SECONDS;
    for (unsigned i = 1; i < attempt && most < CAP_SECONDS; i++)
        most *= 2;
    double delay = random * (most < CAP_SECONDS ? most : CAP_SECONDS);
    return delay > retry_after ? delay : retry_after;
}

bool s3_refuses_credentials(const char *code)
{
    static const char *const codes[] = {
        "ExpiredToken",         "InvalidToken",          "TokenRefreshRequired",
        "InvalidAccessKeyId",   "ExpiredTokenException", "RequestExpired",
        "InvalidClientTokenId", "InvalidSecurity",       NULL};
    return is_one_of(code, codes);
}

static const struct meaning {
    const char *code;
    int error;
    const char *hint;
} meanings[] = {
    {"NoSuchKey", ERROR_NOT_FOUND, ""},
    {"NoSuchVersion", ERROR_NOT_FOUND, ""},
    {"NoSuchBucket", ERROR_FAILED,
     "make the bucket first, or correct bucket, region and endpoint: holdfast makes none"},
    {"AccessDenied", ERROR_DENIED,
     "these keys may not do that there: compare the bucket's policy with holdfast-s3(7)"},
    {"AccountProblem", ERROR_DENIED, "look at the account in the provider's console"},
    {"AllAccessDisabled", ERROR_DENIED, "look at the account in the provider's console"},
    {"InvalidAccessKeyId", ERROR_DENIED,
     "the store does not know this access key: are the keys for this provider and region?"},
    {"SignatureDoesNotMatch", ERROR_DENIED,
     "the secret key does not belong to the access key: check the credentials, and that it was copied whole"},
    {"ExpiredToken", ERROR_DENIED, "the session token has expired: renew the credentials"},
    {"InvalidToken", ERROR_DENIED, "the session token is not valid here: renew the credentials"},
    {"RequestTimeTooSkewed", ERROR_DENIED,
     "this machine's clock is wrong by more than 15 minutes: set it (timedatectl, chrony)"},
    {"AuthorizationHeaderMalformed", ERROR_DENIED, "is the region of the target the one of the bucket?"},
    {"QuotaExceeded", ERROR_NO_SPACE, "raise the quota, or let prune make room: keep fewer snapshots"},
    {"InsufficientStorage", ERROR_NO_SPACE, "raise the quota, or let prune make room: keep fewer snapshots"},
    {"XMinioStorageFull", ERROR_NO_SPACE, "make room on the server's disks"},
    {"InvalidObjectState", ERROR_DENIED,
     "the object was moved to an archive class: restore it there first, and remove that lifecycle rule"},
    {"InvalidRange", ERROR_INTEGRITY, "it is shorter than it must be: holdfast heal repairs it"},
    {"InvalidRequest", ERROR_FAILED,
     "the store refuses a setting: check sse, storage_class and object_lock against what the bucket can do"},
    {"InvalidStorageClass", ERROR_FAILED, "the store has no such storage_class"},
    {"NotImplemented", ERROR_UNSUPPORTED, "the store lacks this function"},
    {"MethodNotAllowed", ERROR_UNSUPPORTED,
     "the store lacks this function, or a marker of removal was named"},
};

static const struct meaning *find_meaning(const struct s3_refusal *refusal)
{
    static const struct meaning not_there = {"", ERROR_NOT_FOUND, ""};
    static const struct meaning denied = {
        "", ERROR_DENIED,
        "these keys may not do that there: compare the bucket's policy with holdfast-s3(7)"};
    static const struct meaning full = {"", ERROR_NO_SPACE, "make room at the store"};
    static const struct meaning proxy = {"", ERROR_DENIED, HTTP_PROXY_PASSWORD_HINT};
    static const struct meaning elsewhere = {"", ERROR_FAILED,
                                             "the bucket is in another region: correct region and endpoint"};
    static const struct meaning throttled = {
        "", ERROR_FAILED, "the store asks for fewer requests: lower connections, or try later"};
    static const struct meaning changed = {
        "", ERROR_FAILED,
        "bytes were changed or lost on the way there: does a proxy or a faulty machine stand between?"};
    static const struct meaning busy = {
        "", ERROR_FAILED, "the store has trouble: look at the provider's status page, or try later"};
    static const struct meaning other = {
        "", ERROR_FAILED, "is it an S3 store? holdfast check-config --online tries what it can do"};
    for (size_t i = 0; *refusal->code && i < sizeof meanings / sizeof *meanings; i++) {
        if (strcmp(meanings[i].code, refusal->code) == 0)
            return &meanings[i];
    }
    enum s3_verdict verdict = s3_judge(refusal->status, refusal->code);
    /* An unknown code with 404 is about something else than the object. */
    if (refusal->status == 404 && !*refusal->code)
        return &not_there;
    return refusal->status == 401 || refusal->status == 403   ? &denied
           : refusal->status == 407                           ? &proxy
           : refusal->status == 507                           ? &full
           : refusal->status == 301 || refusal->status == 307 ? &elsewhere
           : verdict == S3_RETRY_THROTTLED                    ? &throttled
           : verdict == S3_RETRY_BRIEFLY                      ? &changed
           : verdict == S3_RETRY                              ? &busy
                                                              : &other;
}

int s3_refuse(const struct s3 *s3, const struct s3_call *call, const struct s3_refusal *refusal,
              const char *message, struct error *err)
{
    const struct meaning *meaning = find_meaning(refusal);
    char *said = text_visible(message);
    error_set(err, meaning->error, "%s %s%s%s: %s%s%.300s%sHTTP %d%s", call->what,
              call->name ? call->name : "", call->name ? " in " : "", s3->location, refusal->code,
              *refusal->code && *said ? ": " : "", said, *refusal->code || *said ? " (" : "", refusal->status,
              *refusal->code || *said ? ")" : "");
    free(said);
    if (*meaning->hint)
        error_hint(err, "%s", meaning->hint);
    return meaning->error;
}
