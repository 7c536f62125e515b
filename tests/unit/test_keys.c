/* Person keys, host key files, and the chain of keyrings under attack. */
#include "crypto/digest.h"
#include "crypto/random.h"
#include "keys/keyring.h"

#include <check.h>
#include <string.h>

static struct error err;
static struct id16 repository;
static struct person_key person;
static struct host_key host;
static struct buffer first;
static struct id config;

static void begin(void)
{
    memset(&repository, 3, sizeof repository);
    memset(&config, 4, sizeof config);
    first = (struct buffer){0};
    ck_assert_int_eq(
        keyring_create(&repository, &config, "admin", "host", "", 1000, &first, &person, &host, &err), 0);
}

static void end(void)
{
    buffer_free(&first);
}

static struct keyring_candidate candidate(uint32_t version, const struct buffer *object)
{
    return (struct keyring_candidate){version, bytes_of(object->data, object->size)};
}

static int verify(const struct keyring_candidate *list, size_t count, const struct keyring_pin *pin,
                  struct keyring_chain *chain)
{
    return keyring_chain_verify(list, count, &repository, &person.root, pin, chain, &err);
}

/* The next version: another host is added. */
static void add(struct keyring_chain *chain, const char *name, struct buffer *out, struct host_key *key)
{
    struct secrets secrets;
    ck_assert_int_eq(keyring_unlock_person(&chain->keyring, &person, &secrets, &err), 0);
    ck_assert_int_eq(keyring_add_host(chain, &secrets, name, ROLE_WRITE, "group", 2000, out, key, &err), 0);
    secrets_free(&secrets);
}

START_TEST(host_and_person_unlock_what_they_may)
{
    struct keyring_candidate list[] = {candidate(1, &first)};
    struct keyring_chain chain;
    struct secrets secrets;
    ck_assert_int_eq(verify(list, 1, NULL, &chain), 0);
    ck_assert_int_eq(keyring_unlock_host(&chain.keyring, &host, &secrets, &err), 0);
    ck_assert(secrets.bundle.recovery.count == 0 && !secrets.bundle.has_admin_seed);
    secrets_free(&secrets);
    ck_assert_int_eq(keyring_unlock_person(&chain.keyring, &person, &secrets, &err), 0);
    ck_assert(secrets.bundle.recovery.count == 1 && secrets.bundle.has_admin_seed);
    secrets_free(&secrets);
    struct host_key stranger = host;
    stranger.private_key[5] ^= 1;
    ck_assert_int_eq(keyring_unlock_host(&chain.keyring, &stranger, &secrets, &err), ERROR_DENIED);
    keyring_chain_free(&chain);
}
END_TEST

START_TEST(a_chain_is_walked_to_its_newest_version)
{
    struct keyring_candidate list[] = {candidate(1, &first), {0}, {0}};
    struct keyring_chain chain;
    struct host_key second, third;
    struct buffer v2 = {0}, v3 = {0};
    ck_assert_int_eq(verify(list, 1, NULL, &chain), 0);
    add(&chain, "second", &v2, &second);
    keyring_chain_free(&chain);
    list[1] = candidate(2, &v2);
    ck_assert_int_eq(verify(list, 2, NULL, &chain), 0);
    add(&chain, "third", &v3, &third);
    ck_assert_uint_eq(chain.keyring.version, 2);
    struct keyring_pin pin = {2, chain.sha256};
    keyring_chain_free(&chain);
    list[2] = candidate(3, &v3);
    struct keyring_candidate reversed[] = {list[2], list[1], list[0]};
    ck_assert_int_eq(verify(reversed, 3, &pin, &chain), 0);
    ck_assert_uint_eq(chain.keyring.version, 3);
    ck_assert_uint_eq(chain.keyring.host_count, 3);
    keyring_chain_free(&chain);
    /* Rolled back, and with a link taken out. */
    ck_assert_int_eq(verify(list, 1, &pin, &chain), ERROR_INTEGRITY);
    struct keyring_candidate gap[] = {list[0], list[2]};
    ck_assert_int_eq(verify(gap, 2, NULL, &chain), ERROR_INTEGRITY);
    buffer_free(&v2);
    buffer_free(&v3);
}
END_TEST

START_TEST(a_fork_is_refused)
{
    struct keyring_candidate list[] = {candidate(1, &first), {0}, {0}};
    struct keyring_chain chain;
    struct host_key a, b;
    struct buffer one = {0}, other = {0};
    ck_assert_int_eq(verify(list, 1, NULL, &chain), 0);
    add(&chain, "one", &one, &a);
    add(&chain, "other", &other, &b);
    keyring_chain_free(&chain);
    list[1] = candidate(2, &one);
    list[2] = candidate(2, &other);
    ck_assert_int_eq(verify(list, 3, NULL, &chain), ERROR_INTEGRITY);
    ck_assert(strstr(err.message, "fork") != NULL);
    struct keyring_pin pin = {2, {{0}}};
    sha256(buffer_bytes(&one), &pin.sha256);
    struct keyring_candidate swapped[] = {list[0], list[2]};
    ck_assert_int_eq(verify(swapped, 2, &pin, &chain), ERROR_INTEGRITY);
    buffer_free(&one);
    buffer_free(&other);
}
END_TEST

START_TEST(a_planted_keyring_is_not_obeyed)
{
    struct buffer planted = {0};
    struct person_key attacker;
    struct host_key attackers;
    struct keyring_chain chain;
    ck_assert_int_eq(keyring_create(&repository, &config, "admin", "host", "", 1000, &planted, &attacker,
                                    &attackers, &err),
                     0);
    struct keyring_candidate list[] = {candidate(1, &planted), candidate(1, &first)};
    ck_assert_int_eq(verify(list, 2, NULL, &chain), 0);
    ck_assert_uint_eq(chain.ignored, 1);
    ck_assert(keyring_find_person(&chain.keyring, &person.person) != NULL);
    ck_assert(keyring_find_person(&chain.keyring, &attacker.person) == NULL);
    keyring_chain_free(&chain);
    ck_assert_int_eq(verify(list, 1, NULL, &chain), ERROR_INTEGRITY);
    buffer_free(&planted);
}
END_TEST

START_TEST(a_damaged_keyring_is_refused)
{
    for (size_t i = 0; i < first.size; i += 7) {
        struct keyring_chain chain;
        first.data[i] ^= 0x10;
        struct keyring_candidate list[] = {candidate(1, &first)};
        ck_assert_msg(verify(list, 1, NULL, &chain) != 0, "byte %zu", i);
        first.data[i] ^= 0x10;
    }
}
END_TEST

START_TEST(who_is_removed_loses_what_comes_after)
{
    struct keyring_candidate list[] = {candidate(1, &first), {0}};
    struct keyring_chain chain;
    struct secrets secrets, own;
    struct buffer v2 = {0};
    ck_assert_int_eq(verify(list, 1, NULL, &chain), 0);
    ck_assert_int_eq(keyring_unlock_person(&chain.keyring, &person, &secrets, &err), 0);
    ck_assert_int_eq(keyring_remove_host(&chain, &secrets, &host.host, 0, NULL, 3000, &v2, &err), 0);
    ck_assert_int_eq(keyring_remove_person(&chain, &secrets, &person.person, 3000, &v2, &err), ERROR_USAGE);
    secrets_free(&secrets);
    keyring_chain_free(&chain);
    list[1] = candidate(2, &v2);
    ck_assert_int_eq(verify(list, 2, NULL, &chain), 0);
    ck_assert_uint_eq(chain.keyring.epoch_count, 2);
    ck_assert_uint_eq(chain.keyring.metadata_generation, 2);
    ck_assert_int_eq(keyring_unlock_host(&chain.keyring, &host, &own, &err), ERROR_DENIED);
    ck_assert(!keyring_host_may_prune(&chain.keyring, &host.host));
    keyring_chain_free(&chain);
    buffer_free(&v2);
}
END_TEST

START_TEST(person_keys_open_with_their_passphrase_only)
{
    struct buffer sealed = {0};
    struct person_key opened;
    uint8_t salt[32] = {1};
    ck_assert_int_eq(person_key_seal_with(&person, bytes_of_string("right"), 15, salt, &sealed, &err), 0);
    ck_assert_int_eq(person_key_open(buffer_bytes(&sealed), bytes_of_string("right"), &opened, &err), 0);
    ck_assert(memcmp(opened.private_key, person.private_key, 32) == 0 &&
              id_equal(&opened.root, &person.root));
    ck_assert_int_eq(person_key_open(buffer_bytes(&sealed), bytes_of_string("wrong"), &opened, &err),
                     ERROR_DENIED);
    size_t at = 4 + 2 + 16 + 16 + 4 + 32; /* log2N, r, p: bounded before memory is taken */
    static const uint8_t hostile[][3] = {{14, 8, 1},   {21, 8, 1}, {63, 8, 1}, {15, 255, 1},
                                         {15, 8, 255}, {15, 0, 1}, {15, 4, 1}, {15, 8, 2}};
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        memcpy(sealed.data + at, hostile[i], 3);
        ck_assert_msg(person_key_open(buffer_bytes(&sealed), bytes_of_string("right"), &opened, &err) != 0,
                      "case %zu", i);
        struct person_key_header header;
        ck_assert_int_eq(person_key_read_header(buffer_bytes(&sealed), &header, &err), ERROR_UNSUPPORTED);
    }
    for (size_t n = 0; n < sealed.size; n++)
        ck_assert(person_key_open(bytes_of(sealed.data, n), bytes_of_string("right"), &opened, &err) != 0);
    buffer_free(&sealed);
}
END_TEST

START_TEST(key_files_are_read_as_they_are_written_and_not_otherwise)
{
    struct buffer text = {0};
    struct host_key copy;
    host_key_write_text(&host, &text);
    ck_assert_int_eq(host_key_parse_text(buffer_bytes(&text), &copy, &err), 0);
    ck_assert(memcmp(&copy.private_key, host.private_key, 32) == 0 && copy.pin.version == host.pin.version);
    for (size_t n = 0; n + 1 < text.size; n++)
        ck_assert(host_key_parse_text(bytes_of(text.data, n), &copy, &err) != 0);
    buffer_u8(&text, 'x');
    ck_assert(host_key_parse_text(buffer_bytes(&text), &copy, &err) != 0);
    text.size--;
    uint8_t *name = memmem(text.data, text.size, host.name, strlen(host.name));
    name[strlen(host.name) - 1] = '\0';
    ck_assert_int_eq(host_key_parse_text(buffer_bytes(&text), &copy, &err), ERROR_USAGE);
    buffer_free(&text);
    struct person_key other;
    person_key_write_text(&person, &text);
    ck_assert_int_eq(person_key_parse_text(buffer_bytes(&text), &other, &err), 0);
    for (size_t n = 0; n + 1 < text.size; n++)
        ck_assert(person_key_parse_text(bytes_of(text.data, n), &other, &err) != 0);
    buffer_free(&text);
}
END_TEST

START_TEST(a_person_key_that_was_typed_or_saved_elsewhere_opens)
{
    struct buffer text = {0}, typed = {0};
    struct person_key other;
    person_key_write_text(&person, &text);
    buffer_append_string(&typed, "\xef\xbb\xbf");
    for (size_t i = 0; i < text.size; i++)
        buffer_append_string(&typed, text.data[i] == '\n' ? "\r\n" : (char[]){(char)text.data[i], '\0'});
    ck_assert_int_eq(person_key_parse_text(buffer_bytes(&typed), &other, &err), 0);
    ck_assert(memcmp(&other, &person, sizeof other) == 0);
    buffer_append_string(&typed, "\r\n\n");
    ck_assert_int_eq(person_key_parse_text(buffer_bytes(&typed), &other, &err), 0);
    ck_assert_int_eq(person_key_parse_text(bytes_of(text.data, text.size - 1), &other, &err), 0);
    ck_assert(memcmp(&other, &person, sizeof other) == 0);
    buffer_append_string(&typed, "x");
    ck_assert_int_eq(person_key_parse_text(buffer_bytes(&typed), &other, &err), ERROR_USAGE);
    buffer_free(&text);
    buffer_free(&typed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keys");
    TCase *tcase = tcase_create("keys");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, host_and_person_unlock_what_they_may);
    tcase_add_test(tcase, a_chain_is_walked_to_its_newest_version);
    tcase_add_test(tcase, a_fork_is_refused);
    tcase_add_test(tcase, a_planted_keyring_is_not_obeyed);
    tcase_add_test(tcase, a_damaged_keyring_is_refused);
    tcase_add_test(tcase, who_is_removed_loses_what_comes_after);
    tcase_add_test(tcase, person_keys_open_with_their_passphrase_only);
    tcase_add_test(tcase, a_person_key_that_was_typed_or_saved_elsewhere_opens);
    tcase_add_test(tcase, key_files_are_read_as_they_are_written_and_not_otherwise);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
