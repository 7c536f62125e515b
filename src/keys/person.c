#include "keys/person.h"

#include "crypto/aead.h"
#include "crypto/exchange.h"
#include "crypto/random.h"
#include "crypto/scrypt.h"
#include "format/seal.h"
#include "keys/text_form.h"

#include <string.h>

#define TITLE "holdfast person key 1"
#define MAGIC "HFPS"
#define SECRET_SIZE 64 /* private key | root fingerprint */
#define LOG2N 17
#define LOG2N_MIN 15
#define LOG2N_MAX 20
#define SCRYPT_R 8
#define SCRYPT_P 1

static const uint8_t zero_nonce[12];

void person_key_cleanse(struct person_key *key)
{
    cleanse(key, sizeof *key);
}

static int open_aead(struct bytes passphrase, const struct person_key_header *header, struct aead **aead,
                     struct error *err)
{
    uint8_t stretched[32], key[32];
    int code = scrypt_derive(passphrase, bytes_of(header->salt, sizeof header->salt), header->log2n,
                             header->r, header->p, stretched, err);
    if (code != 0)
        return code;
    derive(stretched, (struct bytes){0}, "person", &header->repository, bytes_of(header->person.b, 16), key,
           sizeof key);
    *aead = aead_new(key);
    cleanse(stretched, sizeof stretched);
    cleanse(key, sizeof key);
    return 0;
}

int person_key_seal_with(const struct person_key *key, struct bytes passphrase, uint8_t log2n,
                         const uint8_t salt[32], struct buffer *out, struct error *err)
{
    if (passphrase.size == 0)
        return error_set(err, ERROR_USAGE, "the passphrase is empty");
    struct person_key_header header = {
        .person = key->person, .repository = key->repository, .log2n = log2n, .r = SCRYPT_R, .p = SCRYPT_P};
    memcpy(header.salt, salt, sizeof header.salt);
    exchange_public_key(key->private_key, header.public_key);
    struct aead *aead = NULL;
    int code = open_aead(passphrase, &header, &aead, err);
    if (code != 0)
        return code;
    size_t start = out->size;
    buffer_append(out, MAGIC, 4);
    buffer_u16(out, FORMAT_VERSION);
    buffer_append(out, key->repository.b, 16);
    buffer_append(out, key->person.b, 16);
    buffer_lv(out, bytes_of(header.public_key, 32));
    buffer_u8(out, log2n);
    buffer_u8(out, header.r);
    buffer_u8(out, header.p);
    buffer_append(out, salt, 32);
    uint8_t secret[SECRET_SIZE];
    memcpy(secret, key->private_key, 32);
    memcpy(secret + 32, key->root.b, 32);
    size_t header_size = out->size - start;
    buffer_reserve(out, SECRET_SIZE + AEAD_TAG_SIZE);
    struct bytes aad = bytes_of(out->data + start, header_size);
    aead_seal(aead, zero_nonce, aad, bytes_of(secret, sizeof secret),
              buffer_extend(out, SECRET_SIZE + AEAD_TAG_SIZE));
    cleanse(secret, sizeof secret);
    aead_free(aead);
    return 0;
}

int person_key_seal(const struct person_key *key, struct bytes passphrase, struct buffer *out,
                    struct error *err)
{
    uint8_t salt[32];
    random_bytes(salt, sizeof salt);
    return person_key_seal_with(key, passphrase, LOG2N, salt, out, err);
}

static int read_header(struct bytes sealed, struct person_key_header *header, size_t *header_size,
                       struct error *err)
{
    struct reader r = reader_of(sealed);
    struct bytes magic = reader_take(&r, 4);
    uint16_t version = reader_u16(&r);
    if (r.failed || memcmp(magic.data, MAGIC, 4) != 0)
        return error_set(err, ERROR_INTEGRITY, "it is not a person key");
    if (version > FORMAT_VERSION) {
        error_set(err, ERROR_UNSUPPORTED, "the person key has format version %u", version);
        return error_hint(err, "use a newer version of holdfast");
    }
    reader_copy(&r, header->repository.b, 16);
    reader_copy(&r, header->person.b, 16);
    struct bytes public_key = reader_lv(&r, 32);
    header->log2n = reader_u8(&r);
    header->r = reader_u8(&r);
    header->p = reader_u8(&r);
    reader_copy(&r, header->salt, 32);
    if (r.failed || version != FORMAT_VERSION || public_key.size != 32 ||
        r.size - r.at != SECRET_SIZE + AEAD_TAG_SIZE)
        return error_set(err, ERROR_INTEGRITY, "the person key is damaged");
    if (header->log2n < LOG2N_MIN || header->log2n > LOG2N_MAX || header->r != SCRYPT_R ||
        header->p != SCRYPT_P)
        return error_set(err, ERROR_UNSUPPORTED,
                         "the person key's scrypt parameters log2(N)=%u r=%u p=%u are out of bounds",
                         header->log2n, header->r, header->p);
    memcpy(header->public_key, public_key.data, 32);
    *header_size = r.at;
    return 0;
}

int person_key_read_header(struct bytes sealed, struct person_key_header *header, struct error *err)
{
    size_t size;
    return read_header(sealed, header, &size, err);
}

int person_key_open(struct bytes sealed, struct bytes passphrase, struct person_key *key, struct error *err)
{
    struct person_key_header header;
    size_t header_size = 0;
    struct aead *aead = NULL;
    uint8_t secret[SECRET_SIZE], public_key[32];
    memset(key, 0, sizeof *key);
    int code = read_header(sealed, &header, &header_size, err);
    if (code == 0)
        code = open_aead(passphrase, &header, &aead, err);
    if (code != 0)
        return code;
    code = aead_open(aead, zero_nonce, bytes_of(sealed.data, header_size),
                     bytes_of(sealed.data + header_size, sealed.size - header_size), secret, NULL);
    aead_free(aead);
    if (code != 0) {
        error_set(err, ERROR_DENIED, "the passphrase is wrong");
        return error_hint(err, "check for typing errors, and that it is the passphrase of this repository");
    }
    exchange_public_key(secret, public_key);
    if (!secret_equal(public_key, header.public_key, 32)) {
        code = error_set(err, ERROR_INTEGRITY, "the person key's two halves do not belong together");
    } else {
        key->person = header.person;
        key->repository = header.repository;
        memcpy(key->private_key, secret, 32);
        memcpy(key->root.b, secret + 32, 32);
    }
    cleanse(secret, sizeof secret);
    return code;
}

void person_key_write_text(const struct person_key *key, struct buffer *out)
{
    buffer_append_string(out, TITLE "\n");
    text_form_write_hex(out, "person", key->person.b, sizeof key->person.b);
    text_form_write_hex(out, "repository", key->repository.b, sizeof key->repository.b);
    text_form_write_hex(out, "root", key->root.b, sizeof key->root.b);
    text_form_write_hex(out, "private-key", key->private_key, sizeof key->private_key);
}

int person_key_parse_text(struct bytes text, struct person_key *key, struct error *err)
{
    memset(key, 0, sizeof *key);
    struct text_form form = text_form_open(text, TITLE, err);
    text_form_hex(&form, "person", key->person.b, sizeof key->person.b);
    text_form_hex(&form, "repository", key->repository.b, sizeof key->repository.b);
    text_form_hex(&form, "root", key->root.b, sizeof key->root.b);
    text_form_hex(&form, "private-key", key->private_key, sizeof key->private_key);
    int code = text_form_close(&form);
    if (code != 0)
        person_key_cleanse(key);
    return code;
}
