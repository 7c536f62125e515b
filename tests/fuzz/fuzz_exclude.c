/* Exclude patterns, a line each; the last line is a path. */
#include "fuzz.h"
#include "source/exclude.h"

#define PATTERNS_MAX 16

/* True for what no path that is looked at has, and two spellings of one path have. */
static bool has_dots(const char *path)
{
    for (const char *c = path, *end; *c; c = *end ? end + 1 : end) {
        end = strchrnul(c, '/');
        if ((end - c == 1 || (end - c == 2 && c[1] == '.')) && c[0] == '.')
            return true;
    }
    return false;
}

/* A path in which everything special is escaped matches itself, and nothing with a byte more. */
static void check_literal(const char *path)
{
    struct error err = {0};
    struct exclude *exclude;
    struct buffer pattern = {0}, longer = {0};
    size_t size = strlen(path);
    if (size < 2 || path[0] != '/' || path[1] == '/' || path[size - 1] == '/' || size > 1000 ||
        strstr(path, "//") || has_dots(path))
        return;
    for (const char *c = path; *c; c++) {
        if (strchr("*?[]\\!", *c))
            buffer_append_string(&pattern, "\\");
        buffer_append(&pattern, c, 1);
    }
    const char *text = buffer_string(&pattern);
    must(exclude_new(&text, 1, &exclude, &err) == 0);
    must(exclude_match(exclude, bytes_of_string(path), false));
    buffer_append_string(&longer, path);
    buffer_append_string(&longer, "x");
    must(!exclude_match(exclude, buffer_bytes(&longer), true));
    exclude_free(exclude);
    buffer_free(&pattern);
    buffer_free(&longer);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    const char *patterns[PATTERNS_MAX];
    size_t count = 0;
    struct error err = {0};
    struct exclude *exclude;
    char *text = malloc(size + 1), *at = text, *end;
    must(text != NULL);
    if (size)
        memcpy(text, input, size);
    text[size] = '\0';
    for (; count < PATTERNS_MAX && (end = strchr(at, '\n')) != NULL; at = end + 1) {
        *end = '\0';
        patterns[count++] = at;
    }
    if (worked(exclude_new(patterns, count, &exclude, &err), &err)) {
        struct bytes path = bytes_of_string(at);
        bool directory = exclude_match(exclude, path, true), file = exclude_match(exclude, path, false);
        must(count > 0 || (!directory && !file));
        exclude_free(exclude);
    }
    check_literal(at);
    free(text);
    return 0;
}
