/* Files of AWS's tools: sections in brackets, "name = value" lines, comments, and indented lines that belong
 * to settings of no interest here. */
#include "base/file.h"
#include "base/text.h"
#include "crypto/random.h"
#include "storage/credentials_internal.h"

#include <string.h>
#include <strings.h>

struct word {
    const char *text;
    size_t length;
};

static bool word_is(struct word w, const char *text)
{
    return w.length == strlen(text) && strncasecmp(w.text, text, w.length) == 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct word trim(struct word w)
{
    while (w.length && is_blank(w.text[0])) {
        w.text++;
        w.length--;
    }
    while (w.length && is_blank(w.text[w.length - 1]))
        w.length--;
    return w;
}

bool credentials_copy(char *to, size_t size, const char *value, size_t length)
{
    bool good = length > 0 && length < size;
    for (size_t i = 0; i < length && good; i++)
        good = value[i] > ' ' && value[i] < 0x7f;
    if (good) {
        memcpy(to, value, length);
        to[length] = '\0';
    }
    return good;
}

/* "[name]", in the configuration file "[profile name]" but for [default]; the name may be in quotes. */
static bool section_is(struct word line, const char *name, bool config)
{
    const char *end = memchr(line.text, ']', line.length);
    if (!end)
        return false;
    struct word w = trim((struct word){line.text + 1, (size_t)(end - line.text) - 1});
    if (config && strcmp(name, "default") != 0) {
        if (w.length < 8 || strncmp(w.text, "profile", 7) != 0 || !is_blank(w.text[7]))
            return false;
        w = trim((struct word){w.text + 7, w.length - 7});
    }
    if (w.length >= 2 && (w.text[0] == '"' || w.text[0] == '\'') && w.text[w.length - 1] == w.text[0])
        w = (struct word){w.text + 1, w.length - 2};
    return w.length == strlen(name) && memcmp(w.text, name, w.length) == 0;
}

static const char *const not_supported[] = {"sso_session",  "sso_start_url",  "sso_account_id",
                                            "role_arn",     "source_profile", "web_identity_token_file",
                                            "login_session"};

/* False if the value cannot be what the name says. */
static bool take_setting(struct credentials_profile *p, struct word name, struct word value)
{
    if (word_is(name, "aws_access_key_id"))
        return credentials_copy(p->keys.id, sizeof p->keys.id, value.text, value.length);
    if (word_is(name, "aws_secret_access_key"))
        return credentials_copy(p->keys.secret, sizeof p->keys.secret, value.text, value.length);
    if (word_is(name, "aws_session_token"))
        return credentials_copy(p->keys.token, sizeof p->keys.token, value.text, value.length);
    if (word_is(name, "credential_process")) {
        buffer_clear(&p->process);
        buffer_append(&p->process, value.text, value.length);
        return value.length > 0 && !memchr(value.text, '\0', value.length);
    }
    for (size_t i = 0; i < sizeof not_supported / sizeof *not_supported; i++) {
        if (word_is(name, not_supported[i]))
            p->refused = not_supported[i];
    }
    return true;
}

static int parse(struct bytes text, const char *path, const char *name, bool config,
                 struct credentials_profile *p, struct error *err)
{
    bool inside = false;
    unsigned number = 0;
    text = text_without_mark(text);
    for (size_t at = 0; at < text.size;) {
        const char *start = (const char *)text.data + at;
        const char *end = memchr(start, '\n', text.size - at);
        struct word line = {start, end ? (size_t)(end - start) : text.size - at};
        at += line.length + 1;
        number++;
        if (line.length == 0 || strchr("#; \t\r", line.text[0]))
            continue;
        if (line.text[0] == '[') {
            inside = section_is(line, name, config);
            p->found = p->found || inside;
            continue;
        }
        if (!inside)
            continue;
        const char *equals = memchr(line.text, '=', line.length);
        size_t before = equals ? (size_t)(equals - line.text) : 0;
        struct word setting = trim((struct word){line.text, before});
        struct word value =
            trim((struct word){line.text + before + 1, equals ? line.length - before - 1 : 0});
        if (!equals || setting.length == 0 || !take_setting(p, setting, value)) {
            error_set(err, ERROR_DENIED, "%s:%u: this line of profile %s is not understood", path, number,
                      name);
            return error_hint(
                err, "lines are \"aws_access_key_id = ...\", \"aws_secret_access_key = ...\" and the "
                     "like, each value on its line");
        }
    }
    p->has_keys = p->keys.id[0] && p->keys.secret[0];
    if (!p->has_keys && (p->keys.id[0] || p->keys.secret[0])) {
        error_set(err, ERROR_DENIED,
                  "%s: profile %s has only one of aws_access_key_id and aws_secret_access_key", path, name);
        return error_hint(err, "add the other");
    }
    return 0;
}

int credentials_read_profile(const char *path, const char *name, bool config, struct credentials_profile *p,
                             struct error *err)
{
    struct buffer text = {0};
    memset(p, 0, sizeof *p);
    /* How scripts say that a file of AWS's is not to be read. */
    int code =
        strcmp(path, "/dev/null") == 0 ? ERROR_NOT_FOUND : file_read(path, CREDENTIALS_FILE_MAX, &text, err);
    if (code == ERROR_NOT_FOUND)
        return 0;
    if (code == 0)
        code = parse(buffer_bytes(&text), path, name, config, p, err);
    if (code == 0 && (p->has_keys || p->process.size)) {
        /* Only now is it a file of secrets (or one that says what to run). What counts is what is read here.
         */
        credentials_profile_free(p);
        buffer_free_secret(&text);
        code = file_read_secret(path, CREDENTIALS_FILE_MAX, &text, err);
        if (code == 0)
            code = parse(buffer_bytes(&text), path, name, config, p, err);
    }
    buffer_free_secret(&text);
    if (code != 0)
        credentials_profile_free(p);
    return code;
}

void credentials_profile_free(struct credentials_profile *p)
{
    buffer_free_secret(&p->process);
    cleanse(p, sizeof *p);
}
