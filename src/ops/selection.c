#include "base/file.h"
#include "base/memory.h"
#include "ops/restore.h"
#include "repo/blobs.h"
#include "tree/tree.h"

#include <stdlib.h>
#include <string.h>

struct maker {
    struct repository *repository;
    const struct extents *root;
    struct tree top;
    struct selection *selection;
    size_t capacity;
};

static void add(struct maker *m, const char *path, const struct node *node, bool named)
{
    struct selection *s = m->selection;
    memory_reserve_one(s->list, s->count, m->capacity);
    s->list[s->count].path = arena_copy_string(&s->arena, path);
    s->list[s->count].named = named;
    tree_copy_node(&s->arena, node, &s->list[s->count].node);
    s->count++;
}

/* The sources that lie below path, or all of them. */
static void add_sources(struct maker *m, const char *path)
{
    for (size_t i = 0; i < m->top.count; i++) {
        const struct node *node = &m->top.nodes[i];
        if (path && (!file_lies_in(node->name, path) || node->name.size == strlen(path)))
            continue;
        char *name = memory_format("%.*s", (int)node->name.size, (const char *)node->name.data);
        add(m, name, node, false);
        free(name);
    }
}

/* Whatever lies below path, in its source or as another source, for something may have been mounted there.
 * What lies in a path before it is selected already. */
static int add_path(struct maker *m, const char *path, bool selected, struct error *err)
{
    struct node node;
    size_t before = m->selection->count;
    int code = tree_find(m->root, path, blobs_fetch_tree, m->repository, &m->selection->arena, &node, err);
    if (code != 0 && code != ERROR_NOT_FOUND)
        return code;
    if (code == 0 && selected)
        return 0;
    if (code == 0)
        add(m, path, &node, true);
    if (!selected)
        add_sources(m, path);
    return m->selection->count > before ? 0 : code;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Outer ones before what lies in them. */
static int add_paths(struct maker *m, char **paths, size_t count, struct error *err)
{
    int code = 0;
    qsort(paths, count, sizeof *paths, compare_paths);
    for (size_t i = 0; i < count && code == 0; i++) {
        bool selected = false;
        for (size_t j = 0; j < i && !selected; j++)
            selected = file_lies_in(bytes_of_string(paths[i]), paths[j]);
        code = add_path(m, paths[i], selected, err);
    }
    return code;
}

int selection_make(struct repository *r, const struct extents *root, const char *const *paths,
                   size_t path_count, struct selection *s, struct error *err)
{
    struct maker m = {.repository = r, .root = root, .selection = s};
    char **clean = memory_alloc_array(path_count, sizeof *clean);
    int code = 0;
    memset(s, 0, sizeof *s);
    for (size_t i = 0; i < path_count && code == 0; i++)
        code = file_clean_path(paths[i], &clean[i], err);
    if (code == 0)
        code = tree_fetch(root, true, blobs_fetch_tree, r, &m.top, err);
    if (code == 0 && path_count)
        code = add_paths(&m, clean, path_count, err);
    else if (code == 0)
        add_sources(&m, NULL);
    tree_free(&m.top);
    for (size_t i = 0; i < path_count; i++)
        free(clean[i]);
    free(clean);
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
