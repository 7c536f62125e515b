/* Which files of which snapshots cannot be restored, once it is known which packs are bad everywhere. */
#include "base/memory.h"
#include "ops/verify_internal.h"
#include "repo/blobs.h"
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
    uint32_t wanted;      /* the active targets that have the snapshot */
    struct id_map *clean; /* listings below which nothing is lacking; value: on which targets */
    struct open_directory *stack;
    size_t depth, capacity;
    bool some_lost, some_incomplete;
};

enum state { WHOLE, INCOMPLETE, LOST };

static int judge(struct lost *l, const struct extents *extents, enum state *state, struct error *err)
{
    struct repository *r = l->v->repository;
    *state = WHOLE;
    for (size_t i = 0; i < extents->count && *state != LOST; i++) {
        struct blob_location copies[BLOB_COPIES_MAX];
        size_t count;
        uint32_t good = 0;
        if (extents->list[i].hole)
            continue;
        int code = blobs_locate(r, &extents->list[i].blob, copies, &count, err);
        if (code != 0)
            return code;
        for (size_t k = 0; k < count; k++)
            good |= verify_held(l->v, copies[k].pack) & ~verify_bad_targets(l->v, copies[k].pack);
        if (!(good & repository_active_mask(r)))
            *state = LOST;
        else if (l->wanted & ~good)
            *state = INCOMPLETE;
    }
    return 0;
}

static void report(struct lost *l, const char *path, enum state state)
{
    l->some_lost |= state == LOST;
    l->some_incomplete |= state == INCOMPLETE;
    l->v->result->lost_files += state == LOST;
    l->v->result->incomplete_files += state == INCOMPLETE;
    if (state == LOST && l->v->parameters->lost)
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
            id_map_put(l->clean, &d->listing, l->wanted);
        if (d->affected && l->depth)
            l->stack[l->depth - 1].affected = true;
    }
}

static int look_at(void *context, const char *path, const struct node *node, struct error *err)
{
    struct lost *l = context;
    enum state state;
    uint64_t clean = 0;
    if (l->v->parameters->cancelled && *l->v->parameters->cancelled)
        return error_set(err, ERROR_CANCELLED, "stopped by a signal");
    leave(l, path);
    bool directory = node->type == NODE_DIRECTORY;
    const struct extents *extents = directory ? &node->subtree : &node->content;
    bool single = directory && extents->count == 1 && !extents->list[0].hole;
    if (single && id_map_get(l->clean, &extents->list[0].blob, &clean) && !(l->wanted & ~(uint32_t)clean))
        return TREE_SKIP;
    int code = judge(l, extents, &state, err);
    if (code != 0)
        return code;
    if (state != WHOLE)
        report(l, path, state);
    if (state == LOST)
        return directory ? TREE_SKIP : 0;
    if (directory) {
        memory_reserve_one(l->stack, l->depth, l->capacity);
        l->stack[l->depth] = (struct open_directory){.path_length = strlen(path), .affected = state != WHOLE};
        if (single) {
            l->stack[l->depth].single = true;
            l->stack[l->depth].listing = extents->list[0].blob;
        }
        l->depth++;
    }
    return 0;
}

static int look_at_snapshot(struct lost *l, struct error *err)
{
    struct repository *r = l->v->repository;
    const struct extents *root = &l->snapshot->manifest.root;
    enum state state;
    int code = judge(l, root, &state, err);
    if (code != 0)
        return code;
    if (state == INCOMPLETE)
        report(l, "/", state);
    int walked = state == LOST ? ERROR_INTEGRITY : tree_walk(root, blobs_fetch_tree, r, look_at, l, err);
    leave(l, "");
    /* A listing that cannot be read after all: whatever was not named may be lost as well. */
    if (walked == ERROR_INTEGRITY)
        report(l, "/", LOST);
    return walked == ERROR_INTEGRITY ? 0 : walked;
}

int verify_report_lost(struct verify *v, const struct snapshot_list *list, struct error *err)
{
    struct lost l = {.v = v, .clean = id_map_new()};
    int code = 0;
    for (size_t i = 0; i < list->count && code == 0; i++) {
        l.snapshot = &list->list[i];
        l.wanted = l.snapshot->targets & repository_active_mask(v->repository);
        l.some_lost = l.some_incomplete = false;
        code = look_at_snapshot(&l, err);
        v->result->lost_snapshots += l.some_lost;
        v->result->incomplete_snapshots += l.some_incomplete;
    }
    id_map_free(l.clean);
    free(l.stack);
    return code;
}
