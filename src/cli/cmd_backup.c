#include "cli/commands.h"
#include "cli/job_backup.h"
#include "cli/listener.h"
#include "cli/output.h"
#include "cli/run_json.h"
#include "cli/signals.h"
#include "cli/status.h"
#include "repo/lease.h"

#include <time.h>

static json_t *result_json(const char *job, const struct backup_result *r, const struct error *err,
                           int status)
{
    json_t *o = json_object();
    const struct statistics *s = &r->statistics;
    json_object_set_new(o, "job", json_string(job));
    json_object_set_new(o, "exit_status", json_integer(status));
    if (err) {
        output_json_bytes(o, "error", bytes_of_string(err->message));
        return o;
    }
    run_json_taken(o, &r->snapshot, s);
    output_json_number(o, "targets_behind", r->targets_behind);
    json_object_set_new(o, "seconds", json_real(r->seconds));
    output_json_number(o, "warning_count", s->warnings);
    json_t *warnings = json_array();
    for (size_t i = 0; i < r->warning_count; i++)
        output_json_append(warnings, bytes_of_string(r->warnings[i]));
    json_object_set_new(o, "warnings", warnings);
    return o;
}

/* One repository of those that -c names. A record is made for the hooks alone: it is not kept. */
struct by_hand {
    const struct options *options;
    struct wire wire;
    struct listener listener;
    struct run_events events;
    struct run_record record;
    struct arena arena;
};

static int run_job(struct by_hand *b, struct run_job *job, json_t *list)
{
    struct backup_result result = {0};
    struct error err = {0};
    void *context = b->events.context;
    job->started = (int64_t)time(NULL);
    int code = b->events.before_job(context, job, &err);
    if (code == 0)
        code = job_backup(b->options, &b->wire, config_find_job(b->wire.config, job->job), job->classes,
                          &result, &err);
    job->ended = (int64_t)time(NULL);
    if (code == 0) {
        run_note_backup(job, &result, &b->arena);
    } else {
        job->message = arena_copy_string(&b->arena, err.message);
        error_prefix(&err, "job %s", job->job);
        job->exit_status = (uint32_t)status_report(&err);
    }
    const struct run_job_result heard = {job, code ? &err : NULL, code ? NULL : &result};
    b->events.after_job(context, &heard);
    int status = (int)job->exit_status;
    if (b->options->json)
        json_array_append_new(list, result_json(job->job, &result, code ? &err : NULL, status));
    else if (code == 0 && !b->options->quiet)
        job_print_result(job->job, &result);
    backup_result_free(&result);
    return status;
}

static void list_jobs(struct by_hand *b)
{
    const struct config *config = b->wire.config;
    struct run_record *r = &b->record;
    r->jobs = arena_alloc_array(&b->arena, config->job_count, sizeof *r->jobs);
    for (size_t i = 0; i < config->job_count; i++) {
        if (job_is_chosen(b->options, &config->jobs[i]))
            r->jobs[r->job_count++] = (struct run_job){
                .job = config->jobs[i].name, .classes = 1u << b->options->class, .message = ""};
    }
}

static int prepare(const struct wire *wire, struct error *err)
{
    uint64_t copied;
    int code = lease_begin(wire->repository, "backup", err);
    if (code == 0)
        code = repository_sync(wire->repository, err);
    if (code == 0)
        code = repository_catch_up(wire->repository, false,
                                   (unsigned)repository_parameters(wire->repository)->stall, &copied, err);
    if (code == 0)
        repository_warn_of_locks(wire->repository);
    return code;
}

/* When all jobs are done, targets that could not keep up get what they lack. */
static int recover(const struct wire *wire, json_t *jobs)
{
    struct error err = {0};
    size_t configured = repository_parameters(wire->repository)->target_count;
    if (!*signals_stop() && repository_recover(wire->repository, &err) != 0)
        status_report(&err);
    size_t behind = configured - replicas_active_count(repository_replicas(wire->repository));
    for (size_t i = 0; i < json_array_size(jobs); i++) {
        json_t *job = json_array_get(jobs, i);
        if (!json_object_get(job, "targets_behind"))
            continue;
        output_json_number(job, "targets_behind", behind);
        if (behind)
            json_object_set_new(job, "exit_status", json_integer(STATUS_BEHIND));
    }
    return behind ? STATUS_BEHIND : STATUS_DONE;
}

static int run_jobs(struct by_hand *b, json_t *list)
{
    struct run_record *r = &b->record;
    int status = STATUS_DONE;
    *r = (struct run_record){.command = "backup", .message = "", .started = (int64_t)time(NULL)};
    b->listener = (struct listener){.config = b->wire.config, .repository = &b->wire.repository};
    b->events = listener_events(&b->listener);
    list_jobs(b);
    b->events.begin(b->events.context, r);
    for (size_t i = 0; i < r->job_count; i++) {
        if (*signals_stop()) /* those that are left have not begun */
            r->job_count = i;
        else
            status = status_worse(status, run_job(b, &r->jobs[i], list));
    }
    status = status_worse(status, recover(&b->wire, list));
    r->interrupted = *signals_stop() != 0;
    r->ended = (int64_t)time(NULL);
    r->exit_status = (uint32_t)status;
    b->events.end(b->events.context, r);
    status = status_worse(status, listener_status(&b->listener));
    listener_free(&b->listener);
    arena_free(&b->arena);
    return status;
}

static int run(const struct options *options, const char *file)
{
    struct by_hand b = {.options = options};
    struct error err = {0};
    signals_install();
    int code = wire_open(options, file, REPOSITORY_WRITE, WIRE_HOST, &b.wire, &err);
    if (code != 0)
        return status_report(&err);
    code = job_check_names(options, b.wire.config, &err);
    if (code == 0)
        code = prepare(&b.wire, &err);
    json_t *list = json_array();
    int status = code == 0 ? run_jobs(&b, list) : status_report(&err);
    if (options->json)
        output_json_print(json_pack("{s:i, s:o}", "exit_status", status, "jobs", list));
    else
        json_decref(list);
    wire_close(&b.wire);
    return status;
}

int cmd_backup(const struct options *options)
{
    return wire_each_config(options, run);
}
