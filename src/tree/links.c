#include "tree/links.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct tree_links {
    const struct extents *root;
    tree_fetch_blob *fetch;
    void *context;
    /* Links of one directory mostly lead into one other: its listing is read once. */
    char *path;
    struct tree directory;
    struct arena found; /* what is not in it */
};

struct tree_links *tree_links_new(const struct extents *root, tree_fetch_blob *fetch, void *context)
{
    struct tree_links *links = memory_new(struct tree_links);
    *links = (struct tree_links){.root = root, .fetch = fetch, .context = context};
    return links;
}

static void forget_directory(struct tree_links *links)
{
    tree_free(&links->directory);
    free(links->path);
    links->path = NULL;
}

void tree_links_free(struct tree_links *links)
{
    if (!links)
        return;
    forget_directory(links);
    arena_free(&links->found);
    free(links);
}

/* Reads the listing of the directory that holds path. A source may have no directory around it: then there
 * is none to read. */
static int enter(struct tree_links *links, const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    char *parent = memory_format("%.*s", slash ? (int)(slash - path) : 0, path);
    struct arena arena = {0};
    struct node node;
    int code = 0;
    if (links->path && strcmp(links->path, parent) == 0) {
        free(parent);
        return 0;
    }
    forget_directory(links);
    links->path = parent;
    if (*parent)
        code = tree_find(links->root, parent, links->fetch, links->context, &arena, &node, err);
    if (*parent && code == 0 && node.type == NODE_DIRECTORY)
        code = tree_fetch(&node.subtree, false, links->fetch, links->context, &links->directory, err);
    arena_free(&arena);
    if (code != 0 && code != ERROR_NOT_FOUND) {
        forget_directory(links);
        return code;
    }
    return 0;
}

static int find(struct tree_links *links, const char *path, struct node *out, struct error *err)
{
    int code = enter(links, path, err);
    if (code != 0)
        return code;
    const char *slash = strrchr(path, '/');
    const struct node *node = tree_node_by_name(&links->directory, bytes_of_string(slash ? slash + 1 : path));
    /* What is a link there may be a source of its own, which goes before. */
    if (node && node->hard_link.size == 0) {
        *out = *node;
        return 0;
    }
    arena_free(&links->found);
    return tree_find_contents(links->root, path, links->fetch, links->context, &links->found, out, err);
}

int tree_links_resolve(struct tree_links *links, struct node *node, struct error *err)
{
    if (node->type != NODE_FILE || node->hard_link.size == 0)
        return 0;
    char *path = memory_format("%.*s", (int)node->hard_link.size, (const char *)node->hard_link.data);
    struct node first;
    int code = find(links, path, &first, err);
    if (code == ERROR_NOT_FOUND || (code == 0 && (first.type != NODE_FILE || first.hard_link.size))) {
        char *visible = text_visible(path);
        code = error_set(err, ERROR_NOT_FOUND, "its hard link leads to no file: %s", visible);
        free(visible);
    }
    if (code == 0) {
        node->content = first.content;
        node->size = first.size;
    }
    free(path);
    return code;
}
