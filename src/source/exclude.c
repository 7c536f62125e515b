#include "source/exclude.h"

#include "base/arena.h"
#include "base/memory.h"
#include "base/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct pattern {
    bool include;        /* began with "!" */
    bool directory_only; /* ended in "/" */
    bool anchored;       /* matches the path, not just the name */
    struct bytes *components;
    size_t count;
};

struct exclude {
    struct arena arena;
    struct pattern *patterns;
    size_t count;
};

static bool in_class(struct bytes name, uint8_t byte, bool *matched)
{
    static const struct {
        const char *name;
        int (*is)(int);
    } classes[] = {{"alnum", isalnum}, {"alpha", isalpha}, {"blank", isblank}, {"cntrl", iscntrl},
                   {"digit", isdigit}, {"graph", isgraph}, {"lower", islower}, {"print", isprint},
                   {"punct", ispunct}, {"space", isspace}, {"upper", isupper}, {"xdigit", isxdigit}};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (bytes_equal(name, bytes_of_string(classes[i].name))) {
            *matched |= byte < 128 && classes[i].is(byte);
            return true;
        }
    }
    return false;
}

/* The byte at *at, or the one behind a backslash there; *at moves behind it. False at the end. */
static bool take_byte(struct bytes p, size_t *at, uint8_t *byte)
{
    if (*at < p.size && p.data[*at] == '\\')
        ++*at;
    if (*at >= p.size)
        return false;
    *byte = p.data[(*at)++];
    return true;
}

/* "[:alpha:]" at `at`: the position behind it; 0 if it is none. */
static size_t take_class(struct bytes p, size_t at, uint8_t byte, bool *matched, bool *known)
{
    if (at + 1 >= p.size || p.data[at] != '[' || p.data[at + 1] != ':')
        return 0;
    size_t start = at + 2;
    const uint8_t *end = start < p.size ? memchr(p.data + start, ']', p.size - start) : NULL;
    size_t stop = end ? (size_t)(end - p.data) : 0;
    if (stop <= start || p.data[stop - 1] != ':')
        return 0;
    *known = in_class(bytes_of(p.data + start, stop - 1 - start), byte, matched);
    return stop + 1;
}

/* A bracket expression that begins at `at`: the position behind it, 0 if it is malformed. */
static size_t match_bracket(struct bytes p, size_t at, uint8_t byte, bool *result)
{
    bool matched = false, known = true, first = true;
    at++;
    bool negated = at < p.size && (p.data[at] == '!' || p.data[at] == '^');
    at += negated;
    for (; at < p.size && (first || p.data[at] != ']'); first = false) {
        uint8_t low, high;
        size_t behind = take_class(p, at, byte, &matched, &known);
        if (!known)
            return 0;
        if (behind) {
            at = behind;
            continue;
        }
        if (!take_byte(p, &at, &low))
            return 0;
        high = low;
        if (at + 1 < p.size && p.data[at] == '-' && p.data[at + 1] != ']') {
            at++;
            if (!take_byte(p, &at, &high))
                return 0;
        }
        matched |= low <= byte && byte <= high;
    }
    *result = matched != negated;
    return at < p.size ? at + 1 : 0;
}

/* What stands at `at` (not a star) against one byte: the position behind it, 0 if it is malformed. */
static size_t match_one(struct bytes p, size_t at, uint8_t byte, bool *result)
{
    uint8_t wanted;
    if (p.data[at] == '[')
        return match_bracket(p, at, byte, result);
    if (p.data[at] == '?') {
        *result = true;
        return at + 1;
    }
    if (!take_byte(p, &at, &wanted))
        return 0;
    *result = wanted == byte;
    return at;
}

/* When a later star is reached, an earlier one need never be tried again: this keeps the time bounded. */
static bool match_component(struct bytes p, struct bytes text)
{
    size_t at = 0, i = 0, star = SIZE_MAX, mark = 0;
    while (i < text.size) {
        if (at < p.size && p.data[at] == '*') {
            star = ++at;
            mark = i;
            continue;
        }
        bool matches = false;
        size_t behind = at < p.size ? match_one(p, at, text.data[i], &matches) : 0;
        if (matches) {
            at = behind;
            i++;
        } else if (star != SIZE_MAX) {
            at = star;
            i = ++mark;
        } else {
            return false;
        }
    }
    while (at < p.size && p.data[at] == '*')
        at++;
    return at == p.size;
}

static bool is_any_depth(struct bytes component)
{
    size_t stars = 0;
    while (stars < component.size && component.data[stars] == '*')
        stars++;
    return stars >= 2 && stars == component.size;
}

/* The component of path at `at`, and where the next one begins: behind the path's end after the last. */
static struct bytes component_at(struct bytes path, size_t at, size_t *next)
{
    const uint8_t *slash = memchr(path.data + at, '/', path.size - at);
    size_t end = slash ? (size_t)(slash - path.data) : path.size;
    *next = end + 1;
    return bytes_of(path.data + at, end - at);
}

/* As match_component, with components for bytes and "**" for "*". path has no slash in front. */
static bool match_path(const struct pattern *pattern, struct bytes path)
{
    size_t c = 0, at = 0, star = SIZE_MAX, mark = 0, next;
    while (at < path.size) {
        struct bytes text = component_at(path, at, &next);
        if (c < pattern->count && is_any_depth(pattern->components[c])) {
            if (c + 1 == pattern->count)
                return true;
            star = ++c;
            mark = at;
        } else if (c < pattern->count && match_component(pattern->components[c], text)) {
            c++;
            at = next;
        } else if (star != SIZE_MAX) {
            component_at(path, mark, &mark);
            at = mark;
            c = star;
        } else {
            return false;
        }
    }
    return c == pattern->count;
}

bool exclude_match(const struct exclude *exclude, struct bytes path, bool is_directory)
{
    if (!exclude || path.size == 0)
        return false;
    const uint8_t *slash = memrchr(path.data, '/', path.size);
    size_t start = slash ? (size_t)(slash - path.data) + 1 : 0;
    struct bytes name = bytes_of(path.data + start, path.size - start);
    if (path.data[0] == '/')
        path = bytes_of(path.data + 1, path.size - 1);
    for (size_t i = exclude->count; i-- > 0;) {
        const struct pattern *pattern = &exclude->patterns[i];
        if (pattern->directory_only && !is_directory)
            continue;
        if (pattern->anchored ? match_path(pattern, path) : match_component(pattern->components[0], name))
            return !pattern->include;
    }
    return false;
}

/* Where the component that begins at `at` ends; SIZE_MAX if it is malformed. */
static size_t find_end(struct bytes p, size_t at)
{
    while (at < p.size && p.data[at] != '/') {
        bool result;
        if (p.data[at] == '\\' && at + 1 < p.size && p.data[at + 1] == '/')
            return at; /* an escaped slash is a slash */
        size_t behind = p.data[at] == '*' ? at + 1 : match_one(p, at, 'a', &result);
        if (behind == 0)
            return SIZE_MAX;
        at = behind;
    }
    return at;
}

static int compile(struct exclude *exclude, struct pattern *pattern, const char *text, struct error *err)
{
    struct bytes p = arena_copy(&exclude->arena, bytes_of_string(text));
    pattern->include = p.size && p.data[0] == '!';
    p = bytes_of(p.data + pattern->include, p.size - pattern->include);
    pattern->directory_only = p.size && p.data[p.size - 1] == '/';
    while (p.size && p.data[p.size - 1] == '/')
        p.size--;
    pattern->anchored = p.size && memchr(p.data, '/', p.size);
    if (p.size && p.data[0] == '/')
        p = bytes_of(p.data + 1, p.size - 1);
    if (p.size == 0)
        return error_set(err, ERROR_USAGE, "it is empty");
    if (p.size > EXCLUDE_PATTERN_MAX)
        return error_set(err, ERROR_USAGE, "it has more than %u bytes", EXCLUDE_PATTERN_MAX);
    pattern->components = arena_alloc_array(&exclude->arena, p.size + 1, sizeof *pattern->components);
    for (size_t at = 0; at <= p.size;) {
        size_t end = find_end(p, at);
        if (end == SIZE_MAX) {
            error_set(err, ERROR_USAGE,
                      "a bracket is not closed or a class unknown, or it ends in a backslash");
            return error_hint(err, "write \"\\\\[\" or \"\\\\\\\\\" where the character itself is meant");
        }
        struct bytes component = bytes_of(p.data + at, end - at);
        if (bytes_equal(component, bytes_of_string(".."))) {
            error_set(err, ERROR_USAGE, "no path that is looked at has \"..\" in it");
            return error_hint(err, "write the path that it leads to");
        }
        /* Two spellings of one path are one. */
        if (component.size && !bytes_equal(component, bytes_of_string(".")))
            pattern->components[pattern->count++] = component;
        at = end + 1 + (end < p.size && p.data[end] == '\\');
    }
    return pattern->count ? 0 : error_set(err, ERROR_USAGE, "it is empty");
}

int exclude_new(const char *const *patterns, size_t count, struct exclude **out, struct error *err)
{
    struct exclude *exclude = memory_new(struct exclude);
    exclude->patterns = arena_alloc_array(&exclude->arena, count, sizeof *exclude->patterns);
    exclude->count = count;
    for (size_t i = 0; i < count; i++) {
        int code = compile(exclude, &exclude->patterns[i], patterns[i], err);
        if (code != 0) {
            char *visible = text_visible(patterns[i]);
            error_prefix(err, "exclude pattern \"%.300s\"", visible);
            free(visible);
            exclude_free(exclude);
            return code;
        }
    }
    *out = exclude;
    return 0;
}

void exclude_free(struct exclude *exclude)
{
    if (!exclude)
        return;
    arena_free(&exclude->arena);
    free(exclude);
}
