/*
 * What holds rotation back: what keep.h lets expire stays all the same while a clock is not to be trusted,
 * after a failed run of the job, and where it would be too much at once. Pure, like its neighbours. Used by
 * prune.
 */
#ifndef POLICY_REMOVAL_H
#define POLICY_REMOVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum removal_hold {
    REMOVAL_FREE,
    REMOVAL_CLOCK_STORE,  /* a store's clock says otherwise than this machine's */
    REMOVAL_CLOCK_BACK,   /* this machine's clock has been further ahead than it is now */
    REMOVAL_CLOCK_JUMPED, /* it, or the one of the host that made the snapshots, seems to have jumped ahead */
    REMOVAL_FAILED_RUN,   /* the last run of the job made no snapshot */
    REMOVAL_TOO_MUCH      /* a greater share of the job's snapshots than allowed */
};

struct removal_clock {
    int64_t now;        /* Unix seconds, like all times here */
    int64_t tolerance;  /* seconds that nobody need care about */
    bool store_known;   /* there is a store with a clock of its own */
    int64_t store_now;  /* by the one that differs most */
    int64_t newest_own; /* the newest time by this machine's clock that it knows of; INT64_MIN: none */
};

/* One backup of a host, of whatever job. */
struct removal_backup {
    uint64_t sequence; /* counts the backups of the host */
    int64_t ended;
};

struct removal_job {
    bool failed;           /* its last run made no snapshot */
    size_t count, expired; /* its snapshots, and how many of them keep.h lets expire */
    unsigned max_removal;  /* per cent */
    bool held;             /* it was too much before, and nobody looked since */
    bool force;            /* however much it is */
};

/* Whether this machine's clock can be trusted: FREE, CLOCK_STORE or CLOCK_BACK. A store that agrees outweighs
 * what the machine remembers: snapshots of the future are then from a time when its clock was wrong. */
enum removal_hold removal_check_clock(const struct removal_clock *clock);

/* True if a host's clock, or this machine's, has likely jumped ahead: two backups, one behind the other, are
 * more than 400 days apart, and the later one is from the last seven days (time to look at the clock); or the
 * newest is more than 400 days old. Backups after now do not count. In any order; sorts them. */
bool removal_jumped(struct removal_backup *backups, size_t count, int64_t now);

/* What holds back the snapshots of a job that expired; clock is the finding about it, FREE, or one of
 * CLOCK_... */
enum removal_hold removal_decide(enum removal_hold clock, const struct removal_job *job);

#endif
