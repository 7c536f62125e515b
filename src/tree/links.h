/*
 * Further names of a file: where its contents are, and so how large it is. A link's node says only which name
 * is the first. Used by ops and the commands.
 */
#ifndef TREE_LINKS_H
#define TREE_LINKS_H

#include "tree/tree.h"

struct tree_links;

/* root must live as long. */
struct tree_links *tree_links_new(const struct extents *root, tree_fetch_blob *fetch, void *context);
/* Gives a further name of a file the size and content of the first; other nodes are left as they are. The
 * content is valid until the next call. NOT_FOUND if there is no such file, else what fetch gave; the node is
 * unchanged then. */
int tree_links_resolve(struct tree_links *links, struct node *node, struct error *err);
void tree_links_free(struct tree_links *links);

#endif
