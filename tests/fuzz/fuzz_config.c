/* Configuration files: settings, schedules, rotation; what was accepted keeps its promises. */
#include "config/config.h"
#include "fuzz.h"

static void check_path(const char *path)
{
    must(!path || path[0] == '/');
}

static void check_time(const struct schedule_time *time)
{
    must(!time->set || (time->hour >= 0 && time->hour < 24 && time->minute >= 0 && time->minute < 60 &&
                        time->day >= 0 && time->day <= 31 && time->weekday >= 0 && time->weekday < 7 &&
                        time->month >= 0 && time->month <= 12));
}

static void check_config(const struct config *config)
{
    must(config->target_count > 0 && config->target_count <= TARGETS_MAX);
    must(config->job_count > 0 && config->job_count <= JOBS_MAX);
    must(config->repository.key_file && config->repository.state_dir);
    check_path(config->repository.key_file);
    check_path(config->repository.state_dir);
    for (size_t i = 0; i < config->target_count; i++) {
        const struct config_target *t = &config->targets[i];
        must(config_find_target(config, t->name) == t);
        must(t->type == CONFIG_TARGET_LOCAL ? t->path != NULL : t->bucket != NULL);
        check_path(t->path);
    }
    for (size_t i = 0; i < config->job_count; i++) {
        const struct config_job *j = &config->jobs[i];
        must(config_find_job(config, j->name) == j);
        must(j->source.type != CONFIG_SOURCE_FILES || j->source.paths.count > 0);
        must(j->keep.daily >= 0 && j->keep.manual >= -1 && j->keep.within >= 0 && j->keep.min >= 0);
        check_time(&j->schedule.daily);
        check_time(&j->schedule.weekly);
        check_time(&j->schedule.monthly);
        check_time(&j->schedule.yearly);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    struct error err = {0};
    struct config *config;
    if (worked(config_parse("/etc/holdfast/fuzz.conf", bytes_of(input, size), &config, &err), &err)) {
        check_config(config);
        config_free(config);
    } else {
        must(err.code == ERROR_USAGE);
    }
    return 0;
}
