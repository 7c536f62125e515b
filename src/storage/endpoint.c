/* Which host serves a bucket, and where that is. */
#include "base/text.h"
#include "http/url.h"
#include "storage/s3.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct s3_region regions[] = {
    {S3_AWS, "af-south-1", "ZA"},     {S3_AWS, "ap-east-1", "HK"},      {S3_AWS, "ap-east-2", "TW"},
    {S3_AWS, "ap-northeast-1", "JP"}, {S3_AWS, "ap-northeast-2", "KR"}, {S3_AWS, "ap-northeast-3", "JP"},
    {S3_AWS, "ap-south-1", "IN"},     {S3_AWS, "ap-south-2", "IN"},     {S3_AWS, "ap-southeast-1", "SG"},
    {S3_AWS, "ap-southeast-2", "AU"}, {S3_AWS, "ap-southeast-3", "ID"}, {S3_AWS, "ap-southeast-4", "AU"},
    {S3_AWS, "ap-southeast-5", "MY"}, {S3_AWS, "ap-southeast-6", "NZ"}, {S3_AWS, "ap-southeast-7", "TH"},
    {S3_AWS, "ca-central-1", "CA"},   {S3_AWS, "ca-west-1", "CA"},      {S3_AWS, "cn-north-1", "CN"},
    {S3_AWS, "cn-northwest-1", "CN"}, {S3_AWS, "eu-central-1", "DE"},   {S3_AWS, "eu-central-2", "CH"},
    {S3_AWS, "eu-north-1", "SE"},     {S3_AWS, "eu-south-1", "IT"},     {S3_AWS, "eu-south-2", "ES"},
    {S3_AWS, "eu-west-1", "IE"},      {S3_AWS, "eu-west-2", "GB"},      {S3_AWS, "eu-west-3", "FR"},
    {S3_AWS, "eusc-de-east-1", "DE"}, {S3_AWS, "il-central-1", "IL"},   {S3_AWS, "me-central-1", "AE"},
    {S3_AWS, "me-south-1", "BH"},     {S3_AWS, "mx-central-1", "MX"},   {S3_AWS, "sa-east-1", "BR"},
    {S3_AWS, "us-east-1", "US"},      {S3_AWS, "us-east-2", "US"},      {S3_AWS, "us-gov-east-1", "US"},
    {S3_AWS, "us-gov-west-1", "US"},  {S3_AWS, "us-west-1", "US"},      {S3_AWS, "us-west-2", "US"},
    {S3_DIGITALOCEAN, "ams3", "NL"},  {S3_DIGITALOCEAN, "atl1", "US"},  {S3_DIGITALOCEAN, "blr1", "IN"},
    {S3_DIGITALOCEAN, "fra1", "DE"},  {S3_DIGITALOCEAN, "lon1", "GB"},  {S3_DIGITALOCEAN, "nyc3", "US"},
    {S3_DIGITALOCEAN, "sfo2", "US"},  {S3_DIGITALOCEAN, "sfo3", "US"},  {S3_DIGITALOCEAN, "sgp1", "SG"},
    {S3_DIGITALOCEAN, "syd1", "AU"},  {S3_DIGITALOCEAN, "tor1", "CA"},  {S3_HETZNER, "fsn1", "DE"},
    {S3_HETZNER, "hel1", "FI"},       {S3_HETZNER, "nbg1", "DE"},
};

static const char lower_and_digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";

const char *s3_provider_name(enum s3_provider provider)
{
    static const char *const names[] = {"aws", "digitalocean", "hetzner", "other"};
    return names[provider];
}

const struct s3_region *s3_regions(size_t *count)
{
    *count = COUNT(regions);
    return regions;
}

const struct s3_region *s3_region_find(enum s3_provider provider, const char *name)
{
    for (size_t i = 0; i < COUNT(regions); i++) {
        if (regions[i].provider == provider && strcmp(regions[i].name, name) == 0)
            return &regions[i];
    }
    return NULL;
}

static int unknown_region(enum s3_provider provider, const char *name, struct error *err)
{
    const char *names[COUNT(regions)];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(regions); i++) {
        if (regions[i].provider == provider)
            names[count++] = regions[i].name;
    }
    const char *near = text_nearest(name, names, count);
    error_set(err, ERROR_USAGE, "provider %s has no region \"%.64s\"", s3_provider_name(provider), name);
    if (near)
        return error_hint(err, "did you mean \"%s\"?", near);
    if (provider == S3_AWS)
        return error_hint(err, "for a region newer than this program give its endpoint as well");
    struct buffer list = {0};
    for (size_t i = 0; i < count; i++)
        buffer_append_format(&list, "%s%s", i ? ", " : "", names[i]);
    error_hint(err, "it has %s; for a newer one give its endpoint as well", buffer_string(&list));
    buffer_free(&list);
    return ERROR_USAGE;
}

/* S3's rule for names of buckets, and what keeps one from becoming another part of a URL. */
static int check_bucket(const char *bucket, struct error *err)
{
    struct in_addr address;
    size_t n = strlen(bucket);
    bool good = n >= 3 && n <= 63 && strchr(lower_and_digits, bucket[0]) &&
                strchr(lower_and_digits, bucket[n - 1]) && !strstr(bucket, "..") &&
                inet_pton(AF_INET, bucket, &address) != 1;
    for (size_t i = 0; i < n && good; i++)
        good = strchr(lower_and_digits, bucket[i]) || bucket[i] == '.' || bucket[i] == '-';
    if (good)
        return 0;
    char *shown = text_visible(bucket);
    error_set(err, ERROR_USAGE, "\"%.80s\" cannot be a bucket's name", shown);
    free(shown);
    return error_hint(err, "a bucket's name has 3 to 63 small letters, digits, dots and dashes, begins and "
                           "ends with a letter or digit, and is no IP address");
}

static int check_region(const char *region, struct error *err)
{
    size_t n = strlen(region);
    if (n > 0 && n <= 64 && strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == n)
        return 0;
    char *shown = text_visible(region);
    error_set(err, ERROR_USAGE, "\"%.80s\" cannot be a region", shown);
    free(shown);
    return error_hint(err, "write it as the provider does: small letters, digits and dashes");
}

/* ---- an endpoint that was given ---- */

static int bad_endpoint(const char *url, const char *why, struct error *err)
{
    char *shown = http_url_without_user(url);
    error_set(err, ERROR_USAGE, "endpoint %.300s: %s", shown, why);
    free(shown);
    return error_hint(err, "write https://HOST or https://HOST:PORT, without a path");
}

static int parse_endpoint(const char *url, struct http_url *e, struct error *err)
{
    const char *wrong = http_url_parse(url, e);
    if (!wrong && e->has_user)
        wrong = "there is a name before the host: keys belong in credentials_file";
    if (!wrong && *e->rest && strcmp(e->rest, "/") != 0)
        wrong = "there is more than the host";
    return wrong ? bad_endpoint(url, wrong, err) : 0;
}

static int check_transport(const struct s3_parameters *p, const struct http_url *e, struct error *err)
{
    if (e->tls || e->loopback)
        return 0;
    if (!p->allow_insecure_http) {
        error_set(err, ERROR_USAGE,
                  "endpoint %s is plain http: who is on the way could read and change names, "
                  "and take the place of the store",
                  p->endpoint);
        return error_hint(err,
                          "use https://, or set allow_insecure_http = true where the network is trusted");
    }
    if (p->sse == S3_SSE_CUSTOMER) {
        error_set(err, ERROR_USAGE,
                  "endpoint %s is plain http, and sse = \"customer\" sends a key with each "
                  "object",
                  p->endpoint);
        return error_hint(err, "use https://, or sse = \"none\": contents are encrypted before they leave");
    }
    return 0;
}

/* ---- the provider's own ---- */

static int provider_endpoint(const struct s3_parameters *p, struct http_url *e, struct error *err)
{
    memset(e, 0, sizeof *e);
    e->tls = true;
    if (!s3_region_find(p->provider, p->region))
        return unknown_region(p->provider, p->region, err);
    switch (p->provider) {
    case S3_AWS: {
        const char *domain = strncmp(p->region, "cn-", 3) == 0     ? "amazonaws.com.cn"
                             : strncmp(p->region, "eusc-", 5) == 0 ? "amazonaws.eu"
                                                                   : "amazonaws.com";
        snprintf(e->host, sizeof e->host, "s3.%s.%s", p->region, domain);
        return 0;
    }
    case S3_DIGITALOCEAN:
        snprintf(e->host, sizeof e->host, "%s.digitaloceanspaces.com", p->region);
        return 0;
    case S3_HETZNER:
        snprintf(e->host, sizeof e->host, "%s.your-objectstorage.com", p->region);
        return 0;
    case S3_OTHER:
        break;
    }
    return error_set(err, ERROR_FAILED, "provider other has no endpoint of its own");
}

static int choose_style(const struct s3_parameters *p, const struct http_url *e, bool *virtual_host,
                        struct error *err)
{
    /* A certificate for *.host covers one label only. */
    bool dotted = e->tls && strchr(p->bucket, '.');
    *virtual_host = p->addressing == S3_ADDRESSING_VIRTUAL ||
                    (p->addressing == S3_ADDRESSING_AUTO && !p->endpoint && !dotted);
    if (!*virtual_host || (!dotted && !e->literal))
        return 0;
    if (dotted)
        error_set(err, ERROR_USAGE, "bucket %s has a dot in its name: no certificate is good for %s.%s",
                  p->bucket, p->bucket, e->host);
    else
        error_set(err, ERROR_USAGE, "no bucket's name goes before the address %s", e->host);
    return error_hint(err, "leave addressing out, or set addressing = \"path\"");
}

int s3_address_find(const struct s3_parameters *p, struct s3_address *address, struct error *err)
{
    struct http_url e;
    memset(address, 0, sizeof *address);
    int code = check_bucket(p->bucket, err);
    if (code == 0)
        code = check_region(p->region, err);
    if (code == 0 && p->provider == S3_OTHER && !p->endpoint) {
        error_set(err, ERROR_USAGE, "provider \"other\" needs an endpoint");
        code = error_hint(err, "set endpoint = \"https://HOST\"");
    }
    if (code == 0)
        code = p->endpoint ? parse_endpoint(p->endpoint, &e, err) : provider_endpoint(p, &e, err);
    if (code == 0)
        code = check_transport(p, &e, err);
    if (code == 0)
        code = choose_style(p, &e, &address->virtual_host, err);
    if (code != 0)
        return code;
    address->tls = e.tls;
    snprintf(address->region, sizeof address->region, "%s", p->region);
    char port[8] = "";
    if (e.port)
        snprintf(port, sizeof port, ":%u", e.port);
    snprintf(address->host, sizeof address->host, "%s%s%s%s", address->virtual_host ? p->bucket : "",
             address->virtual_host ? "." : "", e.host, port);
    if (!address->virtual_host)
        snprintf(address->base, sizeof address->base, "/%s", p->bucket);
    return 0;
}
