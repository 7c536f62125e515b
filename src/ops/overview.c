#include "ops/overview.h"

#include "base/memory.h"
#include "base/text.h"
#include "ops/overview_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- jobs ---- */

/* What took it up last; a run that was stopped before it came to it did not. */
static void find_run(const struct overview_make *m, struct overview_job *job)
{
    const struct run_list *runs = m->parameters->runs;
    for (size_t i = runs->count; i-- > 0 && !job->run;) {
        const struct run_record *record = &runs->list[i].record;
        if (!overview_is_own_run(m, &runs->list[i]))
            continue;
        for (size_t k = 0; k < record->job_count; k++) {
            if (record->jobs[k].started && strcmp(record->jobs[k].job, job->name) == 0) {
                job->run = record;
                job->run_job = &record->jobs[k];
            }
        }
    }
}

static void find_next(struct overview_job *job, int64_t now)
{
    for (unsigned c = 0; c < DUE_CLASS_COUNT; c++) {
        const struct due_decision *d = &job->decisions[c];
        if (!d->set)
            continue;
        int64_t next = d->due ? now : d->next;
        if (!job->next || next < job->next)
            job->next_classes = 0;
        if (!job->next || next <= job->next) {
            job->next = next;
            job->next_classes |= KEEP_CLASS_BIT(c);
        }
    }
}

static void judge_job(const struct overview_make *m, struct overview_job *job)
{
    struct verdict_job facts = {.working = m->overview->holder ? m->overview->holder->since : 0};
    memcpy(facts.decisions, job->decisions, sizeof facts.decisions);
    for (size_t c = 0; c < KEEP_CLASS_COUNT; c++)
        facts.last_success =
            job->last_success[c] > facts.last_success ? job->last_success[c] : facts.last_success;
    if (m->repository && !job->newest)
        facts.last_success = 0; /* there were some, and none is left */
    if (job->newest && !acknowledged_has(m->parameters->acknowledged, &job->newest->sha256))
        facts.last_warnings = job->newest->manifest.statistics.warnings;
    if (job->run_job) {
        facts.last_run = job->run_job->started;
        facts.last_run_failed = overview_is_failure(job->run_job->exit_status) &&
                                !overview_is_acknowledged(m, overview_entry_of(job->run));
    }
    job->health = verdict_of_job(&facts);
}

static void look_at_job(struct overview_make *m, size_t index, struct overview_job *job)
{
    const struct snapshot_list *list = m->parameters->snapshots;
    job->name = m->parameters->jobs[index];
    for (size_t i = 0; i < list->count; i++) {
        const struct snapshot *s = &list->list[i];
        if (!overview_is_ours(m, &s->manifest) || strcmp(s->manifest.job, job->name) != 0)
            continue;
        job->snapshots++;
        job->newest = s;
    }
    size_t count;
    struct due_success *successes = successes_of_job(m->parameters->successes, job->name, &count);
    for (size_t i = 0; i < count; i++) {
        for (unsigned c = 0; c < KEEP_CLASS_COUNT; c++) {
            if (successes[i].classes >> c & 1 && successes[i].started > job->last_success[c])
                job->last_success[c] = successes[i].started;
        }
    }
    due_decide(&m->parameters->schedules[index], m->overview->now, successes, count, job->decisions);
    free(successes);
    for (size_t c = 0; c < DUE_CLASS_COUNT; c++)
        job->overdue_at[c] = verdict_overdue_at(&job->decisions[c]);
    find_run(m, job);
    find_next(job, m->overview->now);
    judge_job(m, job);
}

static bool is_configured(const struct overview_make *m, const char *job)
{
    for (size_t i = 0; i < m->parameters->job_count; i++) {
        if (strcmp(m->parameters->jobs[i], job) == 0)
            return true;
    }
    return false;
}

static void note_orphan(struct overview *o, const struct snapshot *s)
{
    size_t i = 0;
    while (i < o->orphan_count && strcmp(o->orphans[i].name, s->manifest.job) != 0)
        i++;
    struct overview_orphan *orphan = &o->orphans[i];
    o->orphan_count += i == o->orphan_count;
    orphan->name = s->manifest.job;
    orphan->snapshots++;
    orphan->pinned += s->pinned;
    if (s->manifest.started > orphan->newest)
        orphan->newest = s->manifest.started;
}

static void find_orphans(struct overview_make *m)
{
    const struct snapshot_list *list = m->parameters->snapshots;
    m->overview->orphans =
        arena_alloc_array(&m->overview->arena, list->count + 1, sizeof *m->overview->orphans);
    for (size_t i = 0; i < list->count; i++) {
        if (overview_is_ours(m, &list->list[i].manifest) && !is_configured(m, list->list[i].manifest.job))
            note_orphan(m->overview, &list->list[i]);
    }
}

/* ---- targets ---- */

static void find_missing(const struct overview_make *m, size_t t, struct overview_target *target)
{
    const struct snapshot_list *list = m->parameters->snapshots;
    target->missing = arena_alloc_array(&m->overview->arena, list->count + 1, sizeof *target->missing);
    for (size_t i = 0; i < list->count; i++) {
        int64_t started = list->list[i].manifest.started;
        if (list->list[i].targets >> t & 1) {
            target->newest = started > target->newest ? started : target->newest;
            continue;
        }
        target->missing[target->missing_count++] = &list->list[i];
        if (!target->behind_since || started < target->behind_since)
            target->behind_since = started;
    }
}

/* By the last run that got so far as to look at it. */
static const struct run_target *find_target(const struct overview_make *m, const char *name)
{
    const struct run_list *runs = m->parameters->runs;
    for (size_t r = runs->count; r-- > 0;) {
        const struct run_record *run = &runs->list[r].record;
        for (size_t i = 0; i < run->target_count && overview_is_own_run(m, &runs->list[r]); i++) {
            if (strcmp(run->targets[i].name, name) == 0)
                return &run->targets[i];
        }
    }
    return NULL;
}

/* What was put at about the time of a manifest is locked as long, and moved on by the same prune. */
static void find_locks(const struct overview_make *m, size_t t, struct overview_target *target)
{
    const struct snapshot_list *list = m->parameters->snapshots;
    struct id *manifests = memory_alloc_array(list->count, sizeof *manifests);
    for (size_t i = 0; i < list->count; i++)
        manifests[i] = list->list[i].sha256;
    inspect_locks(m->repository, t, manifests, list->count, &target->locks);
    free(manifests);
}

static void look_at_target(struct overview_make *m, size_t t, struct overview_target *target)
{
    struct repository_target now = {.why = m->parameters->unanswered};
    target->name = m->parameters->targets[t];
    target->last = find_target(m, target->name);
    if (m->repository && !m->parameters->unanswered)
        repository_describe_target(m->repository, t, &now);
    target->answers = now.active;
    if (target->answers) {
        target->used = now.bytes;
        target->hidden = now.hidden;
        target->used_known = true;
        find_missing(m, t, target);
        find_locks(m, t, target);
        return;
    }
    target->why = now.why;
    if (target->last && target->last->bytes) {
        target->used = target->last->bytes;
        target->used_known = true;
    }
}

/* ---- runs ---- */

static void look_at_runs(struct overview_make *m)
{
    const struct run_list *runs = m->parameters->runs;
    struct overview *o = m->overview;
    for (size_t i = 0; i < runs->count; i++) {
        o->waiting += runs->list[i].waits;
        /* Of a backup by hand there is a record only if it failed: it counts for its jobs. */
        if (!overview_is_own_run(m, &runs->list[i]) || strcmp(runs->list[i].record.command, "backup") == 0)
            continue;
        o->last_run = &runs->list[i].record;
        if (o->last_run->drill)
            o->drill = o->last_run;
    }
}

static int compare_checks(const void *a, const void *b)
{
    const struct verdict_check *x = a, *y = b;
    return (x->time > y->time) - (x->time < y->time);
}

/* Those of runs and those by hand, in their order. Another host's count, too: the targets are the same. */
static void look_at_checks(struct overview_make *m)
{
    const struct run_list *runs = m->parameters->runs;
    struct overview *o = m->overview;
    struct verdict_check *checks = arena_alloc_array(&o->arena, runs->count + 3, sizeof *checks);
    size_t count = 0;
    const struct verify_note *note = &m->note;
    verify_note_load(m->parameters->state_folder, &m->note);
    for (size_t i = 0; i < runs->count; i++) {
        const struct run_verify *v = runs->list[i].record.verify;
        /* One that could not be brought to its end is none. */
        if (!v || (v->exit_status != STATUS_DONE && v->exit_status != STATUS_INTEGRITY))
            continue;
        checks[count++] =
            (struct verdict_check){v->ended, v->exit_status == STATUS_INTEGRITY ? v->damaged : 0,
                                   v->span >> 32 != 0, overview_is_acknowledged(m, &runs->list[i])};
        if (v->ended >= o->verify.time) {
            o->verify = checks[count - 1];
            o->verify_objects = v->objects;
            o->verify_bytes = v->bytes;
        }
    }
    const struct verdict_check by_hand[] = {note->damage, note->clean, note->last};
    for (size_t i = 0; i < sizeof by_hand / sizeof *by_hand; i++) {
        if (!by_hand[i].time)
            continue;
        checks[count] = by_hand[i];
        checks[count++].acknowledged = acknowledged_has_check(m->parameters->acknowledged, by_hand[i].time);
    }
    if (note->last.time > o->verify.time) {
        o->verify = note->last;
        o->verify_objects = note->objects;
        o->verify_bytes = note->bytes;
    }
    qsort(checks, count, sizeof *checks, compare_checks);
    o->damage = verdict_damage(checks, count);
}

static int64_t first_snapshot(const struct snapshot_list *list)
{
    int64_t first = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (!first || list->list[i].manifest.started < first)
            first = list->list[i].manifest.started;
    }
    return first;
}

void overview_make(struct repository *repository, const struct overview_parameters *p, struct overview *o)
{
    struct overview_make m = {.repository = repository, .parameters = p, .overview = o};
    *o = (struct overview){.now = p->now, .known = p->known, .holder = p->holder};
    m.host = repository && repository_host(repository) ? &repository_host(repository)->host : NULL;
    m.collapsed = collapsed_judge(p->snapshots, p->acknowledged);
    look_at_runs(&m);
    o->job_count = p->job_count;
    o->jobs = arena_alloc_array(&o->arena, p->job_count + 1, sizeof *o->jobs);
    for (size_t i = 0; i < p->job_count; i++)
        look_at_job(&m, i, &o->jobs[i]);
    find_orphans(&m);
    o->target_count = p->target_count;
    o->targets = arena_alloc_array(&o->arena, p->target_count + 1, sizeof *o->targets);
    for (size_t t = 0; t < p->target_count; t++)
        look_at_target(&m, t, &o->targets[t]);
    look_at_checks(&m);
    o->verify_overdue_at =
        verdict_verify_overdue_at(o->verify.time, first_snapshot(p->snapshots), p->verify_every);
    o->past.runs.list = arena_alloc_array(&o->arena, p->runs->count + 1, sizeof *o->past.runs.list);
    o->past.snapshots.list =
        arena_alloc_array(&o->arena, p->snapshots->count + 1, sizeof *o->past.snapshots.list);
    o->past.checks = arena_new(&o->arena, int64_t);
    overview_find_problems(&m);
    free(m.collapsed);
}

void overview_free(struct overview *o)
{
    free(o->problems);
    arena_free(&o->arena);
    *o = (struct overview){0};
}
