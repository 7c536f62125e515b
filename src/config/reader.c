#include "config/reader.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/zone.h"

#include <inttypes.h>
#include <libconfig.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES_MAX 4095
#define STRING_BYTES_MAX 65536
#define COMMANDS_MAX 100

struct context {
    struct config *config;
    struct error *err;
};

int reader_fail(const struct config *config, unsigned line, struct error *err, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (line)
        return error_set(err, ERROR_USAGE, "%s:%u: %s", config->path, line, text);
    return error_set(err, ERROR_USAGE, "%s: %s", config->path, text);
}

#define FAIL(context, line, ...) reader_fail((context)->config, (line), (context)->err, __VA_ARGS__)

/* ---- values ---- */

/* *path lies in the configuration's arena, in its normal form: two spellings of one path are one. */
static int read_path(struct context *c, const struct setting *s, unsigned line, const char *text,
                     const char **path)
{
    char *clean = NULL;
    if (text[0] == '/' && strlen(text) <= PATH_BYTES_MAX && file_clean_path(text, &clean, NULL) == 0) {
        *path = arena_copy_string(&c->config->arena, clean);
        free(clean);
        return 0;
    }
    char *shown = text_visible(text);
    FAIL(c, line, "\"%s\": \"%s\" is not an absolute path", s->name, shown);
    free(shown);
    return error_hint(c->err, "write it from the root, without \"..\": \"/srv/backup\"");
}

static int check_characters(struct context *c, const struct setting *s, unsigned line, const char *text)
{
    if (strspn(text, s->characters) == strlen(text))
        return 0;
    char *shown = text_visible(text);
    FAIL(c, line, "\"%s\": \"%s\" has a character that is not allowed there", s->name, shown);
    free(shown);
    return error_hint(c->err, "allowed are %s", s->characters);
}

static int check_string(struct context *c, const struct setting *s, unsigned line, const char *text)
{
    size_t n = strlen(text);
    size_t low = (size_t)s->min, high = s->max ? (size_t)s->max : STRING_BYTES_MAX;
    if (n < low || n > high)
        return FAIL(c, line, "\"%s\" has %zu characters; it takes %zu to %zu", s->name, n, low, high);
    return s->characters ? check_characters(c, s, line, text) : 0;
}

static void format_range_value(const struct setting *s, int64_t value, char text[32])
{
    if (s->type == SETTING_SIZE)
        text_format_size((uint64_t)value, text);
    else if (s->type == SETTING_DURATION && value >= 60)
        text_format_duration((double)value, text);
    else
        snprintf(text, 32, "%" PRId64 "%s", value, s->type == SETTING_DURATION ? " s" : "");
}

static int store_number(struct context *c, const struct setting *s, unsigned line, int64_t value, void *base)
{
    if (value < s->min || value > s->max) {
        char low[32], high[32];
        format_range_value(s, s->min, low);
        format_range_value(s, s->max, high);
        return FAIL(c, line, "\"%s\" is out of range: it takes %s to %s", s->name, low, high);
    }
    memcpy((char *)base + s->offset, &value, sizeof value);
    return 0;
}

static int store_choice(struct context *c, const struct setting *s, unsigned line, const char *text,
                        void *base)
{
    size_t count = 0;
    for (; s->choices[count]; count++) {
        if (strcmp(text, s->choices[count]) != 0)
            continue;
        int value = (int)(s->min + (int64_t)count);
        memcpy((char *)base + s->offset, &value, sizeof value);
        return 0;
    }
    char *shown = text_visible(text);
    FAIL(c, line, "\"%s\" cannot be \"%s\"", s->name, shown);
    free(shown);
    struct buffer list = {0};
    for (size_t i = 0; i < count; i++)
        buffer_append_format(&list, "%s\"%s\"", i ? ", " : "", s->choices[i]);
    error_hint(c->err, "it is one of %s", buffer_string(&list));
    buffer_free(&list);
    return ERROR_USAGE;
}

/* One word of a set, `size` bytes of text. */
static int add_choice(struct context *c, const struct setting *s, unsigned line, const char *text,
                      size_t size, unsigned *set)
{
    struct buffer list = {0};
    for (size_t i = 0; s->choices[i]; i++) {
        if (strlen(s->choices[i]) == size && memcmp(s->choices[i], text, size) == 0) {
            *set |= 1u << i;
            buffer_free(&list);
            return 0;
        }
        buffer_append_format(&list, "%s\"%s\"", i ? ", " : "", s->choices[i]);
    }
    char *shown = text_visible_bytes(text, size);
    FAIL(c, line, "\"%s\" cannot have \"%s\"", s->name, shown);
    free(shown);
    error_hint(c->err, "it takes %s", buffer_string(&list));
    buffer_free(&list);
    return ERROR_USAGE;
}

static int store_size_or_duration(struct context *c, const struct setting *s, unsigned line, const char *text,
                                  void *base)
{
    uint64_t bytes = 0;
    int64_t seconds = 0;
    bool size = s->type == SETTING_SIZE;
    if (size ? text_parse_size(text, &bytes) : text_parse_duration(text, &seconds))
        return store_number(c, s, line, size ? (int64_t)bytes : seconds, base);
    char *shown = text_visible(text);
    FAIL(c, line, "\"%s\": \"%s\" is not a %s", s->name, shown, size ? "size" : "duration");
    free(shown);
    return error_hint(c->err, size ? "a size is a whole number with K, M, G or T behind it: \"20M\""
                                   : "a duration is a whole number with s, m, h, d or w behind it: \"30d\"");
}

static int store_time(struct context *c, const struct setting *s, unsigned line, const char *text, void *base)
{
    enum schedule_class class = (enum schedule_class)s->min;
    if (schedule_parse(class, text, (struct schedule_time *)(void *)((char *)base + s->offset)))
        return 0;
    char *shown = text_visible(text);
    FAIL(c, line, "\"%s\": \"%s\" is not a time it can use", s->name, shown);
    free(shown);
    return error_hint(c->err, "write %s", schedule_form(class));
}

static void store_pointer(const struct setting *s, const char *text, void *base)
{
    memcpy((char *)base + s->offset, &text, sizeof text);
}

/* A value that stands as text: from the file, or a default of the table. */
static int store_text(struct context *c, const struct setting *s, unsigned line, const char *text, void *base)
{
    int code = 0;
    switch (s->type) {
    case SETTING_PATH:
        code = read_path(c, s, line, text, &text);
        if (code == 0)
            store_pointer(s, text, base);
        return code;
    case SETTING_STRING:
    case SETTING_ZONE:
        code = check_string(c, s, line, text);
        if (code == 0 && s->type == SETTING_ZONE && !zone_exists(text)) {
            FAIL(c, line, "\"%s\": this machine knows no time zone of that name", s->name);
            code = error_hint(c->err, "names are those of /usr/share/zoneinfo (package tzdata), or UTC");
        }
        if (code == 0)
            store_pointer(s, arena_copy_string(&c->config->arena, text), base);
        return code;
    case SETTING_SIZE:
    case SETTING_DURATION:
        return store_size_or_duration(c, s, line, text, base);
    case SETTING_CHOICE:
        return store_choice(c, s, line, text, base);
    case SETTING_TIME:
        return store_time(c, s, line, text, base);
    case SETTING_CHOICES: { /* as a default only */
        unsigned set = 0;
        for (size_t n; *text && code == 0; text += n + (text[n] == ' ')) {
            n = strcspn(text, " ");
            code = add_choice(c, s, line, text, n, &set);
        }
        memcpy((char *)base + s->offset, &set, sizeof set);
        return code;
    }
    case SETTING_INTEGER: /* as a default only */
        return store_number(c, s, line, strtoll(text, NULL, 10), base);
    case SETTING_BOOLEAN: /* as a default only */
        *(bool *)((char *)base + s->offset) = strcmp(text, "true") == 0;
        return 0;
    default:
        return 0;
    }
}

static int wrong_type(struct context *c, const struct setting *s, unsigned line)
{
    static const char *const forms[] = {
        [SETTING_STRING] = "a text in quotes",
        [SETTING_PATH] = "a path in quotes",
        [SETTING_STRINGS] = "texts in brackets: [ \"a\", \"b\" ]",
        [SETTING_PATHS] = "paths in brackets: [ \"/etc\", \"/srv\" ]",
        [SETTING_INTEGER] = "a whole number",
        [SETTING_SIZE] = "a size in quotes: \"20M\"",
        [SETTING_DURATION] = "a duration in quotes: \"30d\"",
        [SETTING_BOOLEAN] = "true or false",
        [SETTING_CHOICE] = "a word in quotes",
        [SETTING_CHOICES] = "words in brackets: [ \"failure\", \"warning\" ]",
        [SETTING_COMMANDS] = "words in brackets: [ \"sync\" ], or several such in parentheses",
        [SETTING_TIME] = "a time in quotes",
        [SETTING_ZONE] = "a name in quotes",
        [SETTING_GROUP] = "settings in braces: { ... }",
        [SETTING_LIST] = "groups in parentheses: ( { ... }, { ... } )",
    };
    FAIL(c, line, "\"%s\" has a value of the wrong type", s->name);
    return error_hint(c->err, "write %s", forms[s->type]);
}

static int read_string_list(struct context *c, const struct setting *s, config_setting_t *value,
                            struct config_strings *strings)
{
    unsigned line = config_setting_source_line(value);
    int count = config_setting_length(value);
    if (count < s->min || count > s->max)
        return FAIL(c, line, "\"%s\" has %d entries; it takes %" PRId64 " to %" PRId64, s->name, count,
                    s->min, s->max);
    *strings = (struct config_strings){arena_alloc_array(&c->config->arena, (size_t)count, sizeof(char *)),
                                       (size_t)count};
    for (int i = 0; i < count; i++) {
        config_setting_t *element = config_setting_get_elem(value, (unsigned)i);
        const char *text = config_setting_get_string(element);
        if (!text)
            return wrong_type(c, s, line);
        bool words = s->type == SETTING_STRINGS || s->type == SETTING_COMMANDS;
        if (strlen(text) > STRING_BYTES_MAX || (words && !*text && i == 0))
            return FAIL(c, line, "\"%s\" has an entry that is empty or too long", s->name);
        int code = s->characters ? check_characters(c, s, line, text) : 0;
        if (code == 0 && s->type == SETTING_PATHS)
            code = read_path(c, s, line, text, &strings->list[i]);
        else if (code == 0)
            strings->list[i] = arena_copy_string(&c->config->arena, text);
        if (code)
            return code;
    }
    return 0;
}

static int read_strings(struct context *c, const struct setting *s, config_setting_t *value, void *base)
{
    struct config_strings strings = {0};
    if (!config_setting_is_array(value) && !config_setting_is_list(value))
        return wrong_type(c, s, config_setting_source_line(value));
    int code = read_string_list(c, s, value, &strings);
    memcpy((char *)base + s->offset, &strings, sizeof strings);
    return code;
}

/* One command as an array of words, or a list of such arrays. */
static int read_commands(struct context *c, const struct setting *s, config_setting_t *value, void *base)
{
    bool several = config_setting_is_list(value);
    int count = several ? config_setting_length(value) : 1, code = 0;
    unsigned line = config_setting_source_line(value);
    if (count < 1 || count > COMMANDS_MAX)
        return FAIL(c, line, "\"%s\" has %d commands; it takes 1 to %d", s->name, count, COMMANDS_MAX);
    struct config_commands commands = {
        arena_alloc_array(&c->config->arena, (size_t)count, sizeof *commands.list), (size_t)count};
    for (int i = 0; i < count && code == 0; i++) {
        config_setting_t *words = several ? config_setting_get_elem(value, (unsigned)i) : value;
        code = config_setting_is_array(words) ? read_string_list(c, s, words, &commands.list[i])
                                              : wrong_type(c, s, line);
    }
    memcpy((char *)base + s->offset, &commands, sizeof commands);
    return code;
}

static int read_choices(struct context *c, const struct setting *s, config_setting_t *value, void *base)
{
    unsigned line = config_setting_source_line(value), set = 0;
    if (!config_setting_is_array(value) && !config_setting_is_list(value))
        return wrong_type(c, s, line);
    for (int i = 0; i < config_setting_length(value); i++) {
        const char *text = config_setting_get_string(config_setting_get_elem(value, (unsigned)i));
        int code = text ? add_choice(c, s, line, text, strlen(text), &set) : wrong_type(c, s, line);
        if (code)
            return code;
    }
    if (!set)
        return FAIL(c, line, "\"%s\" is empty", s->name);
    memcpy((char *)base + s->offset, &set, sizeof set);
    return 0;
}

static int read_group(struct context *c, const struct section *section, config_setting_t *group, void *base);

static int read_list(struct context *c, const struct setting *s, config_setting_t *value, void *base)
{
    static const struct {
        size_t list, count, size, line;
    } layouts[] = {
        {offsetof(struct config, targets), offsetof(struct config, target_count),
         sizeof(struct config_target), offsetof(struct config_target, line)},
        {offsetof(struct config, jobs), offsetof(struct config, job_count), sizeof(struct config_job),
         offsetof(struct config_job, line)},
        {offsetof(struct config, notify), offsetof(struct config, notify_count), sizeof(struct config_notify),
         offsetof(struct config_notify, line)},
    };
    unsigned line = config_setting_source_line(value);
    if (!config_setting_is_list(value))
        return wrong_type(c, s, line);
    int count = config_setting_length(value);
    if (count < s->min || count > s->max)
        return FAIL(c, line, "\"%s\" has %d entries; it takes %" PRId64 " to %" PRId64, s->name, count,
                    s->min, s->max);
    size_t l = 0, length = (size_t)count;
    while (layouts[l].list != s->offset)
        l++;
    char *list = arena_alloc_array(&c->config->arena, length, layouts[l].size);
    for (size_t i = 0; i < length; i++) {
        config_setting_t *element = config_setting_get_elem(value, (unsigned)i);
        char *to = list + i * layouts[l].size;
        unsigned at = config_setting_source_line(element);
        if (!config_setting_is_group(element))
            return wrong_type(c, s, at);
        if (s->offset == offsetof(struct config, jobs))
            ((struct config_job *)(void *)to)->keep.manual = -1;
        int code = read_group(c, s->section, element, to);
        if (code)
            return code;
        memcpy(to + layouts[l].line, &at, sizeof at);
    }
    memcpy((char *)base + layouts[l].list, &list, sizeof list);
    memcpy((char *)base + layouts[l].count, &length, sizeof length);
    return 0;
}

static int read_integer(struct context *c, const struct setting *s, config_setting_t *value, void *base)
{
    unsigned line = config_setting_source_line(value);
    int type = config_setting_type(value);
    if (type == CONFIG_TYPE_INT)
        return store_number(c, s, line, config_setting_get_int(value), base);
    if (type == CONFIG_TYPE_INT64)
        return store_number(c, s, line, config_setting_get_int64(value), base);
    return wrong_type(c, s, line);
}

static int read_value(struct context *c, const struct setting *s, config_setting_t *value, void *base)
{
    unsigned line = config_setting_source_line(value);
    switch (s->type) {
    case SETTING_GROUP:
        if (!config_setting_is_group(value))
            return wrong_type(c, s, line);
        return read_group(c, s->section, value, (char *)base + s->offset);
    case SETTING_LIST:
        return read_list(c, s, value, base);
    case SETTING_CHOICES:
        return read_choices(c, s, value, base);
    case SETTING_COMMANDS:
        return read_commands(c, s, value, base);
    case SETTING_STRINGS:
    case SETTING_PATHS:
        return read_strings(c, s, value, base);
    case SETTING_INTEGER:
        return read_integer(c, s, value, base);
    case SETTING_BOOLEAN:
        if (config_setting_type(value) != CONFIG_TYPE_BOOL)
            return wrong_type(c, s, line);
        *(bool *)((char *)base + s->offset) = config_setting_get_bool(value);
        return 0;
    case SETTING_SIZE:
    case SETTING_DURATION:
        if (config_setting_is_number(value))
            return read_integer(c, s, value, base);
        break;
    default:
        break;
    }
    const char *text = config_setting_get_string(value);
    return text ? store_text(c, s, line, text, base) : wrong_type(c, s, line);
}

/* ---- groups ---- */

static int unknown_setting(struct context *c, const struct section *section, unsigned line, const char *name)
{
    const char **names = memory_alloc_array(section->count, sizeof *names);
    for (size_t i = 0; i < section->count; i++)
        names[i] = section->settings[i].name;
    const char *nearest = text_nearest(name, names, section->count);
    const char *place = *section->name ? section->name : "the file";
    FAIL(c, line, "unknown setting \"%.128s\" in %s", name, place);
    if (nearest) {
        error_hint(c->err, "did you mean \"%s\"? holdfast.conf(5) describes every setting", nearest);
    } else {
        struct buffer list = {0};
        for (size_t i = 0; i < section->count; i++)
            buffer_append_format(&list, "%s%s", i ? ", " : "", names[i]);
        error_hint(c->err, "%s takes: %s", place, buffer_string(&list));
        buffer_free(&list);
    }
    free(names);
    return ERROR_USAGE;
}

static const struct setting *find_setting(const struct section *section, const char *name)
{
    for (size_t i = 0; i < section->count; i++) {
        if (strcmp(section->settings[i].name, name) == 0)
            return &section->settings[i];
    }
    return NULL;
}

/* Defaults of a section and of the groups within it. */
static int set_defaults(struct context *c, const struct section *section, void *base)
{
    int code = 0;
    for (size_t i = 0; i < section->count && code == 0; i++) {
        const struct setting *s = &section->settings[i];
        if (s->type == SETTING_GROUP)
            code = set_defaults(c, s->section, (char *)base + s->offset);
        else if (s->fallback)
            code = store_text(c, s, 0, s->fallback, base);
    }
    return code;
}

static bool setting_belongs(const struct setting *s, const char *type)
{
    if (!s->only)
        return true;
    char word[32];
    snprintf(word, sizeof word, " %s ", type ? type : "");
    return strstr(s->only, word) != NULL;
}

/* What is there must belong to the section's type ("local", "s3"), and what is required must be there. */
static int check_presence(struct context *c, const struct section *section, config_setting_t *group)
{
    unsigned line = config_setting_source_line(group);
    const char *type = NULL;
    config_setting_lookup_string(group, "type", &type);
    for (size_t i = 0; i < section->count; i++) {
        const struct setting *s = &section->settings[i];
        config_setting_t *value = config_setting_get_member(group, s->name);
        bool belongs = setting_belongs(s, type);
        if (value && !belongs) {
            FAIL(c, config_setting_source_line(value), "\"%s\" does not go with type = \"%s\"", s->name,
                 type);
            return error_hint(c->err, "it is for type%s", s->only);
        }
        if (!value && s->required && belongs) {
            FAIL(c, line, "\"%s\" is missing%s%s", s->name, *section->name ? " in " : "", section->name);
            return error_hint(c->err, "holdfast.conf(5) has an example to start from");
        }
    }
    return 0;
}

static int read_group(struct context *c, const struct section *section, config_setting_t *group, void *base)
{
    int code = set_defaults(c, section, base);
    int count = config_setting_length(group);
    for (int i = 0; i < count && code == 0; i++) {
        config_setting_t *value = config_setting_get_elem(group, (unsigned)i);
        const char *name = config_setting_name(value);
        const struct setting *s = find_setting(section, name);
        code = s ? read_value(c, s, value, base)
                 : unknown_setting(c, section, config_setting_source_line(value), name);
    }
    return code ? code : check_presence(c, section, group);
}

/* ---- the text ---- */

/* libconfig would read other files: then the text that manifests carry would not be the configuration. */
static int refuse_includes(struct context *c, const char *text)
{
    unsigned line = 1;
    for (const char *p = text; p; line++) {
        const char *word = p + strspn(p, " \t\r\f\v");
        if (strncasecmp(word, "@include", 8) == 0) {
            FAIL(c, line, "@include is not supported");
            return error_hint(c->err, "write one file per repository; -c DIR reads every *.conf of a folder");
        }
        p = strchr(p, '\n');
        if (p)
            p++;
    }
    return 0;
}

int reader_parse(struct config *config, struct error *err)
{
    struct context context = {config, err};
    const char *text = (const char *)text_without_mark(config->text).data;
    if (config->text.size > CONFIG_TEXT_MAX)
        return reader_fail(config, 0, err, "has %zu bytes, at most %u are read", config->text.size,
                           CONFIG_TEXT_MAX);
    if (memchr(config->text.data, '\0', config->text.size))
        return reader_fail(config, 0, err, "is not a text: it holds a NUL byte");
    int code = refuse_includes(&context, text);
    if (code)
        return code;
    config_t parsed;
    config_init(&parsed);
    if (config_read_string(&parsed, text)) {
        code = read_group(&context, settings_root(), config_root_setting(&parsed), config);
    } else {
        reader_fail(config, (unsigned)config_error_line(&parsed), err, "%s", config_error_text(&parsed));
        code =
            error_hint(err, "check quotes, brackets and the semicolon at the end of this line or the last");
    }
    config_destroy(&parsed);
    return code;
}
