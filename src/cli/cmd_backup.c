#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/keep_of.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "cli/status.h"
#include "cli/wire.h"
#include "ops/backup.h"
#include "repo/lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void show_progress(void *context, uint64_t bytes)
{
    progress_update(context, bytes, 0);
}

/* config_strings as a list that ends with NULL; the caller frees it. */
static const char **with_end(const struct config_strings *strings)
{
    const char **list = memory_alloc_array(strings->count + 1, sizeof *list);
    if (strings->count)
        memcpy(list, strings->list, strings->count * sizeof *list);
    return list;
}

/* What lies there is no source: a backup of it would grow by itself. */
static size_t own_folders(const struct config *config, const char **list)
{
    size_t count = 0;
    for (size_t i = 0; i < config->target_count; i++) {
        if (config->targets[i].type == CONFIG_TARGET_LOCAL)
            list[count++] = config->targets[i].path;
    }
    list[count++] = config->repository.state_dir;
    return count;
}

static int backup_job(const struct options *options, const struct wire *wire, const struct config_job *job,
                      struct backup_result *result, struct error *err)
{
    static const enum backup_source sources[] = {[CONFIG_SOURCE_FILES] = BACKUP_FILES,
                                                 [CONFIG_SOURCE_COMMAND] = BACKUP_COMMAND,
                                                 [CONFIG_SOURCE_TAR] = BACKUP_TAR};
    const struct config_source *s = &job->source;
    const char **command = with_end(&s->command);
    const char *own[TARGETS_MAX + 1];
    size_t own_count = own_folders(wire->config, own);
    char *what = memory_format("backup %s", job->name);
    struct progress *progress = progress_new(options, what);
    struct backup_parameters p = {.job = job->name,
                                  .source = sources[s->type],
                                  .paths = s->paths.list,
                                  .path_count = s->paths.count,
                                  .exclude = s->exclude.list,
                                  .exclude_count = s->exclude.count,
                                  .one_file_system = s->one_file_system,
                                  .exclude_caches = s->exclude_caches,
                                  .own = own,
                                  .own_count = own_count,
                                  .command = s->command.count ? command : NULL,
                                  .archive = s->archive,
                                  .filename = s->filename,
                                  .classes = 1u << options->class,
                                  .keep = keep_of(&job->keep),
                                  .configuration = wire->config->text,
                                  .workers = (unsigned)wire->config->repository.workers,
                                  .progress = progress ? show_progress : NULL,
                                  .progress_context = progress,
                                  .cancelled = signals_stop()};
    int code = backup_run(wire->repository, &p, result, err);
    progress_free(progress);
    free(what);
    free(command);
    return code;
}

static void print_result(const struct config_job *job, const struct backup_result *r)
{
    char id[OUTPUT_SHORT_ID_SIZE], bytes[32], fresh[32], stored[32], seconds[32];
    const struct statistics *s = &r->statistics;
    output_short_id(&r->snapshot, id);
    printf("%s: snapshot %s: %llu files, %s; %llu read, %s new, %s stored; %s\n", job->name, id,
           (unsigned long long)s->files, text_format_size(s->bytes, bytes), (unsigned long long)s->files_new,
           text_format_size(s->bytes_new, fresh), text_format_size(s->bytes_stored, stored),
           text_format_duration(r->seconds, seconds));
}

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
    int code = backup_job(options, wire, job, &result, &err);
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
        print_result(job, &result);
    backup_result_free(&result);
    return status;
}

static int check_jobs(const struct options *options, const struct config *config, struct error *err)
{
    for (size_t i = 0; i < options->operand_count; i++) {
        if (config_find_job(config, options->operands[i]))
            continue;
        error_set(err, ERROR_USAGE, "%s has no job named \"%s\"", config->path, options->operands[i]);
        const char **names = memory_alloc_array(config->job_count, sizeof *names);
        for (size_t k = 0; k < config->job_count; k++)
            names[k] = config->jobs[k].name;
        const char *near = text_nearest(options->operands[i], names, config->job_count);
        free(names);
        return near ? error_hint(err, "did you mean \"%s\"?", near)
                    : error_hint(err, "holdfast check-config shows the jobs");
    }
    return 0;
}

static bool is_chosen(const struct options *options, const struct config_job *job)
{
    for (size_t i = 0; i < options->operand_count; i++) {
        if (strcmp(options->operands[i], job->name) == 0)
            return true;
    }
    return options->operand_count == 0;
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
    code = check_jobs(options, wire.config, &err);
    if (code == 0)
        code = prepare(&wire, &err);
    int status = code == 0 ? STATUS_DONE : status_report(&err);
    json_t *list = json_array();
    for (size_t i = 0; i < wire.config->job_count && code == 0 && !*signals_stop(); i++) {
        if (is_chosen(options, &wire.config->jobs[i]))
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
