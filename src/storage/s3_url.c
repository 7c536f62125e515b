/* A bucket as one line: what --target takes. */
#include "storage/s3.h"

#include "base/arena.h"
#include "base/id.h"
#include "base/text.h"
#include "http/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URL_MAX 4096
#define CONNECTIONS 4
#define RETRY_BUDGET (15 * 60)

bool s3_is_url(const char *url)
{
    return strncmp(url, "s3://", 5) == 0 || strncmp(url, "s3+http://", 10) == 0 ||
           strncmp(url, "s3+https://", 11) == 0;
}

static int bad_url(const char *url, const char *why, const char *what, struct error *err)
{
    char *shown = http_url_without_user(url);
    error_set(err, ERROR_USAGE, "%.500s: %s%s", shown, why, what);
    free(shown);
    return error_hint(err, "write s3://BUCKET/PREFIX?provider=NAME&region=NAME, or "
                           "s3+https://HOST/BUCKET/PREFIX?region=NAME");
}

/* Percent-decoding of size bytes. NULL if that is malformed or gives a NUL. */
static const char *decode(const char *text, size_t size, struct arena *arena)
{
    char *out = arena_alloc(arena, size + 1), *to = out;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)text[i];
        if (byte == '%') {
            char digits[2];
            for (size_t k = 0; k < 2; k++) {
                char c = i + 1 + k < size ? text[i + 1 + k] : '\0';
                digits[k] = c >= 'A' && c <= 'F' ? (char)(c + 32) : c;
            }
            if (!hex_decode(digits, 2, &byte, 1) || byte == 0)
                return NULL;
            i += 2;
        }
        *to++ = (char)byte;
    }
    *to = '\0';
    return out;
}

/* The index of value in a list that ends with NULL, or -1. */
static int index_of(const char *value, const char *const *list)
{
    for (int i = 0; list[i]; i++) {
        if (strcmp(value, list[i]) == 0)
            return i;
    }
    return -1;
}

static int set_parameter(const char *url, const char *name, const char *value, struct s3_parameters *p,
                         struct error *err)
{
    static const char *const names[] = {"provider",         "region",  "addressing",         "profile",
                                        "credentials_file", "ca_file", "allow_insecure_http"};
    static const char *const providers[] = {"aws", "digitalocean", "hetzner", "other", NULL};
    static const char *const addressings[] = {"auto", "path", "virtual", NULL};
    int index = 0;
    if (strcmp(name, "provider") == 0)
        p->provider = (enum s3_provider)(index = index_of(value, providers));
    else if (strcmp(name, "region") == 0)
        p->region = value;
    else if (strcmp(name, "addressing") == 0)
        p->addressing = (enum s3_addressing)(index = index_of(value, addressings));
    else if (strcmp(name, "profile") == 0)
        p->credentials.profile = value;
    else if (strcmp(name, "credentials_file") == 0)
        p->credentials.file = value;
    else if (strcmp(name, "ca_file") == 0)
        p->ca_file = value;
    else if (strcmp(name, "allow_insecure_http") == 0)
        p->allow_insecure_http = strcmp(value, "true") == 0;
    else {
        const char *near = text_nearest(name, names, sizeof names / sizeof *names);
        bad_url(url, "it has no setting ", name, err);
        return near ? error_hint(err, "did you mean \"%s\"?", near) : ERROR_USAGE;
    }
    return index < 0 ? bad_url(url, "not a value for ", name, err) : 0;
}

static int parse_query(const char *url, const char *query, struct s3_parameters *p, struct arena *arena,
                       struct error *err)
{
    int code = 0;
    while (*query && code == 0) {
        size_t size = strcspn(query, "&"), name_size = strcspn(query, "=&");
        const char *name = decode(query, name_size, arena);
        const char *value =
            name_size < size ? decode(query + name_size + 1, size - name_size - 1, arena) : NULL;
        if (!name || !value || !*value)
            return bad_url(url, "its settings are not NAME=VALUE, joined by &", "", err);
        code = set_parameter(url, name, value, p, err);
        query += size + (query[size] == '&');
    }
    return code;
}

static const char *default_region(enum s3_provider provider)
{
    const char *region = provider == S3_AWS ? getenv("AWS_REGION") : NULL;
    if (provider == S3_AWS && (!region || !*region))
        region = getenv("AWS_DEFAULT_REGION");
    return region && *region ? region : "us-east-1";
}

static int parse(const char *url, struct s3_parameters *p, struct arena *arena, struct error *err)
{
    const char *rest = strstr(url, "://") + 3, *query = strchr(rest, '?');
    const char *end = query ? query : url + strlen(url);
    if (strncmp(url, "s3+", 3) == 0) {
        size_t host = strcspn(rest, "/?");
        struct bytes endpoint = bytes_of(url + 3, (size_t)(rest - url) - 3 + host);
        p->endpoint = (const char *)arena_copy(arena, endpoint).data;
        p->provider = S3_OTHER;
        rest += host + (rest[host] == '/');
    }
    size_t bucket = strcspn(rest, "/?");
    const char *prefix = rest + bucket + (rest[bucket] == '/');
    p->bucket = decode(rest, bucket, arena);
    p->prefix = prefix < end ? decode(prefix, (size_t)(end - prefix), arena) : "";
    if (!p->bucket || !*p->bucket || !p->prefix || *p->prefix == '/')
        return bad_url(url, "it names no bucket", "", err);
    int code = query ? parse_query(url, query + 1, p, arena, err) : 0;
    if (code == 0 && !p->region)
        p->region = default_region(p->provider);
    return code;
}

int storage_open_s3_url(const char *url, struct storage **storage, struct error *err)
{
    struct s3_parameters p = {.label = url, .connections = CONNECTIONS, .retry_budget = RETRY_BUDGET};
    struct arena arena = {0};
    if (strlen(url) > URL_MAX)
        return error_set(err, ERROR_USAGE, "the address of the target is too long");
    int code = parse(url, &p, &arena, err);
    if (code == 0)
        code = storage_open_s3(&p, storage, err);
    arena_free(&arena);
    return code;
}
