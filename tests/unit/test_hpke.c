/* HPKE against the vectors that the CFRG published with RFC 9180, and what it must refuse. */
#include "crypto/exchange.h"
#include "crypto/hpke.h"

#include "helpers.h"

/* mode 0, kem 0x20, kdf 1, aead 2: the first encryption. */
#define INFO "4f6465206f6e2061204772656369616e2055726e"
#define SK_RECIPIENT "497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d"
#define SK_EPHEMERAL "179d4b53b6365c45b600c4163b61d95cbc2f4d9e36f1695558dce265ab8bab11"
#define PK_RECIPIENT "430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c"
#define PK_EPHEMERAL "6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256"
#define AAD "436f756e742d30"
#define PLAIN "4265617574792069732074727574682c20747275746820626561757479"
#define SEALED "e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9931980a41de125a925cdad859d5b7a"

struct vector {
    struct buffer info, recipient, ephemeral, public_key, enc, aad, plain, sealed;
};

static struct vector *vector_new(void)
{
    struct vector *v = calloc(1, sizeof *v);
    hex_bytes(&v->info, INFO);
    hex_bytes(&v->recipient, SK_RECIPIENT);
    hex_bytes(&v->ephemeral, SK_EPHEMERAL);
    hex_bytes(&v->public_key, PK_RECIPIENT);
    hex_bytes(&v->enc, PK_EPHEMERAL);
    hex_bytes(&v->aad, AAD);
    hex_bytes(&v->plain, PLAIN);
    hex_bytes(&v->sealed, SEALED);
    return v;
}

static void vector_free(struct vector *v)
{
    struct buffer *all[] = {&v->info, &v->recipient, &v->ephemeral, &v->public_key,
                            &v->enc,  &v->aad,       &v->plain,     &v->sealed};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buffer_free(all[i]);
    free(v);
}

static int open_vector(const struct vector *v, struct buffer *out, struct error *err)
{
    return hpke_open(HPKE_SUITE_X25519, buffer_bytes(&v->recipient), buffer_bytes(&v->enc),
                     buffer_bytes(&v->info), buffer_bytes(&v->aad), buffer_bytes(&v->sealed), out, err);
}

START_TEST(seals_as_the_vector_says)
{
    struct vector *v = vector_new();
    struct buffer enc = {0}, ct = {0};
    struct error err;
    MUST(hpke_seal_with(HPKE_SUITE_X25519, v->ephemeral.data, buffer_bytes(&v->public_key),
                        buffer_bytes(&v->info), buffer_bytes(&v->aad), buffer_bytes(&v->plain), &enc, &ct,
                        &err));
    ck_assert(bytes_equal(buffer_bytes(&enc), buffer_bytes(&v->enc)));
    ck_assert(bytes_equal(buffer_bytes(&ct), buffer_bytes(&v->sealed)));
    buffer_free(&enc);
    buffer_free(&ct);
    vector_free(v);
}
END_TEST

START_TEST(opens_the_vector_and_nothing_else)
{
    struct vector *v = vector_new();
    struct buffer out = {0};
    struct error err;
    MUST(open_vector(v, &out, &err));
    ck_assert(bytes_equal(buffer_bytes(&out), buffer_bytes(&v->plain)));
    /* X25519 ignores the highest bit of a public key, but the key schedule hashes it. */
    struct buffer *parts[] = {&v->info, &v->enc, &v->aad, &v->sealed};
    for (size_t part = 0; part < 4; part++) {
        for (size_t bit = 0; bit < parts[part]->size * 8; bit++) {
            parts[part]->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            buffer_clear(&out);
            REFUSES(ERROR_INTEGRITY, open_vector(v, &out, &err));
            ck_assert_uint_eq(out.size, 0);
            parts[part]->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
    for (v->sealed.size--; v->sealed.size; v->sealed.size--)
        REFUSES(ERROR_INTEGRITY, open_vector(v, &out, &err));
    buffer_free(&out);
    vector_free(v);
}
END_TEST

START_TEST(each_sealing_is_another)
{
    struct vector *v = vector_new();
    struct buffer enc = {0}, ct = {0};
    struct error err;
    for (int i = 0; i < 2; i++)
        MUST(hpke_seal(HPKE_SUITE_X25519, buffer_bytes(&v->public_key), buffer_bytes(&v->info),
                       buffer_bytes(&v->aad), buffer_bytes(&v->plain), &enc, &ct, &err));
    ck_assert_uint_eq(enc.size, 64);
    ck_assert_mem_ne(enc.data, enc.data + 32, 32);
    ck_assert_mem_ne(ct.data, ct.data + ct.size / 2, ct.size / 2);
    buffer_free(&enc);
    buffer_free(&ct);
    vector_free(v);
}
END_TEST

/* Points of small order (RFC 7748, section 6.1): with them everybody knows the shared secret. */
START_TEST(points_of_small_order_are_refused)
{
    static const char *const points[] = {"0000000000000000000000000000000000000000000000000000000000000000",
                                         "0100000000000000000000000000000000000000000000000000000000000000",
                                         "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                                         "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                                         "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                                         "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                                         "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};
    struct vector *v = vector_new();
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        struct buffer point = {0}, out = {0};
        struct error err;
        hex_bytes(&point, points[i]);
        REFUSES(ERROR_INTEGRITY, hpke_seal(HPKE_SUITE_X25519, buffer_bytes(&point), (struct bytes){0},
                                           (struct bytes){0}, bytes_of("x", 1), &out, &out, &err));
        ck_assert_uint_eq(out.size, 0);
        buffer_clear(&v->enc);
        buffer_append_bytes(&v->enc, buffer_bytes(&point));
        REFUSES(ERROR_INTEGRITY, open_vector(v, &out, &err));
        buffer_free(&point);
        buffer_free(&out);
    }
    vector_free(v);
}
END_TEST

START_TEST(other_suites_and_sizes_are_refused)
{
    static const struct hpke_suite suites[] = {{0x10, 1, 2}, {0x20, 2, 2}, {0x20, 1, 1}, {0, 0, 0}};
    struct vector *v = vector_new();
    struct buffer out = {0};
    struct error err;
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
        REFUSES(ERROR_UNSUPPORTED, hpke_seal(suites[i], buffer_bytes(&v->public_key), (struct bytes){0},
                                             (struct bytes){0}, bytes_of("x", 1), &out, &out, &err));
        ck_assert_int_ne(err.hint[0], 0);
        REFUSES(ERROR_UNSUPPORTED,
                hpke_open(suites[i], buffer_bytes(&v->recipient), buffer_bytes(&v->enc), (struct bytes){0},
                          (struct bytes){0}, buffer_bytes(&v->sealed), &out, &err));
    }
    REFUSES(ERROR_INTEGRITY, hpke_seal(HPKE_SUITE_X25519, bytes_of(v->public_key.data, 31), (struct bytes){0},
                                       (struct bytes){0}, bytes_of("x", 1), &out, &out, &err));
    v->enc.size = 31;
    REFUSES(ERROR_INTEGRITY, open_vector(v, &out, &err));
    buffer_free(&out);
    vector_free(v);
}
END_TEST

RUN_TESTS("hpke", seals_as_the_vector_says, opens_the_vector_and_nothing_else, each_sealing_is_another,
          points_of_small_order_are_refused, other_suites_and_sizes_are_refused)
