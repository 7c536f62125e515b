/* Known answers of the primitives, and that nothing damaged opens. */
#include "base/memory.h"
#include "crypto/aead.h"
#include "crypto/digest.h"
#include "crypto/exchange.h"
#include "crypto/random.h"
#include "crypto/scrypt.h"
#include "crypto/sign.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct buffer hex(const char *text)
{
    struct buffer b = {0};
    size_t n = strlen(text) / 2;
    ck_assert(hex_decode(text, strlen(text), buffer_extend(&b, n), n));
    return b;
}

static void expect(const void *data, size_t size, const char *wanted)
{
    char text[1025];
    ck_assert_uint_eq(strlen(wanted), 2 * size);
    hex_encode(data, size, text);
    ck_assert_str_eq(text, wanted);
}

START_TEST(sha256_matches_fips_180)
{
    struct id out;
    sha256(bytes_of_string("abc"), &out);
    expect(out.b, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256((struct bytes){0}, &out);
    expect(out.b, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    struct sha256 *state = sha256_new();
    for (int round = 0; round < 2; round++) { /* final begins anew */
        sha256_update(state, bytes_of_string("abcdbcdecdefdefgefghfghighij"));
        sha256_update(state, bytes_of_string("hijkijkljklmklmnlmnomnopnopq"));
        sha256_final(state, &out);
        expect(out.b, 32, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    }
    sha256_free(state);
}
END_TEST

START_TEST(hmac_matches_rfc_4231)
{
    struct id out;
    uint8_t key[131];
    memset(key, 0x0b, 20);
    hmac_sha256(bytes_of(key, 20), bytes_of_string("Hi There"), &out);
    expect(out.b, 32, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hmac_sha256(bytes_of_string("Jefe"), bytes_of_string("what do ya want for nothing?"), &out);
    expect(out.b, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, 131);
    hmac_sha256(bytes_of(key, 131), bytes_of_string("Test Using Larger Than Block-Size Key - Hash Key First"),
                &out);
    expect(out.b, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}
END_TEST

START_TEST(one_hmac_serves_many_messages)
{
    struct hmac *hmac = hmac_new(bytes_of_string("Jefe"));
    for (int i = 0; i < 3; i++) {
        struct id out;
        hmac_begin(hmac);
        hmac_update(hmac, bytes_of_string("what do ya want "));
        hmac_update(hmac, bytes_of_string("for nothing?"));
        hmac_final(hmac, &out);
        expect(out.b, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
    hmac_free(hmac);
}
END_TEST

START_TEST(hkdf_matches_rfc_5869)
{
    struct buffer ikm = hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
    struct buffer salt = hex("000102030405060708090a0b0c"), info = hex("f0f1f2f3f4f5f6f7f8f9");
    uint8_t out[42];
    hkdf_sha256(buffer_bytes(&ikm), buffer_bytes(&salt), buffer_bytes(&info), out, sizeof out);
    expect(out, sizeof out,
           "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    hkdf_sha256(buffer_bytes(&ikm), (struct bytes){0}, (struct bytes){0}, out, sizeof out);
    expect(out, sizeof out,
           "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
    buffer_free(&ikm);
    buffer_free(&salt);
    buffer_free(&info);
}
END_TEST

START_TEST(ed25519_matches_rfc_8032)
{
    struct buffer seed = hex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7");
    uint8_t key[32], signature[64];
    sign_public_key(seed.data, key);
    expect(key, 32, "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
    sign_message(seed.data, bytes_of("\xaf\x82", 2), signature);
    expect(signature, 64,
           "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
           "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a");
    ck_assert(sign_verify(key, bytes_of("\xaf\x82", 2), signature));
    ck_assert(!sign_verify(key, bytes_of("\xaf\x83", 2), signature));
    for (size_t i = 0; i < sizeof signature; i++) {
        signature[i] ^= 1;
        ck_assert(!sign_verify(key, bytes_of("\xaf\x82", 2), signature));
        signature[i] ^= 1;
    }
    buffer_free(&seed);
}
END_TEST

START_TEST(x25519_matches_rfc_7748_and_refuses_the_zero_point)
{
    uint8_t one[32], one_public[32], two[32], two_public[32], x[32], y[32];
    exchange_keypair(one, one_public);
    exchange_keypair(two, two_public);
    ck_assert_int_eq(exchange_shared(one, two_public, x, NULL), 0);
    ck_assert_int_eq(exchange_shared(two, one_public, y, NULL), 0);
    ck_assert_mem_eq(x, y, 32);
    uint8_t zero[32] = {0};
    ck_assert_int_eq(exchange_shared(one, zero, x, NULL), ERROR_INTEGRITY);
    /* RFC 7748 section 5.2, first vector. */
    struct buffer scalar = hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
    struct buffer point = hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
    ck_assert_int_eq(exchange_shared(scalar.data, point.data, x, NULL), 0);
    expect(x, 32, "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    buffer_free(&scalar);
    buffer_free(&point);
}
END_TEST

START_TEST(aes_256_gcm_matches_the_gcm_specification)
{
    /* Test case 16 of the GCM specification (McGrew and Viega). */
    struct buffer key = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
    struct buffer nonce = hex("cafebabefacedbaddecaf888"),
                  aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    struct buffer plain = hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                              "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
    struct aead *aead = aead_new(key.data);
    uint8_t out[76], back[60];
    for (int round = 0; round < 2; round++) { /* the same object again and again */
        aead_seal(aead, nonce.data, buffer_bytes(&aad), buffer_bytes(&plain), out);
        expect(out, sizeof out,
               "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
               "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
               "76fc6ece0f4e1768cddf8853bb2d551b");
        ck_assert_int_eq(
            aead_open(aead, nonce.data, buffer_bytes(&aad), bytes_of(out, sizeof out), back, NULL), 0);
        ck_assert_mem_eq(back, plain.data, sizeof back);
    }
    for (size_t i = 0; i < sizeof out; i++) {
        out[i] ^= 0x40;
        ck_assert_int_eq(
            aead_open(aead, nonce.data, buffer_bytes(&aad), bytes_of(out, sizeof out), back, NULL),
            ERROR_INTEGRITY);
        uint8_t zeros[60] = {0};
        ck_assert_mem_eq(back, zeros, sizeof back); /* no plaintext is left */
        out[i] ^= 0x40;
    }
    for (size_t i = 0; i < aad.size; i++) {
        aad.data[i] ^= 1;
        ck_assert_int_eq(
            aead_open(aead, nonce.data, buffer_bytes(&aad), bytes_of(out, sizeof out), back, NULL),
            ERROR_INTEGRITY);
        aad.data[i] ^= 1;
    }
    ck_assert_int_eq(aead_open(aead, nonce.data, buffer_bytes(&aad), bytes_of(out, 15), back, NULL),
                     ERROR_INTEGRITY);
    aead_free(aead);
    buffer_free(&key);
    buffer_free(&nonce);
    buffer_free(&aad);
    buffer_free(&plain);
}
END_TEST

START_TEST(scrypt_keeps_within_its_bounds)
{
    uint8_t out[32], again[32];
    struct bytes pass = bytes_of_string("pleaseletmein"), salt = bytes_of_string("SodiumChloride");
    ck_assert_int_eq(scrypt_derive(pass, salt, 14, 8, 1, out, NULL), ERROR_UNSUPPORTED);
    ck_assert_int_eq(scrypt_derive(pass, salt, 21, 8, 1, out, NULL), ERROR_UNSUPPORTED);
    ck_assert_int_eq(scrypt_derive(pass, salt, 20, 8, 1, out, NULL), ERROR_UNSUPPORTED); /* 1 GiB */
    ck_assert_int_eq(scrypt_derive(pass, salt, 15, 0, 1, out, NULL), ERROR_UNSUPPORTED);
    ck_assert_int_eq(scrypt_derive(pass, salt, 15, 8, 5, out, NULL), ERROR_UNSUPPORTED);
    ck_assert_int_eq(scrypt_derive(pass, salt, 15, 8, 1, out, NULL), 0);
    ck_assert_int_eq(scrypt_derive(pass, salt, 15, 8, 1, again, NULL), 0);
    ck_assert_mem_eq(out, again, 32);
    /* The same by Python's hashlib.scrypt(n=2**15, r=8, p=1, maxmem=2**27), over OpenSSL too but by another
     * way in. */
    expect(out, 32, "f72cbc204bdcfc3ff5b115d8508aec1566ff0ef3f658388601a3933078ef7ac8");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("crypto");
    TCase *tests = tcase_create("crypto");
    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, sha256_matches_fips_180);
    tcase_add_test(tests, hmac_matches_rfc_4231);
    tcase_add_test(tests, one_hmac_serves_many_messages);
    tcase_add_test(tests, hkdf_matches_rfc_5869);
    tcase_add_test(tests, ed25519_matches_rfc_8032);
    tcase_add_test(tests, x25519_matches_rfc_7748_and_refuses_the_zero_point);
    tcase_add_test(tests, aes_256_gcm_matches_the_gcm_specification);
    tcase_add_test(tests, scrypt_keeps_within_its_bounds);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
