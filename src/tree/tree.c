#include "tree/tree.h"

#include "base/file.h"
#include "base/memory.h"
#include "format/messages.h"

#include <stdlib.h>
#include <string.h>

#define LISTING_MAX (1u << 30)

void tree_free(struct tree *tree)
{
    arena_free(&tree->arena);
    *tree = (struct tree){0};
}

static int compare_nodes(const void *a, const void *b)
{
    const struct node *x = a, *y = b;
    return bytes_compare(x->name, y->name);
}

int tree_store(struct node *nodes, size_t count, const struct chunker *chunker,
               const struct chunker_parameters *parameters, tree_store_blob *store, void *context,
               struct arena *arena, struct extents *out, struct error *err)
{
    struct buffer listing = {0};
    size_t capacity = 0;
    struct extent *list = NULL;
    int code = 0;
    *out = (struct extents){0};
    if (count)
        qsort(nodes, count, sizeof *nodes, compare_nodes);
    for (size_t i = 1; i < count; i++) {
        if (bytes_equal(nodes[i - 1].name, nodes[i].name))
            return error_set(err, ERROR_FAILED, "two entries of a directory have the same name");
    }
    tree_encode(nodes, count, &listing);
    if (listing.size > LISTING_MAX)
        code = error_set(err, ERROR_UNSUPPORTED, "its listing is larger than 1 GiB");
    /* Most listings fit one blob; an empty one is no piece at all. */
    for (size_t at = 0, n; at < listing.size && code == 0; at += n) {
        size_t left = listing.size - at;
        n = listing.size <= parameters->max ? left : chunker_next(chunker, listing.data + at, left, true);
        memory_reserve_one(list, out->count, capacity);
        list[out->count] = (struct extent){.length = n};
        code = store(context, bytes_of(listing.data + at, n), &list[out->count++].blob, err);
    }
    buffer_free(&listing);
    if (code == 0 && out->count) {
        out->list = arena_alloc_array(arena, out->count, sizeof *out->list);
        memcpy(out->list, list, out->count * sizeof *list);
    }
    free(list);
    return code;
}

/* A path as read: in its normal form. It lies in the listing's arena. */
static void normalise(struct bytes *path)
{
    path->size = file_normalise((char *)(uintptr_t)path->data, path->size);
}

struct numbered {
    struct node node;
    size_t number;
};

static int compare_numbered(const void *a, const void *b)
{
    const struct numbered *x = a, *y = b;
    int order = bytes_compare(x->node.name, y->node.name);
    return order ? order : (x->number > y->number) - (x->number < y->number);
}

/* Sources may have been spelled in any way when a snapshot was made. Of two spellings of one path the first
 * counts: in the second, each further name of a file leads there. */
static void normalise_names(struct tree *tree)
{
    struct numbered *list = memory_alloc_array(tree->count, sizeof *list);
    size_t kept = 0;
    for (size_t i = 0; i < tree->count; i++) {
        list[i] = (struct numbered){tree->nodes[i], i};
        normalise(&list[i].node.name);
    }
    if (tree->count)
        qsort(list, tree->count, sizeof *list, compare_numbered);
    for (size_t i = 0; i < tree->count; i++) {
        if (kept == 0 || !bytes_equal(tree->nodes[kept - 1].name, list[i].node.name))
            tree->nodes[kept++] = list[i].node;
    }
    tree->count = kept;
    free(list);
}

int tree_fetch(const struct extents *pieces, bool root_names, tree_fetch_blob *fetch, void *context,
               struct tree *tree, struct error *err)
{
    struct buffer listing = {0};
    int code = 0;
    *tree = (struct tree){0};
    for (size_t i = 0; i < pieces->count && code == 0; i++) {
        const struct extent *e = &pieces->list[i];
        size_t before = listing.size;
        if (e->length > LISTING_MAX - before)
            code = error_set(err, ERROR_INTEGRITY, "a directory listing is larger than 1 GiB");
        else
            code = fetch(context, &e->blob, &listing, err);
        if (code == 0 && listing.size - before != e->length)
            code = error_set(err, ERROR_INTEGRITY,
                             "a piece of a directory listing has another length than its parent says");
    }
    if (code == 0)
        code = tree_decode(buffer_bytes(&listing), root_names, &tree->arena, &tree->nodes, &tree->count, err);
    buffer_free(&listing);
    if (code == 0 && root_names)
        normalise_names(tree);
    for (size_t i = 0; i < tree->count && code == 0; i++)
        normalise(&tree->nodes[i].hard_link);
    if (code != 0)
        tree_free(tree);
    return code;
}

const struct node *tree_node_by_name(const struct tree *tree, struct bytes name)
{
    size_t low = 0, high = tree->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = bytes_compare(tree->nodes[middle].name, name);
        if (order == 0)
            return &tree->nodes[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- walking ---- */

/* A listing can name an ancestor only by a collision of HMACs, but a hostile writer might nest without end.
 */
#define DEPTH_MAX 100000

struct level {
    struct tree tree;
    size_t next;
    size_t path_size; /* of the directory */
};

struct walk {
    struct level *levels;
    size_t depth, capacity;
    struct buffer path;
};

static void append_name(struct buffer *path, struct bytes name)
{
    if (path->size && path->data[path->size - 1] != '/' && name.data[0] != '/')
        buffer_u8(path, '/');
    buffer_append_bytes(path, name);
}

static int enter(struct walk *w, const struct extents *pieces, tree_fetch_blob *fetch, void *context,
                 struct error *err)
{
    if (w->depth == DEPTH_MAX)
        return error_set(err, ERROR_INTEGRITY, "directories are nested deeper than %d levels", DEPTH_MAX);
    memory_reserve_one(w->levels, w->depth, w->capacity);
    struct level *level = &w->levels[w->depth];
    int code = tree_fetch(pieces, w->depth == 0, fetch, context, &level->tree, err);
    if (code != 0)
        return code;
    level->next = 0;
    level->path_size = w->path.size;
    w->depth++;
    return 0;
}

static void leave(struct walk *w)
{
    struct level *level = &w->levels[--w->depth];
    tree_free(&level->tree);
}

static void walk_free(struct walk *w)
{
    while (w->depth)
        leave(w);
    free(w->levels);
    buffer_free(&w->path);
}

int tree_walk(const struct extents *root, tree_fetch_blob *fetch, void *context, tree_visit *visit,
              void *visit_context, struct error *err)
{
    struct walk w = {0};
    int code = enter(&w, root, fetch, context, err);
    while (code == 0 && w.depth) {
        struct level *level = &w.levels[w.depth - 1];
        if (level->next == level->tree.count) {
            leave(&w);
            continue;
        }
        const struct node *node = &level->tree.nodes[level->next++];
        w.path.size = level->path_size;
        append_name(&w.path, node->name);
        code = visit(visit_context, buffer_string(&w.path), node, err);
        if (code == 0 && node->type == NODE_DIRECTORY && node->subtree.count)
            code = enter(&w, &node->subtree, fetch, context, err);
        else if (code == TREE_SKIP)
            code = 0;
    }
    walk_free(&w);
    return code;
}

/* ---- finding ---- */

/* True if path is name or lies below it; *rest is what follows, without its slash. */
static bool begins_with(const char *path, struct bytes name, const char **rest)
{
    size_t length = strlen(path), n = name.size;
    if (length < n || memcmp(path, name.data, n) != 0)
        return false;
    if (n && name.data[n - 1] == '/') { /* the source "/" */
        *rest = path + n;
        return true;
    }
    if (path[n] != '\0' && path[n] != '/')
        return false;
    *rest = path + n;
    while (**rest == '/')
        ++*rest;
    return true;
}

static struct extents copy_extents(struct arena *arena, const struct extents *from)
{
    struct extents copy = {.count = from->count};
    if (from->count) {
        copy.list = arena_alloc_array(arena, from->count, sizeof *copy.list);
        memcpy(copy.list, from->list, from->count * sizeof *copy.list);
    }
    return copy;
}

void tree_copy_node(struct arena *arena, const struct node *from, struct node *to)
{
    *to = *from;
    to->name = arena_copy(arena, from->name);
    to->user = arena_copy(arena, from->user);
    to->group = arena_copy(arena, from->group);
    to->link_target = arena_copy(arena, from->link_target);
    to->hard_link = arena_copy(arena, from->hard_link);
    to->content = copy_extents(arena, &from->content);
    to->subtree = copy_extents(arena, &from->subtree);
    to->xattrs = from->xattr_count ? arena_alloc_array(arena, from->xattr_count, sizeof *to->xattrs) : NULL;
    for (size_t i = 0; i < from->xattr_count; i++) {
        to->xattrs[i].name = arena_copy(arena, from->xattrs[i].name);
        to->xattrs[i].value = arena_copy(arena, from->xattrs[i].value);
    }
}

/* The longest of the nodes whose name path begins with, among those shorter than `below`; NULL: there is
 * none. *rest is what follows. */
static const struct node *longest_prefix(const struct tree *tree, const char *path, size_t below,
                                         const char **rest)
{
    const struct node *best = NULL;
    const char *after;
    for (size_t i = 0; i < tree->count; i++) {
        const struct node *node = &tree->nodes[i];
        if (node->name.size < below && begins_with(path, node->name, &after) &&
            (!best || node->name.size > best->name.size)) {
            best = node;
            *rest = after;
        }
    }
    return best;
}

/* Goes down from a source. True if something is at path, copied into arena then. */
static int find_below(const struct node *source, const char *path, tree_fetch_blob *fetch, void *context,
                      struct arena *arena, struct node *out, bool *found, struct error *err)
{
    struct arena step = {0};
    struct node at = *source;
    struct tree tree = {0};
    int code = 0;
    *found = true;
    while (*path && *found) {
        size_t n = strcspn(path, "/");
        code = tree_fetch(&at.subtree, false, fetch, context, &tree, err);
        const struct node *next = code == 0 ? tree_node_by_name(&tree, bytes_of(path, n)) : NULL;
        if ((*found = next))
            tree_copy_node(&step, next, &at);
        tree_free(&tree);
        path += n + strspn(path + n, "/");
    }
    if (*found)
        tree_copy_node(arena, &at, out);
    arena_free(&step);
    return code;
}

static int find(const struct extents *root, const char *path, bool contents, tree_fetch_blob *fetch,
                void *context, struct arena *arena, struct node *out, struct error *err)
{
    struct tree tree;
    const struct node *source;
    const char *rest;
    size_t below = SIZE_MAX;
    bool found = false;
    int code = tree_fetch(root, true, fetch, context, &tree, err);
    /* A source may lie in another. */
    while (code == 0 && !found && (source = longest_prefix(&tree, path, below, &rest))) {
        code = find_below(source, rest, fetch, context, arena, out, &found, err);
        found = found && (!contents || out->hard_link.size == 0);
        below = source->name.size;
    }
    tree_free(&tree);
    if (code == 0 && !found) {
        code = error_set(err, ERROR_NOT_FOUND, "%s is not in the snapshot", path);
        error_hint(err, "holdfast ls SNAPSHOT lists what is");
    }
    return code;
}

int tree_find(const struct extents *root, const char *path, tree_fetch_blob *fetch, void *context,
              struct arena *arena, struct node *out, struct error *err)
{
    return find(root, path, false, fetch, context, arena, out, err);
}

int tree_find_contents(const struct extents *root, const char *path, tree_fetch_blob *fetch, void *context,
                       struct arena *arena, struct node *out, struct error *err)
{
    return find(root, path, true, fetch, context, arena, out, err);
}
