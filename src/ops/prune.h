/*
 * Pruning: rotation decides which snapshots expire, then what no snapshot needs is removed. For the commands
 * prune and run.
 */
#ifndef OPS_PRUNE_H
#define OPS_PRUNE_H

#include "policy/keep.h"
#include "policy/removal.h"
#include "repo/collect.h"
#include "repo/snapshots.h"

struct prune_job {
    const char *name;
    struct keep_record keep;
};

struct prune_parameters {
    const struct prune_job
        *jobs; /* as configured on this host; other hosts' jobs go by the keep of their newest manifest */
    size_t job_count;
    const char *only_job;           /* NULL: all */
    const char *state_folder;       /* where what was too much is noted; NULL: nowhere */
    int64_t clock_tolerance;        /* seconds, see keep_is_doubtful() and removal_check_clock() */
    unsigned max_removal;           /* per cent of the snapshots of a job that may expire at once */
    const char *const *failed_jobs; /* of this host, in a run that is not recorded yet */
    size_t failed_count;
    bool dry_run;
    bool force; /* look for dead data even if nothing expired; whatever max_removal says */
};

struct prune_decision {
    const struct snapshot *snapshot;
    bool keep;
    enum removal_hold hold; /* kept for this alone */
    char reason[KEEP_TEXT_SIZE];
};

struct prune_result {
    struct prune_decision *decisions; /* one for each snapshot, in the order of the list */
    size_t count, expired;
    size_t held; /* expired, but something holds them back: see each decision; told of in warnings */
    char held_why[RUN_TEXT_MAX]; /* the first of these warnings; "" if there is none */
    bool collected;              /* false: nothing was to be done */
    struct collect_result collect;
};

/* The repository must be synced, with a lease unless dry_run; list are its live snapshots. Reads the records
 * of runs. Errors: those of runs_load, collection_new and collection_mark. */
int prune_run(struct repository *repository, const struct snapshot_list *list,
              const struct prune_parameters *parameters, struct prune_result *result, struct error *err);
void prune_result_free(struct prune_result *result);

#endif
