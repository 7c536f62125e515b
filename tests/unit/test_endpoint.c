#include "storage/s3.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct error err;

static struct s3_parameters parameters(enum s3_provider provider, const char *region, const char *bucket,
                                       const char *endpoint)
{
    return (struct s3_parameters){
        .provider = provider, .region = region, .bucket = bucket, .endpoint = endpoint, .prefix = ""};
}

static const struct {
    enum s3_provider provider;
    const char *region, *bucket, *endpoint;
    enum s3_addressing addressing;
    bool tls, virtual_host;
    const char *host, *base;
} good[] = {
    {S3_AWS, "us-east-1", "acme-web1", NULL, S3_ADDRESSING_AUTO, true, true,
     "acme-web1.s3.us-east-1.amazonaws.com", ""},
    {S3_AWS, "eu-central-1", "acme-web1", NULL, S3_ADDRESSING_AUTO, true, true,
     "acme-web1.s3.eu-central-1.amazonaws.com", ""},
    {S3_AWS, "eu-central-1", "web1.acme.example", NULL, S3_ADDRESSING_AUTO, true, false,
     "s3.eu-central-1.amazonaws.com", "/web1.acme.example"},
    {S3_AWS, "eu-central-1", "acme-web1", NULL, S3_ADDRESSING_PATH, true, false,
     "s3.eu-central-1.amazonaws.com", "/acme-web1"},
    {S3_AWS, "eusc-de-east-1", "acme", NULL, S3_ADDRESSING_AUTO, true, true,
     "acme.s3.eusc-de-east-1.amazonaws.eu", ""},
    {S3_AWS, "cn-north-1", "acme", NULL, S3_ADDRESSING_AUTO, true, true,
     "acme.s3.cn-north-1.amazonaws.com.cn", ""},
    {S3_AWS, "us-gov-west-1", "acme", NULL, S3_ADDRESSING_AUTO, true, true,
     "acme.s3.us-gov-west-1.amazonaws.com", ""},
    {S3_AWS, "xx-new-1", "acme", "https://s3.xx-new-1.amazonaws.com", S3_ADDRESSING_VIRTUAL, true, true,
     "acme.s3.xx-new-1.amazonaws.com", ""},
    {S3_DIGITALOCEAN, "fra1", "acme", NULL, S3_ADDRESSING_AUTO, true, true,
     "acme.fra1.digitaloceanspaces.com", ""},
    {S3_DIGITALOCEAN, "nyc3", "a.b", NULL, S3_ADDRESSING_AUTO, true, false, "nyc3.digitaloceanspaces.com",
     "/a.b"},
    {S3_HETZNER, "fsn1", "acme", NULL, S3_ADDRESSING_AUTO, true, true, "acme.fsn1.your-objectstorage.com",
     ""},
    {S3_HETZNER, "hel1", "acme", NULL, S3_ADDRESSING_PATH, true, false, "hel1.your-objectstorage.com",
     "/acme"},
    {S3_OTHER, "us-east-1", "web1", "https://s3.example.net:9000", S3_ADDRESSING_AUTO, true, false,
     "s3.example.net:9000", "/web1"},
    {S3_OTHER, "us-east-1", "web1", "https://S3.Example.net:443/", S3_ADDRESSING_VIRTUAL, true, true,
     "web1.s3.example.net", ""},
    {S3_OTHER, "here", "web1", "http://127.0.0.1:7480", S3_ADDRESSING_AUTO, false, false, "127.0.0.1:7480",
     "/web1"},
    {S3_OTHER, "here", "web1", "http://localhost:80", S3_ADDRESSING_AUTO, false, false, "localhost", "/web1"},
    {S3_OTHER, "here", "web.1", "http://localhost:81", S3_ADDRESSING_VIRTUAL, false, true,
     "web.1.localhost:81", ""},
    {S3_OTHER, "here", "web1", "http://[::1]:7480", S3_ADDRESSING_AUTO, false, false, "[::1]:7480", "/web1"},
    {S3_OTHER, "here", "web1", "https://[2001:DB8::2]", S3_ADDRESSING_AUTO, true, false, "[2001:db8::2]",
     "/web1"},
};

START_TEST(buckets_have_these_hosts)
{
    struct s3_parameters p =
        parameters(good[_i].provider, good[_i].region, good[_i].bucket, good[_i].endpoint);
    struct s3_address a;
    p.addressing = good[_i].addressing;
    ck_assert_msg(s3_address_find(&p, &a, &err) == 0, "%s", err.message);
    ck_assert_str_eq(a.host, good[_i].host);
    ck_assert_str_eq(a.base, good[_i].base);
    ck_assert_str_eq(a.region, good[_i].region);
    ck_assert(a.tls == good[_i].tls && a.virtual_host == good[_i].virtual_host);
}
END_TEST

static void expect_refused(const struct s3_parameters *p, const char *message, const char *hint)
{
    struct s3_address a;
    err = (struct error){0};
    ck_assert_int_eq(s3_address_find(p, &a, &err), ERROR_USAGE);
    ck_assert_msg(strstr(err.message, message), "\"%s\" lacks \"%s\"", err.message, message);
    ck_assert_msg(strstr(err.hint, hint), "\"%s\" lacks \"%s\"", err.hint, hint);
}

START_TEST(a_region_that_the_provider_lacks_is_refused)
{
    static const struct {
        enum s3_provider provider;
        const char *region, *hint;
    } wrong[] = {{S3_AWS, "eu-centrl-1", "\"eu-central-1\""},
                 {S3_AWS, "moon", "give its endpoint"},
                 {S3_AWS, "fsn1", "endpoint"},
                 {S3_DIGITALOCEAN, "fra2", "\"fra1\""},
                 {S3_DIGITALOCEAN, "frankfurt", "ams3, atl1"},
                 {S3_HETZNER, "fns1", "fsn1"},
                 {S3_HETZNER, "eu-central-1", "fsn1, hel1, nbg1"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct s3_parameters p = parameters(wrong[i].provider, wrong[i].region, "abc", NULL);
        expect_refused(&p, "has no region", wrong[i].hint);
    }
}
END_TEST

START_TEST(endpoints_that_are_no_address_are_refused)
{
    static const char *const wrong[] = {"s3.example.net",
                                        "ftp://s3.example.net",
                                        "https://",
                                        "https://:9000",
                                        "https://user@s3.example.net",
                                        "https://s3.example.net/path",
                                        "https://s3?x",
                                        "https://s3:0",
                                        "https://s3:65536",
                                        "https://s3:123456",
                                        "https://s3:",
                                        "https://s3:9x",
                                        "https://[::1",
                                        "https://[::zz]",
                                        "https://[1.2.3.4]",
                                        "https://s3\r\nX: y",
                                        "HTTPS://s3.example.net",
                                        "https://s3.example.net//",
                                        "https://b\xc3\xbc.de"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct s3_parameters p = parameters(S3_OTHER, "here", "abc", wrong[i]);
        expect_refused(&p, "endpoint", "https://HOST");
    }
    struct s3_parameters none = parameters(S3_OTHER, "here", "abc", NULL);
    expect_refused(&none, "needs an endpoint", "endpoint =");
}
END_TEST

START_TEST(plain_http_needs_loopback_or_permission)
{
    static const char *const hosts[] = {"http://s3.example.net", "http://10.0.0.1:9000",
                                        "http://128.0.0.1",      "http://localhost.example.net",
                                        "http://[::2]",          "http://127.0.0.1.example.net"};
    struct s3_address a;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct s3_parameters p = parameters(S3_OTHER, "here", "abc", hosts[i]);
        expect_refused(&p, "plain http", "allow_insecure_http");
        p.allow_insecure_http = true;
        ck_assert_int_eq(s3_address_find(&p, &a, &err), 0);
        ck_assert(!a.tls);
        p.sse = S3_SSE_CUSTOMER;
        expect_refused(&p, "sends a key", "https://");
    }
}
END_TEST

START_TEST(names_that_are_no_bucket_or_region_are_refused)
{
    static const char *const wrong[] = {
        "",        "ab",    "Abc",
        "a_b",     "-abc",  "abc-",
        ".abc",    "a..b",  "192.0.2.1",
        "abc/def", "abc#x", "abc@x",
        "a bcd",   "abc\n", "0123456789012345678901234567890123456789012345678901234567890123"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct s3_parameters p = parameters(S3_AWS, "eu-west-1", wrong[i], NULL);
        expect_refused(&p, "bucket's name", "3 to 63");
    }
    static const char *const places[] = {"", "EU", "eu.west", "eu/west", "a b"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct s3_parameters p = parameters(S3_OTHER, places[i], "abc", "https://s3.example.net");
        expect_refused(&p, "cannot be a region", "as the provider does");
    }
}
END_TEST

START_TEST(virtual_hosts_need_a_certificate_and_a_name)
{
    struct s3_parameters p = parameters(S3_AWS, "eu-west-1", "a.b", NULL);
    p.addressing = S3_ADDRESSING_VIRTUAL;
    expect_refused(&p, "no certificate", "\"path\"");
    p = parameters(S3_OTHER, "here", "abc", "http://127.0.0.1");
    p.addressing = S3_ADDRESSING_VIRTUAL;
    expect_refused(&p, "goes before the address", "\"path\"");
}
END_TEST

START_TEST(every_region_has_a_host_and_a_country)
{
    size_t count;
    const struct s3_region *regions = s3_regions(&count);
    size_t per_provider[4] = {0};
    for (size_t i = 0; i < count; i++) {
        struct s3_parameters p = parameters(regions[i].provider, regions[i].name, "abc", NULL);
        struct s3_address a;
        ck_assert_int_eq(s3_address_find(&p, &a, &err), 0);
        ck_assert(a.tls && a.virtual_host);
        ck_assert(strstr(a.host, regions[i].name) != NULL);
        ck_assert_uint_eq(strlen(regions[i].country), 2);
        ck_assert_ptr_eq(s3_region_find(regions[i].provider, regions[i].name), &regions[i]);
        per_provider[regions[i].provider]++;
    }
    ck_assert_uint_eq(per_provider[S3_AWS], 39);
    ck_assert_uint_eq(per_provider[S3_DIGITALOCEAN], 11);
    ck_assert_uint_eq(per_provider[S3_HETZNER], 3);
    ck_assert_uint_eq(per_provider[S3_OTHER], 0);
    ck_assert_ptr_null(s3_region_find(S3_HETZNER, "fra1"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("endpoint");
    TCase *tests = tcase_create("all");
    tcase_add_loop_test(tests, buckets_have_these_hosts, 0, sizeof good / sizeof *good);
    tcase_add_test(tests, a_region_that_the_provider_lacks_is_refused);
    tcase_add_test(tests, endpoints_that_are_no_address_are_refused);
    tcase_add_test(tests, plain_http_needs_loopback_or_permission);
    tcase_add_test(tests, names_that_are_no_bucket_or_region_are_refused);
    tcase_add_test(tests, virtual_hosts_need_a_certificate_and_a_name);
    tcase_add_test(tests, every_region_has_a_host_and_a_country);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
