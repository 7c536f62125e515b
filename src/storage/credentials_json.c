#include "base/text.h"
#include "crypto/random.h"
#include "storage/credentials_internal.h"

#include <jansson.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void free_overwritten(void *p)
{
    if (p)
        cleanse(p, malloc_usable_size(p));
    free(p);
}

void credentials_prepare_json(void)
{
    json_set_alloc_funcs(malloc, free_overwritten);
}

static bool digits_at(const char *text, const char *form)
{
    for (; *form; form++, text++) {
        if (*form == '0' ? *text < '0' || *text > '9' : *text != *form)
            return false;
    }
    return true;
}

bool credentials_parse_time(const char *text, int64_t *seconds)
{
    char whole[TEXT_TIME_SIZE];
    if (!digits_at(text, "0000-00-00T00:00:00"))
        return false;
    snprintf(whole, sizeof whole, "%.19sZ", text);
    if (!text_parse_time(whole, seconds))
        return false;
    const char *p = text + 19;
    if (*p == '.')
        p += 1 + strspn(p + 1, "0123456789");
    if (strcmp(p, "Z") == 0)
        return true;
    if ((*p != '+' && *p != '-') || !digits_at(p + 1, "00:00") || p[6])
        return false;
    int offset = (atoi(p + 1) * 60 + atoi(p + 4)) * 60;
    *seconds -= *p == '+' ? offset : -offset;
    return true;
}

static bool take(const json_t *object, const char *name, bool required, char *to, size_t size)
{
    const json_t *value = json_object_get(object, name);
    if (!value || json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0))
        return !required;
    return json_is_string(value) &&
           credentials_copy(to, size, json_string_value(value), json_string_length(value));
}

int credentials_parse_json(struct bytes text, enum credentials_form form, struct credentials *out,
                           struct error *err)
{
    bool process = form == CREDENTIALS_PROCESS;
    const char *wrong = NULL;
    json_t *object = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
    memset(out, 0, sizeof *out);
    const json_t *code = json_object_get(object, "Code");
    const json_t *expiration = json_object_get(object, "Expiration");
    if (!json_is_object(object))
        wrong = "it is not a JSON object";
    else if (process && json_integer_value(json_object_get(object, "Version")) != 1)
        wrong = "its Version is not 1";
    else if (!process && code && (!json_is_string(code) || strcmp(json_string_value(code), "Success") != 0))
        wrong = "its Code is not Success";
    else if (!take(object, "AccessKeyId", true, out->id, sizeof out->id))
        wrong = "AccessKeyId is missing or malformed";
    else if (!take(object, "SecretAccessKey", true, out->secret, sizeof out->secret))
        wrong = "SecretAccessKey is missing or malformed";
    else if (!take(object, process ? "SessionToken" : "Token", false, out->token, sizeof out->token))
        wrong = "the session token is malformed";
    else if ((!process || (expiration && !json_is_null(expiration))) &&
             (!json_is_string(expiration) ||
              !credentials_parse_time(json_string_value(expiration), &out->expires)))
        wrong = "Expiration is missing or malformed";
    json_decref(object);
    if (!wrong)
        return 0;
    credentials_cleanse(out);
    return error_set(err, ERROR_DENIED, "the answer gives no access keys: %s", wrong);
}
