/*
 * Which snapshots a person means. A name that fits the snapshots of several jobs is refused, with the list,
 * where one is wanted. For the commands.
 */
#ifndef CLI_SNAPSHOT_CHOICE_H
#define CLI_SNAPSHOT_CHOICE_H

#include "cli/session.h"
#include "repo/snapshot_name.h"

struct snapshot_choice {
    const struct snapshot **list; /* one or more: the newest of each job; they point into the session */
    size_t count;
    bool by_id;         /* an id names it */
    const char *suffix; /* behind JOB, what was typed: ":latest"; points into the text */
};

/* USAGE if a job, a host or a class is named that nothing has; NOT_FOUND if none has such a snapshot. */
int snapshot_choice_make(const struct session *session, const char *text, struct snapshot_choice *choice,
                         struct error *err);
void snapshot_choice_free(struct snapshot_choice *choice);
/* Reports that there are several, each as it can be named; returns the exit status. */
int snapshot_choice_refuse(const struct snapshot_choice *choice, const char *text, bool all_possible);

/* USAGE, with the nearest name, unless the configuration has the job or a snapshot is of it. */
int snapshot_choice_check_job(const struct session *session, const char *job, struct error *err);

#endif
