/* Inside of prune. */
#ifndef OPS_PRUNE_INTERNAL_H
#define OPS_PRUNE_INTERNAL_H

#include "ops/prune.h"

/* Fills decisions, expired and held, and tells of what is held back. Errors: those of runs_load. */
int prune_decide(struct repository *repository, const struct snapshot_list *list,
                 const struct prune_parameters *parameters, struct prune_result *result, struct error *err);

#endif
