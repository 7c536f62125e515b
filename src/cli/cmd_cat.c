#include "cli/commands.h"
#include "cli/session.h"
#include "cli/status.h"
#include "ops/content.h"

#include <stdio.h>
#include <unistd.h>

static int run(const struct options *options, const char *file)
{
    struct session s;
    struct error err = {0};
    int status = session_open(options, file, REPOSITORY_READ, WIRE_PERSON, NULL, &s);
    if (status != STATUS_DONE)
        return status;
    const struct snapshot *snapshot = session_snapshot(&s, options, 0, &status);
    if (snapshot && content_write(s.wire.repository, &snapshot->manifest.root, options->operands[1],
                                  STDOUT_FILENO, &err) != 0)
        status = status_report(&err);
    session_close(&s);
    return status;
}

int cmd_cat(const struct options *options)
{
    return session_run_single(options, run);
}
