/* Which files of which snapshots cannot be restored, once it is known which packs are bad everywhere. */
#include "base/memory.h"
#include "ops/verify_internal.h"
#include "repo/blobs.h"
#include "repo/inspect.h"
#include "tree/tree.h"

#include <stdlib.h>
#include <string.h>

struct open_directory {
    size_t path_length;
    bool single; /* the listing is one blob: then it is remembered */
    struct id listing;
    bool affected;
};

struct lost {
    struct verify *v;
    const struct snapshot *snapshot;
    struct id_map *clean; /* listings below which nothing is lost */
    struct open_directory *stack;
    size_t depth, capacity;
};

static int is_lost(struct lost *l, const struct extents *extents, bool *lost, struct error *err)
{
    struct repository *r = l->v->repository;
    *lost = false;
    for (size_t i = 0; i < extents->count && !*lost; i++) {
        struct blob_location copies[BLOB_COPIES_MAX];
        size_t count;
        uint32_t good = 0;
        if (extents->list[i].hole)
            continue;
        int code = blobs_locate(r, &extents->list[i].blob, copies, &count, err);
        if (code != 0)
            return code;
        for (size_t k = 0; k < count; k++)
            good |= l->v->held[copies[k].pack] & ~verify_bad_targets(l->v, copies[k].pack);
        *lost = !(good & repository_active_mask(r));
    }
    return 0;
}

static void report(struct lost *l, const char *path)
{
    l->v->result->lost_files++;
    if (l->v->parameters->lost)
        l->v->parameters->lost(l->v->parameters->problem_context, l->snapshot, path);
    if (l->depth)
        l->stack[l->depth - 1].affected = true;
}

/* Closes the directories that path is not below. */
static void leave(struct lost *l, const char *path)
{
    while (l->depth) {
        const struct open_directory *d = &l->stack[l->depth - 1];
        if (strlen(path) > d->path_length && path[d->path_length] == '/')
            return;
        l->depth--;
        if (!d->affected && d->single)
            id_map_put(l->clean, &d->listing, 1);
        if (d->affected && l->depth)
            l->stack[l->depth - 1].affected = true;
    }
}

static int look_at(void *context, const char *path, const struct node *node, struct error *err)
{
    struct lost *l = context;
    bool lost;
    if (l->v->parameters->cancelled && *l->v->parameters->cancelled)
        return error_set(err, ERROR_CANCELLED, "stopped by a signal");
    leave(l, path);
    bool directory = node->type == NODE_DIRECTORY;
    const struct extents *extents = directory ? &node->subtree : &node->content;
    bool single = directory && extents->count == 1 && !extents->list[0].hole;
    if (single && id_map_has(l->clean, &extents->list[0].blob))
        return TREE_SKIP;
    int code = is_lost(l, extents, &lost, err);
    if (code != 0)
        return code;
    if (lost) {
        report(l, path);
        return directory ? TREE_SKIP : 0;
    }
    if (directory) {
        memory_reserve_one(l->stack, l->depth, l->capacity);
        l->stack[l->depth] = (struct open_directory){.path_length = strlen(path)};
        if (single) {
            l->stack[l->depth].single = true;
            l->stack[l->depth].listing = extents->list[0].blob;
        }
        l->depth++;
    }
    return 0;
}

int verify_report_lost(struct verify *v, const struct snapshot_list *list, struct error *err)
{
    struct lost l = {.v = v, .clean = id_map_new()};
    int code = 0;
    for (size_t i = 0; i < list->count && code == 0; i++) {
        struct error why;
        bool lost;
        const struct extents *root = &list->list[i].manifest.root;
        l.snapshot = &list->list[i];
        code = is_lost(&l, root, &lost, err);
        if (code != 0)
            break;
        int walked =
            lost ? ERROR_INTEGRITY : tree_walk(root, blobs_fetch_tree, v->repository, look_at, &l, &why);
        leave(&l, "");
        /* A listing that cannot be read after all: whatever was not named may be lost as well. */
        if (walked == ERROR_INTEGRITY)
            report(&l, "/");
        else if (walked != 0)
            code = walked;
        if (code != 0 && err)
            *err = why;
    }
    id_map_free(l.clean);
    free(l.stack);
    return code;
}
