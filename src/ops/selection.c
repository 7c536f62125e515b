#include "base/file.h"
#include "base/memory.h"
#include "ops/restore.h"
#include "repo/blobs.h"
#include "tree/tree.h"

#include <stdlib.h>
#include <string.h>

static void add(struct selection *s, size_t *capacity, const char *path, const struct node *node)
{
    memory_reserve_one(s->list, s->count, *capacity);
    s->list[s->count].path = arena_copy_string(&s->arena, path);
    tree_copy_node(&s->arena, node, &s->list[s->count].node);
    s->count++;
}

static bool lies_below(struct bytes name, const char *path)
{
    size_t n = strlen(path);
    return name.size > n && memcmp(name.data, path, n) == 0 && name.data[n] == '/';
}

static int add_path(struct repository *r, const struct extents *root, const struct tree *top,
                    const char *typed, struct selection *s, size_t *capacity, struct error *err)
{
    char *path = memory_copy_string(typed);
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
        path[n - 1] = '\0';
    const char *prefix = strcmp(path, "/") == 0 ? "" : path;
    size_t before = s->count;
    struct node node;
    int code = tree_find(root, path, blobs_fetch_tree, r, &s->arena, &node, err);
    if (code == 0) {
        add(s, capacity, path, &node);
    } else if (code == ERROR_NOT_FOUND) {
        for (size_t i = 0; i < top->count; i++) {
            if (lies_below(top->nodes[i].name, prefix)) {
                char *name = memory_format("%.*s", (int)top->nodes[i].name.size,
                                           (const char *)top->nodes[i].name.data);
                add(s, capacity, name, &top->nodes[i]);
                free(name);
            }
        }
        if (s->count > before)
            code = 0;
    }
    free(path);
    return code;
}

int selection_make(struct repository *r, const struct extents *root, const char *const *paths,
                   size_t path_count, struct selection *s, struct error *err)
{
    struct tree top;
    size_t capacity = 0;
    memset(s, 0, sizeof *s);
    int code = tree_fetch(root, true, blobs_fetch_tree, r, &top, err);
    if (code != 0)
        return code;
    for (size_t i = 0; i < path_count && code == 0; i++)
        code = add_path(r, root, &top, paths[i], s, &capacity, err);
    for (size_t i = 0; i < top.count && path_count == 0; i++) {
        char *path = memory_format("%.*s", (int)top.nodes[i].name.size, (const char *)top.nodes[i].name.data);
        add(s, &capacity, path, &top.nodes[i]);
        free(path);
    }
    tree_free(&top);
    if (code != 0)
        selection_free(s);
    return code;
}

bool selection_has(const struct selection *s, struct bytes path)
{
    for (size_t i = 0; i < s->count; i++) {
        if (file_lies_in(path, s->list[i].path))
            return true;
    }
    return false;
}

void selection_free(struct selection *s)
{
    arena_free(&s->arena);
    free(s->list);
    memset(s, 0, sizeof *s);
}
