#include "cli/help.h"

#include "cli/status.h"
#include "config/settings.h"

#include <stdio.h>
#include <string.h>

/* "-c, --config FILE|DIR" into text; returns text. */
static const char *option_label(const struct option_entry *o, char text[64])
{
    char letter[8] = "    ";
    if (o->letter)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(text, 64, "%s--%s%s%s", letter, o->name, o->argument ? " " : "", o->argument ? o->argument : "");
    return text;
}

static void print_options(enum command command, bool common)
{
    size_t count;
    const struct option_entry *table = options_table(&count);
    for (size_t i = 0; i < count; i++) {
        const struct option_entry *o = &table[i];
        char label[64];
        if (o->hidden || (o->commands == 0) != common || !option_applies(o, command))
            continue;
        printf("  %-30s %s\n", option_label(o, label), o->help);
        if (o->choices) {
            printf("  %-30s ", "");
            for (size_t c = 0; o->choices[c]; c++)
                printf("%s%s", c ? ", " : "", o->choices[c]);
            putchar('\n');
        }
    }
}

static void print_synopsis(const struct command_entry *entry)
{
    size_t count;
    const struct option_entry *table = options_table(&count);
    printf("holdfast %s", entry->name);
    if (*entry->operands)
        printf(" %s", entry->operands);
    for (size_t i = 0; i < count; i++) {
        const struct option_entry *o = &table[i];
        if (o->hidden || o->commands == 0 || !option_applies(o, entry->command))
            continue;
        bool required = o->required >> entry->command & 1;
        printf(" %s--%s%s%s%s", required ? "" : "[", o->name, o->argument ? " " : "",
               o->argument ? o->argument : "", required ? "" : "]");
    }
    putchar('\n');
}

static void print_command(const struct command_entry *entry)
{
    printf("usage: ");
    print_synopsis(entry);
    printf("\n%s\n", entry->help);
    if (entry->notes)
        printf("\n%s\n", entry->notes);
    printf("\noptions:\n");
    print_options(entry->command, false);
    print_options(entry->command, true);
    printf("\nholdfast(1) has the details, examples and exit statuses.\n");
}

static void print_overview(void)
{
    size_t count;
    const struct command_entry *commands = options_commands(&count);
    printf("usage: holdfast [-c FILE|DIR] [-q|-v] [--json] COMMAND ...\n\ncommands:\n");
    for (size_t i = 0; i < count; i++)
        printf("  %-14s %s\n", commands[i].name, commands[i].help);
    printf("\noptions of every command:\n");
    print_options(COMMAND_HELP, true);
    printf("\nholdfast help COMMAND explains one; see also holdfast(1) and holdfast.conf(5).\n");
}

int help_print(enum command command)
{
    const struct command_entry *entry = options_command(command);
    if (entry)
        print_command(entry);
    else
        print_overview();
    return STATUS_DONE;
}

int help_print_version(void)
{
    printf("holdfast %s\n", HOLDFAST_VERSION);
    return STATUS_DONE;
}

static void print_command_rows(void)
{
    size_t command_count, option_count;
    const struct command_entry *commands = options_commands(&command_count);
    const struct option_entry *table = options_table(&option_count);
    for (size_t i = 0; i < command_count; i++)
        printf("command\t%s\t%s\n", commands[i].name, commands[i].operands);
    for (size_t i = 0; i < option_count; i++) {
        const struct option_entry *o = &table[i];
        if (o->hidden)
            continue;
        printf("option\t%s\t%.1s\t%s\t", o->name, &o->letter, o->argument ? o->argument : "");
        for (size_t c = 0; o->choices && o->choices[c]; c++)
            printf("%s%s", c ? "," : "", o->choices[c]);
        putchar('\t');
        for (size_t c = 0, n = 0; o->commands && c < command_count; c++) {
            if (option_applies(o, commands[c].command))
                printf("%s%s", n++ ? "," : "", commands[c].name);
        }
        putchar('\n');
    }
}

static void print_setting_rows(const struct section *section, const char *prefix)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct setting *s = &section->settings[i];
        char name[128];
        snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", s->name);
        printf("setting\t%s\t%s\t%s\t%s\t", name, settings_type_name(s->type), s->required ? "required" : "",
               s->fallback ? s->fallback : "");
        for (size_t c = 0; s->choices && s->choices[c]; c++)
            printf("%s%s", c ? "," : "", s->choices[c]);
        printf("\t%lld\t%lld\n", (long long)s->min, (long long)s->max);
        if (s->section)
            print_setting_rows(s->section, name);
    }
}

int help_print_table(void)
{
    print_command_rows();
    print_setting_rows(settings_root(), "");
    return STATUS_DONE;
}
