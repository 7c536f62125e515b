#include "cli/listener.h"

#include "base/memory.h"
#include "cli/channels.h"
#include "cli/hooks.h"
#include "cli/run_json.h"
#include "cli/signals.h"
#include "cli/snapshot_json.h"
#include "cli/status.h"
#include "cli/tell.h"

#include <stdlib.h>
#include <string.h>

/* Who stops a run waits for its end. */
#define SECONDS_AFTER_SIGNAL 5

/* ---- hooks ---- */

static struct hooks_facts facts_of_run(const struct listener *l, const struct run_record *run, json_t *result)
{
    struct hooks_facts facts = {.config = l->config,
                                .hooks = &l->config->hooks,
                                .begun = l->begun,
                                .exit_status = (int)run->exit_status,
                                .error = run->message,
                                .result = result};
    for (size_t i = 0; i < run->job_count; i++) {
        facts.classes |= run->jobs[i].classes;
        facts.warnings += run->jobs[i].statistics.warnings;
    }
    return facts;
}

static bool has_begun(const struct listener *l, const char *job)
{
    for (size_t i = 0; i < l->begun_count; i++) {
        if (strcmp(l->begun_jobs[i], job) == 0)
            return true;
    }
    return false;
}

static struct hooks_facts facts_of_job(const struct listener *l, const struct run_job *job, json_t *result)
{
    return (struct hooks_facts){.config = l->config,
                                .hooks = &config_find_job(l->config, job->job)->hooks,
                                .job = job->job,
                                .begun = has_begun(l, job->job),
                                .classes = job->classes,
                                .exit_status = (int)job->exit_status,
                                .error = job->message,
                                .snapshot = job->has_snapshot ? &job->snapshot : NULL,
                                .warnings = job->statistics.warnings,
                                .result = result};
}

static int before_job(void *context, const struct run_job *job, struct error *err)
{
    struct listener *l = context;
    memory_reserve_one(l->begun_jobs, l->begun_count, l->begun_capacity);
    l->begun_jobs[l->begun_count++] = job->job;
    json_t *result = json_object();
    json_object_set_new(result, "job", json_string(job->job));
    json_object_set_new(result, "classes", snapshot_classes_json(job->classes));
    struct hooks_facts facts = facts_of_job(l, job, result);
    int code = hooks_before(&facts, err);
    json_decref(result);
    return code;
}

static void after_job(void *context, const struct run_job_result *result)
{
    struct listener *l = context;
    struct run_job *job = result->record;
    json_t *json = run_json_job(job);
    struct hooks_facts facts = facts_of_job(l, job, json);
    struct error why = {0};
    unsigned failed = hooks_after(&facts, &why);
    json_decref(json);
    if (failed == 0)
        return;
    l->failed += failed;
    job->exit_status = (uint32_t)status_worse((int)job->exit_status, STATUS_WARNINGS);
    if (!*job->message)
        job->message = arena_copy_string(&l->arena, why.message);
}

/* ---- the run ---- */

static int prepare(void *context, const struct run_record *record, struct error *err)
{
    struct listener *l = context;
    l->begun = true;
    struct hooks_facts facts = facts_of_run(l, record, NULL);
    return hooks_before(&facts, err);
}

static void begin(void *context, const struct run_record *record)
{
    struct listener *l = context;
    (void)record;
    if (!l->tells)
        return;
    struct channel_outcome *outcomes = memory_alloc_array(l->config->notify_count, sizeof *outcomes);
    channels_begin(l->config, outcomes);
    l->undelivered += channels_report(l->config, outcomes);
    free(outcomes);
}

/* Whether this host's run before this one was not good. */
static bool was_bad(const struct listener *l, const struct run_record *record)
{
    struct run_list runs = {0};
    struct error ignored;
    const struct run_record *last = NULL;
    if (!*l->repository || runs_load(*l->repository, &runs, &ignored) != 0) {
        runs_free(&runs);
        return false;
    }
    const struct host_key *host = repository_host(*l->repository);
    for (size_t i = 0; i < runs.count; i++) {
        const struct run_entry *entry = &runs.list[i];
        bool here = entry->waits || id16_equal(&entry->record.host, &host->host);
        bool itself = entry->record.started == record->started && entry->record.ended == record->ended &&
                      entry->record.exit_status == record->exit_status;
        if (here && !itself && strcmp(entry->record.command, "backup") != 0)
            last = &entry->record;
    }
    bool bad = last && tell_level((int)last->exit_status) != NOTIFY_SUCCESS;
    runs_free(&runs);
    return bad;
}

void listener_tell(struct listener *l, const struct run_record *record)
{
    struct tell tell;
    enum notify_level level = tell_level((int)record->exit_status);
    if (l->config->notify_count == 0)
        return;
    if (l->recovered)
        level = NOTIFY_RECOVERED;
    struct channel_outcome *outcomes = memory_alloc_array(l->config->notify_count, sizeof *outcomes);
    tell_render(l->config, level, record, &tell);
    channels_send(l->config, &tell.message, *signals_stop() ? SECONDS_AFTER_SIGNAL : 0, outcomes);
    l->undelivered += channels_report(l->config, outcomes);
    tell_free(&tell);
    free(outcomes);
}

/* While the history can be read. */
static void end(void *context, const struct run_record *record)
{
    struct listener *l = context;
    l->recovered = l->tells && l->config->notify_count &&
                   tell_level((int)record->exit_status) == NOTIFY_SUCCESS && was_bad(l, record);
}

static void leave(void *context, const struct run_record *record)
{
    struct listener *l = context;
    struct error why;
    json_t *json = run_json(l->config->repository.name, record);
    struct hooks_facts facts = facts_of_run(l, record, json);
    l->failed += hooks_after(&facts, &why);
    json_decref(json);
    if (l->tells && record->job_count) /* else nothing was due after all */
        listener_tell(l, record);
}

struct run_events listener_events(struct listener *l)
{
    return (struct run_events){.context = l,
                               .prepare = prepare,
                               .begin = begin,
                               .before_job = before_job,
                               .after_job = after_job,
                               .end = end,
                               .leave = leave};
}

int listener_status(const struct listener *l)
{
    return l->failed ? STATUS_WARNINGS : STATUS_DONE;
}

void listener_free(struct listener *l)
{
    free(l->begun_jobs);
    arena_free(&l->arena);
}
