#include "base/log.h"
#include "cli/commands.h"
#include "cli/status.h"
#include "cli/verify_print.h"

static int heal(const struct options *options, struct session *s)
{
    struct error err = {0};
    uint64_t copied;
    struct verify_parameters p = {.sample = 100, .repair = true};
    if (repository_catch_up(s->wire.repository, false, &copied, &err) != 0)
        return status_report(&err);
    int status = verify_and_print(options, s, &p, "heal");
    struct replicas *replicas = repository_replicas(s->wire.repository);
    bool behind = replicas_active_count(replicas) < s->wire.config->target_count;
    return status == STATUS_DONE && behind ? STATUS_BEHIND : status;
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
    return wire_each_config(options, run);
}
