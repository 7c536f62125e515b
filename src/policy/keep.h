/*
 * Rotation: which snapshots of one job live on, and why. Pure: no clock, no disk; the caller gives the time
 * and the snapshots. Used by prune and by the scheduler.
 */
#ifndef POLICY_KEEP_H
#define POLICY_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum keep_class { KEEP_DAILY, KEEP_WEEKLY, KEEP_MONTHLY, KEEP_YEARLY, KEEP_MANUAL, KEEP_CLASS_COUNT };

/* Bits of keep_snapshot.classes: 1 << enum keep_class, as in manifests. */
#define KEEP_CLASS_BIT(class) (1u << (class))

/* The fields of a manifest's Keep. */
struct keep {
    uint32_t daily, weekly, monthly, yearly; /* how many of each; 0: not set, they live until forgotten */
    uint32_t manual;                         /* counts only with manual_set, and then 0 keeps none */
    bool manual_set;
    int64_t within;   /* seconds: whatever ended no longer ago than this lives; 0: not set */
    uint32_t minimum; /* so many of the newest live in any case */
};

struct keep_snapshot {
    int64_t ended;    /* Unix seconds */
    uint32_t classes; /* KEEP_CLASS_BIT; unknown bits and no bits count as a class without a number */
    bool pinned;
    bool uncounted;    /* its time is in doubt: displaces nothing and is not removed */
    bool collapsed;    /* see collapse.h: displaces no good one */
    bool accepted;     /* it was acknowledged that it holds less than those before it */
    uint64_t sequence; /* of those that ended in the same second, the larger is newer */
    const void *id;    /* the caller's; only breaks ties, by the order of the bytes behind it */
    size_t id_size;
};

enum keep_reason {
    KEEP_REASON_EXPIRED, /* the only one that removes */
    KEEP_REASON_PINNED,
    KEEP_REASON_UNCOUNTED,
    KEEP_REASON_FUTURE,   /* ended after `now`, some clock is wrong: likewise displaces nothing and lives */
    KEEP_REASON_CLASS,    /* place `rank` of `limit` in `class` */
    KEEP_REASON_NO_LIMIT, /* `class` has no number: until it is forgotten */
    KEEP_REASON_WITHIN,
    KEEP_REASON_MINIMUM, /* place `rank` of `limit` among all */
    KEEP_REASON_LAST,    /* the last good snapshot of the job, or the last of all */
    KEEP_REASON_ACCEPTED /* without it those that came after it would count as collapsed */
};

struct keep_decision {
    bool keep;
    enum keep_reason reason; /* the first that holds, in the order of the enum */
    enum keep_class class;
    uint32_t rank, limit; /* rank from 1 */
    bool collapsed;
};

#define KEEP_TEXT_SIZE 80

/* Whether a snapshot's time is in doubt: an independent clock took it in at `arrival` (0: there is none, so
 * nothing is in doubt), and neither that nor when this host first saw it (0: not known) is within `tolerance`
 * seconds of when it says that it ended. */
bool keep_is_doubtful(int64_t ended, int64_t arrival, int64_t first_seen, int64_t tolerance);

/* Decides on count snapshots of one job, in any order; decisions[i] belongs to snapshots[i]. Forgotten
 * snapshots must not be among them. Good ones take their places among the good, collapsed ones among all: so
 * they displace no good one, and expire when good ones have come again. */
void keep_decide(const struct keep *keep, int64_t now, const struct keep_snapshot *snapshots, size_t count,
                 struct keep_decision *decisions);
/* "daily 3 of 7", "pinned", "within 14 d", "min 1 of 3", "last good", "expired" ... Returns text. */
char *keep_reason_text(const struct keep *keep, const struct keep_decision *decision,
                       char text[KEEP_TEXT_SIZE]);
/* "daily" ... "manual". */
const char *keep_class_name(enum keep_class class);

#endif
