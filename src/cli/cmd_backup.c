#include "base/log.h"
#include "cli/commands.h"
#include "cli/job_backup.h"
#include "cli/listener.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/run_json.h"
#include "cli/signals.h"
#include "cli/status.h"
#include "cli/targets.h"
#include "repo/lease.h"
#include "repo/runs.h"

#include <time.h>

static json_t *result_json(const char *job, const struct backup_result *r, const struct error *err,
                           int status)
{
    json_t *o = json_object();
    json_object_set_new(o, "job", json_string(job));
    json_object_set_new(o, "exit_status", json_integer(signals_exit_status(status)));
    if (err) {
        output_json_bytes(o, "error", bytes_of_string(err->message));
        return o;
    }
    run_json_taken(o, &r->snapshot, &r->statistics);
    output_json_number(o, "mounts_left_out", r->mounts_left_out);
    output_json_number(o, "targets_behind", r->targets_behind);
    json_object_set_new(o, "seconds", json_real(r->seconds));
    output_json_number(o, "warning_count", r->statistics.warnings);
    json_t *warnings = json_array();
    for (size_t i = 0; i < r->warning_count; i++)
        output_json_append(warnings, bytes_of_string(r->warnings[i]));
    json_object_set_new(o, "warnings", warnings);
    return o;
}

/* What listens, and what shows. */
#define EVENTS 2

/* One repository of those that -c names. A record is made for the hooks; it is kept only if a job failed, for
 * status and rotation: what succeeded shows in its snapshot. */
struct by_hand {
    const struct options *options;
    struct config *config;
    struct lock *lock;
    struct wire wire;
    struct listener listener;
    struct run_events events[EVENTS];
    struct run_record record;
    struct arena arena;
    json_t *list; /* of the jobs */
};

static void tell_job(void *context, const struct run_job_result *result)
{
    struct by_hand *b = context;
    const struct run_job *job = result->record;
    if (b->options->json)
        json_array_append_new(b->list,
                              result_json(job->job, result->backup, result->error, (int)job->exit_status));
    else if (result->backup && !b->options->quiet)
        job_print_result(job->job, result->backup);
}

static int run_job(struct by_hand *b, struct run_job *job)
{
    struct backup_result result = {0};
    struct error err = {0};
    job->started = (int64_t)time(NULL);
    int code = b->events[0].before_job(b->events[0].context, job, &err);
    if (code == 0)
        code = job_backup(b->options, &b->wire, config_find_job(b->config, job->job), job->classes, &result,
                          &err);
    if (code == 0) {
        run_note_backup(job, &result, &b->arena);
    } else {
        job->message = arena_copy_string(&b->arena, err.message);
        error_prefix(&err, "job %s", job->job);
        job->exit_status = (uint32_t)status_report(&err);
    }
    job->ended = (int64_t)time(NULL);
    const struct run_job_result heard = {job, code ? &err : NULL, code ? NULL : &result};
    run_after_job(b->events, EVENTS, &heard);
    backup_result_free(&result);
    return (int)job->exit_status;
}

static void list_jobs(struct by_hand *b)
{
    const struct config *config = b->config;
    struct run_record *r = &b->record;
    r->jobs = arena_alloc_array(&b->arena, config->job_count, sizeof *r->jobs);
    for (size_t i = 0; i < config->job_count; i++) {
        if (job_is_chosen(b->options, &config->jobs[i]))
            r->jobs[r->job_count++] = (struct run_job){
                .job = config->jobs[i].name, .classes = 1u << b->options->class, .message = ""};
    }
}

static int catch_up(const struct by_hand *b, struct repository *r, struct error *err)
{
    uint64_t copied;
    struct progress *progress = progress_watch(b->options, "backup: copying", r);
    int code = repository_catch_up(r, false, (unsigned)repository_parameters(r)->stall, &copied, err);
    progress_leave(progress, r);
    return code;
}

static int prepare(struct by_hand *b, struct error *err)
{
    int code = b->events[0].prepare(b->events[0].context, &b->record, err);
    if (code == 0)
        code = wire_open_config(b->options, b->config, b->lock, REPOSITORY_WRITE, WIRE_HOST, &b->wire, err);
    struct repository *r = b->wire.repository;
    if (code == 0)
        code = lease_begin(r, "backup", err);
    if (code == 0)
        code = repository_sync(r, err);
    if (code == 0)
        code = catch_up(b, r, err);
    if (code == 0)
        repository_warn_of_locks(r);
    return code;
}

/* When all jobs are done, targets that could not keep up get what they lack. */
static int recover(const struct by_hand *b)
{
    struct error err = {0};
    struct repository *r = b->wire.repository;
    struct progress *progress = progress_watch(b->options, "backup: copying", r);
    if (!*signals_stop() && repository_recover(r, &err) != 0)
        status_report(&err);
    progress_leave(progress, r);
    size_t behind = repository_parameters(r)->target_count - replicas_active_count(repository_replicas(r));
    for (size_t i = 0; i < json_array_size(b->list); i++) {
        json_t *job = json_array_get(b->list, i);
        if (!json_object_get(job, "targets_behind"))
            continue;
        output_json_number(job, "targets_behind", behind);
        if (behind)
            json_object_set_new(job, "exit_status", json_integer(STATUS_BEHIND));
    }
    return behind ? STATUS_BEHIND : STATUS_DONE;
}

static int run_jobs(struct by_hand *b)
{
    struct run_record *r = &b->record;
    int status = STATUS_DONE;
    for (size_t i = 0; i < r->job_count; i++) {
        if (!*signals_stop()) {
            status = status_worse(status, run_job(b, &r->jobs[i]));
            continue;
        }
        r->job_count = i; /* those that are left have not begun */
        status = status_worse(status, STATUS_STOPPED);
    }
    return status_worse(status, recover(b));
}

static int fail_jobs(struct by_hand *b, const struct error *err)
{
    struct run_record *r = &b->record;
    r->exit_status = (uint32_t)status_report(err);
    r->message = err->message;
    run_fail_jobs(r, err, signals_stop(), b->events, EVENTS);
    return (int)r->exit_status;
}

static bool has_failed(const struct by_hand *b)
{
    bool failed = false;
    for (size_t i = 0; i < b->record.job_count; i++) {
        uint32_t status = b->record.jobs[i].exit_status;
        failed |= b->record.jobs[i].started && status != STATUS_DONE && status != STATUS_WARNINGS &&
                  status != STATUS_BEHIND && status != STATUS_STOPPED;
    }
    return failed;
}

/* What no target takes waits for the next that does. */
static void keep_record(struct by_hand *b, bool synced)
{
    struct error err;
    const char *state_folder = b->config->repository.state_dir;
    if (!has_failed(b) || *signals_stop())
        return;
    if ((!synced || runs_append(b->wire.repository, &b->record, NULL, &err) != 0) &&
        runs_keep_waiting(state_folder, &b->record, NULL, &err) != 0)
        log_warning("status will not know of this failure: %s", err.message);
}

static int work(struct by_hand *b)
{
    struct run_record *r = &b->record;
    struct error err = {0};
    *r = (struct run_record){.command = "backup", .message = "", .started = (int64_t)time(NULL)};
    b->listener = (struct listener){.config = b->config, .repository = &b->wire.repository};
    b->events[0] = listener_events(&b->listener);
    b->events[1] = (struct run_events){.context = b, .after_job = tell_job};
    list_jobs(b);
    bool prepared = prepare(b, &err) == 0;
    int status = prepared ? run_jobs(b) : fail_jobs(b, &err);
    r->interrupted = *signals_stop() != 0;
    r->ended = (int64_t)time(NULL);
    r->exit_status = (uint32_t)status;
    keep_record(b, prepared);
    b->events[0].end(b->events[0].context, r);
    wire_close(&b->wire);
    b->events[0].leave(b->events[0].context, r);
    status = status_worse(status, listener_status(&b->listener));
    listener_free(&b->listener);
    arena_free(&b->arena);
    return status;
}

static int run(const struct options *options, const char *file)
{
    struct by_hand b = {.options = options, .list = json_array()};
    struct error err = {0};
    signals_install();
    int code = targets_load(file, true, &b.config, &err);
    if (code == 0)
        code = job_check_names(options, b.config, &err);
    if (code == 0)
        code = lock_take(b.config->repository.state_dir, "backup", &b.lock, &err);
    int status = code == 0 ? work(&b) : status_report(&err);
    if (options->json)
        output_json_print(
            json_pack("{s:i, s:O}", "exit_status", signals_exit_status(status), "jobs", b.list));
    json_decref(b.list);
    lock_release(b.lock);
    config_free(b.config);
    return status;
}

int cmd_backup(const struct options *options)
{
    return wire_each_config(options, run);
}
