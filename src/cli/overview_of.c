#include "cli/overview_of.h"

#include "base/memory.h"
#include "cli/status.h"

#include <stdlib.h>

int overview_of(const struct config *config, const struct schedules *schedules, struct repository *repository,
                int64_t now, int64_t known, const struct lock_holder *holder, const struct error *unanswered,
                struct overview_facts *facts, struct error *err)
{
    const char *targets[TARGETS_MAX] = {0};
    *facts = (struct overview_facts){0};
    int code = repository ? snapshots_load(repository, &facts->snapshots, err) : 0;
    if (code == 0 && repository)
        code = runs_load(repository, &facts->runs, err);
    if (code == 0 && repository)
        code = successes_load(repository, &facts->successes, err);
    if (code == 0 && repository)
        code = acknowledged_load(repository, &facts->acknowledged, err);
    if (code == 0 && !repository)
        code = runs_load_waiting(config->repository.state_dir, &facts->runs, err);
    if (code != 0)
        return code;
    facts->jobs = memory_alloc_array(config->job_count, sizeof *facts->jobs);
    for (size_t i = 0; i < config->job_count; i++)
        facts->jobs[i] = config->jobs[i].name;
    size_t target_count = config->target_count;
    for (size_t t = 0; t < target_count; t++)
        targets[t] = config->targets[t].name;
    struct overview_parameters p = {
        .now = now,
        .jobs = facts->jobs,
        .schedules = schedules->list,
        .job_count = config->job_count,
        .targets = targets,
        .target_count = target_count,
        .min_targets = (unsigned)config->repository.min_targets,
        .state_folder = config->repository.state_dir,
        .snapshots = &facts->snapshots,
        .runs = &facts->runs,
        .successes = &facts->successes,
        .acknowledged = facts->acknowledged,
        .clock_tolerance = config->repository.clock_tolerance,
        .max_runtime = config->run.max_runtime,
        .verify_every = config->verify.every,
        .known = known,
        .holder = holder,
        .unanswered = unanswered,
    };
    overview_make(repository, &p, &facts->overview);
    return 0;
}

void overview_facts_free(struct overview_facts *facts)
{
    overview_free(&facts->overview);
    free(facts->jobs);
    snapshots_free(&facts->snapshots);
    runs_free(&facts->runs);
    successes_free(&facts->successes);
    acknowledged_free(facts->acknowledged);
    *facts = (struct overview_facts){0};
}

int overview_level_status(enum overview_level level)
{
    static const int statuses[] = {[OVERVIEW_WARNING] = STATUS_WARNINGS,
                                   [OVERVIEW_BEHIND] = STATUS_BEHIND,
                                   [OVERVIEW_FAILED] = STATUS_FAILED,
                                   [OVERVIEW_DAMAGE] = STATUS_INTEGRITY};
    return statuses[level];
}

int overview_status(const struct overview *o)
{
    int status = STATUS_DONE;
    for (size_t i = 0; i < o->problem_count; i++)
        status = status_worse(status, overview_level_status(o->problems[i].level));
    return status;
}
