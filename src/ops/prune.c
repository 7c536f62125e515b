#include "ops/prune.h"

#include "base/log.h"
#include "base/memory.h"
#include "repo/blobs.h"
#include "repo/lease.h"
#include "tree/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void prune_result_free(struct prune_result *result)
{
    free(result->decisions);
    *result = (struct prune_result){0};
}

/* ---- rotation ---- */

static bool same_job(const struct manifest *a, const struct manifest *b)
{
    return id16_equal(&a->host, &b->host) && strcmp(a->job, b->job) == 0;
}

static struct keep policy_of(const struct repository *r, const struct prune_parameters *p,
                             const struct manifest *newest)
{
    const struct host_key *host = repository_host(r);
    struct keep_record k = newest->keep;
    for (size_t i = 0; i < p->job_count && host && id16_equal(&host->host, &newest->host); i++) {
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

#define DAY 86400
/* Two backups of a host, one behind the other, that are so far apart: the clock jumped ahead. */
#define JUMP (400 * (int64_t)DAY)
/* For so long after a jump nothing of the host expires: time to look at the clock. */
#define JUMP_HOLD (7 * (int64_t)DAY)

static bool is_recent(int64_t time, int64_t now)
{
    return time <= now && now - time <= JUMP_HOLD;
}

/* True if the clock that wrote the host's newest snapshots, or the one of this machine, is likely years
 * ahead: rotation by age would remove all that is good. */
static bool clock_jumped(const struct snapshot_list *list, const struct id16 *host, int64_t now)
{
    int64_t newest = INT64_MIN;
    for (size_t i = 0; i < list->count; i++) {
        const struct manifest *m = &list->list[i].manifest;
        if (!id16_equal(&m->host, host) || m->ended > now)
            continue;
        newest = m->ended;
        for (size_t k = 0; k < i && is_recent(m->ended, now); k++) {
            const struct manifest *before = &list->list[k].manifest;
            if (id16_equal(&before->host, host) && before->sequence + 1 == m->sequence &&
                m->ended - before->ended > JUMP)
                return true;
        }
    }
    return newest != INT64_MIN && now - newest > JUMP;
}

static void hold(const struct manifest *job, struct prune_decision *d, struct prune_result *result)
{
    if (!result->held)
        log_warning("the clock seems to have jumped ahead: nothing of host %s expires for a week after",
                    job->host_name);
    result->held++;
    d->keep = true;
    snprintf(d->reason, sizeof d->reason, "the clock seems to have jumped");
}

/* Decides on all snapshots of the job that list->list[newest] is the newest of. */
static void decide_job(const struct repository *r, const struct snapshot_list *list, size_t newest,
                       const struct prune_parameters *p, int64_t now, struct prune_result *result)
{
    const struct manifest *job = &list->list[newest].manifest;
    struct keep_snapshot *snapshots = memory_alloc_array(newest + 1, sizeof *snapshots);
    struct keep_decision *decisions = memory_alloc_array(newest + 1, sizeof *decisions);
    size_t *places = memory_alloc_array(newest + 1, sizeof *places);
    size_t count = 0;
    for (size_t i = 0; i <= newest; i++) {
        const struct snapshot *s = &list->list[i];
        if (!same_job(&s->manifest, job))
            continue;
        places[count] = i;
        snapshots[count++] = (struct keep_snapshot){
            .ended = s->manifest.ended,
            .classes = s->manifest.classes,
            .pinned = s->pinned,
            .uncounted = keep_is_doubtful(s->manifest.ended, s->arrival, s->first_seen, p->clock_tolerance),
            .sequence = s->manifest.sequence,
            .id = s->sha256.b,
            .id_size = sizeof s->sha256.b};
    }
    struct keep keep = policy_of(r, p, job);
    bool chosen = !p->only_job || strcmp(p->only_job, job->job) == 0;
    bool jumped = clock_jumped(list, &job->host, now);
    keep_decide(&keep, now, snapshots, count, decisions);
    for (size_t i = 0; i < count; i++) {
        struct prune_decision *d = &result->decisions[places[i]];
        d->keep = decisions[i].keep || !chosen;
        if (decisions[i].keep || chosen)
            keep_reason_text(&keep, &decisions[i], d->reason);
        else
            snprintf(d->reason, sizeof d->reason, "another job");
        if (!d->keep && jumped)
            hold(job, d, result);
        result->expired += !d->keep;
    }
    free(snapshots);
    free(decisions);
    free(places);
}

static void decide(const struct repository *r, const struct snapshot_list *list,
                   const struct prune_parameters *p, struct prune_result *result)
{
    int64_t now = (int64_t)time(NULL);
    result->count = list->count;
    result->decisions = memory_alloc_array(list->count, sizeof *result->decisions);
    for (size_t i = list->count; i-- > 0;) {
        result->decisions[i].snapshot = &list->list[i];
        bool newest = true;
        for (size_t k = i + 1; k < list->count && newest; k++)
            newest = !same_job(&list->list[k].manifest, &list->list[i].manifest);
        if (newest)
            decide_job(r, list, i, p, now, result);
    }
}

/* ---- what is live ---- */

struct marking {
    struct repository *repository;
    struct collection *collection;
};

static int mark_extents(struct marking *m, const struct extents *extents, bool *all_marked, struct error *err)
{
    int code = 0;
    *all_marked = extents->count > 0;
    for (size_t i = 0; i < extents->count && code == 0; i++) {
        bool was = true;
        if (!extents->list[i].hole)
            code = collection_mark(m->collection, &extents->list[i].blob, &was, err);
        *all_marked &= was;
    }
    return code;
}

/* A listing that was marked before was walked before, too. */
static int mark_node(void *context, const char *path, const struct node *node, struct error *err)
{
    struct marking *m = context;
    bool marked;
    int code = mark_extents(m, &node->content, &marked, err);
    if (code == 0 && node->type == NODE_DIRECTORY) {
        code = mark_extents(m, &node->subtree, &marked, err);
        if (code == 0 && marked)
            return TREE_SKIP;
    }
    if (code != 0)
        error_prefix(err, "%s", path);
    return code;
}

static int mark_live(struct marking *m, const struct prune_result *result, bool dry_run, struct error *err)
{
    int code = 0;
    for (size_t i = 0; i < result->count && code == 0; i++) {
        const struct prune_decision *d = &result->decisions[i];
        const struct extents *root = &d->snapshot->manifest.root;
        bool marked;
        if (!d->keep)
            continue;
        code = mark_extents(m, root, &marked, err);
        if (code == 0 && !marked)
            code = tree_walk(root, blobs_fetch_tree, m->repository, mark_node, m, err);
        if (code != 0) {
            char hex[ID_HEX_SIZE];
            id_to_hex(&d->snapshot->sha256, hex);
            error_prefix(err, "snapshot %.10s", hex);
        } else if (!dry_run) {
            code = lease_keep(m->repository, err);
        }
    }
    return code;
}

static int forget_expired(struct repository *r, const struct prune_result *result, struct error *err)
{
    struct id *ids = memory_alloc_array(result->expired, sizeof *ids);
    size_t count = 0;
    for (size_t i = 0; i < result->count; i++) {
        if (!result->decisions[i].keep)
            ids[count++] = result->decisions[i].snapshot->sha256;
    }
    int code = count ? snapshots_forget(r, ids, count, "expired", err) : 0;
    free(ids);
    return code;
}

int prune_run(struct repository *r, const struct snapshot_list *list, const struct prune_parameters *p,
              struct prune_result *result, struct error *err)
{
    struct marking m = {.repository = r};
    *result = (struct prune_result){0};
    decide(r, list, p, result);
    if (!p->force && result->expired == 0 && !collection_has_work(r, err))
        return 0;
    result->collected = true;
    int code = collection_new(r, &m.collection, err);
    if (code == 0)
        code = mark_live(&m, result, p->dry_run, err);
    /* All that is to stay was read without a fault: only now anything is forgotten. */
    if (code != 0 && code != ERROR_CANCELLED && !p->dry_run)
        collection_keep_all_locks(r);
    if (code == 0 && !p->dry_run)
        code = forget_expired(r, result, err);
    if (code == 0)
        code = collection_run(m.collection, p->dry_run, &result->collect, err);
    collection_free(m.collection);
    return code;
}
