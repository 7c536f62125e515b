#include "keys/host.h"

#include "base/text.h"
#include "crypto/random.h"
#include "keys/text_form.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TITLE "holdfast host key 1"

void host_key_cleanse(struct host_key *key)
{
    cleanse(key, sizeof *key);
}

void host_key_write_text(const struct host_key *key, struct buffer *out)
{
    buffer_append_string(out, TITLE "\n");
    buffer_append_format(out, "name = %s\n", key->name);
    text_form_write_hex(out, "host", key->host.b, sizeof key->host.b);
    text_form_write_hex(out, "repository", key->repository.b, sizeof key->repository.b);
    text_form_write_hex(out, "root", key->root.b, sizeof key->root.b);
    text_form_write_hex(out, "private-key", key->private_key, sizeof key->private_key);
    text_form_write_hex(out, "signing-seed", key->signing_seed, sizeof key->signing_seed);
    buffer_append_format(out, "keyring-version = %" PRIu32 "\n", key->pin.version);
    text_form_write_hex(out, "keyring-sha256", key->pin.sha256.b, sizeof key->pin.sha256.b);
}

static void read_name(struct text_form *form, struct host_key *key)
{
    struct bytes value = text_form_value(form, "name");
    if (form->code == 0 && value.size < KEY_NAME_SIZE)
        memcpy(key->name, value.data, value.size);
    /* A NUL in it would hide what follows. */
    if (form->code == 0 && (strlen(key->name) != value.size || !key_name_is_valid(key->name)))
        form->code = error_set(form->err, ERROR_USAGE, "line %u: the name is not valid", form->line);
}

static void read_version(struct text_form *form, struct host_key *key)
{
    struct bytes value = text_form_value(form, "keyring-version");
    char digits[11] = "";
    uint64_t version;
    if (form->code != 0)
        return;
    if (value.size < sizeof digits)
        memcpy(digits, value.data, value.size);
    if (strspn(digits, "0123456789") != value.size || !text_parse_size(digits, &version) ||
        version > UINT32_MAX || (digits[0] == '0' && digits[1]))
        form->code = error_set(form->err, ERROR_USAGE, "line %u: the version is not a number", form->line);
    else
        key->pin.version = (uint32_t)version;
}

int host_key_parse_text(struct bytes text, struct host_key *key, struct error *err)
{
    memset(key, 0, sizeof *key);
    struct text_form form = text_form_open(text, TITLE, err);
    read_name(&form, key);
    text_form_hex(&form, "host", key->host.b, sizeof key->host.b);
    text_form_hex(&form, "repository", key->repository.b, sizeof key->repository.b);
    text_form_hex(&form, "root", key->root.b, sizeof key->root.b);
    text_form_hex(&form, "private-key", key->private_key, sizeof key->private_key);
    text_form_hex(&form, "signing-seed", key->signing_seed, sizeof key->signing_seed);
    read_version(&form, key);
    text_form_hex(&form, "keyring-sha256", key->pin.sha256.b, sizeof key->pin.sha256.b);
    int code = text_form_close(&form);
    if (code != 0)
        host_key_cleanse(key);
    return code;
}
