#include "base/text.h"

#include "base/bytes.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static bool parse_number(const char **at, uint64_t *value)
{
    const char *p = *at;
    uint64_t n = 0;
    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(n, 10u, &n) || __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
            return false;
    }
    *at = p;
    *value = n;
    return true;
}

bool text_parse_size(const char *text, uint64_t *bytes)
{
    uint64_t n;
    if (!parse_number(&text, &n))
        return false;
    static const char units[] = "KMGT";
    if (*text) {
        const char *unit = strchr(units, *text);
        if (!unit || text[1])
            return false;
        unsigned shift = 10 * (unsigned)(unit - units + 1);
        if (n > (UINT64_MAX >> 1) >> shift)
            return false;
        n <<= shift;
    }
    if (n > INT64_MAX)
        return false;
    *bytes = n;
    return true;
}

bool text_parse_duration(const char *text, int64_t *seconds)
{
    uint64_t n;
    if (!parse_number(&text, &n))
        return false;
    uint64_t unit = 1;
    switch (*text) {
    case '\0':
    case 's':
        break;
    case 'm':
        unit = 60;
        break;
    case 'h':
        unit = 3600;
        break;
    case 'd':
        unit = 86400;
        break;
    case 'w':
        unit = 7 * 86400;
        break;
    default:
        return false;
    }
    if (*text && text[1])
        return false;
    if (__builtin_mul_overflow(n, unit, &n) || n > (uint64_t)INT64_MAX / 4)
        return false;
    *seconds = (int64_t)n;
    return true;
}

char *text_format_size(uint64_t bytes, char text[32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1023.95 && unit < 6) {
        value /= 1024;
        unit++;
    }
    snprintf(text, 32, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}

char *text_format_duration(double seconds, char text[32])
{
    if (seconds < 59.95) {
        snprintf(text, 32, "%.1f s", seconds < 0 ? 0 : seconds);
        return text;
    }
    uint64_t s = (uint64_t)(seconds + 0.5);
    if (s < 3600)
        snprintf(text, 32, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
    else if (s < 2 * 86400)
        snprintf(text, 32, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
    else
        snprintf(text, 32, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s / 3600 % 24);
    return text;
}

static const char *format_utc(int64_t seconds, const char *format, char text[TEXT_TIME_SIZE])
{
    time_t t = (time_t)seconds;
    struct tm tm;
    if (!gmtime_r(&t, &tm) || tm.tm_year < -1900 || tm.tm_year > 8099)
        snprintf(text, TEXT_TIME_SIZE, "@%" PRId64, seconds);
    else
        snprintf(text, TEXT_TIME_SIZE, format, tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                 tm.tm_min, tm.tm_sec);
    return text;
}

char *text_format_time(int64_t seconds, char text[TEXT_TIME_SIZE])
{
    format_utc(seconds, "%04d-%02d-%02dT%02d:%02d:%02dZ", text);
    return text;
}

char *text_format_compact_time(int64_t seconds, char text[TEXT_TIME_SIZE])
{
    format_utc(seconds, "%04d%02d%02dT%02d%02d%02dZ", text);
    return text;
}

static bool fields_to_time(const int f[6], int64_t *seconds)
{
    struct tm tm = {.tm_year = f[0] - 1900,
                    .tm_mon = f[1] - 1,
                    .tm_mday = f[2],
                    .tm_hour = f[3],
                    .tm_min = f[4],
                    .tm_sec = f[5]};
    time_t t = timegm(&tm);
    /* timegm normalises: a field that moved was out of range. */
    if (tm.tm_year != f[0] - 1900 || tm.tm_mon != f[1] - 1 || tm.tm_mday != f[2] || tm.tm_hour != f[3] ||
        tm.tm_min != f[4] || tm.tm_sec != f[5])
        return false;
    *seconds = (int64_t)t;
    return true;
}

/* Matches text against a pattern in which each 'd' stands for a digit; groups of digits become fields. */
static bool match_digits(const char *text, size_t length, const char *pattern, int fields[6])
{
    size_t field = 0;
    bool in_field = false;
    if (strlen(pattern) != length)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (pattern[i] != 'd') {
            if (text[i] != pattern[i])
                return false;
            if (in_field)
                field++;
            in_field = false;
            continue;
        }
        if (text[i] < '0' || text[i] > '9')
            return false;
        fields[field] = fields[field] * 10 + (text[i] - '0');
        in_field = true;
    }
    return true;
}

bool text_parse_compact_time(const char *text, size_t length, int64_t *seconds)
{
    int date[6] = {0}, time[6] = {0};
    if (length != 16 || !match_digits(text, 8, "dddddddd", date) ||
        !match_digits(text + 8, 8, "TddddddZ", time))
        return false;
    int fields[6] = {date[0] / 10000, date[0] / 100 % 100, date[0] % 100,
                     time[0] / 10000, time[0] / 100 % 100, time[0] % 100};
    return fields_to_time(fields, seconds);
}

bool text_parse_time(const char *text, int64_t *seconds)
{
    static const char *const patterns[] = {"dddd-dd-dd", "dddd-dd-ddTdd:dd", "dddd-dd-ddTdd:dd:dd",
                                           "dddd-dd-ddTdd:ddZ", "dddd-dd-ddTdd:dd:ddZ"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        int fields[6] = {0};
        if (match_digits(text, strlen(text), patterns[i], fields))
            return fields_to_time(fields, seconds);
    }
    return false;
}

size_t text_decode(const uint8_t *p, size_t left, uint32_t *character)
{
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    if (length == 0 || length > left)
        return 0;
    uint32_t c = length == 1 ? p[0] : p[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        c = c << 6 | (p[i] & 63u);
    }
    if (c < lowest[length] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *character = c;
    return length;
}

struct bytes text_without_mark(struct bytes text)
{
    bool marked = text.size >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0;
    return marked ? bytes_of(text.data + 3, text.size - 3) : text;
}

bool text_is_utf8(const void *data, size_t size)
{
    const uint8_t *p = data;
    uint32_t c;
    for (size_t i = 0, n; i < size; i += n) {
        n = p[i] ? text_decode(p + i, size - i, &c) : 0;
        if (n == 0)
            return false;
    }
    return true;
}

static char *escape(const void *data, size_t size, bool backslash)
{
    const uint8_t *p = data;
    struct buffer out = {0};
    buffer_reserve(&out, size + 1);
    for (size_t i = 0; i < size;) {
        uint32_t c = 0;
        size_t n = text_decode(p + i, size - i, &c);
        bool control = p[i] < 0x20 || (c >= 0x7f && c < 0xa0);
        if (n == 0 || control || (backslash && p[i] == '\\')) {
            buffer_append_format(&out, "\\x%02x", p[i]);
            n = 1;
        } else {
            buffer_append(&out, p + i, n);
        }
        i += n;
    }
    buffer_u8(&out, 0);
    return (char *)out.data;
}

char *text_visible(const char *text)
{
    return escape(text, strlen(text), true);
}

char *text_visible_bytes(const void *data, size_t size)
{
    return escape(data, size, true);
}

char *text_printable(const char *text)
{
    return escape(text, strlen(text), false);
}

static size_t smallest3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* Levenshtein distance over names of at most 63 characters. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[64];
    size_t n = strlen(b);
    if (n > 63)
        return SIZE_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t next = smallest3(row[j + 1] + 1, row[j] + 1, diagonal + (a[i] != b[j]));
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    return row[n];
}

const char *text_nearest(const char *wrong, const char *const *names, size_t count)
{
    size_t allowed = strlen(wrong) / 3;
    if (allowed < 1)
        allowed = 1;
    const char *best = NULL;
    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(wrong, names[i]);
        if (distance <= allowed) {
            best = names[i];
            if (distance == 0)
                break;
            allowed = distance - 1;
        }
    }
    return best;
}
