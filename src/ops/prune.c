#include "ops/prune_internal.h"

#include "base/memory.h"
#include "repo/blobs.h"
#include "repo/lease.h"
#include "tree/tree.h"

#include <stdlib.h>

void prune_result_free(struct prune_result *result)
{
    free(result->decisions);
    *result = (struct prune_result){0};
}

/* ---- what is live ---- */

struct marking {
    struct repository *repository;
    struct collection *collection;
};

static int mark_extents(struct marking *m, const struct extents *extents, bool *all_marked, struct error *err)
{
    int code = 0;
    *all_marked = extents->count > 0;
    for (size_t i = 0; i < extents->count && code == 0; i++) {
        bool was = true;
        if (!extents->list[i].hole)
            code = collection_mark(m->collection, &extents->list[i].blob, &was, err);
        *all_marked &= was;
    }
    return code;
}

/* A listing that was marked before was walked before, too. */
static int mark_node(void *context, const char *path, const struct node *node, struct error *err)
{
    struct marking *m = context;
    bool marked;
    int code = mark_extents(m, &node->content, &marked, err);
    if (code == 0 && node->type == NODE_DIRECTORY) {
        code = mark_extents(m, &node->subtree, &marked, err);
        if (code == 0 && marked)
            return TREE_SKIP;
    }
    if (code != 0)
        error_prefix(err, "%s", path);
    return code;
}

static int mark_snapshot(struct marking *m, const struct snapshot *snapshot, bool dry_run, struct error *err)
{
    const struct extents *root = &snapshot->manifest.root;
    bool marked;
    int code = mark_extents(m, root, &marked, err);
    if (code == 0 && !marked)
        code = tree_walk(root, blobs_fetch_tree, m->repository, mark_node, m, err);
    if (code != 0) {
        char hex[ID_HEX_SIZE];
        id_to_hex(&snapshot->sha256, hex);
        error_prefix(err, "snapshot %.10s", hex);
    } else if (!dry_run) {
        code = lease_keep(m->repository, err);
    }
    return code;
}

/* Dedup group by dedup group. */
static int mark_live(struct marking *m, const struct prune_result *result, bool dry_run, struct error *err)
{
    const struct keyring *keyring = repository_keyring(m->repository);
    bool *done = memory_alloc_array(result->count, sizeof *done);
    int code = 0;
    for (size_t first = 0; first < result->count && code == 0; first++) {
        const struct id16 *host = &result->decisions[first].snapshot->manifest.host;
        if (done[first] || !result->decisions[first].keep)
            continue;
        collection_mark_for(m->collection, host);
        for (size_t i = first; i < result->count && code == 0; i++) {
            const struct prune_decision *d = &result->decisions[i];
            if (done[i] || !d->keep || !keyring_same_dedup_group(keyring, &d->snapshot->manifest.host, host))
                continue;
            done[i] = true;
            code = mark_snapshot(m, d->snapshot, dry_run, err);
        }
    }
    free(done);
    return code;
}

static int forget_expired(struct repository *r, const struct prune_result *result, struct error *err)
{
    struct id *ids = memory_alloc_array(result->expired, sizeof *ids);
    size_t count = 0;
    for (size_t i = 0; i < result->count; i++) {
        if (!result->decisions[i].keep)
            ids[count++] = result->decisions[i].snapshot->sha256;
    }
    int code = count ? snapshots_check_pins(r, ids, count, err) : 0;
    if (code == 0 && count)
        code = snapshots_forget(r, ids, count, "expired", err);
    free(ids);
    return code;
}

int prune_run(struct repository *r, const struct snapshot_list *list, const struct prune_parameters *p,
              struct prune_result *result, struct error *err)
{
    struct marking m = {.repository = r};
    *result = (struct prune_result){0};
    int code = prune_decide(r, list, p, result, err);
    if (code != 0)
        return code;
    if (!p->force && result->expired == 0 && !collection_has_work(r, err))
        return 0;
    result->collected = true;
    code = collection_new(r, &m.collection, err);
    if (code == 0)
        code = mark_live(&m, result, p->dry_run, err);
    /* All that is to stay was read without a fault: only now anything is forgotten. */
    if (code == 0 && !p->dry_run)
        code = forget_expired(r, result, err);
    if (code != 0 && code != ERROR_CANCELLED && !p->dry_run)
        collection_keep_all_locks(r);
    if (code == 0)
        code = collection_run(m.collection, p->dry_run, p->force, &result->collect, err);
    collection_free(m.collection);
    return code;
}
