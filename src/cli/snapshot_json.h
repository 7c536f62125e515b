/*
 * A snapshot as a JSON object, the same in every listing. For the commands.
 */
#ifndef CLI_SNAPSHOT_JSON_H
#define CLI_SNAPSHOT_JSON_H

#include "policy/keep.h"
#include "repo/snapshots.h"

#include <jansson.h>

/* The names of classes, CLASS_ bits, in a list. */
json_t *snapshot_classes_json(uint32_t classes);
/* Appends them with spaces between. */
void snapshot_append_classes(uint32_t classes, struct buffer *out);
/* With the names of the repository's targets that hold it. */
json_t *snapshot_json(const struct snapshot *snapshot, const struct repository *repository);

#endif
