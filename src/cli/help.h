/*
 * What --help, help and --version print, all of it from the tables of options.h and config/settings.h.
 * For main.c and cmd_help.c.
 */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/options.h"

/* Prints to standard output: all commands for COMMAND_NONE, else the one. Returns an exit status. */
int help_print(enum command command);
int help_print_version(void);
/* One line per command, option and setting, fields between tabs: for the tests and shell completion. */
int help_print_table(void);

#endif
