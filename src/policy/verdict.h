/*
 * How well a job, a target and what was verified are. Pure: facts in, verdict out. Used by `status` and by
 * the metrics.
 */
#ifndef POLICY_VERDICT_H
#define POLICY_VERDICT_H

#include "policy/due.h"

/* From good to bad. */
enum verdict {
    VERDICT_OK,
    VERDICT_NEVER,   /* it never ran */
    VERDICT_WARNING, /* done, but something could not be read */
    VERDICT_OVERDUE, /* nothing, or nothing good, since longer than it should be */
    VERDICT_FAILING  /* its last run failed, and nothing succeeded since */
};

/* "ok", "never", ... */
const char *verdict_name(enum verdict verdict);

/* Times are Unix seconds; 0: there is none. */
struct verdict_job {
    struct due_decision decisions[DUE_CLASS_COUNT];
    int64_t last_success;   /* when the newest snapshot began */
    uint64_t last_warnings; /* of that snapshot */
    int64_t last_run;       /* when the last run that is on record took it up */
    bool last_run_failed;
    int64_t working; /* since when a run is at work now */
};

/* While a run is at work that began after a class was due, it is not overdue: the run is the answer. */
enum verdict verdict_of_job(const struct verdict_job *facts);
/* When the class that `decision` is about becomes overdue if nothing succeeds until then (it may be so
 * already); 0 where it never does: without a schedule, or without any success yet. */
int64_t verdict_overdue_at(const struct due_decision *decision);

/* What was verified, in the order in which it was done. */
struct verdict_check {
    int64_t time;
    uint64_t damaged;  /* objects that are not what they must be, on some target */
    bool all;          /* every object was read */
    bool acknowledged; /* people know of the damage, and do not want to hear of it again */
};

/* Damage stays until a look at everything finds none: a sample that happens to be good says nothing about the
 * rest. Acknowledged, it is as if that check had not been. Returns the last check that found damage which
 * still counts, or NULL. */
const struct verdict_check *verdict_damage(const struct verdict_check *checks, size_t count);

#define VERDICT_VERIFY_SECONDS (31 * (int64_t)86400)
/* When the last verify becomes too old: after twice the time `every` which runs do one, and a month at least;
 * without one counted from the first snapshot. `last` and `first_snapshot` may be 0. 0: there is nothing to
 * verify. */
int64_t verdict_verify_overdue_at(int64_t last, int64_t first_snapshot, int64_t every);

#endif
