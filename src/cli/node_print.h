/*
 * Entries of snapshots as lines and as JSON objects, the same in ls, find and diff. For the commands.
 */
#ifndef CLI_NODE_PRINT_H
#define CLI_NODE_PRINT_H

#include "base/node.h"

#include <jansson.h>

/* "file", "directory" ... */
const char *node_type_name(enum node_type type);
/* Like a line of ls -l, to standard output. */
void node_print_line(const char *path, const struct node *node);
json_t *node_json(const char *path, const struct node *node);

#endif
