/* Directories in flight: each is stored when the last of its parts is done, by whoever did that part. */
#include "base/memory.h"
#include "ops/backup_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct directory *directory_new(struct backup *b, struct directory *parent, size_t index, const char *path,
                                int fd)
{
    struct directory *d = memory_new(struct directory);
    d->backup = b;
    d->parent = parent;
    d->index_in_parent = index;
    d->path = memory_copy_string(path);
    d->fd = fd;
    d->beneath = -1;
    pthread_mutex_init(&d->lock, NULL);
    atomic_init(&d->pending, 1);
    return d;
}

void directory_hold(struct directory *d)
{
    atomic_fetch_add(&d->pending, 1);
}

void directory_note_entry(struct directory *d, size_t index, const struct source_stat *st)
{
    const struct file_system *fs = &d->file_system;
    /* A file on which one of another file system is mounted is none of this one. */
    bool known = st->type != NODE_FILE || (fs->facts.times_tell && !st->mount_root);
    struct cached_entry *e = &d->cached[index];
    *e = cache_entry(e->name, st, known ? fs->settled : INT64_MIN);
}

void directory_leave_out(struct directory *d, size_t index)
{
    d->nodes[index].type = NODE_UNKNOWN;
    d->cached[index].type = NODE_UNKNOWN;
}

void directory_keep(struct directory *d, struct arena *arena)
{
    pthread_mutex_lock(&d->lock);
    memory_reserve_one(d->arenas, d->arena_count, d->arena_capacity);
    d->arenas[d->arena_count++] = *arena;
    pthread_mutex_unlock(&d->lock);
    *arena = (struct arena){0};
}

static void directory_free(struct directory *d)
{
    if (d->fd >= 0)
        close(d->fd);
    for (size_t i = 0; i < d->arena_count; i++)
        arena_free(&d->arenas[i]);
    free(d->arenas);
    free(d->stats);
    arena_free(&d->arena);
    tree_free(&d->old);
    cached_directory_free(&d->row);
    pthread_mutex_destroy(&d->lock);
    free(d->path);
    free(d);
}

/* A directory that is entry for entry the same, and whose subdirectories turned out the same, is what it was.
 */
static bool unchanged(struct directory *d)
{
    if (!d->same)
        return false;
    for (size_t i = 0; i < d->count; i++) {
        /* Something has taken its place since, or nothing. */
        if (d->nodes[i].type != NODE_UNKNOWN || d->cached[i].type == NODE_UNKNOWN)
            return false;
        if (d->cached[i].type == NODE_DIRECTORY) {
            const struct cached_entry *before = cache_find(&d->row, d->cached[i].name);
            if (!before || !id_equal(&before->link, &d->cached[i].link))
                return false;
        }
    }
    return true;
}

/* The nodes of entries that are the same come from the last listing. */
static int take_old_nodes(struct directory *d, struct error *err)
{
    if (!d->same)
        return 0; /* the walker took them already */
    int code = tree_fetch(&d->row.tree, d->fd < 0, blobs_fetch_tree, d->backup->repository, &d->old, err);
    if (code != 0)
        return code;
    for (size_t i = 0; i < d->count; i++) {
        if (d->nodes[i].type != NODE_UNKNOWN || d->cached[i].type == NODE_UNKNOWN)
            continue;
        struct node key = d->nodes[i];
        const struct node *old = tree_node_by_name(&d->old, d->cached[i].name);
        if (!old)
            return error_set(err, ERROR_INTEGRITY, "%s: the stat cache and the last listing disagree",
                             d->path);
        d->nodes[i] = *old;
        if (old->type == NODE_DIRECTORY)
            d->nodes[i].subtree = key.subtree;
    }
    return 0;
}

/* Takes out entries that vanished or could not be read, and one that readers would refuse: they would refuse
 * the whole listing. */
static void compact(struct directory *d)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->count; i++) {
        if (d->nodes[i].type == NODE_UNKNOWN)
            continue;
        const char *why = tree_node_refused(&d->nodes[i], !d->parent);
        if (why) {
            backup_warn(d->backup, "%s/%.*s: left out: %s", d->path, (int)d->nodes[i].name.size,
                        (const char *)d->nodes[i].name.data, why);
            continue;
        }
        d->nodes[kept] = d->nodes[i];
        d->cached[kept++] = d->cached[i];
    }
    d->count = kept;
}

static int store_piece(void *backup, struct bytes blob, struct id *id, struct error *err)
{
    struct backup *b = backup;
    int code = blob_writer_store_tree(b->writer, blob, id, err);
    /* Whatever code it has, it is not about this listing. */
    if (code != 0)
        backup_fail(b, err);
    return code;
}

static int store(struct directory *d, struct arena *arena, struct extents *out, bool *too_large,
                 struct error *err)
{
    struct backup *b = d->backup;
    struct chunker_parameters p = repository_chunker_parameters(b->repository);
    if (unchanged(d)) {
        out->count = d->row.tree.count;
        out->list = arena_alloc_array(arena, out->count, sizeof *out->list);
        if (out->count)
            memcpy(out->list, d->row.tree.list, out->count * sizeof *out->list);
        return 0;
    }
    int code = take_old_nodes(d, err);
    if (code != 0)
        return code;
    compact(d);
    code = tree_store(d->nodes, d->count, repository_chunker(b->repository), &p, store_piece, b, arena, out,
                      err);
    *too_large = code == ERROR_UNSUPPORTED && !backup_stopped(b);
    if (code == 0)
        cache_write(b, d->path, &d->file_system.facts.identity, out, d->cached, d->count);
    return code;
}

static void finish(struct directory *d)
{
    struct backup *b = d->backup;
    struct directory *parent = d->parent;
    struct arena arena = {0};
    struct extents tree = {0};
    struct error why;
    bool too_large = false;
    int code = d->waits || atomic_load(&b->failed) ? 0 : store(d, &arena, &tree, &too_large, &why);
    if (too_large && parent) {
        backup_warn(b, "%s: left out, with all below it: %s", d->path, why.message);
        directory_leave_out(parent, d->index_in_parent);
    } else if (code != 0) {
        backup_fail(b, &why);
    }
    if (parent) {
        parent->nodes[d->index_in_parent].subtree = tree;
        extents_hash(&tree, &parent->cached[d->index_in_parent].link);
        directory_keep(parent, &arena);
    } else {
        /* Extents of an archive's files lie in arenas of the holder: they live as long as the root. */
        for (size_t i = 0; i < d->arena_count && d->waits; i++)
            arena_join(&arena, &d->arenas[i]);
        pthread_mutex_lock(&b->lock);
        b->root = tree;
        b->root_arena = arena;
        b->root_is_done = true;
        pthread_cond_broadcast(&b->root_done);
        pthread_mutex_unlock(&b->lock);
    }
    directory_free(d);
}

void directory_release(struct directory *d)
{
    /* A loop, not a recursion: thousands of levels may end at once. */
    while (d && atomic_fetch_sub(&d->pending, 1) == 1) {
        struct directory *parent = d->parent;
        finish(d);
        d = parent;
    }
}
