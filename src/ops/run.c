#include "ops/run.h"

#include "base/log.h"
#include "base/memory.h"
#include "policy/status.h"
#include "repo/lease.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct run {
    const struct run_parameters *p;
    struct run_result *result;
    struct run_record *record;
    struct arena *arena;
    struct repository *repository;
    const char **failed; /* jobs */
    size_t failed_count, taken;
    char *draft; /* of the record */
};

static int64_t now_seconds(void)
{
    return (int64_t)time(NULL);
}

static void make_worse(uint32_t *exit_status, int status)
{
    *exit_status = (uint32_t)status_worse((int)*exit_status, status);
}

/* Keeps the message; a record says by itself what it is of. Who is told needs `what` before it, unless NULL,
 * and `name`, unless that is "". Returns the exit status that it gives. */
static int note_failure(struct run *run, const char **message, struct error *why, const char *what,
                        const char *name)
{
    if (!**message)
        *message = arena_copy_string(run->arena, why->message);
    if (what)
        error_prefix(why, "%s%s", what, name);
    run->p->report(run->p->context, why);
    run->record->interrupted |= *run->p->stop != 0;
    int status = status_of_error(why->code);
    /* What is cut off fails in many ways. */
    return status == STATUS_FAILED && *run->p->stop ? STATUS_STOPPED : status;
}

static void fail_run(struct run *run, struct error *why)
{
    make_worse(&run->record->exit_status, note_failure(run, &run->record->message, why, NULL, ""));
}

static void step(struct run *run, const char *what)
{
    run->p->step(run->p->context, what);
}

/* ---- what is due ---- */

size_t run_decide(const struct run_parameters *p, const struct success_list *successes, int64_t now,
                  struct run_due *due)
{
    size_t due_count = 0;
    for (size_t i = 0; i < p->request_count; i++) {
        size_t count;
        struct due_success *of_job = successes_of_job(successes, p->requests[i].job, &count);
        due[i].classes = due_decide(p->requests[i].schedule, now, of_job, count, due[i].decisions);
        due_count += due[i].classes != 0;
        free(of_job);
    }
    return due_count;
}

int run_decide_by_repository(const struct run_parameters *p, struct repository *r, int64_t now,
                             struct run_due *due, size_t *count, struct error *err)
{
    struct success_list successes;
    int code = successes_load(r, &successes, err);
    if (code == 0)
        *count = run_decide(p, &successes, now, due);
    successes_free(&successes);
    return code;
}

static void list_jobs(struct run *run, const struct run_due *due)
{
    struct run_record *record = run->record;
    record->jobs = arena_alloc_array(run->arena, run->p->request_count, sizeof *record->jobs);
    record->job_count = 0;
    for (size_t i = 0; i < run->p->request_count && record->job_count < RUN_JOBS_MAX; i++) {
        if (due[i].classes)
            record->jobs[record->job_count++] =
                (struct run_job){.job = arena_copy_string(run->arena, run->p->requests[i].job),
                                 .classes = due[i].classes,
                                 .message = ""};
    }
}

/* What is left of the run if the process is killed, or the machine stops. */
static void write_draft(struct run *run)
{
    struct run_record draft = *run->record;
    struct error why;
    if (draft.job_count == 0)
        return;
    draft.exit_status = STATUS_FAILED;
    draft.interrupted = true;
    draft.message = "the run did not end: it was killed, or the machine stopped";
    draft.ended = now_seconds();
    draft.jobs = memory_alloc_array(draft.job_count, sizeof *draft.jobs);
    for (size_t i = 0; i < draft.job_count; i++) {
        struct run_job *job = &draft.jobs[i];
        *job = run->record->jobs[i];
        if (job->ended)
            continue;
        job->ended = job->started ? draft.ended : 0;
        job->exit_status = STATUS_FAILED;
        job->message = job->started ? draft.message : "not begun: the run was killed, or the machine stopped";
    }
    if (runs_draft(run->p->state_folder, &draft, &run->draft, &why) != 0)
        log_warning("if this run is killed, no record of it will be left: %s", why.message);
    free(draft.jobs);
}

/* ---- events ---- */

#define EACH_EVENT(run, event, ...)                                                                          \
    do {                                                                                                     \
        for (size_t e_ = 0; e_ < (run)->p->event_count; e_++) {                                              \
            if ((run)->p->events[e_].event)                                                                  \
                (run)->p->events[e_].event((run)->p->events[e_].context, __VA_ARGS__);                       \
        }                                                                                                    \
    } while (0)

void run_after_job(const struct run_events *events, size_t count, const struct run_job_result *result)
{
    for (size_t i = 0; i < count; i++) {
        if (events[i].after_job)
            events[i].after_job(events[i].context, result);
    }
}

/* ---- jobs ---- */

static int take(struct run *run, struct run_job *job, struct backup_result *backup, struct error *err)
{
    const struct run_parameters *p = run->p;
    int code = 0;
    for (size_t i = 0; i < p->event_count && code == 0; i++) {
        if (p->events[i].before_job)
            code = p->events[i].before_job(p->events[i].context, job, err);
    }
    return code == 0 ? p->backup(p->context, job->job, job->classes, backup, err) : code;
}

void run_note_backup(struct run_job *job, const struct backup_result *backup, struct arena *arena)
{
    job->has_snapshot = true;
    job->snapshot = backup->snapshot;
    job->statistics = backup->statistics;
    job->warning_count = backup->warning_count < RUN_WARNINGS_MAX ? backup->warning_count : RUN_WARNINGS_MAX;
    job->warnings = arena_alloc_array(arena, job->warning_count, sizeof *job->warnings);
    for (size_t i = 0; i < job->warning_count; i++)
        job->warnings[i] = arena_copy_string(arena, backup->warnings[i]);
    if (backup->statistics.warnings)
        make_worse(&job->exit_status, STATUS_WARNINGS);
}

static void run_job(struct run *run, struct run_job *job)
{
    struct backup_result backup = {0};
    struct error why;
    job->started = now_seconds();
    write_draft(run);
    int code = take(run, job, &backup, &why);
    if (code == 0) {
        run_note_backup(job, &backup, run->arena);
        run->taken++;
    } else {
        job->exit_status = (uint32_t)note_failure(run, &job->message, &why, "job ", job->job);
        run->failed[run->failed_count++] = job->job;
    }
    job->ended = now_seconds();
    const struct run_job_result result = {job, code ? &why : NULL, code ? NULL : &backup};
    run_after_job(run->p->events, run->p->event_count, &result);
    make_worse(&run->record->exit_status, (int)job->exit_status);
    write_draft(run);
    backup_result_free(&backup);
}

/* Those that the signal came before. */
static void skip_job(struct run_record *record, struct run_job *job)
{
    job->exit_status = STATUS_STOPPED;
    job->message = "not begun: the run was stopped by a signal";
    if (!*record->message)
        record->message = "stopped by a signal";
    record->interrupted = true;
    make_worse(&record->exit_status, STATUS_STOPPED);
}

void run_fail_jobs(struct run_record *record, const struct error *why, const volatile int *stop,
                   const struct run_events *events, size_t event_count)
{
    for (size_t i = 0; i < record->job_count; i++) {
        struct run_job *job = &record->jobs[i];
        if (*stop) {
            skip_job(record, job);
            continue;
        }
        job->started = job->ended = record->started;
        job->exit_status = record->exit_status;
        job->message = record->message;
        const struct run_job_result result = {job, why, NULL};
        run_after_job(events, event_count, &result);
    }
}

/* ---- after the jobs ---- */

static int prune(struct run *run, struct snapshot_list *list, struct run_prune *prune, struct error *err)
{
    struct prune_parameters parameters = run->p->prune;
    struct prune_result result = {0};
    parameters.failed_jobs = run->failed;
    parameters.failed_count = run->failed_count;
    int code = repository_sync(run->repository, err);
    if (code == 0)
        code = snapshots_load(run->repository, list, err);
    if (code == 0)
        code = prune_run(run->repository, list, &parameters, &result, err);
    /* What it has deleted is not to be looked for by those who come next. */
    if (code == 0 && result.collected)
        code = repository_sync(run->repository, err);
    prune->expired = code == 0 ? result.expired : 0;
    prune->held = result.held;
    if (code == 0 && result.held) {
        prune->message = arena_copy_string(run->arena, result.held_why);
        make_worse(&prune->exit_status, STATUS_WARNINGS);
    }
    prune->deleted_packs = result.collect.deleted_packs;
    prune->deleted_bytes = result.collect.deleted_bytes;
    prune->delayed_packs = result.collect.delayed_packs;
    prune->locked_objects = result.collect.locked_objects;
    prune_result_free(&result);
    return code;
}

static void run_prune(struct run *run)
{
    struct run_prune *record = arena_new(run->arena, struct run_prune);
    struct snapshot_list list = {0};
    struct error why;
    record->message = "";
    record->started = now_seconds();
    step(run, "prune: copying");
    int code = prune(run, &list, record, &why);
    step(run, NULL);
    if (code != 0)
        record->exit_status = (uint32_t)note_failure(run, &record->message, &why, "prune", "");
    record->ended = now_seconds();
    snapshots_free(&list);
    make_worse(&run->record->exit_status, (int)record->exit_status);
    run->record->prune = record;
}

/* Where this host's last verify ended; a verify that could not read went nowhere. False if none is due. */
static bool next_verify(struct run *run, const struct run_list *runs, uint32_t *first)
{
    const struct host_key *host = repository_host(run->repository);
    const struct run_verify *last = NULL;
    int64_t every = run->p->verify_every;
    *first = 0;
    for (size_t i = 0; i < runs->count; i++) {
        const struct run_record *r = &runs->list[i].record;
        if (r->verify && id16_equal(&r->host, &host->host))
            last = r->verify;
    }
    if (!last)
        return true;
    bool read = last->exit_status == STATUS_DONE || last->exit_status == STATUS_INTEGRITY;
    *first = last->first + (read ? (uint32_t)last->span : 0);
    /* A little early rather than one start of cron too late; and at once after a clock was set back. */
    int64_t ago = run->record->started - last->started;
    return !read || ago < 0 || ago >= every - every / 10;
}

static void run_verify(struct run *run, uint32_t first)
{
    struct run_verify *record = arena_new(run->arena, struct run_verify);
    struct verify_parameters parameters = run->p->verify;
    struct verify_result result = {0};
    struct snapshot_list list = {0};
    struct error why;
    record->message = "";
    record->started = now_seconds();
    record->first = parameters.first = first;
    record->span = parameters.span = (uint64_t)(parameters.sample / 100 * 4294967296.0);
    step(run, "verify");
    int code = snapshots_load(run->repository, &list, &why);
    if (code == 0)
        code = verify_run(run->repository, &list, &parameters, &result, &why);
    step(run, NULL);
    if (code != 0)
        record->exit_status = (uint32_t)note_failure(run, &record->message, &why, "verify", "");
    record->objects = result.objects;
    record->bytes = result.bytes;
    record->damaged = result.problems;
    record->ended = now_seconds();
    snapshots_free(&list);
    make_worse(&run->record->exit_status, (int)record->exit_status);
    run->record->verify = record;
}

static void verify_if_due(struct run *run)
{
    struct run_list runs = {0};
    struct error why;
    uint32_t first;
    int code = run->p->verify.sample > 0 ? runs_load(run->repository, &runs, &why) : 0;
    if (code != 0)
        fail_run(run, &why);
    else if (run->p->verify.sample > 0 && next_verify(run, &runs, &first))
        run_verify(run, first);
    runs_free(&runs);
}

static void describe_targets(struct run *run)
{
    struct run_record *record = run->record;
    record->target_count = repository_parameters(run->repository)->target_count;
    record->targets = arena_alloc_array(run->arena, record->target_count, sizeof *record->targets);
    for (size_t t = 0; t < record->target_count; t++) {
        struct repository_target target;
        repository_describe_target(run->repository, t, &target);
        record->targets[t] = (struct run_target){
            .name = arena_copy_string(run->arena, target.label),
            .behind = !target.active,
            .message = target.active ? "" : arena_copy_string(run->arena, target.why->message),
            .stored_bytes = target.stored_bytes,
            .objects = target.objects,
            .bytes = target.bytes};
        if (!target.active)
            make_worse(&record->exit_status, STATUS_BEHIND);
    }
}

/* ---- the record ---- */

static void leave_record(struct run *run)
{
    struct run_record *record = run->record;
    struct error why;
    int code = ERROR_CANCELLED;
    record->interrupted |= *run->p->stop != 0;
    record->ended = now_seconds();
    /* After a signal there is no time for targets. */
    if (run->repository && !*run->p->stop) {
        code = runs_append(run->repository, record, run->draft, &why);
        if (code != 0)
            log_warning("the record of this run waits for the next one to store it: %s", why.message);
    }
    if (code != 0 && runs_keep_waiting(run->p->state_folder, record, run->draft, &why) != 0)
        fail_run(run, &why);
}

/* Those that were due: none was taken. */
static void fail_all(struct run *run, struct error *why)
{
    fail_run(run, why);
    run_fail_jobs(run->record, why, run->p->stop, run->p->events, run->p->event_count);
    leave_record(run);
}

/* What may make the targets reachable in the first place. */
static int prepare(struct run *run, struct error *err)
{
    int code = 0;
    for (size_t i = 0; i < run->p->event_count && code == 0; i++) {
        if (run->p->events[i].prepare)
            code = run->p->events[i].prepare(run->p->events[i].context, run->record, err);
    }
    return code == 0 ? run->p->open(run->p->context, &run->repository, err) : code;
}

static int catch_up(struct run *run, struct error *err)
{
    uint64_t copied;
    step(run, "run: copying");
    int code = repository_catch_up(run->repository, false,
                                   (unsigned)repository_parameters(run->repository)->stall, &copied, err);
    step(run, NULL);
    /* One that may prune does it itself. */
    if (code == 0 && !repository_may_prune(run->repository))
        repository_warn_of_locks(run->repository);
    return code;
}

/* The targets know better what is due. */
static int begin(struct run *run, struct run_due *due, size_t *count, struct error *err)
{
    int code = lease_begin(run->repository, "run", err);
    if (code == 0)
        code = repository_sync(run->repository, err);
    if (code == 0)
        code = run_decide_by_repository(run->p, run->repository, run->record->started, due, count, err);
    if (code == 0)
        list_jobs(run, due);
    if (code == 0 && *count) {
        write_draft(run);
        EACH_EVENT(run, begin, run->record);
        code = catch_up(run, err);
    }
    return code;
}

static void work(struct run *run)
{
    struct run_record *record = run->record;
    struct error why;
    for (size_t i = 0; i < record->job_count; i++) {
        if (*run->p->stop)
            skip_job(record, &record->jobs[i]);
        else
            run_job(run, &record->jobs[i]);
    }
    step(run, "run: copying");
    int code = *run->p->stop ? 0 : repository_recover(run->repository, &why);
    step(run, NULL);
    if (code != 0)
        fail_run(run, &why);
    if (!*run->p->stop && run->taken && repository_may_prune(run->repository))
        run_prune(run);
    if (!*run->p->stop)
        verify_if_due(run);
    describe_targets(run);
}

void run_all(const struct run_parameters *p, const struct run_due *due_before, struct run_result *result)
{
    *result = (struct run_result){.record = {.command = p->command, .message = "", .started = now_seconds()}};
    struct run run = {.p = p, .result = result, .record = &result->record, .arena = &result->arena};
    struct error why;
    struct run_due *due = memory_alloc_array(p->request_count, sizeof *due);
    size_t count = 0;
    if (p->request_count)
        memcpy(due, due_before, p->request_count * sizeof *due);
    run.failed = memory_alloc_array(p->request_count, sizeof *run.failed);
    list_jobs(&run, due);
    write_draft(&run);
    int code = prepare(&run, &why);
    if (code == 0)
        code = begin(&run, due, &count, &why);
    if (code != 0 && result->record.job_count) {
        fail_all(&run, &why);
    } else if (count) {
        work(&run);
        leave_record(&run);
    } else {
        result->nothing_due = true;
        runs_drop_draft(run.draft);
        if (code == 0)
            code = runs_append_waiting(run.repository, &why);
        if (code != 0) {
            log_warning("%s", why.message);
            log_hint("%s", why.hint);
        }
    }
    EACH_EVENT(&run, end, run.record);
    p->close(p->context);
    EACH_EVENT(&run, leave, run.record);
    free(run.draft);
    free(run.failed);
    free(due);
}

void run_result_free(struct run_result *result)
{
    arena_free(&result->arena);
    *result = (struct run_result){0};
}
