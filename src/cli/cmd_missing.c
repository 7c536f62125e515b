/* Commands that are not written yet. */
#include "cli/commands.h"
#include "cli/status.h"

static int missing(const struct options *options)
{
    struct error err;
    error_set(&err, ERROR_FAILED, "%s is not built yet", options_command(options->command)->name);
    return status_report(&err);
}

#define MISSING(name)                                                                                        \
    int name(const struct options *options)                                                                  \
    {                                                                                                        \
        return missing(options);                                                                             \
    }

MISSING(cmd_ls)
MISSING(cmd_find)
MISSING(cmd_cat)
MISSING(cmd_diff)
MISSING(cmd_export)
MISSING(cmd_forget)
MISSING(cmd_pin)
MISSING(cmd_unpin)
MISSING(cmd_prune)
MISSING(cmd_verify)
MISSING(cmd_heal)
MISSING(cmd_host_add)
MISSING(cmd_host_list)
