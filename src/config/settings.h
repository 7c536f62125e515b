/*
 * The table of all settings: names, types, ranges and defaults. It drives the reader (config.c), and a test
 * holds holdfast.conf(5) to it. Only config.c and the table's listing (`holdfast help --table`) use it.
 */
#ifndef CONFIG_SETTINGS_H
#define CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum setting_type {
    SETTING_STRING,   /* const char *; min and max: its length in bytes */
    SETTING_PATH,     /* const char *; absolute, without ".." */
    SETTING_STRINGS,  /* struct config_strings; min and max: their number */
    SETTING_PATHS,    /* struct config_strings of absolute paths */
    SETTING_INTEGER,  /* int64_t */
    SETTING_SIZE,     /* int64_t, bytes */
    SETTING_DURATION, /* int64_t, seconds */
    SETTING_BOOLEAN,  /* bool */
    SETTING_CHOICE,   /* an enum: the place in `choices`, plus min */
    SETTING_CHOICES,  /* unsigned: a bit for each, 1 << the place in `choices` */
    SETTING_COMMANDS, /* struct config_commands; min and max: the words of each */
    SETTING_TIME,     /* struct schedule_time; min is its enum schedule_class */
    SETTING_ZONE,     /* const char * */
    SETTING_GROUP,    /* a struct, described by `section` */
    SETTING_LIST      /* groups described by `section`; min and max: their number */
};

struct section;

struct setting {
    const char *name;
    enum setting_type type;
    size_t offset; /* in the struct of its section */
    bool required;
    const char *only; /* names of the section's type that it belongs to, between spaces; NULL: all */
    int64_t min, max; /* of the value, in the unit of its type */
    const char
        *fallback; /* the default, as it would stand in the file (choices between spaces); NULL: none */
    const char *characters;     /* strings: those allowed; NULL: all */
    const char *const *choices; /* ends with NULL */
    const struct section *section;
};

struct section {
    const char *name;
    const struct setting *settings;
    size_t count;
};

/* The file itself. */
const struct section *settings_root(void);
/* "string", "size", ... */
const char *settings_type_name(enum setting_type type);

#endif
