/*
 * A run as JSON, as holdfast(1) describes it: what `run --json` prints, and what hooks and webhooks get.
 */
#ifndef CLI_RUN_JSON_H
#define CLI_RUN_JSON_H

#include "format/messages.h"

#include <jansson.h>

/* `repository` is its name in the configuration. The caller frees the object. */
json_t *run_json(const char *repository, const struct run_record *record);
/* What a backup took: the snapshot and its statistics. */
void run_json_taken(json_t *object, const struct id *snapshot, const struct statistics *statistics);
/* One job of it. */
json_t *run_json_job(const struct run_job *job);

#endif
