/*
 * A run as JSON, as holdfast(1) describes it: what `run --json` prints, and what hooks and webhooks get.
 */
#ifndef CLI_RUN_JSON_H
#define CLI_RUN_JSON_H

#include "format/messages.h"

#include <jansson.h>

/* `repository` is its name in the configuration. The caller frees the object. */
json_t *run_json(const char *repository, const struct run_record *record);
/* The names of classes in a list. */
json_t *run_json_classes(uint32_t classes);
/* One job of it. */
json_t *run_json_job(const struct run_job *job);

#endif
