#include "cli/commands.h"
#include "cli/session.h"
#include "cli/status.h"
#include "ops/content.h"

#include <unistd.h>

static int export_snapshot(const struct options *options, struct session *s, const struct snapshot *snapshot)
{
    struct error err = {0};
    uint64_t warnings = 0;
    if (isatty(STDOUT_FILENO)) {
        error_set(&err, ERROR_USAGE, "an archive is not shown on a terminal");
        error_hint(&err, "redirect it to a file or into a pipe: holdfast export ... >snapshot.tar");
        return status_report(&err);
    }
    int code = content_export(s->wire.repository, &snapshot->manifest.root,
                              (const char *const *)(options->operands + 1), options->operand_count - 1,
                              options->format == FORMAT_ZIP ? CONTENT_ZIP : CONTENT_PAX, STDOUT_FILENO,
                              &warnings, &err);
    if (code != 0)
        return status_report(&err);
    return warnings ? STATUS_WARNINGS : STATUS_DONE;
}

static int run(const struct options *options, const char *file)
{
    struct session s;
    int status = session_open(options, file, REPOSITORY_READ, WIRE_PERSON, NULL, &s);
    if (status != STATUS_DONE)
        return status;
    const struct snapshot *snapshot = session_snapshot(&s, options, 0, &status);
    if (snapshot)
        status = status_worse(status, export_snapshot(options, &s, snapshot));
    session_close(&s);
    return status;
}

int cmd_export(const struct options *options)
{
    return session_run_single(options, run);
}
