#include "cli/commands.h"
#include "cli/job_backup.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "cli/status.h"
#include "repo/lease.h"

static json_t *result_json(const struct config_job *job, const struct backup_result *r,
                           const struct error *err, int status)
{
    json_t *o = json_object();
    const struct statistics *s = &r->statistics;
    json_object_set_new(o, "job", json_string(job->name));
    json_object_set_new(o, "exit_status", json_integer(status));
    if (err) {
        output_json_bytes(o, "error", bytes_of_string(err->message));
        return o;
    }
    output_json_id(o, "id", &r->snapshot);
    output_json_number(o, "files", s->files);
    output_json_number(o, "directories", s->directories);
    output_json_number(o, "others", s->others);
    output_json_number(o, "bytes", s->bytes);
    output_json_number(o, "files_read", s->files_new);
    output_json_number(o, "bytes_new", s->bytes_new);
    output_json_number(o, "bytes_stored", s->bytes_stored);
    output_json_number(o, "targets_behind", r->targets_behind);
    json_object_set_new(o, "seconds", json_real(r->seconds));
    output_json_number(o, "warning_count", s->warnings);
    json_t *warnings = json_array();
    for (size_t i = 0; i < r->warning_count; i++)
        output_json_append(warnings, bytes_of_string(r->warnings[i]));
    json_object_set_new(o, "warnings", warnings);
    return o;
}

static int run_job(const struct options *options, const struct wire *wire, const struct config_job *job,
                   json_t *list)
{
    struct backup_result result = {0};
    struct error err = {0};
    int code = job_backup(options, wire, job, 1u << options->class, &result, &err);
    int status = code != 0                    ? status_of_error(code)
                 : result.statistics.warnings ? STATUS_WARNINGS
                                              : STATUS_DONE;
    if (code != 0) {
        error_prefix(&err, "job %s", job->name);
        status_report(&err);
    }
    if (options->json)
        json_array_append_new(list, result_json(job, &result, code ? &err : NULL, status));
    else if (code == 0 && !options->quiet)
        job_print_result(job->name, &result);
    backup_result_free(&result);
    return status;
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

static int run(const struct options *options, const char *file)
{
    struct wire wire;
    struct error err = {0};
    signals_install();
    int code = wire_open(options, file, REPOSITORY_WRITE, WIRE_HOST, &wire, &err);
    if (code != 0)
        return status_report(&err);
    code = job_check_names(options, wire.config, &err);
    if (code == 0)
        code = prepare(&wire, &err);
    int status = code == 0 ? STATUS_DONE : status_report(&err);
    json_t *list = json_array();
    for (size_t i = 0; i < wire.config->job_count && code == 0 && !*signals_stop(); i++) {
        if (job_is_chosen(options, &wire.config->jobs[i]))
            status = status_worse(status, run_job(options, &wire, &wire.config->jobs[i], list));
    }
    if (code == 0)
        status = status_worse(status, recover(&wire, list));
    if (options->json)
        output_json_print(json_pack("{s:i, s:o}", "exit_status", status, "jobs", list));
    else
        json_decref(list);
    wire_close(&wire);
    return status;
}

int cmd_backup(const struct options *options)
{
    return wire_each_config(options, run);
}
