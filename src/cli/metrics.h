/*
 * How things stand in the text format of Prometheus, for the textfile collector of its node exporter. For the
 * command run.
 */
#ifndef CLI_METRICS_H
#define CLI_METRICS_H

#include "cli/overview_of.h"

/* Appends every metric that is known, each family with HELP and TYPE. */
void metrics_render(const struct overview *overview, const char *repository, struct buffer *out);

/* Renders what a run left behind to the file that the configuration names, if it names one: temporary, fsync,
 * rename, mode 0644. `repository`: NULL if it could not be opened; then what this machine knows is written.
 * `lock`: as for wire_open_offline. A failure is warned of, and no more. */
void metrics_write(struct config *config, const struct schedules *schedules, struct lock *lock,
                   struct repository *repository);
/* For a run with nothing to do: the file's time becomes now, so that whoever watches that sees that runs
 * come. False if it must be written anew: it is missing, or the configuration has changed since. */
bool metrics_touch(const struct config *config);

#endif
