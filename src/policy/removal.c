#include "policy/removal.h"

#include <stdlib.h>

#define DAY ((int64_t)86400)
#define JUMP (400 * DAY)
#define JUMP_HOLD (7 * DAY)

/* True if `later` is more than `limit` seconds after `earlier`. */
static bool is_beyond(int64_t later, int64_t earlier, int64_t limit)
{
    int64_t apart;
    return later > earlier && (__builtin_sub_overflow(later, earlier, &apart) || apart > limit);
}

enum removal_hold removal_check_clock(const struct removal_clock *c)
{
    if (c->store_known)
        return is_beyond(c->store_now, c->now, c->tolerance) || is_beyond(c->now, c->store_now, c->tolerance)
                   ? REMOVAL_CLOCK_STORE
                   : REMOVAL_FREE;
    return is_beyond(c->newest_own, c->now, c->tolerance) ? REMOVAL_CLOCK_BACK : REMOVAL_FREE;
}

static int by_sequence(const void *left, const void *right)
{
    const struct removal_backup *a = left, *b = right;
    return (a->sequence > b->sequence) - (a->sequence < b->sequence);
}

bool removal_jumped(struct removal_backup *backups, size_t count, int64_t now)
{
    int64_t newest = INT64_MIN;
    qsort(backups, count, sizeof *backups, by_sequence);
    for (size_t i = 0; i < count; i++) {
        const struct removal_backup *b = &backups[i];
        if (b->ended > now)
            continue;
        newest = b->ended > newest ? b->ended : newest;
        if (i > 0 && b[-1].sequence + 1 == b->sequence && is_beyond(b->ended, b[-1].ended, JUMP) &&
            !is_beyond(now, b->ended, JUMP_HOLD))
            return true;
    }
    return newest != INT64_MIN && is_beyond(now, newest, JUMP);
}

enum removal_hold removal_decide(enum removal_hold clock, const struct removal_job *job)
{
    if (job->expired == 0)
        return REMOVAL_FREE;
    if (clock != REMOVAL_FREE)
        return clock;
    if (job->failed)
        return REMOVAL_FAILED_RUN;
    if (!job->force && (job->held || (double)job->expired * 100 > (double)job->count * job->max_removal))
        return REMOVAL_TOO_MUCH;
    return REMOVAL_FREE;
}
