#include "cli/metrics.h"

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/wire.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

/* ---- the text format ---- */

struct renderer {
    const struct overview *overview;
    const char *repository;
    struct buffer *out;
};

static void begin(const struct renderer *r, const char *name, const char *help)
{
    buffer_append_format(r->out, "# HELP holdfast_%s %s\n# TYPE holdfast_%s gauge\n", name, help, name);
}

/* A backslash, a quote and a newline have an escape each; what is no text at all was made visible before. */
static void append_label(const struct renderer *r, const char *label, const char *value)
{
    char *shown = text_printable(value);
    buffer_append_format(r->out, "%s=\"", label);
    for (const char *c = shown; *c; c++)
        buffer_append_format(r->out, *c == '\\' || *c == '"' ? "\\%c" : "%c", *c);
    buffer_append_string(r->out, "\"");
    free(shown);
}

/* With up to two labels besides the repository's; NULL: none. */
static void sample(const struct renderer *r, const char *name, const char *label1, const char *value1,
                   const char *label2, const char *value2, int64_t value)
{
    buffer_append_format(r->out, "holdfast_%s{", name);
    append_label(r, "repository", r->repository);
    if (label1) {
        buffer_append_string(r->out, ",");
        append_label(r, label1, value1);
    }
    if (label2) {
        buffer_append_string(r->out, ",");
        append_label(r, label2, value2);
    }
    buffer_append_format(r->out, "} %" PRId64 "\n", value);
}

/* ---- jobs ---- */

/* Each gives false where there is nothing to say. */
struct job_metric {
    const char *name, *help;
    bool (*get)(const struct overview_job *job, int64_t *value);
};

#define GETTER(function, type, known, expression)                                                            \
    static bool function(const struct type *x, int64_t *value)                                               \
    {                                                                                                        \
        if (known)                                                                                           \
            *value = (int64_t)(expression);                                                                  \
        return known;                                                                                        \
    }

GETTER(job_health, overview_job, true, x->health)
GETTER(job_snapshots, overview_job, true, x->snapshots)
GETTER(job_duration, overview_job, x->newest, x->newest->manifest.ended - x->newest->manifest.started)
GETTER(job_files, overview_job, x->newest, x->newest->manifest.statistics.files)
GETTER(job_source, overview_job, x->newest, x->newest->manifest.statistics.bytes)
GETTER(job_read, overview_job, x->newest, x->newest->manifest.statistics.bytes_read)
GETTER(job_new, overview_job, x->newest, x->newest->manifest.statistics.bytes_new)
GETTER(job_stored, overview_job, x->newest, x->newest->manifest.statistics.bytes_stored)
GETTER(job_warnings, overview_job, x->newest, x->newest->manifest.statistics.warnings)
GETTER(job_run_time, overview_job, x->run_job, x->run_job->ended)
GETTER(job_run_duration, overview_job, x->run_job, x->run_job->ended - x->run_job->started)
GETTER(job_run_status, overview_job, x->run_job, x->run_job->exit_status)

static const struct job_metric job_metrics[] = {
    {"job_health", "0 ok, 1 never run, 2 warning, 3 overdue, 4 failing, when this file was written.",
     job_health},
    {"job_snapshots", "Snapshots of the job that there are.", job_snapshots},
    {"job_duration_seconds", "How long the newest snapshot took.", job_duration},
    {"job_files", "Files in the newest snapshot.", job_files},
    {"job_source_bytes", "Size of what the newest snapshot holds.", job_source},
    {"job_read_bytes", "Of them, what was read: the rest had not changed.", job_read},
    {"job_new_bytes", "Of them, what no snapshot held before.", job_new},
    {"job_stored_bytes", "What the newest snapshot stored on each target, compressed and encrypted.",
     job_stored},
    {"job_warnings", "What could not be read for the newest snapshot.", job_warnings},
    {"job_last_run_timestamp_seconds", "When the last run that took the job up was done with it.",
     job_run_time},
    {"job_last_run_duration_seconds", "How long that took.", job_run_duration},
    {"job_last_run_exit_status", "Its exit status, see holdfast(1): 0, 3 and 6 left a snapshot.",
     job_run_status},
};

static void render_jobs(const struct renderer *r)
{
    const struct overview *o = r->overview;
    int64_t value;
    for (size_t m = 0; m < sizeof job_metrics / sizeof *job_metrics; m++) {
        begin(r, job_metrics[m].name, job_metrics[m].help);
        for (size_t i = 0; i < o->job_count; i++) {
            if (job_metrics[m].get(&o->jobs[i], &value))
                sample(r, job_metrics[m].name, "backup_job", o->jobs[i].name, NULL, NULL, value);
        }
    }
}

/* ---- classes of jobs ---- */

#define NOTHING INT64_MIN /* is to be said */

static int64_t last_success(const struct overview *o, const struct overview_job *job, unsigned c)
{
    (void)o;
    return job->last_success[c] ? job->last_success[c] : NOTHING;
}

static int64_t success_age(const struct overview *o, const struct overview_job *job, unsigned c)
{
    return job->last_success[c] ? o->now - job->last_success[c] : NOTHING;
}

static int64_t due_at(const struct overview *o, const struct overview_job *job, unsigned c)
{
    (void)o;
    if (c >= DUE_CLASS_COUNT || !job->decisions[c].set)
        return NOTHING;
    return job->decisions[c].due ? job->decisions[c].since : job->decisions[c].next;
}

static int64_t overdue_at(const struct overview *o, const struct overview_job *job, unsigned c)
{
    (void)o;
    return c < DUE_CLASS_COUNT && job->overdue_at[c] ? job->overdue_at[c] : NOTHING;
}

static const struct {
    const char *name, *help;
    int64_t (*get)(const struct overview *o, const struct overview_job *job, unsigned c);
} class_metrics[] = {
    {"job_last_success_timestamp_seconds", "When the newest snapshot of the class began.", last_success},
    {"job_last_success_age_seconds", "How old that was when this file was written.", success_age},
    {"job_due_timestamp_seconds", "When a snapshot of the class is due, or was due first.", due_at},
    {"job_overdue_timestamp_seconds", "When the class is overdue if nothing succeeds before.", overdue_at},
};

static void render_classes(const struct renderer *r)
{
    const struct overview *o = r->overview;
    for (size_t m = 0; m < sizeof class_metrics / sizeof *class_metrics; m++) {
        begin(r, class_metrics[m].name, class_metrics[m].help);
        for (size_t i = 0; i < o->job_count; i++) {
            for (unsigned c = 0; c < KEEP_CLASS_COUNT; c++) {
                int64_t value = class_metrics[m].get(o, &o->jobs[i], c);
                if (value != NOTHING)
                    sample(r, class_metrics[m].name, "backup_job", o->jobs[i].name, "class",
                           keep_class_name(c), value);
            }
        }
    }
}

/* ---- targets ---- */

GETTER(target_up, overview_target, true, x->answers)
GETTER(target_missing, overview_target, x->answers, x->missing_count)
GETTER(target_behind, overview_target, x->behind_since, x->behind_since)
GETTER(target_newest, overview_target, x->newest, x->newest)
GETTER(target_used, overview_target, x->used_known, x->used)
GETTER(target_stored, overview_target, x->last, x->last->stored_bytes)

static const struct {
    const char *name, *help;
    bool (*get)(const struct overview_target *target, int64_t *value);
} target_metrics[] = {
    {"target_up", "1 if the target could be used when this file was written, else 0.", target_up},
    {"target_missing_snapshots", "Snapshots that the target lacks.", target_missing},
    {"target_behind_since_timestamp_seconds", "When the oldest snapshot began that the target lacks.",
     target_behind},
    {"target_newest_snapshot_timestamp_seconds", "When the newest snapshot on the target began.",
     target_newest},
    {"target_used_bytes", "What the repository takes there, older versions of objects not counted.",
     target_used},
    {"target_stored_bytes", "What the last run stored there.", target_stored},
};

static void render_targets(const struct renderer *r)
{
    const struct overview *o = r->overview;
    int64_t value;
    for (size_t m = 0; m < sizeof target_metrics / sizeof *target_metrics; m++) {
        begin(r, target_metrics[m].name, target_metrics[m].help);
        for (size_t t = 0; t < o->target_count; t++) {
            if (target_metrics[m].get(&o->targets[t], &value))
                sample(r, target_metrics[m].name, "target", o->targets[t].name, NULL, NULL, value);
        }
    }
    begin(r, "target_lag_seconds",
          "How old the oldest snapshot was that the target lacked when this file was written.");
    for (size_t t = 0; t < o->target_count; t++) {
        const struct overview_target *target = &o->targets[t];
        if (target->answers)
            sample(r, "target_lag_seconds", "target", target->name, NULL, NULL,
                   target->behind_since ? o->now - target->behind_since : 0);
    }
}

/* ---- the repository ---- */

GETTER(written, overview, true, x->now)
GETTER(run_time, overview, x->last_run, x->last_run->ended)
GETTER(run_duration, overview, x->last_run, x->last_run->ended - x->last_run->started)
GETTER(run_status, overview, x->last_run, x->last_run->exit_status)
GETTER(waiting, overview, true, x->waiting)
GETTER(verify_time, overview, x->verify.time, x->verify.time)
GETTER(verify_overdue, overview, x->verify_overdue_at, x->verify_overdue_at)
GETTER(damaged, overview, true, x->damage ? x->damage->damaged : 0)
GETTER(drill_time, overview, x->drill, x->drill->drill->ended)
GETTER(drill_status, overview, x->drill, x->drill->drill->exit_status)

static const struct {
    const char *name, *help;
    bool (*get)(const struct overview *overview, int64_t *value);
} repository_metrics[] = {
    {"written_timestamp_seconds", "When this file was written.", written},
    {"last_run_timestamp_seconds", "When the last run that had something to do ended.", run_time},
    {"last_run_duration_seconds", "How long it took.", run_duration},
    {"last_run_exit_status",
     "Its exit status, see holdfast(1): 0 done, 3 with warnings, 6 a target is behind.", run_status},
    {"waiting_records", "Records of runs that no target has taken yet.", waiting},
    {"last_verify_timestamp_seconds", "When the last verify ended.", verify_time},
    {"verify_overdue_timestamp_seconds", "When the last verify is too old.", verify_overdue},
    {"damaged_objects", "Objects that a verify found damaged: not found good since, nor acknowledged.",
     damaged},
    {"last_drill_timestamp_seconds", "When the last restore drill ended.", drill_time},
    {"last_drill_exit_status", "Its exit status, see holdfast(1).", drill_status},
};

static void render_repository(const struct renderer *r)
{
    const struct overview *o = r->overview;
    int64_t value, problems[OVERVIEW_LEVEL_COUNT] = {0};
    for (size_t m = 0; m < sizeof repository_metrics / sizeof *repository_metrics; m++) {
        begin(r, repository_metrics[m].name, repository_metrics[m].help);
        if (repository_metrics[m].get(o, &value))
            sample(r, repository_metrics[m].name, NULL, NULL, NULL, NULL, value);
    }
    begin(r, "unconfigured_job_snapshots", "Snapshots of a job that is not configured any more.");
    for (size_t i = 0; i < o->orphan_count; i++)
        sample(r, "unconfigured_job_snapshots", "backup_job", o->orphans[i].name, NULL, NULL,
               (int64_t)o->orphans[i].snapshots);
    for (size_t i = 0; i < o->problem_count; i++)
        problems[o->problems[i].level]++;
    begin(r, "problems", "What holdfast status would show, when this file was written.");
    for (int level = OVERVIEW_DAMAGE; level >= 0; level--)
        sample(r, "problems", "severity", overview_level_name((enum overview_level)level), NULL, NULL,
               problems[level]);
}

void metrics_render(const struct overview *overview, const char *repository, struct buffer *out)
{
    const struct renderer r = {overview, repository, out};
    render_repository(&r);
    render_jobs(&r);
    render_classes(&r);
    render_targets(&r);
}

/* ---- the file ---- */

static int render_what_is_known(struct config *config, const struct schedules *schedules, struct lock *lock,
                                struct repository *repository, struct buffer *out, struct error *err)
{
    struct wire wire = {0};
    struct overview_facts facts = {0};
    struct error unanswered = {.code = ERROR_FAILED, .message = "the last run could not open the repository"};
    int64_t known = 0;
    bool offline = !repository;
    /* Without anything that is known the jobs that never ran are still worth a file. */
    if (offline && wire_open_offline(config, lock, &wire, &known, err) == 0)
        repository = wire.repository;
    int code = overview_of(config, schedules, repository, (int64_t)time(NULL), known, NULL,
                           offline ? &unanswered : NULL, &facts, err);
    if (code == 0)
        metrics_render(&facts.overview, config->repository.name, out);
    overview_facts_free(&facts);
    wire_close(&wire);
    return code;
}

void metrics_write(struct config *config, const struct schedules *schedules, struct lock *lock,
                   struct repository *repository)
{
    struct buffer text = {0};
    struct error err = {0};
    const char *path = config->metrics.textfile;
    if (!path)
        return;
    int code = render_what_is_known(config, schedules, lock, repository, &text, &err);
    if (code == 0)
        code = file_write_atomic(path, buffer_bytes(&text), 0644, &err);
    if (code != 0) {
        log_warning("metrics: %s", err.message);
        log_hint("%s", err.hint);
    }
    buffer_free(&text);
}

bool metrics_touch(const struct config *config)
{
    const char *path = config->metrics.textfile;
    struct stat written, changed;
    if (!path)
        return true;
    if (stat(path, &written) != 0 ||
        (stat(config->path, &changed) == 0 && changed.st_ctim.tv_sec >= written.st_mtim.tv_sec))
        return false;
    utimensat(AT_FDCWD, path, NULL, 0);
    return true;
}
