/*
 * The schedules of the jobs of a configuration as policy/due takes them. For the commands.
 */
#ifndef CLI_SCHEDULE_OF_H
#define CLI_SCHEDULE_OF_H

#include "base/error.h"
#include "config/config.h"
#include "policy/due.h"

struct schedules {
    struct due_schedule *list; /* list[i] belongs to the configuration's jobs[i] */
    size_t count;
    struct zone **zones; /* one for each name of a zone */
    size_t zone_count;
};

/* Good for decisions at about `now` (Unix seconds). Call it before there are threads: see zone_load. The
 * caller frees what *schedules holds with schedules_free, also after an error. Errors: those of zone_load. */
int schedules_load(const struct config *config, int64_t now, struct schedules *schedules, struct error *err);
void schedules_free(struct schedules *schedules);

#endif
