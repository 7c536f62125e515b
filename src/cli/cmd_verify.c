#include "base/text.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "cli/status.h"
#include "cli/verify_print.h"

#include <stdio.h>

static int run(const struct options *options, const char *file)
{
    struct session s;
    signals_install();
    int status =
        session_open(options, file, REPOSITORY_READ, options->content ? WIRE_PERSON : WIRE_HOST, NULL, &s);
    if (status != STATUS_DONE)
        return status;
    struct verify_parameters p = {.sample = options->all || options->content ? 100 : options->sample,
                                  .content = options->content};
    /* --content with --sample reads the contents of that part only. */
    if (options->content && options->sample > 0)
        p.sample = options->sample;
    status = verify_and_print(options, &s, &p, "verify");
    session_close(&s);
    return status;
}

int cmd_verify(const struct options *options)
{
    return wire_each_config(options, run);
}
