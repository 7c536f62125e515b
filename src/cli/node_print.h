/*
 * Entries of snapshots as lines and as JSON objects, the same in ls, find and diff. For the commands.
 */
#ifndef CLI_NODE_PRINT_H
#define CLI_NODE_PRINT_H

#include "tree/links.h"

#include <jansson.h>

/* The node as it is shown: a further name of a file has the size of the first. A warning where that one is
 * not there, and STATUS_INTEGRITY in *status. */
int node_complete(struct tree_links *links, const char *path, const struct node *node, struct node *shown,
                  int *status, struct error *err);
/* "file", "directory" ... */
const char *node_type_name(enum node_type type);
/* Like a line of ls -l, to standard output. */
void node_print_line(const char *path, const struct node *node);
json_t *node_json(const char *path, const struct node *node);

#endif
