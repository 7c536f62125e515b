/* What is there: file systems, mounts, listings, and what is the same as last time. */
#include "base/log.h"
#include "base/memory.h"
#include "crypto/digest.h"
#include "ops/backup_walk.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- file systems ---- */

struct file_system look_file_system(struct walk *w, int folder, uint64_t device)
{
    static const struct id unknown;
    for (size_t i = 0; i < w->file_system_count; i++) {
        if (w->file_systems[i].device == device)
            return w->file_systems[i];
    }
    memory_reserve_one(w->file_systems, w->file_system_count, w->file_system_capacity);
    struct file_system *fs = &w->file_systems[w->file_system_count];
    fs->device = device;
    source_file_system_examine(folder, &fs->facts);
    for (size_t i = 0; i < w->file_system_count; i++) {
        /* Another subvolume of the same: its device has no number of its own. */
        if (device >> 32 == 0 && !id_equal(&fs->facts.identity, &unknown) &&
            id_equal(&fs->facts.identity, &w->file_systems[i].facts.identity)) {
            fs->settled = w->file_systems[i].settled;
            return w->file_systems[w->file_system_count++];
        }
    }
    fs->settled = (int64_t)time(NULL) - fs->facts.tolerance;
    if (!source_file_system_sync(folder))
        fs->settled = INT64_MIN;
    return w->file_systems[w->file_system_count++];
}

/* ---- one directory ---- */

/* Where the name alone decides. Of what the listing does not tell the type, both cases must agree. */
static bool is_excluded(const struct backup *b, const char *path, enum node_type type)
{
    struct bytes text = bytes_of_string(path);
    return exclude_match(b->exclude, text, type == NODE_DIRECTORY) &&
           (type != NODE_UNKNOWN || exclude_match(b->exclude, text, true));
}

/* What cannot be kept, whatever its name. */
static bool is_of_no_use(struct backup *b, const char *path, const struct source_stat *st)
{
    if (st->type == NODE_SOCKET)
        log_verbose("%s: a socket, left out", path);
    else if (st->type == NODE_UNKNOWN)
        backup_warn(b, "%s: an entry of unknown type, left out", path);
    else
        return false;
    return true;
}

bool look_leaves_out(struct backup *b, const char *path, const struct source_stat *st)
{
    return is_of_no_use(b, path, st) || is_excluded(b, path, st->type);
}

/* What is mounted at a folder, if that is left out. */
static enum mount_kind find_mount(const struct walk *w, const char *path, enum node_type type)
{
    if (!w->mounts || (type != NODE_DIRECTORY && type != NODE_UNKNOWN))
        return MOUNT_NONE;
    const char *rest = path + strlen(w->source);
    char *real = walk_join(w->real, rest + strspn(rest, "/"));
    enum mount_kind kind = mounts_find(w->mounts, real);
    free(real);
    return kind;
}

/* What lies beneath a mount, which is not touched: it may not answer. Who may not see that takes it for a
 * folder like the one that holds it. */
static int examine_beneath(struct directory *d, const char *name, struct source_stat *st, struct error *err)
{
    if (d->beneath < 0)
        d->beneath = source_beneath(d->fd);
    *st = d->stat;
    int code = d->beneath < 0 ? 0 : source_stat(d->beneath, name, st, err);
    st->beneath = true;
    return code;
}

/* What an entry is; false: it is left out. */
static bool examine(struct walk *w, struct directory *d, struct bytes name, const char *path,
                    struct source_stat *st)
{
    struct backup *b = w->backup;
    struct error why;
    enum node_type listed = source_listed_type(name);
    if (is_excluded(b, path, listed))
        return false;
    enum mount_kind mount = find_mount(w, path, listed);
    int code = mount == MOUNT_OTHER ? examine_beneath(d, (const char *)name.data, st, &why)
                                    : source_stat(d->fd, (const char *)name.data, st, &why);
    st->mount_root |= mount != MOUNT_NONE;
    if (code == ERROR_NOT_FOUND) {
        *st = (struct source_stat){0}; /* it is looked for again */
        return true;
    }
    if (code != 0) {
        atomic_fetch_add(&b->unread, 1);
        backup_warn(b, "%s: %s", path, why.message);
        return false;
    }
    return !is_of_no_use(b, path, st) && (st->type == listed || !is_excluded(b, path, st->type));
}

int look_list(struct walk *w, struct directory *d, const struct source_stat *before, struct error *err)
{
    struct bytes *names;
    size_t count;
    int code = source_list_directory(d->fd, before, &w->scratch, &d->arena, &names, &count, err);
    if (code != 0)
        return code;
    d->nodes = arena_alloc_array(&d->arena, count, sizeof *d->nodes);
    d->cached = arena_alloc_array(&d->arena, count, sizeof *d->cached);
    d->stats = memory_alloc_array(count, sizeof *d->stats);
    for (size_t i = 0; i < count; i++) {
        struct source_stat st = {0};
        char *path = walk_join(d->path, (const char *)names[i].data);
        if (examine(w, d, names[i], path, &st)) {
            if (st.type != NODE_DIRECTORY) /* one may not be entered, see enter() */
                walk_note(w, path);
            d->cached[d->count].name = names[i];
            directory_note_entry(d, d->count, &st);
            d->stats[d->count++] = st;
        }
        free(path);
    }
    return 0;
}

/* ---- what is the same as last time ---- */

void look_link_hash(const char *link, struct id *out)
{
    memset(out, 0, sizeof *out);
    if (link)
        sha256(bytes_of_string(link), out);
}

static bool is_link(const struct cached_entry *e)
{
    static const struct id none;
    return e->type != NODE_DIRECTORY && !id_equal(&e->link, &none);
}

bool look_is_same(struct walk *w, struct directory *d, size_t i)
{
    struct cached_entry *e = &d->cached[i];
    const struct source_stat *st = &d->stats[i];
    const struct cached_entry *before = cache_find(&d->row, e->name);
    if (!before || !cache_entry_same(before, e))
        return false;
    if (e->type == NODE_DIRECTORY)
        return true;
    if (!links_has_names(st))
        return !is_link(before);
    char *path = walk_join(d->path, (const char *)e->name.data);
    const char *link = links_first(w->backup->links, st, path);
    look_link_hash(link, &e->link);
    bool same = id_equal(&before->link, &e->link);
    if (same && !link)
        links_note(w->backup->links, st, path);
    free(path);
    return same;
}

/* The bytes of a file count with its first name. */
void look_count_same(struct walk *w, const struct directory *d, size_t i)
{
    struct backup *b = w->backup;
    const struct source_stat *st = &d->stats[i];
    if (st->type == NODE_FILE)
        atomic_fetch_add(&b->files, 1);
    if (st->type == NODE_FILE && !is_link(&d->cached[i])) {
        atomic_fetch_add(&b->bytes_same, st->size);
        backup_count_bytes(b, st->size);
    } else if (st->type != NODE_FILE && st->type != NODE_DIRECTORY) {
        atomic_fetch_add(&b->others, 1);
    }
}

/* True if every blob of the node is usable still. */
static bool content_is_there(struct walk *w, const struct node *node)
{
    for (size_t i = 0; i < node->content.count; i++) {
        bool known = true;
        struct error why;
        if (!node->content.list[i].hole &&
            (blob_writer_knows(w->backup->writer, &node->content.list[i].blob, &known, &why) != 0 || !known))
            return false;
    }
    return true;
}

bool look_take_old(struct walk *w, struct directory *d, size_t i, bool *fetched)
{
    struct backup *b = w->backup;
    struct error why;
    /* A listing that cannot be read any more costs only a second reading of the files. */
    if (!*fetched && tree_fetch(&d->row.tree, d->fd < 0, blobs_fetch_tree, b->repository, &d->old, &why) != 0)
        log_verbose("%s: %s", d->path, why.message);
    *fetched = true;
    const struct node *old = tree_node_by_name(&d->old, d->cached[i].name);
    if (!old || !(b->cache_valid || content_is_there(w, old)))
        return false;
    d->nodes[i] = *old;
    d->nodes[i].subtree = (struct extents){0};
    look_count_same(w, d, i);
    return true;
}
