#include "base/memory.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/status.h"

#include <stdlib.h>

int cmd_help(const struct options *options)
{
    if (options->table)
        return help_print_table();
    if (options->operand_count == 0)
        return help_print(COMMAND_NONE);
    char *name = options->operand_count == 1
                     ? memory_copy_string(options->operands[0])
                     : memory_format("%s %s", options->operands[0], options->operands[1]);
    const struct command_entry *entry = options_find_command(name);
    int status;
    if (entry) {
        status = help_print(entry->command);
    } else {
        struct error err;
        error_set(&err, ERROR_USAGE, "there is no command \"%.200s\"", name);
        error_hint(&err, "holdfast help lists the commands");
        status = status_report(&err);
    }
    free(name);
    return status;
}
