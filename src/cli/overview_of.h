/*
 * From a configuration and its repository to how things stand. For the command status and the metrics of a
 * run.
 */
#ifndef CLI_OVERVIEW_OF_H
#define CLI_OVERVIEW_OF_H

#include "cli/schedule_of.h"
#include "ops/overview.h"

struct overview_facts {
    struct snapshot_list snapshots;
    struct run_list runs;
    struct success_list successes;
    struct acknowledged *acknowledged;
    const char **jobs;
    struct overview overview; /* points into what is above, and into the arguments */
};

/* The repository is synced (its records suffice) or offline; then `known` is when it last was and
 * `unanswered` why no target could be asked. NULL if nothing can be had; `holder` is who works on it, or
 * NULL. The caller frees *facts with overview_facts_free before it closes the repository, also after an
 * error. */
int overview_of(const struct config *config, const struct schedules *schedules, struct repository *repository,
                int64_t now, int64_t known, const struct lock_holder *holder, const struct error *unanswered,
                struct overview_facts *facts, struct error *err);
void overview_facts_free(struct overview_facts *facts);

/* The exit status that a problem of this level stands for. */
int overview_level_status(enum overview_level level);
/* That of the worst problem; 0: there is none. */
int overview_status(const struct overview *overview);

#endif
