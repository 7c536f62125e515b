/*
 * What a restore says of users and groups that are others on this machine. For the command restore.
 */
#ifndef CLI_OWNERS_PRINT_H
#define CLI_OWNERS_PRINT_H

#include "cli/options.h"
#include "source/owner_map.h"

#include <jansson.h>

/* Prints what differs, as far as a person reads it; a warning is what came to belong to somebody else than
 * was recorded, though names were asked for. Returns how many warnings there were. */
uint64_t owners_print(const struct options *options, const struct owner_map *owners);
/* Adds the members for it. */
void owners_add_json(json_t *object, const struct owner_map *owners);

#endif
