#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/job_backup.h"
#include "cli/keep_of.h"
#include "cli/listener.h"
#include "cli/metrics.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/run_json.h"
#include "cli/run_plan.h"
#include "cli/schedule_of.h"
#include "cli/signals.h"
#include "cli/status.h"
#include "cli/targets.h"
#include "crypto/random.h"
#include "ops/run.h"
#include "repo/lock.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Of all repositories that -c names. */
struct process {
    int nice;    /* when it began */
    bool waited; /* for jitter */
};

/* One of them. */
struct start {
    const struct options *options;
    struct config *config;
    struct schedules schedules;
    struct run_request *requests;
    struct prune_job *prune_jobs;
    struct run_parameters parameters;
    struct lock *lock; /* of the state folder, while it works */
    struct wire wire;
    struct process *process;
    struct progress *progress;
};

/* ---- what run_all asks for ---- */

static int open_repository(void *context, struct repository **repository, struct error *err)
{
    struct start *s = context;
    int code = wire_open_config(s->options, s->config, s->lock, REPOSITORY_WRITE, WIRE_HOST, &s->wire, err);
    *repository = s->wire.repository;
    return code;
}

static void close_repository(void *context)
{
    struct start *s = context;
    wire_close(&s->wire);
}

static int take_snapshot(void *context, const char *job, uint32_t classes, struct backup_result *result,
                         struct error *err)
{
    struct start *s = context;
    return job_backup(s->options, &s->wire, config_find_job(s->config, job), classes, result, err);
}

static void report(void *context, const struct error *err)
{
    (void)context;
    status_report(err);
}

static void show_step(void *context, const char *what)
{
    struct start *s = context;
    if (what)
        s->progress = progress_watch(s->options, what, s->wire.repository);
    else
        progress_leave(s->progress, s->wire.repository);
}

static void show_verify(void *context, uint64_t bytes, uint64_t total)
{
    const struct start *s = context;
    progress_update(s->progress, bytes, total);
}

static void report_problem(void *context, const char *target, const char *object, const char *what,
                           bool repaired)
{
    (void)context;
    (void)repaired; /* run repairs nothing by itself */
    log_warning("target %s: %s: %s", target, object, what);
}

static void print_job(void *context, const struct run_job_result *result)
{
    const struct start *s = context;
    if (result->backup && !s->options->json && !s->options->quiet)
        job_print_result(result->record->job, result->backup);
}

static void print_end(void *context, const struct run_record *record)
{
    const struct start *s = context;
    char bytes[32];
    if (s->options->json || s->options->quiet)
        return;
    if (record->prune &&
        (record->prune->exit_status == STATUS_DONE || record->prune->exit_status == STATUS_WARNINGS))
        printf("prune: %llu snapshots removed, %llu packs deleted, %s\n",
               (unsigned long long)record->prune->expired, (unsigned long long)record->prune->deleted_packs,
               text_format_size(record->prune->deleted_bytes, bytes));
    if (record->verify && record->verify->exit_status == STATUS_DONE)
        printf("verify: nothing is missing; %llu packs read, %s, no damage\n",
               (unsigned long long)record->verify->objects, text_format_size(record->verify->bytes, bytes));
}

static void write_metrics(void *context, const struct run_record *record)
{
    struct start *s = context;
    (void)record; /* it is among the others already */
    metrics_write(s->config, &s->schedules, s->lock, s->wire.repository);
}

/* ---- before anything is asked of a target ---- */

static void fill_parameters(struct start *s)
{
    const struct config *c = s->config;
    s->requests = memory_alloc_array(c->job_count, sizeof *s->requests);
    s->prune_jobs = memory_alloc_array(c->job_count, sizeof *s->prune_jobs);
    size_t count = 0;
    for (size_t i = 0; i < c->job_count; i++) {
        s->prune_jobs[i] = (struct prune_job){c->jobs[i].name, keep_of(&c->jobs[i].keep)};
        if (job_is_chosen(s->options, &c->jobs[i]))
            s->requests[count++] = (struct run_request){c->jobs[i].name, &s->schedules.list[i]};
    }
    s->parameters = (struct run_parameters){.command = "run",
                                            .state_folder = c->repository.state_dir,
                                            .requests = s->requests,
                                            .request_count = count,
                                            .prune = {.jobs = s->prune_jobs,
                                                      .job_count = c->job_count,
                                                      .state_folder = c->repository.state_dir,
                                                      .clock_tolerance = c->repository.clock_tolerance,
                                                      .max_removal = (unsigned)c->prune.max_removal},
                                            .verify = {.sample = (double)c->verify.sample,
                                                       .problem = report_problem,
                                                       .progress = show_verify,
                                                       .progress_context = s,
                                                       .cancelled = signals_stop()},
                                            .verify_every = c->verify.every,
                                            .stop = signals_stop(),
                                            .context = s,
                                            .open = open_repository,
                                            .close = close_repository,
                                            .backup = take_snapshot,
                                            .report = report,
                                            .step = show_step};
}

/* A run that hangs keeps the others from their work, and leaves no record. */
static void tell_busy(const struct start *s, const struct error *err)
{
    int64_t now = (int64_t)time(NULL);
    const struct run_record record = {.command = s->parameters.command,
                                      .message = err->message,
                                      .started = now,
                                      .ended = now,
                                      .exit_status = STATUS_BUSY};
    struct listener listener = {.config = s->config, .repository = &s->wire.repository, .tells = true};
    listener_tell(&listener, &record);
    listener_free(&listener);
}

/* Runs that meet one another are no failure, unless one of them never ends. Another command is waited for a
 * little: *again. */
static int behind(const struct start *s, const struct error *why, int64_t waited, bool *again)
{
    struct lock_holder holder;
    struct error err = *why;
    char since[TEXT_TIME_SIZE], limit[32];
    int64_t now = (int64_t)time(NULL);
    bool is_run =
        lock_read_holder(s->config->repository.state_dir, &holder) && strcmp(holder.command, "run") == 0;
    /* Cron needs not know; who sits there wonders. */
    void (*say)(const char *, ...) = isatty(STDERR_FILENO) ? log_info : log_verbose;
    *again = !is_run && waited < s->config->run.lock_wait && !*signals_stop();
    if (*again) {
        if (waited == 0)
            say("%s: waiting for its end, for %s at most", why->message,
                text_format_duration((double)s->config->run.lock_wait, limit));
        return STATUS_BUSY;
    }
    if (is_run) {
        text_format_time(holder.since, since);
        if (llabs(now - holder.since) < s->config->run.max_runtime) { /* a clock may have been set back */
            say("a run is at work (process %ld since %s): nothing to do", holder.process, since);
            return STATUS_DONE;
        }
        error_set(&err, ERROR_BUSY,
                  "a run has been at work on this repository since %s, for longer than max_runtime (%s): "
                  "process %ld",
                  since, text_format_duration((double)s->config->run.max_runtime, limit), holder.process);
        error_hint(&err, "see what it does; if it must end: kill %ld, and the next run goes on from there",
                   holder.process);
    }
    status_report(&err);
    if (*signals_stop())
        return STATUS_STOPPED;
    tell_busy(s, &err);
    return STATUS_BUSY;
}

/* So that the hosts of a fleet do not all come at once. */
static void wait_a_little(int64_t jitter)
{
    uint64_t random;
    random_bytes(&random, sizeof random);
    int64_t wait = due_wait(jitter, random);
    struct timespec start, now;
    if (wait)
        log_verbose("waiting for %lld seconds, see jitter", (long long)wait);
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (now = start; now.tv_sec - start.tv_sec < wait && !*signals_stop();) {
        poll(NULL, 0, 100);
        clock_gettime(CLOCK_MONOTONIC, &now);
    }
}

#define IOPRIO_PROCESS 1
#define IOPRIO_CLASS(class, level) ((class) << 13 | (level))

/* Threads that are started later have them as well. That a kernel or a container refuses is no reason to take
 * no backup. */
static void set_priorities(const struct start *s)
{
    static const int classes[] = {[CONFIG_IONICE_NONE] = IOPRIO_CLASS(0, 0),
                                  [CONFIG_IONICE_BEST_EFFORT] = IOPRIO_CLASS(2, 7),
                                  [CONFIG_IONICE_IDLE] = IOPRIO_CLASS(3, 0)};
    const struct config_run *run = &s->config->run;
    int nice = run->nice ? (int)run->nice : s->process->nice;
    if (setpriority(PRIO_PROCESS, 0, nice) != 0)
        log_warning("nice = %d is refused by the system", nice);
    if (syscall(SYS_ioprio_set, IOPRIO_PROCESS, 0, classes[run->ionice]) != 0 && run->ionice)
        log_warning("ionice is refused by the system");
}

static void print_nothing(const struct start *s)
{
    if (s->options->json)
        output_json_print(json_pack("{s:s, s:i, s:[]}", "repository", s->config->repository.name,
                                    "exit_status", STATUS_DONE, "jobs"));
    else if (!s->options->quiet && isatty(STDOUT_FILENO))
        puts("nothing is due; holdfast schedule shows what is next"); /* who is not there need not know */
}

/* ---- the run ---- */

static int finish(const struct start *s, const struct run_result *result, unsigned undelivered)
{
    const struct run_record *record = &result->record;
    char took[32];
    if (result->nothing_due) {
        print_nothing(s);
        return STATUS_DONE;
    }
    if (record->ended - record->started > s->config->run.max_runtime)
        log_warning("the run took %s, longer than max_runtime",
                    text_format_duration((double)(record->ended - record->started), took));
    if (s->options->json) {
        json_t *o = run_json(s->config->repository.name, record);
        json_object_set_new(o, "exit_status", json_integer(signals_exit_status((int)record->exit_status)));
        output_json_number(o, "undelivered", undelivered);
        output_json_print(o);
    }
    return (int)record->exit_status;
}

/* What else than another process keeps it from its lock keeps it from opening the repository, too. */
static int run_due(struct start *s, const struct run_due *due, int *status, struct error *err)
{
    struct run_result result;
    if (lock_take(s->config->repository.state_dir, s->parameters.command, &s->lock, err) == ERROR_BUSY)
        return ERROR_BUSY;
    struct listener listener = {.config = s->config, .repository = &s->wire.repository, .tells = true};
    /* Telling people may take its time. */
    const struct run_events events[] = {{.context = s, .after_job = print_job, .end = print_end},
                                        {.context = s, .end = write_metrics},
                                        listener_events(&listener)};
    s->parameters.events = events;
    s->parameters.event_count = sizeof events / sizeof *events;
    set_priorities(s);
    run_all(&s->parameters, due, &result);
    *status = status_worse(finish(s, &result, listener.undelivered), listener_status(&listener));
    run_result_free(&result);
    listener_free(&listener);
    lock_release(s->lock);
    s->lock = NULL;
    return 0;
}

/* Records of runs that no target has taken yet. */
static bool records_wait(const struct start *s)
{
    struct run_list runs = {0};
    struct error ignored;
    bool wait = runs_load_waiting(s->config->repository.state_dir, &runs, &ignored) == 0 && runs.count > 0;
    runs_free(&runs);
    return wait;
}

/* Decides, and runs if something is due, a record waits, or there are no metrics of what is configured. BUSY,
 * or 0 and the exit status. */
static int try_run(struct start *s, int *status, struct error *err)
{
    struct success_list successes;
    struct run_due *due = memory_alloc_array(s->parameters.request_count, sizeof *due);
    const struct config_repository *r = &s->config->repository;
    int code = successes_read_local(r->state_dir, r->key_file, "run", &successes, err);
    size_t count = run_decide(&s->parameters, &successes, (int64_t)time(NULL), due);
    successes_free(&successes);
    /* What else goes wrong here goes wrong again when the repository is opened. */
    if (code != ERROR_BUSY)
        code = 0;
    if (code == 0 && count == 0 && !records_wait(s) && metrics_touch(s->config)) {
        print_nothing(s);
    } else if (code == 0) {
        if (!s->process->waited && !isatty(STDERR_FILENO))
            wait_a_little(s->config->run.jitter);
        s->process->waited = true;
        if (*signals_stop()) {
            log_warning("stopped by a signal: nothing was begun");
            *status = STATUS_STOPPED;
        } else {
            code = run_due(s, due, status, err);
        }
    }
    free(due);
    return code;
}

static int start(struct start *s)
{
    struct error err;
    int status = STATUS_DONE;
    bool again = true;
    for (int64_t seconds = 0; again; seconds++) {
        again = false;
        if (try_run(s, &status, &err) != 0)
            status = behind(s, &err, seconds, &again);
        if (again)
            sleep(1);
    }
    return status;
}

static int run_file(const struct options *options, const char *file, void *context)
{
    struct start s = {.options = options, .process = context};
    struct error err;
    int status;
    log_verbose("%s:", file);
    int code = targets_load(file, true, &s.config, &err);
    if (code == 0)
        code = job_check_names(options, s.config, &err);
    if (code == 0)
        code = schedules_load(s.config, (int64_t)time(NULL), &s.schedules, &err);
    if (code == 0) {
        fill_parameters(&s);
        status = options->dry_run ? run_plan_print(options, s.config, &s.parameters) : start(&s);
    } else {
        status = status_report(&err);
    }
    free(s.requests);
    free(s.prune_jobs);
    schedules_free(&s.schedules);
    config_free(s.config);
    return status;
}

int cmd_run(const struct options *options)
{
    struct process process = {.nice = getpriority(PRIO_PROCESS, 0)};
    if (!options->dry_run)
        signals_install();
    return wire_each_file(options, run_file, &process);
}
