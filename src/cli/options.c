#include "cli/options.h"

#include "base/memory.h"
#include "base/text.h"
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 64

struct parser {
    struct options *options;
    struct error *err;
    bool given[OPTIONS_MAX]; /* by place in the table */
    const struct option_entry *table;
    size_t count;
};

const struct command_entry *options_find_command(const char *name)
{
    size_t count;
    const struct command_entry *commands = options_commands(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

const struct command_entry *options_command(enum command command)
{
    size_t count;
    const struct command_entry *commands = options_commands(&count);
    for (size_t i = 0; i < count; i++) {
        if (commands[i].command == command)
            return &commands[i];
    }
    return NULL;
}

/* ---- values ---- */

static int usage(struct error *err, const char *what, const char *wrong)
{
    char *shown = text_visible(wrong);
    error_set(err, ERROR_USAGE, "%s \"%.200s\"", what, shown);
    free(shown);
    return ERROR_USAGE;
}

static int store_choice(const struct option_entry *o, const char *text, int *value, struct error *err)
{
    struct buffer list = {0};
    for (int i = 0; o->choices[i]; i++) {
        if (strcmp(text, o->choices[i]) == 0) {
            *value = i;
            buffer_free(&list);
            return 0;
        }
        buffer_append_format(&list, "%s%s", i ? ", " : "", o->choices[i]);
    }
    char *shown = text_visible(text);
    error_set(err, ERROR_USAGE, "--%s cannot be \"%.200s\"", o->name, shown);
    error_hint(err, "it is one of %s", buffer_string(&list));
    free(shown);
    buffer_free(&list);
    return ERROR_USAGE;
}

/* "5", "0.5", "5%": more than 0, at most 100. */
static int store_percent(const struct option_entry *o, const char *text, double *value, struct error *err)
{
    size_t digits = strspn(text, "0123456789.");
    char *end;
    *value = strtod(text, &end);
    if (digits && digits < 20 && end == text + digits && (!*end || strcmp(end, "%") == 0) && *value > 0 &&
        *value <= 100)
        return 0;
    usage(err, "--sample takes a percentage over 0 and up to 100, not", text);
    return error_hint(err, "such as --%s 5", o->name);
}

static int store(struct parser *p, size_t place, const char *text)
{
    const struct option_entry *o = &p->table[place];
    void *member = (char *)p->options + o->offset;
    if (p->given[place] && o->type != OPTION_FLAG) {
        error_set(p->err, ERROR_USAGE, "--%s is given twice", o->name);
        return o->letter == 'c'
                   ? error_hint(p->err, "keep several files in one folder, and name that: -c DIR")
                   : ERROR_USAGE;
    }
    p->given[place] = true;
    switch (o->type) {
    case OPTION_FLAG:
        *(bool *)member = true;
        return 0;
    case OPTION_TEXT:
        if (!*text)
            return error_set(p->err, ERROR_USAGE, "--%s is empty", o->name);
        *(const char **)member = text;
        return 0;
    case OPTION_CHOICE:
        return store_choice(o, text, member, p->err);
    case OPTION_PERCENT:
        return store_percent(o, text, member, p->err);
    }
    return ERROR_USAGE;
}

/* ---- words that begin with a dash ---- */

static int unknown_option(struct parser *p, const char *name, size_t length)
{
    const char *names[OPTIONS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < p->count; i++) {
        if (!p->table[i].hidden)
            names[count++] = p->table[i].name;
    }
    char *word = memory_format("%.*s", length > 200 ? 200 : (int)length, name);
    const char *nearest = text_nearest(word, names, count);
    char *dashed = memory_format("--%s", word);
    usage(p->err, "unknown option", dashed);
    if (nearest)
        error_hint(p->err, "did you mean --%s?", nearest);
    else
        error_hint(p->err, "holdfast help lists commands and options");
    free(dashed);
    free(word);
    return ERROR_USAGE;
}

/* argv[*at] is "--name" or "--name=value". */
static int long_option(struct parser *p, int argc, char **argv, int *at)
{
    const char *name = argv[*at] + 2;
    size_t length = strcspn(name, "=");
    for (size_t i = 0; i < p->count; i++) {
        const struct option_entry *o = &p->table[i];
        if (strlen(o->name) != length || strncmp(o->name, name, length) != 0)
            continue;
        bool attached = name[length] == '=';
        if (o->type == OPTION_FLAG)
            return attached ? error_set(p->err, ERROR_USAGE, "--%s takes no value", o->name)
                            : store(p, i, NULL);
        if (attached)
            return store(p, i, name + length + 1);
        if (*at + 1 >= argc)
            return error_set(p->err, ERROR_USAGE, "--%s needs a value: %s", o->name, o->argument);
        return store(p, i, argv[++*at]);
    }
    return unknown_option(p, name, length);
}

/* argv[*at] is "-x", "-xy" or "-xVALUE". */
static int short_options(struct parser *p, int argc, char **argv, int *at)
{
    for (const char *letter = argv[*at] + 1; *letter; letter++) {
        size_t i = 0;
        while (i < p->count && p->table[i].letter != *letter)
            i++;
        if (i == p->count) {
            usage(p->err, "unknown option", (char[]){'-', *letter, '\0'});
            return error_hint(p->err, "holdfast help lists commands and options");
        }
        if (p->table[i].type == OPTION_FLAG) {
            int code = store(p, i, NULL);
            if (code)
                return code;
            continue;
        }
        if (letter[1])
            return store(p, i, letter + 1);
        if (*at + 1 >= argc)
            return error_set(p->err, ERROR_USAGE, "-%c needs a value: %s", *letter, p->table[i].argument);
        return store(p, i, argv[++*at]);
    }
    return 0;
}

/* ---- the command ---- */

static int unknown_command(struct options *options, struct error *err)
{
    size_t count;
    const struct command_entry *commands = options_commands(&count);
    const char **names = memory_alloc_array(count, sizeof *names);
    char *two = options->operand_count > 1
                    ? memory_format("%s %s", options->operands[0], options->operands[1])
                    : memory_copy_string(options->operands[0]);
    for (size_t i = 0; i < count; i++)
        names[i] = commands[i].name;
    const char *nearest = text_nearest(options->operands[0], names, count);
    if (!nearest)
        nearest = text_nearest(two, names, count);
    usage(err, "unknown command", options->operands[0]);
    if (strcmp(options->operands[0], "host") == 0)
        error_hint(err, "holdfast host add NAME --out FILE, or holdfast host list");
    else if (nearest)
        error_hint(err, "did you mean \"%s\"?", nearest);
    else
        error_hint(err, "holdfast help lists the commands");
    free(two);
    free(names);
    return ERROR_USAGE;
}

/* Takes one or two words off the operands. */
static int find_command(struct options *options, struct error *err)
{
    if (options->operand_count == 0) {
        if (options->help || options->version)
            return 0;
        error_set(err, ERROR_USAGE, "no command is given");
        return error_hint(err, "holdfast help lists the commands");
    }
    size_t words = 1;
    const struct command_entry *entry = NULL;
    if (options->operand_count > 1 && !strchr(options->operands[0], ' ')) {
        char *two = memory_format("%s %s", options->operands[0], options->operands[1]);
        entry = options_find_command(two);
        free(two);
    }
    if (entry)
        words = 2;
    else
        entry = options_find_command(options->operands[0]);
    if (!entry || (words == 1 && strchr(entry->name, ' ')))
        return unknown_command(options, err);
    options->command = entry->command;
    options->operand_count -= words;
    memmove(options->operands, options->operands + words,
            (options->operand_count + 1) * sizeof *options->operands);
    return 0;
}

static int check_options(struct parser *p)
{
    const struct command_entry *entry = options_command(p->options->command);
    for (size_t i = 0; i < p->count; i++) {
        const struct option_entry *o = &p->table[i];
        if (p->given[i] && !option_applies(o, entry->command)) {
            error_set(p->err, ERROR_USAGE, "--%s does not go with %s", o->name, entry->name);
            return error_hint(p->err, "holdfast help %s lists its options", entry->name);
        }
        if (!p->given[i] && (o->required >> entry->command & 1)) {
            error_set(p->err, ERROR_USAGE, "%s needs --%s %s", entry->name, o->name, o->argument);
            return error_hint(p->err, "--%s: %s", o->name, o->help);
        }
    }
    return 0;
}

static int check_operands(const struct options *options, struct error *err)
{
    const struct command_entry *entry = options_command(options->command);
    if (options->operand_count >= entry->operands_min && options->operand_count <= entry->operands_max)
        return 0;
    bool few = options->operand_count < entry->operands_min;
    error_set(err, ERROR_USAGE,
              few                ? "%s needs more: %s"
              : *entry->operands ? "%s takes only %s"
                                 : "%s takes nothing behind it%s",
              entry->name, entry->operands);
    return error_hint(err, "holdfast help %s shows how it is used", entry->name);
}

static int check_together(const struct options *options, struct error *err)
{
    if (options->quiet && options->verbose)
        return error_set(err, ERROR_USAGE, "--quiet and --verbose exclude each other");
    if (options->from && options->target)
        return error_set(err, ERROR_USAGE, "--from and --target exclude each other");
    if (options->all && options->sample > 0)
        return error_set(err, ERROR_USAGE, "--all and --sample exclude each other");
    if (options->all && options->command == COMMAND_RESTORE && options->operand_count > 1) {
        error_set(err, ERROR_USAGE, "restore --all takes no PATH: it restores whole snapshots");
        return error_hint(err, "name one snapshot to restore parts of it: HOST/JOB:latest");
    }
    if (options->passphrase_file && options->person_key)
        return error_set(err, ERROR_USAGE, "--passphrase-file and --person-key exclude each other");
    return 0;
}

int options_parse(int argc, char **argv, struct options *options, struct error *err)
{
    struct parser parser = {.options = options, .err = err};
    parser.table = options_table(&parser.count);
    *options = (struct options){.config = CONFIG_DEFAULT_PATH, .class = OPTION_CLASS_MANUAL};
    options->operands = memory_alloc_array((size_t)(argc > 0 ? argc : 0) + 1, sizeof *options->operands);
    bool ended = false;
    for (int at = 1; at < argc; at++) {
        int code = 0;
        if (ended || argv[at][0] != '-' || !argv[at][1])
            options->operands[options->operand_count++] = argv[at];
        else if (strcmp(argv[at], "--") == 0)
            ended = true;
        else
            code = argv[at][1] == '-' ? long_option(&parser, argc, argv, &at)
                                      : short_options(&parser, argc, argv, &at);
        if (code)
            return code;
    }
    int code = find_command(options, err);
    if (code || options->help || options->version)
        return code;
    code = check_options(&parser);
    if (code == 0)
        code = check_operands(options, err);
    return code ? code : check_together(options, err);
}

void options_free(struct options *options)
{
    free(options->operands);
    options->operands = NULL;
}
