#include "base/log.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/status.h"
#include "cli/verify_print.h"

static int heal(const struct options *options, struct session *s)
{
    struct error err = {0};
    uint64_t copied;
    struct verify_parameters p = {.sample = 100, .repair = true};
    struct progress *progress = progress_watch(options, "heal: copying", s->wire.repository);
    int code = repository_catch_up(s->wire.repository, false, 0, &copied, &err);
    progress_leave(progress, s->wire.repository);
    if (code == 0) {
        snapshots_free(&s->snapshots); /* they are on more targets now */
        code = snapshots_load(s->wire.repository, &s->snapshots, &err);
    }
    if (code != 0)
        return status_report(&err);
    return verify_and_print(options, s, &p, "heal");
}

static int run(const struct options *options, const char *file)
{
    struct session s;
    int status = session_open(options, file, REPOSITORY_WRITE, WIRE_HOST, "heal", &s);
    if (status != STATUS_DONE)
        return status;
    status = heal(options, &s);
    session_close(&s);
    return status;
}

int cmd_heal(const struct options *options)
{
    return options->new_target ? session_run_single(options, run) : wire_each_config(options, run);
}
