/*
 * A snapshot as a JSON object, the same in every listing. For the commands.
 */
#ifndef CLI_SNAPSHOT_JSON_H
#define CLI_SNAPSHOT_JSON_H

#include "repo/snapshots.h"

#include <jansson.h>

#define SNAPSHOT_CLASSES 5

/* Of class number 0 to 4: daily weekly monthly yearly manual. */
const char *snapshot_class_name(unsigned number);
/* With the names of the repository's targets that hold it. */
json_t *snapshot_json(const struct snapshot *snapshot, const struct repository *repository);

#endif
