/*
 * From a target's settings to a storage: translated, checked against what its provider has and against the
 * rule of residency. For wire.c and the commands that read a configuration.
 */
#ifndef CLI_TARGETS_H
#define CLI_TARGETS_H

#include "config/config.h"
#include "storage/s3.h"

/* Reads a configuration file and checks its targets. Nothing is asked of any store. With `writing`, USAGE if
 * the rule of residency refuses a target; without, it is a warning, for reading what is there moves nothing
 * out. */
int targets_load(const char *file, bool writing, struct config **config, struct error *err);

/* Opens one. `create`: a local folder is made if it is missing. Where there is a rule of residency and
 * `writing`, a bucket is asked where it is: *elsewhere is set if another region is the answer. */
int targets_open(const struct config *config, const struct config_target *target, bool create, bool writing,
                 struct storage **storage, bool *elsewhere, struct error *err);

/* The driver's view of a bucket; points into both arguments. */
struct s3_parameters targets_s3_parameters(const struct config *config, const struct config_target *target);

#endif
