/* Whether a target holds everything that a snapshot needs. */
#include "base/memory.h"
#include "repo/internal.h"
#include "tree/tree.h"

struct closure {
    struct repository *r;
    size_t target;
    struct id_map *seen;
};

static int check_extents(struct closure *c, const struct extents *extents, bool *all_seen, struct error *err)
{
    struct blob_location copies[BLOB_COPIES_MAX];
    size_t count;
    *all_seen = extents->count > 0;
    for (size_t i = 0; i < extents->count; i++) {
        if (extents->list[i].hole || !id_map_put(c->seen, &extents->list[i].blob, 1))
            continue;
        *all_seen = false;
        bool found = false;
        int code = blobs_locate(c->r, &extents->list[i].blob, copies, &count, err);
        for (size_t k = 0; k < count && code == 0; k++)
            found |= c->r->packs[copies[k].pack].present >> c->target & 1;
        if (code == 0 && !found)
            code = error_set(err, ERROR_NOT_FOUND, "a blob is not there");
        if (code != 0)
            return code;
    }
    return 0;
}

static int check_node(void *context, const char *path, const struct node *node, struct error *err)
{
    (void)path;
    struct closure *c = context;
    bool seen;
    int code = check_extents(c, &node->content, &seen, err);
    if (code != 0 || node->type != NODE_DIRECTORY)
        return code;
    code = check_extents(c, &node->subtree, &seen, err);
    return code == 0 && seen ? TREE_SKIP : code;
}

bool closure_is_on(struct repository *r, struct object_seen *object, size_t target)
{
    struct closure c = {.r = r, .target = target, .seen = id_map_new()};
    struct buffer body = {0};
    struct arena arena = {0};
    struct manifest m;
    bool seen;
    int code = record_load(r, OBJECT_MANIFEST, object, &body, NULL);
    if (code == 0)
        code = manifest_decode(buffer_bytes(&body), &arena, &m, NULL);
    if (code == 0)
        code = check_extents(&c, &m.root, &seen, NULL);
    if (code == 0)
        code = tree_walk(&m.root, blobs_fetch_tree, r, check_node, &c, NULL);
    arena_free(&arena);
    buffer_free(&body);
    id_map_free(c.seen);
    return code == 0;
}
