/* Rotation: which snapshots expire, and what holds them back. */
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "ops/brake_note.h"
#include "ops/collapsed.h"
#include "ops/prune_internal.h"
#include "repo/runs.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct rotation {
    struct repository *repository;
    const struct snapshot_list *list;
    const struct prune_parameters *p;
    struct prune_result *result;
    struct run_list runs;
    struct brake_notes *brakes;
    struct collapsed *collapsed; /* one for each snapshot of the list */
    int64_t now;
    struct removal_clock clock;
    size_t clock_target;           /* whose clock differs most */
    const struct snapshot *newest; /* the one that gave clock.newest_own */
    enum removal_hold clock_hold;
    bool told; /* of clock_hold */
};

static bool same_job(const struct manifest *a, const struct manifest *b)
{
    return id16_equal(&a->host, &b->host) && strcmp(a->job, b->job) == 0;
}

static bool is_own_host(const struct rotation *rotation, const struct id16 *host)
{
    const struct host_key *own = repository_host(rotation->repository);
    return own && id16_equal(&own->host, host);
}

static struct keep policy_of(const struct rotation *rotation, const struct manifest *newest)
{
    const struct prune_parameters *p = rotation->p;
    struct keep_record k = newest->keep;
    for (size_t i = 0; i < p->job_count && is_own_host(rotation, &newest->host); i++) {
        if (strcmp(p->jobs[i].name, newest->job) == 0)
            k = p->jobs[i].keep;
    }
    return (struct keep){.daily = k.daily,
                         .weekly = k.weekly,
                         .monthly = k.monthly,
                         .yearly = k.yearly,
                         .manual = k.manual,
                         .manual_set = k.manual_set,
                         .within = k.within,
                         .minimum = k.minimum};
}

/* ---- what holds back ---- */

static void read_clock(struct rotation *rotation)
{
    struct removal_clock *c = &rotation->clock;
    int64_t ahead = repository_clock_ahead(rotation->repository, &rotation->clock_target);
    *c = (struct removal_clock){.now = rotation->now,
                                .tolerance = rotation->p->clock_tolerance,
                                .store_known = rotation->clock_target <
                                               repository_parameters(rotation->repository)->target_count,
                                .store_now = rotation->now + ahead,
                                .newest_own = INT64_MIN};
    for (size_t i = 0; i < rotation->list->count; i++) {
        const struct snapshot *s = &rotation->list->list[i];
        int64_t newest = is_own_host(rotation, &s->manifest.host) && s->manifest.ended > s->first_seen
                             ? s->manifest.ended
                             : s->first_seen;
        if (newest <= c->newest_own)
            continue;
        c->newest_own = newest;
        rotation->newest = s;
    }
    rotation->clock_hold = removal_check_clock(c);
}

static enum removal_hold clock_of_host(const struct rotation *rotation, const struct id16 *host)
{
    const struct snapshot_list *list = rotation->list;
    if (rotation->clock_hold != REMOVAL_FREE || rotation->clock.store_known)
        return rotation->clock_hold;
    struct removal_backup *backups = memory_alloc_array(list->count, sizeof *backups);
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct manifest *m = &list->list[i].manifest;
        if (id16_equal(&m->host, host))
            backups[count++] = (struct removal_backup){m->sequence, m->ended};
    }
    bool jumped = removal_jumped(backups, count, rotation->now);
    free(backups);
    return jumped ? REMOVAL_CLOCK_JUMPED : REMOVAL_FREE;
}

/* By the run of the host that came last and had the job; a snapshot that was made by hand since then makes up
 * for it. */
static bool last_run_failed(const struct rotation *rotation, const struct manifest *newest)
{
    const struct run_job *last = NULL;
    uint64_t sequence = 0;
    for (size_t i = 0; i < rotation->p->failed_count; i++) {
        if (is_own_host(rotation, &newest->host) && strcmp(rotation->p->failed_jobs[i], newest->job) == 0)
            return true;
    }
    for (size_t i = 0; i < rotation->runs.count; i++) {
        const struct run_entry *entry = &rotation->runs.list[i];
        if (!id16_equal(&entry->record.host, &newest->host) ||
            (!entry->waits && entry->record.sequence < sequence))
            continue;
        for (size_t k = 0; k < entry->record.job_count; k++) {
            if (strcmp(entry->record.jobs[k].job, newest->job) != 0 || !entry->record.jobs[k].started)
                continue;
            last = &entry->record.jobs[k];
            sequence = entry->waits ? UINT64_MAX : entry->record.sequence;
        }
    }
    return last && !last->has_snapshot && newest->ended <= last->started;
}

static void tell(struct rotation *rotation, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(struct rotation *rotation, const char *format, ...)
{
    char text[RUN_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log_warning("%s", text);
    if (!*rotation->result->held_why)
        memcpy(rotation->result->held_why, text, sizeof text);
}

static void tell_of_clock(struct rotation *rotation, enum removal_hold hold, const struct manifest *job)
{
    const struct removal_clock *c = &rotation->clock;
    char now[TEXT_TIME_SIZE], other[TEXT_TIME_SIZE], hex[ID_HEX_SIZE];
    text_format_time(c->now, now);
    if (hold == REMOVAL_CLOCK_JUMPED) {
        tell(rotation, "the clock seems to have jumped ahead: nothing of host %s expires for a week after",
             job->host_name);
        log_hint("see that the clocks of this machine and of that host are right");
    } else if (!rotation->told && hold == REMOVAL_CLOCK_STORE) {
        tell(rotation, "this machine's clock says %s, that of target \"%s\" %s: nothing expires", now,
             repository_parameters(rotation->repository)->target_labels[rotation->clock_target],
             text_format_time(c->store_now, other));
        log_hint("let this machine take its time from the network (NTP)");
    } else if (!rotation->told) {
        tell(rotation, "this machine's clock says %s, but has been at %s before: nothing expires", now,
             text_format_time(c->newest_own, other));
        id_to_hex(&rotation->newest->sha256, hex);
        log_hint("if the clock is right now, give up what was made while it was not: holdfast forget %.10s",
                 hex);
    }
    rotation->told |= hold != REMOVAL_CLOCK_JUMPED;
}

static void tell_of_hold(struct rotation *rotation, enum removal_hold hold, const struct manifest *job,
                         const struct removal_job *facts)
{
    char *name = text_visible(job->job);
    if (hold == REMOVAL_FAILED_RUN) {
        tell(rotation, "the last run of job \"%s\" of host %s failed: what has expired of it stays (%zu)",
             name, job->host_name, facts->expired);
        log_hint("they expire after the next snapshot of the job; where there will be none: holdfast forget");
    } else if (hold == REMOVAL_TOO_MUCH) {
        tell(rotation,
             "%zu of the %zu snapshots of job \"%s\" of host %s have expired, %s than %u %% at once: they "
             "stay",
             facts->expired, facts->count, name, job->host_name, facts->held ? "and were more" : "more",
             facts->max_removal);
        log_hint("holdfast prune --dry-run shows them; if that is right: holdfast prune %s --force", name);
    } else {
        tell_of_clock(rotation, hold, job);
    }
    free(name);
}

static const char *hold_text(enum removal_hold hold)
{
    switch (hold) {
    case REMOVAL_CLOCK_STORE:
        return "held back: the clock of a store says otherwise";
    case REMOVAL_CLOCK_BACK:
        return "held back: the clock has been put back";
    case REMOVAL_CLOCK_JUMPED:
        return "held back: the clock seems to have jumped";
    case REMOVAL_FAILED_RUN:
        return "held back: the last run of the job failed";
    default:
        return "held back: too much at once";
    }
}

/* ---- the decision ---- */

/* What held stays so until it is forced, seen, or nothing has expired any more. */
static void note_brake(struct rotation *rotation, const struct id *job, enum removal_hold hold)
{
    if (hold == REMOVAL_TOO_MUCH && !brake_notes_find(rotation->brakes, job))
        brake_notes_set(rotation->brakes, job,
                        &(struct brake_note){*job, rotation->p->max_removal, false, rotation->now});
    else if (hold == REMOVAL_FREE)
        brake_notes_set(rotation->brakes, job, NULL);
}

/* Decides on all snapshots of the job that list->list[newest] is the newest of. */
static void decide_job(struct rotation *rotation, size_t newest)
{
    const struct snapshot_list *list = rotation->list;
    const struct prune_parameters *p = rotation->p;
    struct prune_result *result = rotation->result;
    const struct manifest *job = &list->list[newest].manifest;
    struct keep_snapshot *snapshots = memory_alloc_array(newest + 1, sizeof *snapshots);
    struct keep_decision *decisions = memory_alloc_array(newest + 1, sizeof *decisions);
    size_t *places = memory_alloc_array(newest + 1, sizeof *places);
    struct removal_job facts = {.max_removal = p->max_removal, .force = p->force};
    for (size_t i = 0; i <= newest; i++) {
        const struct snapshot *s = &list->list[i];
        if (!same_job(&s->manifest, job))
            continue;
        places[facts.count] = i;
        snapshots[facts.count++] = (struct keep_snapshot){
            .ended = s->manifest.ended,
            .classes = s->manifest.classes,
            .pinned = s->pinned,
            .collapsed = rotation->collapsed[i].verdict.collapsed,
            .accepted = rotation->collapsed[i].verdict.accepted,
            .uncounted = keep_is_doubtful(s->manifest.ended, s->arrival, s->first_seen, p->clock_tolerance),
            .sequence = s->manifest.sequence,
            .id = s->sha256.b,
            .id_size = sizeof s->sha256.b};
    }
    struct keep keep = policy_of(rotation, job);
    bool chosen = !p->only_job || strcmp(p->only_job, job->job) == 0;
    keep_decide(&keep, rotation->now, snapshots, facts.count, decisions);
    for (size_t i = 0; i < facts.count; i++)
        facts.expired += chosen && !decisions[i].keep;
    enum removal_hold hold = REMOVAL_FREE;
    const struct id name = brake_note_job(&job->host, job->job);
    const struct brake_note *brake = brake_notes_find(rotation->brakes, &name);
    facts.held = brake && !brake->seen && p->max_removal <= brake->max_removal;
    facts.force |= brake && brake->seen;
    if (facts.expired) {
        facts.failed = last_run_failed(rotation, job);
        hold = removal_decide(clock_of_host(rotation, &job->host), &facts);
    }
    if (chosen)
        note_brake(rotation, &name, hold);
    if (hold)
        tell_of_hold(rotation, hold, job, &facts);
    for (size_t i = 0; i < facts.count; i++) {
        struct prune_decision *d = &result->decisions[places[i]];
        d->keep = decisions[i].keep || !chosen || hold;
        d->hold = decisions[i].keep || !chosen ? REMOVAL_FREE : hold;
        if (decisions[i].keep || (chosen && !hold))
            keep_reason_text(&keep, &decisions[i], d->reason);
        else
            snprintf(d->reason, sizeof d->reason, "%s", chosen ? hold_text(hold) : "another job");
        result->expired += !d->keep;
        result->held += d->hold != REMOVAL_FREE;
    }
    free(snapshots);
    free(decisions);
    free(places);
}

int prune_decide(struct repository *r, const struct snapshot_list *list, const struct prune_parameters *p,
                 struct prune_result *result, struct error *err)
{
    struct rotation rotation = {
        .repository = r, .list = list, .p = p, .result = result, .now = (int64_t)time(NULL)};
    struct acknowledged *acknowledged = NULL;
    int code = runs_load(r, &rotation.runs, err);
    if (code == 0)
        code = acknowledged_load(r, &acknowledged, err);
    rotation.collapsed = collapsed_judge(list, acknowledged);
    result->count = list->count;
    result->decisions = memory_alloc_array(list->count, sizeof *result->decisions);
    rotation.brakes = brake_notes_load(p->state_folder);
    read_clock(&rotation);
    for (size_t i = list->count; i-- > 0 && code == 0;) {
        result->decisions[i].snapshot = &list->list[i];
        bool newest = true;
        for (size_t k = i + 1; k < list->count && newest; k++)
            newest = !same_job(&list->list[k].manifest, &list->list[i].manifest);
        if (newest)
            decide_job(&rotation, i);
    }
    if (code == 0 && !p->dry_run)
        code = brake_notes_save(p->state_folder, rotation.brakes, err);
    free(rotation.brakes);
    free(rotation.collapsed);
    acknowledged_free(acknowledged);
    runs_free(&rotation.runs);
    return code;
}
