#include "ops/restore_together.h"

#include "base/memory.h"
#include "base/text.h"
#include "repo/blobs.h"
#include "tree/tree.h"

#include <stdlib.h>

static bool is_empty_directory(const struct node *node)
{
    return node->type == NODE_DIRECTORY && node->subtree.count == 0;
}

/* Whether a snapshot has something at the path of another's source. What a command printed is named without
 * a slash, and is restored to the same place as if it had one. */
static int holds(struct repository *r, const struct snapshot *s, const struct node *source, bool *held,
                 struct error *err)
{
    struct bytes name = source->name;
    if (name.size > 1 && name.data[0] == '/')
        name = bytes_of(name.data + 1, name.size - 1);
    char *with =
        memory_format("%s%.*s", name.data[0] == '/' ? "" : "/", (int)name.size, (const char *)name.data);
    const char *const spellings[] = {with, with + 1};
    int code = 0;
    *held = false;
    for (size_t i = 0; i < 2 && code == 0 && !*held && *spellings[i]; i++) {
        struct arena arena = {0};
        struct node node;
        code = tree_find(&s->manifest.root, spellings[i], blobs_fetch_tree, r, &arena, &node, err);
        *held = code == 0 && !(node.type == NODE_DIRECTORY && source->type == NODE_DIRECTORY &&
                               (is_empty_directory(&node) || is_empty_directory(source)));
        if (code == ERROR_NOT_FOUND)
            code = 0;
        arena_free(&arena);
    }
    free(with);
    return code;
}

static int check_sources(struct repository *r, const struct snapshot *of, const struct snapshot *in,
                         struct error *err)
{
    struct tree sources;
    int code = tree_fetch(&of->manifest.root, true, blobs_fetch_tree, r, &sources, err);
    for (size_t i = 0; i < sources.count && code == 0; i++) {
        bool held;
        code = holds(r, in, &sources.nodes[i], &held, err);
        if (code != 0 || !held)
            continue;
        char *path = text_visible_bytes(sources.nodes[i].name.data, sources.nodes[i].name.size);
        error_set(err, ERROR_EXISTS,
                  "the snapshots of %s/%s and %s/%s both hold %.1000s: one would get in the "
                  "way of the other",
                  of->manifest.host_name, of->manifest.job, in->manifest.host_name, in->manifest.job, path);
        code = error_hint(err, "restore them one by one, each to a folder of its own");
        free(path);
    }
    tree_free(&sources);
    return code;
}

int restore_check_together(struct repository *r, const struct snapshot *const *snapshots, size_t count,
                           struct error *err)
{
    int code = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count && code == 0; k++) {
            if (k != i)
                code = check_sources(r, snapshots[i], snapshots[k], err);
        }
    }
    return code;
}
