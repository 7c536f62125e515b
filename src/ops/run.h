/*
 * A run: what cron starts. Every due snapshot, one for each job; then targets that lag, prune, a sampled
 * verify; then the record of it all. For the command run (and the decisions alone for others).
 */
#ifndef OPS_RUN_H
#define OPS_RUN_H

#include "ops/backup.h"
#include "ops/prune.h"
#include "ops/verify.h"
#include "policy/due.h"
#include "repo/runs.h"
#include "repo/successes.h"

struct run_request {
    const char *job;
    const struct due_schedule *schedule;
};

/* What a job's snapshot came to; for who listens. */
struct run_job_result {
    struct run_job *record;             /* a listener may make exit_status worse, and message tell more */
    const struct error *error;          /* NULL if it was taken */
    const struct backup_result *backup; /* NULL if it was not */
};

/* Hooks, notifications and metrics. Any may be NULL. */
struct run_events {
    void *context;
    /* First of all, before any target is asked: record->jobs names what seems to be due. If it fails, so does
     * the run, with its error. */
    int (*prepare)(void *context, const struct run_record *record, struct error *err);
    /* The repository is open, and there is something to do: record->jobs names it. */
    void (*begin)(void *context, const struct run_record *record);
    /* Before a job; if it fails, so does the job, with its error. */
    int (*before_job)(void *context, const struct run_job *job, struct error *err);
    /* For each job but those that a signal came before: also for one that failed, or that a run which failed
     * as a whole never came to. */
    void (*after_job)(void *context, const struct run_job_result *result);
    /* When all is done and recorded, also after a run that could not even open the repository. Without jobs
     * in the record: nothing was due after all, and there is no record. */
    void (*end)(void *context, const struct run_record *record);
    /* Then, when the repository is closed: nothing of the run needs its targets any more. */
    void (*leave)(void *context, const struct run_record *record);
};

struct run_parameters {
    const char *command; /* of the record */
    const char *state_folder;
    const struct run_request *requests;
    size_t request_count;
    struct prune_parameters prune; /* failed_jobs are filled in */
    struct verify_parameters
        verify;               /* its sample in per cent, 0: none is done; first and span are filled in */
    int64_t verify_every;     /* seconds */
    const volatile int *stop; /* never NULL */

    void *context;                                                                 /* of what follows */
    int (*open)(void *context, struct repository **repository, struct error *err); /* for writing */
    void (*close)(void *context); /* also if it could not be opened */
    int (*backup)(void *context, const char *job, uint32_t classes, struct backup_result *result,
                  struct error *err);
    /* A failure, as it comes. */
    void (*report)(void *context, const struct error *err);
    /* Something other than a backup begins that may take long, and of which the repository's progress tells,
     * or that of verify; NULL: it is done. */
    void (*step)(void *context, const char *what);
    const struct run_events *events; /* all of them listen, in this order */
    size_t event_count;
};

struct run_due {
    uint32_t classes; /* CLASS_ bits; 0: nothing is due */
    struct due_decision decisions[DUE_CLASS_COUNT];
};

/* What is due of each request, into due[request_count]; returns how many jobs have something. */
size_t run_decide(const struct run_parameters *parameters, const struct success_list *successes, int64_t now,
                  struct run_due *due);
/* The same by what the targets hold. The repository must be synced. */
int run_decide_by_repository(const struct run_parameters *parameters, struct repository *repository,
                             int64_t now, struct run_due *due, size_t *count, struct error *err);

struct run_result {
    struct arena arena; /* of the record */
    bool nothing_due;   /* no record was left */
    struct run_record record;
};

/* The whole run, with the lock of the state folder held; `due` is what was decided before any target was
 * asked: it is decided again by what they hold. Failures are told in the record, which is written to the
 * targets, or waits in the state folder. */
void run_all(const struct run_parameters *parameters, const struct run_due *due, struct run_result *result);
/* Tells all of them what a job came to. */
void run_after_job(const struct run_events *events, size_t count, const struct run_job_result *result);
/* For a run that failed before it came to its jobs, with the status and the message of its record: none was
 * begun. */
void run_fail_jobs(struct run_record *record, const struct error *why, const volatile int *stop,
                   const struct run_events *events, size_t event_count);
/* Puts what a backup came to into a job's record. */
void run_note_backup(struct run_job *job, const struct backup_result *backup, struct arena *arena);
void run_result_free(struct run_result *result);

#endif
