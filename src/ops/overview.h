/*
 * How things stand with one repository: each job, each target, what was verified, and what is to be done.
 * Gathered from what is known already; nothing is fetched or changed. For the command status and the metrics
 * of a run.
 */
#ifndef OPS_OVERVIEW_H
#define OPS_OVERVIEW_H

#include "ops/verify_note.h"
#include "repo/acknowledge.h"
#include "repo/inspect.h"
#include "repo/lock.h"
#include "repo/runs.h"
#include "repo/snapshots.h"
#include "repo/successes.h"

enum overview_level { OVERVIEW_WARNING, OVERVIEW_BEHIND, OVERVIEW_FAILED, OVERVIEW_DAMAGE };
#define OVERVIEW_LEVEL_COUNT (OVERVIEW_DAMAGE + 1)

/* "warning", "behind", "failed", "damage". */
const char *overview_level_name(enum overview_level level);

struct overview_problem {
    enum overview_level level;
    const char *what, *todo; /* todo: what to do, a command if there is one */
    int64_t since;           /* Unix seconds; 0: it does not matter */
    bool past;               /* a fact, not a state that holds: it can be acknowledged */
};

struct overview_job {
    const char *name;
    enum verdict health;
    struct due_decision decisions[DUE_CLASS_COUNT];
    int64_t overdue_at[DUE_CLASS_COUNT];    /* see verdict_overdue_at() */
    int64_t last_success[KEEP_CLASS_COUNT]; /* when it began */
    int64_t next;                           /* the next scheduled time; now if it is due; 0: no schedule */
    uint32_t next_classes;                  /* KEEP_CLASS_BIT */
    size_t snapshots;
    const struct snapshot *newest; /* NULL: none */
    const struct run_record *run;  /* the last on record that took the job up, and its part; NULL: none */
    const struct run_job *run_job;
};

struct overview_target {
    const char *name;
    bool answers;
    const struct error *why;         /* if it does not; NULL: nobody asked it */
    const struct snapshot **missing; /* that it lacks, oldest first; only if it answers */
    size_t missing_count;
    struct inspect_locks locks; /* of the snapshots there; only if it answers and locks */
    int64_t behind_since;       /* when the oldest of those began; 0: none */
    int64_t newest;             /* when the newest snapshot there began; 0: none, or not known */
    bool used_known;            /* of a target that does not answer from the last run's record */
    uint64_t used;              /* bytes */
    uint64_t
        hidden; /* objects removed or overwritten, and still there as older versions; only if it answers */
    const struct run_target *last; /* of this host's last run that looked at it; NULL */
};

/* Snapshots of this host, of a job that is not configured. */
struct overview_orphan {
    const char *name;
    size_t snapshots, pinned;
    int64_t newest; /* when it began */
};

struct overview {
    int64_t now;
    int64_t known;                    /* 0: the targets were asked; else when they last were */
    const struct lock_holder *holder; /* who is at work; NULL: nobody, or it cannot be told */
    struct overview_job *jobs;
    size_t job_count;
    struct overview_target *targets;
    size_t target_count;
    struct overview_orphan *orphans;
    size_t orphan_count;
    struct overview_problem *problems; /* worst first */
    size_t problem_count;
    struct acknowledgement past; /* what the problems that are past rest on */
    bool past_brakes;            /* and notes of brakes, see ops/brake_note.h */
    struct verdict_check verify; /* the last; .time 0: none */
    uint64_t verify_objects, verify_bytes;
    int64_t verify_overdue_at;          /* see verdict_verify_overdue_at() */
    const struct verdict_check *damage; /* what a verify found and nothing has cleared since; NULL */
    const struct run_record *last_run;  /* of this host; NULL: none on record */
    const struct run_record *drill;     /* the last with a drill */
    size_t waiting;                     /* records of runs that no target has taken yet */
    struct arena arena;
};

struct overview_parameters {
    int64_t now;
    const char *const *jobs;              /* their names, as configured */
    const struct due_schedule *schedules; /* of each */
    size_t job_count;
    const char *const *targets; /* likewise, in the repository's order */
    size_t target_count;
    const char *state_folder;
    const struct snapshot_list *snapshots;
    const struct run_list *runs;
    const struct success_list *successes;
    const struct acknowledged *acknowledged;            /* what is no problem any more; NULL: nothing */
    int64_t clock_tolerance, max_runtime, verify_every; /* seconds */
    int64_t known;                                      /* for overview.known */
    const struct lock_holder *holder;                   /* likewise */
    unsigned min_targets;
    const struct error *unanswered; /* why no target could be asked; NULL: some were */
};

/* The repository is synced (its records suffice), or offline; NULL if not even that can be had. The result
 * points into the parameters and the repository. */
void overview_make(struct repository *repository, const struct overview_parameters *parameters,
                   struct overview *overview);
void overview_free(struct overview *overview);

#endif
