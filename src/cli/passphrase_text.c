#include "base/text.h"
#include "cli/passphrase.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MARK "\xef\xbb\xbf" /* of byte order */

/* Ranges of characters, in order, by what is wrong with them. */
enum fault { FAULT_NONE, FAULT_CONTROL, FAULT_UNSEEN, FAULT_COMPOSED };

static const struct {
    uint32_t first, last;
    enum fault fault;
} faults[] = {
    {0x0000, 0x001f, FAULT_CONTROL},    {0x007f, 0x009f, FAULT_CONTROL},
    {0x00a0, 0x00a0, FAULT_UNSEEN},     {0x00ad, 0x00ad, FAULT_UNSEEN},
    {0x0300, 0x036f, FAULT_COMPOSED},   {0x0374, 0x0374, FAULT_COMPOSED},
    {0x037e, 0x037e, FAULT_COMPOSED},   {0x0387, 0x0387, FAULT_COMPOSED},
    {0x0483, 0x0489, FAULT_COMPOSED},   {0x0591, 0x05c7, FAULT_COMPOSED},
    {0x061c, 0x061c, FAULT_UNSEEN},     {0x064b, 0x065f, FAULT_COMPOSED},
    {0x093c, 0x093c, FAULT_COMPOSED},   {0x0958, 0x095f, FAULT_COMPOSED},
    {0x09be, 0x09be, FAULT_COMPOSED},   {0x09d7, 0x09df, FAULT_COMPOSED},
    {0x0a33, 0x0a36, FAULT_COMPOSED},   {0x0a59, 0x0a5e, FAULT_COMPOSED},
    {0x0b3e, 0x0b3e, FAULT_COMPOSED},   {0x0b56, 0x0b5d, FAULT_COMPOSED},
    {0x0bbe, 0x0bbe, FAULT_COMPOSED},   {0x0bd7, 0x0bd7, FAULT_COMPOSED},
    {0x0c56, 0x0c56, FAULT_COMPOSED},   {0x0cc2, 0x0cc2, FAULT_COMPOSED},
    {0x0cd5, 0x0cd6, FAULT_COMPOSED},   {0x0d3e, 0x0d3e, FAULT_COMPOSED},
    {0x0d57, 0x0d57, FAULT_COMPOSED},   {0x0dca, 0x0ddf, FAULT_COMPOSED},
    {0x0f43, 0x0fb9, FAULT_COMPOSED},   {0x102e, 0x102e, FAULT_COMPOSED},
    {0x1100, 0x11ff, FAULT_COMPOSED},   {0x1680, 0x1680, FAULT_UNSEEN},
    {0x180b, 0x180f, FAULT_UNSEEN},     {0x1ab0, 0x1aff, FAULT_COMPOSED},
    {0x1b35, 0x1b35, FAULT_COMPOSED},   {0x1dc0, 0x1dff, FAULT_COMPOSED},
    {0x1f71, 0x1f7d, FAULT_COMPOSED},   {0x1fbb, 0x1ffd, FAULT_COMPOSED},
    {0x2000, 0x200f, FAULT_UNSEEN},     {0x2028, 0x202f, FAULT_UNSEEN},
    {0x205f, 0x206f, FAULT_UNSEEN},     {0x20d0, 0x20ff, FAULT_COMPOSED},
    {0x2126, 0x2126, FAULT_COMPOSED},   {0x212a, 0x212b, FAULT_COMPOSED},
    {0x2329, 0x232a, FAULT_COMPOSED},   {0x2adc, 0x2adc, FAULT_COMPOSED},
    {0x3000, 0x3000, FAULT_UNSEEN},     {0x3099, 0x309a, FAULT_COMPOSED},
    {0xf900, 0xfaff, FAULT_COMPOSED},   {0xfb1d, 0xfb4e, FAULT_COMPOSED},
    {0xfe00, 0xfe0f, FAULT_UNSEEN},     {0xfe20, 0xfe2f, FAULT_COMPOSED},
    {0xfeff, 0xfeff, FAULT_UNSEEN},     {0xfff0, 0xffff, FAULT_UNSEEN},
    {0x110ba, 0x110ba, FAULT_COMPOSED}, {0x11127, 0x11127, FAULT_COMPOSED},
    {0x1133e, 0x11357, FAULT_COMPOSED}, {0x114b0, 0x114bd, FAULT_COMPOSED},
    {0x115af, 0x115af, FAULT_COMPOSED}, {0x11930, 0x11930, FAULT_COMPOSED},
    {0x1d15e, 0x1d1c0, FAULT_COMPOSED}, {0x2f800, 0x2fa1d, FAULT_COMPOSED},
    {0xe0000, 0xe0fff, FAULT_UNSEEN},
};

static enum fault fault_of(uint32_t character)
{
    for (size_t i = 0; i < sizeof faults / sizeof *faults && faults[i].first <= character; i++)
        if (character <= faults[i].last)
            return faults[i].fault;
    return FAULT_NONE;
}

static const char *name_of_control(uint32_t c)
{
    return c == 0 ? "a NUL byte" : c == '\t' ? "a tab" : "a control character";
}

static int refuse(struct error *err, const char *what, const char *hint)
{
    error_set(err, ERROR_USAGE, "the passphrase %s", what);
    return error_hint(err, "%s", hint);
}

static int refuse_character(uint32_t c, struct error *err)
{
    char text[64];
    switch (fault_of(c)) {
    case FAULT_CONTROL:
        if (c == '\n' || c == '\r')
            return refuse(err, "has more than one line",
                          "write it on one line; one line end behind it is not part of it");
        snprintf(text, sizeof text, "has %s", name_of_control(c));
        return refuse(err, text,
                      "nobody could type it on the day it is needed; take letters, digits and spaces");
    case FAULT_UNSEEN:
        return refuse(
            err, "has a character that cannot be seen, or a space that is none of the common ones",
            "it would be missed where the passphrase is typed; take letters, digits and common spaces");
    case FAULT_COMPOSED:
        return refuse(
            err, "has a character that some systems write as two, or as another one",
            "typed elsewhere it may not be the same; write a letter with its accent as one character, or "
            "take words without accents");
    default:
        return 0;
    }
}

static bool is_utf16(struct bytes text)
{
    return text.size >= 2 && (memcmp(text.data, "\xff\xfe", 2) == 0 || memcmp(text.data, "\xfe\xff", 2) == 0);
}

int passphrase_check_text(struct bytes passphrase, struct error *err)
{
    if (is_utf16(passphrase))
        return refuse(err, "is text in UTF-16", "save the file as UTF-8, without a byte-order mark");
    if (text_without_mark(passphrase).size != passphrase.size)
        return refuse(err, "begins with a byte-order mark",
                      "nobody could type it; save the file as UTF-8 without a byte-order mark");
    for (size_t i = 0, n; i < passphrase.size; i += n) {
        uint32_t c = 0;
        n = text_decode(passphrase.data + i, passphrase.size - i, &c);
        if (n == 0)
            return refuse(
                err, "is not text in UTF-8",
                "save the file as UTF-8, or take words without accents; random bytes can be written as "
                "letters with base64");
        int code = refuse_character(c, err);
        if (code != 0)
            return code;
    }
    if (passphrase.size && (passphrase.data[0] == ' ' || passphrase.data[passphrase.size - 1] == ' '))
        return refuse(err, "begins or ends with a space", "it would be missed where the passphrase is typed");
    return 0;
}

static bool ends_line(uint8_t c)
{
    return c == '\r' || c == '\n';
}

/* What a person would type who sees it. */
static struct bytes core_of(struct bytes given)
{
    const uint8_t *end = given.size ? memchr(given.data, '\0', given.size) : NULL;
    struct bytes core =
        text_without_mark(bytes_of(given.data, end ? (size_t)(end - given.data) : given.size));
    while (core.size && ends_line(core.data[core.size - 1]))
        core.size--;
    return core.size ? core : given;
}

void passphrase_spell(struct bytes given, unsigned number, struct buffer *out)
{
    static const char *const forms[PASSPHRASE_SPELLINGS][2] = {{"", ""},   {"", ""},     {"", "\r"},
                                                               {MARK, ""}, {MARK, "\r"}, {"", "\n"}};
    struct bytes core = core_of(given);
    bool as_given = number == 1;
    buffer_clear(out);
    buffer_reserve(out, given.size + 8); /* a buffer that grows leaves copies behind */
    buffer_append_string(out, forms[number][0]);
    buffer_append_bytes(out, as_given ? given : core);
    buffer_append_string(out, forms[number][1]);
    if (as_given ? bytes_equal(given, core) : number > 1 && bytes_equal(buffer_bytes(out), given))
        buffer_clear(out);
}
