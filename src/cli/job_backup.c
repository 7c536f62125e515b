#include "cli/job_backup.h"

#include "base/memory.h"
#include "base/text.h"
#include "cli/keep_of.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "repo/snapshots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int job_check_names(const struct options *options, const struct config *config, struct error *err)
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

bool job_is_chosen(const struct options *options, const struct config_job *job)
{
    for (size_t i = 0; i < options->operand_count; i++) {
        if (strcmp(options->operands[i], job->name) == 0)
            return true;
    }
    return options->operand_count == 0;
}

struct shown {
    struct progress *progress;
    uint64_t expected; /* bytes; 0: not known */
};

/* What was there the last time is about what there is now. */
static uint64_t last_bytes(struct repository *r, const char *job)
{
    struct snapshot_list list;
    struct error ignored;
    uint64_t bytes = 0;
    int code = snapshots_load(r, &list, &ignored);
    for (size_t i = list.count; code == 0 && i > 0 && bytes == 0; i--) {
        const struct manifest *m = &list.list[i - 1].manifest;
        if (strcmp(m->job, job) == 0 && id16_equal(&m->host, &repository_host(r)->host))
            bytes = m->statistics.bytes;
    }
    snapshots_free(&list);
    return bytes;
}

static void show_progress(void *context, uint64_t bytes)
{
    const struct shown *shown = context;
    progress_update(shown->progress, bytes, bytes < shown->expected ? shown->expected : 0);
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

int job_backup(const struct options *options, const struct wire *wire, const struct config_job *job,
               uint32_t classes, struct backup_result *result, struct error *err)
{
    static const enum backup_source sources[] = {[CONFIG_SOURCE_FILES] = BACKUP_FILES,
                                                 [CONFIG_SOURCE_COMMAND] = BACKUP_COMMAND,
                                                 [CONFIG_SOURCE_TAR] = BACKUP_TAR};
    const struct config_source *s = &job->source;
    const char **command = config_argv(&s->command);
    const char *own[TARGETS_MAX + 1];
    size_t own_count = own_folders(wire->config, own);
    char *what = memory_format("backup %s", job->name);
    struct shown shown = {.progress = progress_new(options, what)};
    if (shown.progress)
        shown.expected = last_bytes(wire->repository, job->name);
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
                                  .classes = classes,
                                  .keep = keep_of(&job->keep),
                                  .configuration = wire->config->text,
                                  .workers = (unsigned)wire->config->repository.workers,
                                  .progress = shown.progress ? show_progress : NULL,
                                  .progress_context = &shown,
                                  .cancelled = signals_stop()};
    int code = backup_run(wire->repository, &p, result, err);
    progress_free(shown.progress);
    free(what);
    free(command);
    return code;
}

void job_print_result(const char *job, const struct backup_result *r)
{
    char id[OUTPUT_SHORT_ID_SIZE], bytes[32], fresh[32], stored[32], seconds[32];
    const struct statistics *s = &r->statistics;
    output_short_id(&r->snapshot, id);
    printf("%s: snapshot %s: %llu files, %s; %llu read, %s new, %s stored; ", job, id,
           (unsigned long long)s->files, text_format_size(s->bytes, bytes), (unsigned long long)s->files_new,
           text_format_size(s->bytes_new, fresh), text_format_size(s->bytes_stored, stored));
    if (r->mounts_left_out)
        printf("%zu mount%s left out; ", r->mounts_left_out, r->mounts_left_out == 1 ? "" : "s");
    puts(text_format_duration(r->seconds, seconds));
}
