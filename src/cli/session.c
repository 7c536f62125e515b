#include "cli/session.h"

#include "base/log.h"
#include "cli/signals.h"
#include "cli/snapshot_choice.h"
#include "cli/status.h"
#include "repo/lease.h"

#include <string.h>

int session_open(const struct options *options, const char *config_file, enum repository_mode mode,
                 enum wire_key key, const char *purpose, struct session *s)
{
    struct error err = {0};
    memset(s, 0, sizeof *s);
    if (purpose)
        signals_install(); /* to take the lease away again; who only reads just ends */
    int code = wire_open(options, config_file, mode, key, &s->wire, &err);
    if (code != 0)
        return status_report(&err);
    if (purpose)
        code = lease_begin(s->wire.repository, purpose, &err);
    if (code == 0)
        code = repository_sync(s->wire.repository, &err);
    if (code == 0)
        code = snapshots_load(s->wire.repository, &s->snapshots, &err);
    if (code == 0)
        return STATUS_DONE;
    session_close(s);
    return status_report(&err);
}

int session_behind(struct repository *r)
{
    size_t active = replicas_active_count(repository_replicas(r));
    return active < repository_parameters(r)->target_count ? STATUS_BEHIND : STATUS_DONE;
}

void session_close(struct session *s)
{
    snapshots_free(&s->snapshots);
    wire_close(&s->wire);
}

int session_damage(const struct repository *r)
{
    /* What a signal cut off could not be read either. */
    if (repository_damage(r) == 0 || *signals_stop())
        return STATUS_DONE;
    log_warning("there are objects that cannot be read, see above: a newer snapshot may be among them");
    int code = repository_damage(r) == repository_outages(r) ? ERROR_FAILED : ERROR_INTEGRITY;
    log_hint("%s",
             error_todo(code, "holdfast snapshots lists those that are there; holdfast heal repairs what "
                              "another target holds"));
    return status_of_error(code);
}

const struct snapshot *session_snapshot(const struct session *s, const struct options *options, size_t index,
                                        int *status)
{
    struct snapshot_choice choice;
    struct error err = {0};
    const char *name = options->operands[index];
    const struct repository *r = s->wire.repository;
    bool changes = options->command == COMMAND_FORGET || options->command == COMMAND_PIN ||
                   options->command == COMMAND_UNPIN;
    unsigned damage = repository_damage(r);
    int code = snapshot_choice_make(s, name, &choice, &err);
    if (code == 0 && damage && changes && !choice.by_id) {
        code =
            error_set(&err, damage > repository_outages(r) ? ERROR_INTEGRITY : ERROR_FAILED,
                      "which snapshot is \"%s\" cannot be told: there are objects that cannot be read", name);
        error_hint(&err, "name it by its id; see holdfast snapshots, and holdfast heal");
    }
    const struct snapshot *snapshot = code == 0 && choice.count == 1 ? choice.list[0] : NULL;
    if (code != 0)
        *status = status_report(&err);
    else if (!snapshot)
        *status = snapshot_choice_refuse(&choice, name, false);
    snapshot_choice_free(&choice);
    if (!snapshot || !changes)
        *status = status_worse(*status, session_damage(r));
    return snapshot;
}

int session_run_single(const struct options *options, wire_command *command)
{
    struct error err = {0};
    char **files;
    size_t count;
    int status;
    if (options->target)
        return command(options, NULL);
    if (config_list_directory(options->config, &files, &count, &err) != 0)
        return status_report(&err);
    if (count > 1) {
        error_set(&err, ERROR_USAGE, "%s holds %zu configurations, and this command works on one",
                  options->config, count);
        error_hint(&err, "name one of them, for example: -c %s", files[0]);
        status = status_report(&err);
    } else {
        status = command(options, files[0]);
    }
    config_free_list(files, count);
    return status;
}
