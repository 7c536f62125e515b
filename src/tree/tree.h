/*
 * Trees: directory listings as blobs. Turns sorted nodes into blobs (cut by the chunker when long), reads
 * them back, walks and compares them. Used by repo and ops. It stores and fetches blobs through callbacks and
 * knows nothing of packs.
 */
#ifndef TREE_TREE_H
#define TREE_TREE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "chunker/chunker.h"

/* Stores one meta blob and gives its id. */
typedef int tree_store_blob(void *context, struct bytes blob, struct id *id, struct error *err);
/* Appends one meta blob. */
typedef int tree_fetch_blob(void *context, const struct id *id, struct buffer *out, struct error *err);

/* A listing as read. */
struct tree {
    struct arena arena;
    struct node *nodes;
    size_t count;
};

void tree_free(struct tree *tree);

/* Sorts nodes by name, serialises them and stores the pieces (one blob if at most chunk max, else cut by the
 * chunker). The extents' array lies in arena. Two nodes of one name: FAILED.
 * More than readers take in one listing: UNSUPPORTED. */
int tree_store(struct node *nodes, size_t count, const struct chunker *chunker,
               const struct chunker_parameters *parameters, tree_store_blob *store, void *context,
               struct arena *arena, struct extents *out, struct error *err);
/* Fetches and decodes a listing of at most 1 GiB serialised. root_names: see tree_decode.
 * Names of sources and the paths of hard links are in their normal form, however they were written. */
int tree_fetch(const struct extents *pieces, bool root_names, tree_fetch_blob *fetch, void *context,
               struct tree *tree, struct error *err);

/* The entry of this name, or NULL. */
const struct node *tree_node_by_name(const struct tree *tree, struct bytes name);

/* What a walk tells: return 0 to go on, TREE_SKIP not to enter a directory, else the walk ends with that
 * code. path is "/etc/x" (or the name in the root tree followed by names), without a trailing slash. */
#define TREE_SKIP 1
typedef int tree_visit(void *context, const char *path, const struct node *node, struct error *err);

/* Depth-first in name order; directories before their contents. Depth is bounded by memory only, not by the
 * call stack. */
int tree_walk(const struct extents *root, tree_fetch_blob *fetch, void *context, tree_visit *visit,
              void *visit_context, struct error *err);
/* The node at path ("" gives none: NOT_FOUND), copied into arena. Names of the root tree are source paths
 * such as "/srv/www": the longest matching prefix goes before. A path above the sources ("/srv" when the
 * source is "/srv/www") is NOT_FOUND here; ops handles it. */
int tree_find(const struct extents *root, const char *path, tree_fetch_blob *fetch, void *context,
              struct arena *arena, struct node *out, struct error *err);

/* Where a hard link leads: likewise, but what is itself a link there does not count. In snapshots whose
 * sources lay in one another a name may lead to itself; the outer source has the contents. */
int tree_find_contents(const struct extents *root, const char *path, tree_fetch_blob *fetch, void *context,
                       struct arena *arena, struct node *out, struct error *err);

/* A deep copy into arena. */
void tree_copy_node(struct arena *arena, const struct node *from, struct node *to);

enum tree_change { TREE_ADDED, TREE_REMOVED, TREE_CONTENT_CHANGED, TREE_METADATA_CHANGED, TREE_TYPE_CHANGED };
typedef int tree_report(void *context, enum tree_change change, const char *path, const struct node *before,
                        const struct node *after, struct error *err);
/* Compares two roots; equal subtrees (same pieces) are not read. Added and removed directories are reported
 * with everything below. */
int tree_compare(const struct extents *before, const struct extents *after, tree_fetch_blob *fetch,
                 void *context, tree_report *report, void *report_context, struct error *err);

#endif
