/* Requests are signed as AWS's published test suite and the examples of the S3 documentation have it. */
#include "helpers.h"
#include "storage/s3_sign.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void assert_signature(const char *secret, const char *access, const char *service, const char *time,
                             struct s3_signed_request request, const char *wanted)
{
    uint8_t key[32];
    char day[S3_DAY_SIZE];
    struct buffer out = {0};
    memcpy(day, time, 8);
    day[8] = '\0';
    s3_signing_key(secret, day, "us-east-1", service, key);
    s3_sign(&request, key, access, "us-east-1", service, time, &out);
    const char *signature = strstr(buffer_string(&out), "Signature=");
    ck_assert_ptr_nonnull(signature);
    ck_assert_str_eq(signature + 10, wanted);
    buffer_free(&out);
}

#define SUITE_HEADERS "Host:example.amazonaws.com", "X-Amz-Date:20150830T123600Z"
#define SUITE(method, query, wanted, ...)                                                                    \
    do {                                                                                                     \
        const char *const headers[] = {__VA_ARGS__};                                                         \
        struct s3_signed_request r = {method, "/", query, headers, sizeof headers / sizeof *headers, EMPTY}; \
        assert_signature("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "AKIDEXAMPLE", "service",               \
                         "20150830T123600Z", r, wanted);                                                     \
    } while (0)

START_TEST(the_test_suite)
{
    SUITE("GET", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", SUITE_HEADERS);
    SUITE("POST", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b", SUITE_HEADERS);
    SUITE("POST", "", "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d", SUITE_HEADERS,
          "My-Header1:VALUE1");
    SUITE("GET", "", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736", SUITE_HEADERS,
          "My-Header1: value1", "My-Header2:  \"a   b   c\"");
    struct buffer query = {0};
    s3_encode_query((struct s3_parameter[]){{"Param2", "value2"}, {"Param1", "value1"}}, 2, &query);
    SUITE("GET", buffer_string(&query), "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
          SUITE_HEADERS);
    buffer_free(&query);
}
END_TEST

#define S3(method, path, query, hash, wanted, ...)                                                           \
    do {                                                                                                     \
        const char *const headers[] = {"Host: examplebucket.s3.amazonaws.com",                               \
                                       "x-amz-content-sha256: " hash, "x-amz-date: 20130524T000000Z",        \
                                       __VA_ARGS__};                                                         \
        size_t count = sizeof headers / sizeof *headers;                                                     \
        while (!headers[count - 1])                                                                          \
            count--;                                                                                         \
        struct s3_signed_request r = {method, path, query, headers, count, hash};                            \
        assert_signature("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AKIAIOSFODNN7EXAMPLE", "s3",           \
                         "20130524T000000Z", r, wanted);                                                     \
    } while (0)
#define WELCOME "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"

START_TEST(the_examples_of_s3)
{
    S3("GET", "/test.txt", "", EMPTY, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
       "Range: bytes=0-9");
    struct buffer text = {0};
    s3_encode("/test$file.text", true, &text);
    S3("PUT", buffer_string(&text), "", WELCOME,
       "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
       "Date: Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class: REDUCED_REDUNDANCY");
    buffer_clear(&text);
    s3_encode_query((struct s3_parameter[]){{"lifecycle", ""}}, 1, &text);
    S3("GET", "/", buffer_string(&text), EMPTY,
       "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543", NULL);
    buffer_clear(&text);
    s3_encode_query((struct s3_parameter[]){{"prefix", "J"}, {"max-keys", "2"}}, 2, &text);
    S3("GET", "/", buffer_string(&text), EMPTY,
       "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7", NULL);
    buffer_free(&text);
}
END_TEST

/* Signed by botocore: the shorter of two names goes first. */
START_TEST(names_that_begin_alike)
{
    S3("GET", "/a", "", EMPTY, "cf9d07c926ee87e928e3848513b82b6c31e229edf89a7eeabf56a3284c0f37d5",
       "x-amz-server-side-encryption-customer-key-MD5: m", "x-amz-server-side-encryption-customer-key: k");
}
END_TEST

START_TEST(encoding)
{
    struct buffer out = {0};
    s3_encode("a b/ü~._-+%", false, &out);
    ck_assert_str_eq(buffer_string(&out), "a%20b%2F%C3%BC~._-%2B%25");
    buffer_clear(&out);
    s3_encode("a b/c", true, &out);
    ck_assert_str_eq(buffer_string(&out), "a%20b/c");
    buffer_clear(&out);
    /* By name first: the sign between name and value sorts behind digits and a dash. */
    s3_encode_query((struct s3_parameter[]){{"key-marker", "x"}, {"key", "y"}, {"key", "a&b"}}, 3, &out);
    ck_assert_str_eq(buffer_string(&out), "key=a%26b&key=y&key-marker=x");
    buffer_free(&out);
}
END_TEST

RUN_TESTS("s3_sign", the_test_suite, the_examples_of_s3, names_that_begin_alike, encoding)
