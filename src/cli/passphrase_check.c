#include "cli/passphrase.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>

#define LENGTH_MIN 10
#define DISTINCT_MIN 5
#define NUMBER_MIN 20 /* characters of one made of digits only */

static const char words[][7] = {
#include "cli/words.inc"
};
_Static_assert(sizeof words / sizeof *words == 2048, "a word is 11 bits");

int passphrase_words(struct buffer *out, struct error *err)
{
    uint16_t numbers[PASSPHRASE_WORDS];
    if (getrandom(numbers, sizeof numbers, 0) != (ssize_t)sizeof numbers)
        return error_set_errno(err, errno, "cannot get random numbers");
    buffer_reserve(out, PASSPHRASE_WORDS * sizeof *words);
    for (size_t i = 0; i < PASSPHRASE_WORDS; i++) {
        if (i)
            buffer_u8(out, ' ');
        buffer_append_string(out, words[numbers[i] % 2048]);
    }
    explicit_bzero(numbers, sizeof numbers);
    return 0;
}

static size_t count_distinct(const uint8_t *p, size_t n)
{
    bool seen[256] = {false};
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        count += !seen[p[i]];
        seen[p[i]] = true;
    }
    return count;
}

/* The length of the shortest unit whose repetition gives the whole. */
static size_t period(const uint8_t *p, size_t n)
{
    for (size_t unit = 1; unit <= n / 2; unit++) {
        if (memcmp(p, p + unit, n - unit) == 0)
            return unit;
    }
    return n;
}

static bool keyboard_neighbours(int a, int b)
{
    static const char *const rows[] = {"qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "azerty"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *at = strchr(rows[i], a), *other = strchr(rows[i], b);
        if (a && b && at && other && (at - other == 1 || other - at == 1))
            return true;
    }
    return false;
}

/* Most characters follow from the one before: abcdef, 987654, aaaa, qwertz. */
static bool is_sequence(const uint8_t *p, size_t n)
{
    size_t steps = 0;
    for (size_t i = 1; i < n; i++) {
        int a = tolower(p[i - 1]), b = tolower(p[i]);
        steps += (a - b <= 1 && b - a <= 1) || keyboard_neighbours(a, b);
    }
    return steps * 3 > n * 2;
}

static bool is_number(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!memchr("0123456789 .-/:,+", p[i], 17))
            return false;
    }
    return n < NUMBER_MIN;
}

/* Letters as they are meant: P@ssw0rd becomes password. */
static char plain_letter(uint8_t c)
{
    static const char from[] = "0134578@$!", to[] = "oieastbasi";
    const char *at = c ? strchr(from, c) : NULL;
    return at ? to[at - from] : (char)tolower(c);
}

/* A common password, with a few characters before or behind it at most. */
static bool is_common(const uint8_t *p, size_t n)
{
    static const char *const list[] = {
        "password",      "passwort",
        "passphrase",    "letmein",
        "iloveyou",      "welcome",
        "administrator", "admin",
        "qwerty",        "qwertz",
        "azerty",        "changeme",
        "secret",        "holdfast",
        "backup",        "superman",
        "batman",        "monkey",
        "dragon",        "football",
        "baseball",      "sunshine",
        "princess",      "master",
        "trustno",       "whatever",
        "starwars",      "pokemon",
        "computer",      "internet",
        "server",        "database",
        "michael",       "jennifer",
        "charlie",       "summer",
        "winter",        "default",
        "login",         "access",
        "shadow",        "freedom",
        "mustang",       "liverpool",
        "chelsea",       "correcthorsebatterystaple",
    };
    char plain[64];
    if (n >= sizeof plain)
        return false;
    for (size_t i = 0; i < n; i++)
        plain[i] = plain_letter(p[i]);
    plain[n] = '\0';
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        if (strstr(plain, list[i]) && n < strlen(list[i]) + 8)
            return true;
    }
    return false;
}

int passphrase_check(struct bytes passphrase, struct error *err)
{
    const uint8_t *p = passphrase.data;
    size_t n = passphrase.size;
    const char *why = NULL;
    int code = passphrase_check_text(passphrase, err);
    if (code != 0)
        return code;
    if (n < LENGTH_MIN)
        why = "is shorter than 10 characters";
    else if (n > PASSPHRASE_MAX)
        why = "is longer than 1024 bytes";
    else if (count_distinct(p, n) < DISTINCT_MIN)
        why = "has too few different characters";
    else if (period(p, n) < LENGTH_MIN)
        why = "repeats something short";
    else if (is_sequence(p, n))
        why = "is a sequence";
    else if (is_number(p, n))
        why = "is a date or a number";
    else if (is_common(p, n))
        why = "is a common password";
    if (!why)
        return 0;
    error_set(err, ERROR_USAGE, "the passphrase is too weak: it %s", why);
    return error_hint(err, "take several words at random; init offers seven");
}
