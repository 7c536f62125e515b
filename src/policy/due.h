/*
 * When the snapshots of a job are due. Pure: no clock, no disk; the caller gives the time and what there is.
 * Used by `run`, `schedule` and `status`.
 *
 * A class is due when its latest scheduled time has passed and no snapshot that carries it began at or after
 * that time. So what was missed is caught up once, however often it was missed, and a class that never had a
 * snapshot is due at once. A snapshot that began more than an hour after now is no success: a clock that was
 * ahead must not stop backups after it was put right. A clock that jumps ahead makes every class due
 * once.
 */
#ifndef POLICY_DUE_H
#define POLICY_DUE_H

#include "policy/keep.h"

struct zone;

/* The classes that have a schedule: daily to yearly. */
#define DUE_CLASS_COUNT 4
/* A snapshot from further in the future than this is no success. */
#define DUE_AHEAD_SECONDS ((int64_t)3600)
/* Later than this after it was due, a class is overdue: reason to look, not just the next start of `run` that
 * takes it. */
#define DUE_OVERDUE_SECONDS (6 * (int64_t)3600)

/* A time on the wall clock. */
struct due_time {
    bool set;
    int month;   /* yearly: 1 to 12 */
    int day;     /* monthly, yearly: 1 to 31; a month that is shorter has it on its last day */
    int weekday; /* weekly: 0 Sunday to 6 Saturday */
    int hour, minute;
};

struct due_schedule {
    struct due_time times[DUE_CLASS_COUNT]; /* by enum keep_class */
    const struct zone *zone;
};

/* One for each snapshot of the job, in any order. */
struct due_success {
    uint32_t classes; /* KEEP_CLASS_BIT */
    int64_t started;  /* Unix seconds */
};

struct due_decision {
    bool set; /* false: the class has no schedule, and the rest is zero */
    bool due;
    bool overdue;         /* due for longer than DUE_OVERDUE_SECONDS; never without any success */
    int64_t latest, next; /* the scheduled times at or before now, and after it */
    int64_t last_success; /* when the newest success began; 0: there is none */
    int64_t since;        /* due: the first scheduled time after last_success; `latest` without one */
};

/* The latest scheduled time of the class at or before now, and the first after it; the class must have a
 * schedule. What the wall clock shows twice is scheduled once, at the first of the two; a time that it skips
 * is at the instant of the skip. */
int64_t due_latest(const struct due_schedule *schedule, enum keep_class class, int64_t now);
int64_t due_next(const struct due_schedule *schedule, enum keep_class class, int64_t now);

/* Decides on each class; returns the KEEP_CLASS_BITs of those that are due. */
uint32_t due_decide(const struct due_schedule *schedule, int64_t now, const struct due_success *successes,
                    size_t count, struct due_decision decisions[DUE_CLASS_COUNT]);

/* For how many seconds a run waits: one of 0 to jitter, drawn by `random`, which is any number. */
int64_t due_wait(int64_t jitter, uint64_t random);

#endif
