/*
 * The command line: one table of commands and options feeds the parser, --help, shell completion and the
 * check of holdfast(1). Used by main.c and the commands.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum command {
    COMMAND_NONE, /* --help or --version alone */
    COMMAND_INIT,
    COMMAND_CHECK_CONFIG,
    COMMAND_NOTIFY_TEST,
    COMMAND_BACKUP,
    COMMAND_RUN,
    COMMAND_SNAPSHOTS,
    COMMAND_LS,
    COMMAND_FIND,
    COMMAND_CAT,
    COMMAND_DIFF,
    COMMAND_RESTORE,
    COMMAND_EXPORT,
    COMMAND_FORGET,
    COMMAND_PIN,
    COMMAND_UNPIN,
    COMMAND_PRUNE,
    COMMAND_VERIFY,
    COMMAND_HEAL,
    COMMAND_HOST_ADD,
    COMMAND_HOST_LIST,
    COMMAND_SCHEDULE,
    COMMAND_SCHEDULE_INSTALL,
    COMMAND_SCHEDULE_UNINSTALL,
    COMMAND_STATUS,
    COMMAND_HELP,
    COMMAND_COUNT
};

enum option_overwrite { OVERWRITE_NEVER, OVERWRITE_CHANGED, OVERWRITE_ALWAYS };
/* Auto: see restore_owners_reason(). */
enum option_owners { OWNERS_AUTO, OWNERS_NAMES, OWNERS_NUMBERS };
enum option_format { FORMAT_PAX, FORMAT_ZIP };
enum option_role { OPTION_ROLE_WRITE, OPTION_ROLE_PRUNE };
/* In the order of the CLASS_ bits of format/messages.h: 1u << class. */
enum option_class {
    OPTION_CLASS_DAILY,
    OPTION_CLASS_WEEKLY,
    OPTION_CLASS_MONTHLY,
    OPTION_CLASS_YEARLY,
    OPTION_CLASS_MANUAL
};

/* Texts point into argv. What was not given has the value in parentheses. */
struct options {
    enum command command;
    bool help, version;
    const char *config; /* -c (CONFIG_DEFAULT_PATH) */
    bool quiet, verbose, json;
    const char *passphrase_file; /* (NULL) */
    const char *person_key;      /* (NULL) */
    const char *person;          /* init (NULL) */
    int class;                   /* backup: enum option_class (OPTION_CLASS_MANUAL) */
    const char *to;              /* restore: never NULL there */
    int overwrite;               /* restore: enum option_overwrite (OVERWRITE_NEVER) */
    int owners;                  /* restore: enum option_owners (OWNERS_AUTO) */
    const char *from, *target;   /* restore: a target's name, or its address (NULL); never both */
    const char *new_target;      /* heal (NULL) */
    int format;                  /* export: enum option_format (FORMAT_PAX) */
    bool dry_run, force;
    double sample;     /* verify: percent, over 0 to 100 (0: not given) */
    bool all;          /* verify, restore */
    bool content;      /* verify */
    bool online;       /* check-config */
    bool acknowledge;  /* status */
    const char *out;   /* host add: never NULL there */
    const char *group; /* host add (NULL) */
    int role;          /* host add: enum option_role (OPTION_ROLE_WRITE) */
    const char *root;  /* schedule install, uninstall (NULL) */
    bool table;        /* help: print the tables for the tests */
    char **operands;   /* in their order, options taken out; ends with NULL */
    size_t operand_count;
};

enum option_type { OPTION_FLAG, OPTION_TEXT, OPTION_CHOICE, OPTION_PERCENT };

struct option_entry {
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    enum option_type type;
    size_t offset;        /* in struct options */
    const char *argument; /* its name in the synopsis; NULL for flags */
    const char *const *choices;
    uint64_t commands; /* bit 1 << enum command; 0: every command */
    uint64_t required; /* by these commands */
    bool hidden;
    const char *help;
};

struct command_entry {
    enum command command;
    const char *name;     /* one word or two: "host add" */
    const char *operands; /* as in the synopsis; "" for none */
    size_t operands_min, operands_max;
    const char *help;  /* one line */
    const char *notes; /* more, for `help COMMAND`; NULL: none */
};

/* Takes argv apart; argv's strings must outlive the result. The caller frees options with options_free, also
 * after an error. Errors: USAGE with a hint. */
int options_parse(int argc, char **argv, struct options *options, struct error *err);
void options_free(struct options *options);

const struct option_entry *options_table(size_t *count);
/* In the order of help; without COMMAND_NONE. */
const struct command_entry *options_commands(size_t *count);
/* NULL if there is none of this name. */
const struct command_entry *options_find_command(const char *name);
/* NULL for COMMAND_NONE. */
const struct command_entry *options_command(enum command command);
static inline bool option_applies(const struct option_entry *option, enum command command)
{
    return option->commands == 0 || (option->commands >> command & 1);
}

#endif
