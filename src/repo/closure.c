/* Whether a target holds everything that snapshots need. */
#include "base/memory.h"
#include "repo/internal.h"
#include "tree/tree.h"

#include <stdlib.h>

struct closure {
    struct repository *r;
    size_t target;
    const uint32_t *has;
    closure_lack *lack;
    void *context;
    bool whole;          /* so far, of the snapshot at hand */
    struct id_map *seen; /* blobs of snapshots that were walked to their end */
};

struct closure *closure_new(struct repository *r, size_t target, const uint32_t *has, closure_lack *lack,
                            void *context)
{
    struct closure *c = memory_new(struct closure);
    *c = (struct closure){
        .r = r, .target = target, .has = has, .lack = lack, .context = context, .seen = id_map_new()};
    return c;
}

void closure_free(struct closure *c)
{
    if (!c)
        return;
    id_map_free(c->seen);
    free(c);
}

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
            found |= c->has[copies[k].pack] >> c->target & 1;
        if (code == 0 && !found && !c->lack)
            code = error_set(err, ERROR_NOT_FOUND, "a blob is not there");
        if (code != 0)
            return code;
        if (!found && count)
            c->lack(c->context, &copies[0]);
        c->whole &= found;
    }
    return 0;
}

static int check_node(void *context, const char *path, const struct node *node, struct error *err)
{
    (void)path;
    struct closure *c = context;
    bool seen;
    int code = repository_stopped(c->r, err);
    if (code == 0)
        code = check_extents(c, &node->content, &seen, err);
    if (code != 0 || node->type != NODE_DIRECTORY)
        return code;
    code = check_extents(c, &node->subtree, &seen, err);
    return code == 0 && seen ? TREE_SKIP : code;
}

bool closure_holds(struct closure *c, struct object_seen *manifest)
{
    struct buffer body = {0};
    struct arena arena = {0};
    struct manifest m;
    bool seen;
    c->whole = true;
    int code = record_load(c->r, OBJECT_MANIFEST, manifest, &body, NULL);
    if (code == 0)
        code = manifest_decode(buffer_bytes(&body), &arena, &m, NULL);
    if (code == 0)
        code = check_extents(c, &m.root, &seen, NULL);
    if (code == 0 && !seen)
        code = tree_walk(&m.root, blobs_fetch_tree, c->r, check_node, c, NULL);
    arena_free(&arena);
    buffer_free(&body);
    if (code != 0) {
        /* What lies behind what was seen was not. */
        id_map_free(c->seen);
        c->seen = id_map_new();
    }
    return code == 0 && c->whole;
}
