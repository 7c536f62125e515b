/* From facts to what is wrong and what to do about it. */
#include "base/memory.h"
#include "base/text.h"
#include "ops/brake_note.h"
#include "ops/overview_internal.h"
#include "policy/removal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *overview_level_name(enum overview_level level)
{
    static const char *const names[] = {[OVERVIEW_WARNING] = "warning",
                                        [OVERVIEW_BEHIND] = "behind",
                                        [OVERVIEW_FAILED] = "failed",
                                        [OVERVIEW_DAMAGE] = "damage"};
    return names[level];
}

__attribute__((format(printf, 2, 3))) static const char *text(struct overview_make *m, const char *format,
                                                              ...)
{
    char *made = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&made, format, arguments) < 0)
        made = NULL;
    va_end(arguments);
    const char *kept = arena_copy_string(&m->overview->arena, made ? made : "");
    free(made);
    return kept;
}

/* Behind those that are as bad or worse. Valid until the next. */
static struct overview_problem *add(struct overview_make *m, enum overview_level level, int64_t since,
                                    const char *what, const char *todo)
{
    struct overview *o = m->overview;
    memory_reserve_one(o->problems, o->problem_count, m->problem_capacity);
    size_t at = o->problem_count++;
    for (; at > 0 && o->problems[at - 1].level < level; at--)
        o->problems[at] = o->problems[at - 1];
    o->problems[at] = (struct overview_problem){level, what, todo, since, false};
    return &o->problems[at];
}

/* There is room for each there may be. */
static void add_id(struct id_list *ids, const struct id *id)
{
    for (size_t i = 0; i < ids->count; i++) {
        if (id_equal(&ids->list[i], id))
            return;
    }
    ids->list[ids->count++] = *id;
}

/* A problem that is a fact of one run: who knows of it may put it aside, once its record is stored. */
static void add_of_run(struct overview_make *m, enum overview_level level, const struct run_record *run,
                       int64_t since, const char *what, const char *todo)
{
    const struct run_entry *entry = overview_entry_of(run);
    struct overview_problem *problem = add(m, level, since, what, todo);
    problem->past = !entry->waits;
    if (problem->past)
        add_id(&m->overview->past.runs, &entry->sha256);
}

static const char *reason(const char *message)
{
    return *message ? message : "no reason is on record";
}

/* A target's message without the "target NAME: " before it, which is said already. */
static const char *target_reason(const char *message, const char *name)
{
    static const char kind[] = "target ";
    size_t kind_length = strlen(kind), name_length = strlen(name);
    if (strncmp(message, kind, kind_length) == 0 && strncmp(message + kind_length, name, name_length) == 0 &&
        strncmp(message + kind_length + name_length, ": ", 2) == 0)
        message += kind_length + name_length + 2;
    return reason(message);
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

/* ---- jobs ---- */

static void add_overdue(struct overview_make *m, const struct overview_job *job)
{
    struct buffer classes = {0};
    int64_t since = 0;
    for (unsigned c = 0; c < DUE_CLASS_COUNT; c++) {
        const struct due_decision *d = &job->decisions[c];
        if (!d->overdue)
            continue;
        buffer_append_format(&classes, "%s%s", classes.size ? ", " : "", keep_class_name(c));
        since = !since || d->since < since ? d->since : since;
    }
    add(m, OVERVIEW_FAILED, since, text(m, "job %s is overdue: %s", job->name, buffer_string(&classes)),
        text(m, "holdfast run %s; does cron start holdfast run? see holdfast schedule", job->name));
    buffer_free(&classes);
}

/* A snapshot that has collapsed: of this host, or of any where this host prunes and thus decides. */
static void look_at_collapse(struct overview_make *m, const struct snapshot *s, const struct collapsed *c)
{
    char less[COLLAPSED_TEXT_SIZE];
    bool ours = overview_is_ours(m, &s->manifest);
    if (!c->newest || !c->verdict.collapsed || (!ours && !repository_may_prune(m->repository)))
        return;
    add(m, OVERVIEW_WARNING, c->since,
        text(m, "job %s%s%s has collapsed: %s", s->manifest.job, ours ? "" : " of host ",
             ours ? "" : s->manifest.host_name, collapsed_text(&s->manifest.statistics, &c->verdict, less)),
        "see whether something is not mounted; good snapshots stay until it is. If it is right so: holdfast "
        "status --acknowledge")
        ->past = true;
    add_id(&m->overview->past.snapshots, &s->sha256);
}

/* Warnings of a snapshot, but for those that say that it has collapsed. */
static uint64_t count_warnings(const struct overview_make *m, const struct snapshot *s)
{
    const struct statistics *statistics = &s->manifest.statistics;
    bool collapsed = m->collapsed[s - m->parameters->snapshots->list].verdict.collapsed;
    uint64_t told = collapsed ? 1 + statistics->sources_lost : 0;
    return statistics->warnings > told ? statistics->warnings - told : 0;
}

/* What could not be read, as far as one line tells it. */
static void add_warnings(struct overview_make *m, const struct overview_job *job)
{
    uint64_t count = count_warnings(m, job->newest);
    if (count == 0)
        return;
    const struct run_job *run = job->run_job;
    bool known =
        run && run->warning_count && run->has_snapshot && id_equal(&run->snapshot, &job->newest->sha256);
    add(m, OVERVIEW_WARNING, job->newest->manifest.started,
        text(m, "job %s: %llu warning%s in its newest snapshot%s%s", job->name, (unsigned long long)count,
             plural(count), known ? ": " : "", known ? run->warnings[0] : ""),
        text(m, "make what it names readable, or exclude it; holdfast backup %s shows all", job->name))
        ->past = true;
    add_id(&m->overview->past.snapshots, &job->newest->sha256);
}

static void look_at_job(struct overview_make *m, const struct overview_job *job)
{
    const char *message = job->run_job ? reason(job->run_job->message) : "";
    switch (job->health) {
    case VERDICT_FAILING:
        if (job->run != m->failed_run)
            add_of_run(m, job->run_job->exit_status == STATUS_INTEGRITY ? OVERVIEW_DAMAGE : OVERVIEW_FAILED,
                       job->run, job->run_job->ended, text(m, "job %s failed: %s", job->name, message),
                       text(m, "remove the cause, then: holdfast run %s", job->name));
        break;
    case VERDICT_OVERDUE:
        add_overdue(m, job);
        break;
    case VERDICT_NEVER:
        add(m, OVERVIEW_WARNING, 0, text(m, "job %s has no snapshot", job->name),
            text(m, "holdfast %s %s", job->next ? "run" : "backup", job->name));
        break;
    case VERDICT_WARNING:
        add_warnings(m, job);
        break;
    case VERDICT_OK:
        break;
    }
}

static void look_at_orphan(struct overview_make *m, const struct overview_orphan *orphan)
{
    if (orphan->pinned == orphan->snapshots)
        return; /* kept on purpose */
    add(m, OVERVIEW_WARNING, 0,
        text(m, "%zu snapshot%s of job %s, which is not configured any more", orphan->snapshots,
             plural(orphan->snapshots), orphan->name),
        text(m, "holdfast snapshots %s; then forget them, pin those to be kept, or configure the job again",
             orphan->name));
}

/* ---- targets ---- */

static void look_at_locks(struct overview_make *m, size_t t, const struct overview_target *target)
{
    int64_t retain = repository_parameters(m->repository)->retain[t];
    int64_t now = storage_now(replicas_storage(repository_replicas(m->repository), t));
    int64_t ends = target->locks.ends;
    char time[TEXT_TIME_SIZE];
    text_format_time(ends, time);
    /* Prune moves them on when a third is left. */
    if (ends && ends <= now)
        add(m, OVERVIEW_WARNING, 0,
            text(m, "target %s: objects that are needed are not locked", target->name),
            "holdfast prune, on a host with the role prune");
    else if (ends && ends - now < retain / 4)
        add(m, OVERVIEW_WARNING, 0,
            text(m,
                 "target %s: locks of objects that are needed end, the first at %s UTC, and nothing moves "
                 "them on",
                 target->name, time),
            "holdfast prune, on a host with the role prune, several times within object_lock.retain");
}

/* "files, database" */
static const char *jobs_of(struct overview_make *m, const struct snapshot *const *list, size_t count)
{
    struct buffer jobs = {0};
    for (size_t i = 0; i < count; i++) {
        bool said = false;
        for (size_t k = 0; k < i && !said; k++)
            said = strcmp(list[k]->manifest.job, list[i]->manifest.job) == 0;
        if (!said)
            buffer_append_format(&jobs, "%s%s", jobs.size ? ", " : "", list[i]->manifest.job);
    }
    const char *kept = text(m, "%s", buffer_string(&jobs));
    buffer_free(&jobs);
    return kept;
}

static void look_at_target(struct overview_make *m, size_t t, const struct overview_target *target)
{
    if (target->answers) {
        if (target->missing_count)
            add(m, OVERVIEW_BEHIND, target->behind_since,
                text(m, "target %s lacks %zu snapshot%s: %s", target->name, target->missing_count,
                     plural(target->missing_count), jobs_of(m, target->missing, target->missing_count)),
                "the next run brings them; at once: holdfast heal");
        look_at_locks(m, t, target);
        if (target->hidden)
            add(m, OVERVIEW_DAMAGE, 0,
                text(m,
                     "target %s: %llu object%s hidden: removed or overwritten, and still there as older "
                     "versions",
                     target->name, (unsigned long long)target->hidden, target->hidden == 1 ? " is" : "s are"),
                "holdfast heal, before a rule of the bucket lets them go; find out who may remove objects "
                "there");
        return;
    }
    if (!target->why || m->parameters->unanswered)
        return; /* said once for all */
    bool damaged = target->why->code == ERROR_INTEGRITY;
    add(m, damaged ? OVERVIEW_DAMAGE : OVERVIEW_BEHIND, 0,
        text(m, "target %s %s: %s", target->name, damaged ? "is damaged" : "cannot be used",
             target_reason(target->why->message, target->name)),
        *target->why->hint ? target->why->hint : "holdfast check-config --online shows what is wrong");
}

static void look_at_targets(struct overview_make *m)
{
    const struct overview_parameters *p = m->parameters;
    size_t answer = 0;
    for (size_t t = 0; t < m->overview->target_count; t++) {
        answer += m->overview->targets[t].answers;
        look_at_target(m, t, &m->overview->targets[t]);
    }
    if (p->unanswered)
        add(m, p->unanswered->code == ERROR_INTEGRITY ? OVERVIEW_DAMAGE : OVERVIEW_FAILED, 0,
            text(m, "no target can be used: %s", p->unanswered->message),
            *p->unanswered->hint ? p->unanswered->hint
                                 : "holdfast check-config --online shows what is wrong");
    else if (answer < p->min_targets)
        add(m, OVERVIEW_FAILED, 0,
            text(m, "%zu of %zu targets can be used, min_targets asks for %u: nothing is backed up", answer,
                 p->target_count, p->min_targets),
            "get the others to answer, or lower min_targets to go on without them");
}

/* ---- runs ---- */

static int64_t newest_success(const struct overview *o)
{
    int64_t newest = 0;
    for (size_t i = 0; i < o->job_count; i++) {
        const struct snapshot *s = o->jobs[i].newest;
        newest = s && s->manifest.started > newest ? s->manifest.started : newest;
    }
    return newest;
}

/* True if it failed for no reason that one of its parts has for itself. */
static bool failed_as_a_whole(const struct run_record *run)
{
    bool blamed = (run->prune && overview_is_failure(run->prune->exit_status)) ||
                  (run->verify && overview_is_failure(run->verify->exit_status)) ||
                  (run->drill && overview_is_failure(run->drill->exit_status));
    for (size_t i = 0; i < run->job_count; i++)
        blamed |= run->jobs[i].started && overview_is_failure(run->jobs[i].exit_status) &&
                  strcmp(run->jobs[i].message, run->message) != 0;
    return overview_is_failure(run->exit_status) && !blamed;
}

static void look_at_run(struct overview_make *m, const struct run_record *run)
{
    bool known = overview_is_acknowledged(m, overview_entry_of(run));
    const struct error *unanswered = m->parameters->unanswered;
    bool same = unanswered && strcmp(unanswered->message, run->message) == 0;
    if (!known && failed_as_a_whole(run) && newest_success(m->overview) <= run->ended) {
        m->failed_run = run;
        add_of_run(m, OVERVIEW_FAILED, run, run->ended,
                   same ? "the last run failed for the same reason"
                        : text(m, "the last run failed: %s", reason(run->message)),
                   "remove the cause, then: holdfast run");
    }
    bool failed = false; /* a job: then its snapshots are held back, rightly, until it succeeds */
    for (size_t i = 0; i < run->job_count; i++)
        failed |= overview_is_failure(run->jobs[i].exit_status);
    if (run->prune && run->prune->held && !failed)
        add(m, OVERVIEW_WARNING, run->prune->ended,
            text(m, "the last prune held snapshots back: %s", reason(run->prune->message)),
            "holdfast prune --dry-run lists them, and why");
    else if (run->prune && overview_is_failure(run->prune->exit_status) && !known)
        add_of_run(m, OVERVIEW_WARNING, run, run->prune->ended,
                   text(m, "the last prune failed: %s", reason(run->prune->message)), "holdfast prune");
    if (run->verify && overview_is_failure(run->verify->exit_status) && !known &&
        run->verify->exit_status != STATUS_INTEGRITY && m->overview->verify.time < run->verify->ended)
        add_of_run(m, OVERVIEW_WARNING, run, run->verify->ended,
                   text(m, "the last verify did not come to its end: %s", reason(run->verify->message)),
                   "holdfast verify");
}

/* The next one waits for it, however long. */
static void look_at_holder(struct overview_make *m)
{
    const struct lock_holder *holder = m->overview->holder;
    if (holder && m->overview->now - holder->since > m->parameters->max_runtime)
        add(m, OVERVIEW_FAILED, holder->since,
            text(m, "holdfast %s is at work for longer than max_runtime allows", holder->command),
            text(m, "see what process %ld does; if it must end: kill %ld, and run again", holder->process,
                 holder->process));
}

static void look_at_drill(struct overview_make *m)
{
    const struct run_record *run = m->overview->drill;
    const struct run_drill *drill = run ? run->drill : NULL;
    if (drill && overview_is_failure(drill->exit_status) &&
        !overview_is_acknowledged(m, overview_entry_of(run)))
        add_of_run(m, OVERVIEW_FAILED, run, drill->ended,
                   text(m, "the last drill failed: %s", drill->message),
                   text(m, "restore job %s by hand to see what is wrong: holdfast restore", drill->job));
}

/* Not the last one alone: what an earlier one found would come up in its place. False if a record of them
 * waits. */
static bool note_checks(struct overview_make *m)
{
    const struct run_list *runs = m->parameters->runs;
    struct overview *o = m->overview;
    int64_t by_hand = m->note.damage.time;
    bool stored = true;
    for (size_t i = 0; i < runs->count; i++) {
        const struct run_verify *v = runs->list[i].record.verify;
        if (!v || v->exit_status != STATUS_INTEGRITY || overview_is_acknowledged(m, &runs->list[i]))
            continue;
        stored &= !runs->list[i].waits;
        if (!runs->list[i].waits)
            add_id(&o->past.runs, &runs->list[i].sha256);
    }
    o->past.checks[0] = by_hand;
    o->past.check_count = by_hand && !acknowledged_has_check(m->parameters->acknowledged, by_hand);
    return stored;
}

static void look_at_checks(struct overview_make *m)
{
    const struct overview *o = m->overview;
    if (o->damage) {
        struct overview_problem *problem =
            add(m, OVERVIEW_DAMAGE, o->damage->time,
                text(m, "verify found %llu damaged object%s", (unsigned long long)o->damage->damaged,
                     plural(o->damage->damaged)),
                "holdfast heal repairs what another target holds; then holdfast verify --all");
        problem->past = note_checks(m);
    }
    if (o->verify_overdue_at && o->verify_overdue_at < o->now)
        add(m, OVERVIEW_WARNING, o->verify.time,
            o->verify.time ? "nothing was verified" : "nothing was ever verified",
            "holdfast verify --sample 10");
}

static void look_at_damage(struct overview_make *m)
{
    unsigned damage = m->repository ? repository_damage(m->repository) : 0;
    unsigned outages = m->repository ? repository_outages(m->repository) : 0;
    if (damage > outages)
        add(m, OVERVIEW_DAMAGE, 0,
            text(m, "%u record%s of the repository cannot be read on any target: snapshots may be missing",
                 damage - outages, plural(damage - outages)),
            "holdfast snapshots names them; holdfast heal repairs what another target holds");
    else if (outages)
        add(m, OVERVIEW_BEHIND, 0,
            text(m, "%u record%s could not be fetched: snapshots may be missing here", outages,
                 plural(outages)),
            "see that the targets answer: holdfast check-config --online");
}

/* What a prune of this host held back. */
static void look_at_brakes(struct overview_make *m)
{
    const struct snapshot_list *list = m->parameters->snapshots;
    struct brake_notes *brakes = brake_notes_load(m->parameters->state_folder);
    for (size_t i = 0; i < list->count; i++) {
        const struct manifest *s = &list->list[i].manifest;
        const struct id name = brake_note_job(&s->host, s->job);
        const struct brake_note *brake = m->collapsed[i].newest ? brake_notes_find(brakes, &name) : NULL;
        if (!brake || brake->seen)
            continue;
        bool ours = overview_is_ours(m, s);
        add(m, OVERVIEW_WARNING, brake->since,
            text(m, "job %s%s%s: too many snapshots have expired at once, and stay until somebody looked",
                 s->job, ours ? "" : " of host ", ours ? "" : s->host_name),
            "holdfast prune --dry-run lists them; if it is right that they go: holdfast status --acknowledge")
            ->past = true;
        m->overview->past_brakes = true;
    }
    free(brakes);
}

/* As prune judges it, which removes nothing meanwhile. */
static void look_at_clocks(struct overview_make *m)
{
    const struct overview_parameters *p = m->parameters;
    const struct overview *o = m->overview;
    size_t target = 0;
    int64_t ahead = m->repository ? repository_clock_ahead(m->repository, &target) : 0;
    struct removal_clock clock = {.now = o->now,
                                  .tolerance = p->clock_tolerance,
                                  .store_known = m->repository &&
                                                 target < repository_parameters(m->repository)->target_count,
                                  .store_now = o->now + ahead,
                                  .newest_own = INT64_MIN};
    for (size_t i = 0; i < p->snapshots->count; i++) {
        const struct snapshot *s = &p->snapshots->list[i];
        int64_t newest = overview_is_ours(m, &s->manifest) && s->manifest.ended > s->first_seen
                             ? s->manifest.ended
                             : s->first_seen;
        clock.newest_own = newest > clock.newest_own ? newest : clock.newest_own;
    }
    enum removal_hold hold = removal_check_clock(&clock);
    char there[TEXT_TIME_SIZE], here[TEXT_TIME_SIZE];
    text_format_time(o->now, here);
    if (hold == REMOVAL_CLOCK_STORE)
        add(m, OVERVIEW_WARNING, 0,
            text(m, "this machine's clock says %s, the one of target %s %s", here, p->targets[target],
                 text_format_time(clock.store_now, there)),
            "set the clock of this machine: until then nothing expires");
    else if (hold == REMOVAL_CLOCK_BACK)
        add(m, OVERVIEW_WARNING, 0,
            text(m, "this machine's clock says %s, but a snapshot is of %s", here,
                 text_format_time(clock.newest_own, there)),
            "check the clock of this machine: until it is that late nothing expires");
}

void overview_find_problems(struct overview_make *m)
{
    struct overview *o = m->overview;
    look_at_damage(m);
    look_at_checks(m);
    look_at_targets(m);
    if (o->last_run)
        look_at_run(m, o->last_run);
    for (size_t i = 0; i < m->parameters->snapshots->count && m->repository; i++)
        look_at_collapse(m, &m->parameters->snapshots->list[i], &m->collapsed[i]);
    for (size_t i = 0; i < o->job_count; i++)
        look_at_job(m, &o->jobs[i]);
    look_at_holder(m);
    look_at_drill(m);
    if (o->waiting)
        add(m, OVERVIEW_BEHIND, 0,
            text(m, "%zu record%s of runs wait%s for a target that takes them", o->waiting,
                 plural(o->waiting), o->waiting == 1 ? "s" : ""),
            "the next holdfast run that reaches a target stores them");
    for (size_t i = 0; i < o->orphan_count; i++)
        look_at_orphan(m, &o->orphans[i]);
    look_at_brakes(m);
    look_at_clocks(m);
}
