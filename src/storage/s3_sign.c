#include "storage/s3_sign.h"

#include "base/id.h"
#include "base/memory.h"
#include "crypto/digest.h"
#include "crypto/random.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define ALGORITHM "AWS4-HMAC-SHA256"

void s3_encode(const char *text, bool keep_slash, struct buffer *out)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        bool letter = (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z');
        if (letter || (*p >= '0' && *p <= '9') || strchr("-._~", *p) || (keep_slash && *p == '/'))
            buffer_u8(out, *p);
        else
            buffer_append_format(out, "%%%02X", *p);
    }
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void s3_encode_query(const struct s3_parameter *parameters, size_t count, struct buffer *out)
{
    char **pairs = memory_alloc_array(count, sizeof *pairs);
    for (size_t i = 0; i < count; i++) {
        struct buffer pair = {0};
        s3_encode(parameters[i].name, false, &pair);
        /* Sorts before all that a name may contain, so that a name sorts before the longer ones. */
        buffer_u8(&pair, 1);
        s3_encode(parameters[i].value, false, &pair);
        pairs[i] = memory_copy_string(buffer_string(&pair));
        buffer_free(&pair);
    }
    qsort(pairs, count, sizeof *pairs, compare_strings);
    for (size_t i = 0; i < count; i++) {
        *strchr(pairs[i], 1) = '=';
        buffer_append_format(out, "%s%s", i ? "&" : "", pairs[i]);
        free(pairs[i]);
    }
    free(pairs);
}

void s3_signing_key(const char *secret, const char *day, const char *region, const char *service,
                    uint8_t key[32])
{
    const char *const steps[] = {day, region, service, "aws4_request"};
    struct buffer first = {0};
    struct id step;
    buffer_append_string(&first, "AWS4");
    buffer_append_string(&first, secret);
    hmac_sha256(buffer_bytes(&first), bytes_of_string(steps[0]), &step);
    buffer_free_secret(&first);
    for (size_t i = 1; i < sizeof steps / sizeof *steps; i++) {
        struct id next;
        hmac_sha256(bytes_of(step.b, sizeof step.b), bytes_of_string(steps[i]), &next);
        step = next;
        cleanse(&next, sizeof next);
    }
    memcpy(key, step.b, 32);
    cleanse(&step, sizeof step);
}

/* "Name:  a   value " -> "name:a value". */
static char *canonical_header(const char *line)
{
    char *text = memory_copy_string(line), *to = strchr(text, ':');
    if (!to)
        return text;
    for (char *p = text; p < to; p++)
        *p = (char)tolower((unsigned char)*p);
    const char *from = ++to, *begin = to;
    for (; *from; from++) {
        bool space = *from == ' ' || *from == '\t';
        if (!space)
            *to++ = *from;
        else if (to > begin && to[-1] != ' ')
            *to++ = ' ';
    }
    if (to > begin && to[-1] == ' ')
        to--;
    *to = '\0';
    return text;
}

/* By name: a whole line would put "name-more:" before "name:". */
static int compare_headers(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    size_t m = strcspn(x, ":"), n = strcspn(y, ":");
    int order = memcmp(x, y, m < n ? m : n);
    return order ? order : (m > n) - (m < n);
}

/* Both as the canonical request has them: the lines, and the names joined. */
static void canonical_headers(const struct s3_signed_request *r, struct buffer *lines, struct buffer *names)
{
    char *list[S3_SIGNED_HEADERS_MAX];
    size_t count = r->header_count < S3_SIGNED_HEADERS_MAX ? r->header_count : S3_SIGNED_HEADERS_MAX;
    for (size_t i = 0; i < count; i++)
        list[i] = canonical_header(r->headers[i]);
    qsort(list, count, sizeof *list, compare_headers);
    for (size_t i = 0; i < count; i++) {
        buffer_append_format(lines, "%s\n", list[i]);
        buffer_append_format(names, "%s%.*s", i ? ";" : "", (int)strcspn(list[i], ":"), list[i]);
        free(list[i]);
    }
}

void s3_sign(const struct s3_signed_request *r, const uint8_t key[32], const char *access_key,
             const char *region, const char *service, const char *time, struct buffer *out)
{
    struct buffer lines = {0}, names = {0}, text = {0}, scope = {0};
    char hex[ID_HEX_SIZE];
    struct id hash;
    canonical_headers(r, &lines, &names);
    buffer_append_format(&text, "%s\n%s\n%s\n%s\n%s\n%s", r->method, r->path, r->query, buffer_string(&lines),
                         buffer_string(&names), r->payload_hash);
    sha256(buffer_bytes(&text), &hash);
    id_to_hex(&hash, hex);
    buffer_append_format(&scope, "%.8s/%s/%s/aws4_request", time, region, service);
    buffer_clear(&text);
    buffer_append_format(&text, ALGORITHM "\n%s\n%s\n%s", time, buffer_string(&scope), hex);
    hmac_sha256(bytes_of(key, 32), buffer_bytes(&text), &hash);
    id_to_hex(&hash, hex);
    buffer_append_format(out, ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s", access_key,
                         buffer_string(&scope), buffer_string(&names), hex);
    buffer_free_secret(&lines); /* a session token, a customer key */
    buffer_free_secret(&text);
    buffer_free(&names);
    buffer_free(&scope);
}
