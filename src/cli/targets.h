/*
 * From a target's settings to a storage: translated, checked against what its provider has and against the
 * rule of residency. For wire.c and the commands that read a configuration.
 */
#ifndef CLI_TARGETS_H
#define CLI_TARGETS_H

#include "config/config.h"
#include "storage/s3.h"

/* Rates that all targets of a configuration share; NULL: none. */
struct targets_limits {
    struct http_limit *upload, *download;
};
struct targets_limits targets_limits_new(const struct config *config);
/* The opened targets go on sharing them. */
void targets_limits_free(struct targets_limits *limits);

/* Reads a configuration file and checks its targets. Nothing is asked of any store. With `writing`, USAGE if
 * the rule of residency refuses a target; without, it is a warning, for reading what is there moves nothing
 * out. */
int targets_load(const char *file, bool writing, struct config **config, struct error *err);

/* Opens one. `create`: a local folder is made if it is missing. Where there is a rule of residency and
 * `writing`, a bucket is asked where it is: *elsewhere is set if another region is the answer. */
int targets_open(const struct config *config, const struct config_target *target,
                 const struct targets_limits *limits, bool create, bool writing, struct storage **storage,
                 bool *elsewhere, struct error *err);

/* The driver's view of a bucket; points into both arguments. */
struct s3_parameters targets_s3_parameters(const struct config *config, const struct config_target *target);

#endif
