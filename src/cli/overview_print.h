/*
 * How things stand, as one screen for a person and as JSON. For the command status.
 */
#ifndef CLI_OVERVIEW_PRINT_H
#define CLI_OVERVIEW_PRINT_H

#include "cli/output.h"
#include "ops/overview.h"

/* Worst first. `quiet`: nothing but problems, and nothing at all if there are none; `all`: also what is well
 * of many jobs. */
void overview_print(const struct overview *overview, const char *repository, bool quiet, bool all);
/* What is past in it, which was acknowledged since. */
void overview_print_acknowledged(const struct overview *overview);
json_t *overview_json(const struct overview *overview, const char *repository, int exit_status);
/* Those that are past, or all. */
json_t *overview_problems_json(const struct overview *overview, bool past);

#endif
