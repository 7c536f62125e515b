/*
 * What a run would do now: `run --dry-run`.
 */
#ifndef CLI_RUN_PLAN_H
#define CLI_RUN_PLAN_H

#include "cli/options.h"
#include "config/config.h"
#include "ops/run.h"

/* Opens the repository for reading, decides and prints; writes nothing. Returns the exit status. */
int run_plan_print(const struct options *options, struct config *config,
                   const struct run_parameters *parameters);

#endif
