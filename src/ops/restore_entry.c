/* Making an entry that is no directory: files are handed to the workers, others are made at once. */
#include "base/memory.h"
#include "ops/restore_internal.h"

#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define WINDOW_BYTES (64u << 20)
#define WINDOW_PIECES (RESTORE_OPEN_FILES / 2)

static void add_piece(struct restore *r, struct target_file *f, const struct extent *e, uint64_t offset)
{
    struct blob_location copies[BLOB_COPIES_MAX];
    size_t count;
    struct error why;
    int code = blobs_locate(r->repository, &e->blob, copies, &count, &why);
    if (code == 0 && count == 0)
        code = blobs_lacking(r->repository, &e->blob, &why);
    else if (code == 0 && copies[0].length != e->length)
        code = error_set(&why, ERROR_INTEGRITY, "a part of it has another length than its file says");
    if (code != 0) {
        target_file_give_up(f, true, &why);
        return;
    }
    atomic_fetch_add(&f->pending, 1);
    memory_reserve_one(r->window, r->window_count, r->window_capacity);
    r->window[r->window_count++] = (struct piece){f, e->blob, offset, copies[0]};
    r->window_bytes += e->length;
    if (r->window_bytes >= WINDOW_BYTES || r->window_count >= WINDOW_PIECES)
        restore_flush(r);
}

static void wait_for_room(struct restore *r)
{
    pthread_mutex_lock(&r->lock);
    bool full = r->open_files >= RESTORE_OPEN_FILES;
    pthread_mutex_unlock(&r->lock);
    if (full)
        restore_flush(r);
    pthread_mutex_lock(&r->lock);
    /* For half of the room, not for one place: or each file would be a task of its own from then on. */
    while (full && r->open_files > RESTORE_OPEN_FILES / 2)
        pthread_cond_wait(&r->file_closed, &r->lock);
    r->open_files++;
    pthread_mutex_unlock(&r->lock);
}

/* From the file that is there (-1: none) as much as is the same, the rest from the repository. */
static void fill_file(struct restore *r, struct target_file *f, int old)
{
    uint64_t offset = 0;
    struct error why;
    for (size_t i = 0; i < f->node.content.count && !restore_stopped(r); i++) {
        const struct extent *e = &f->node.content.list[i];
        bool same = old >= 0 && (f->file.based || !e->hole) && restore_same_extent(r, old, e, offset);
        int code = 0;
        if (same && !f->file.based)
            code = writer_file_write(&f->file, r->compare.data, r->compare.size, offset, &why);
        else if (!same && e->hole && f->file.based)
            code = writer_file_hole(&f->file, offset, e->length, &why);
        else if (!same && !e->hole)
            add_piece(r, f, e, offset);
        if (code != 0)
            target_file_give_up(f, false, &why);
        offset += e->length;
    }
    if (restore_stopped(r))
        atomic_store(&f->failed, true);
}

static uint64_t data_of(const struct node *node)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < node->content.count; i++)
        sum += node->content.list[i].hole ? 0 : node->content.list[i].length;
    return sum;
}

/* What is there is replaced when the new file is whole, so that at any moment there is the one or the other.
 * Only where there is no room for both is it changed in place. */
static bool has_room(const struct target_directory *d, const struct node *node)
{
    struct statvfs fs;
    return fstatvfs(d->fd, &fs) != 0 || data_of(node) <= fs.f_bavail * (uint64_t)fs.f_frsize / 2;
}

static int open_file(const struct target_directory *d, const struct node *node,
                     const struct restore_found *found, struct writer_file *file, struct error *err)
{
    bool old = found && found->old >= 0;
    if (old && found->stat.link_count == 1 && !has_room(d, node) &&
        writer_file_update(d->fd, node->name, file, err) == 0)
        return 0;
    int code = writer_file_create(d->fd, node->name, node->flags, found != NULL, file, err);
    if (code == 0 && old)
        writer_file_share(file, found->old);
    return code;
}

/* found: what is replaced, or NULL: then EXISTS if there is something. */
static int make_file(struct walk *w, struct target_directory *d, const char *path, const struct node *node,
                     const struct restore_found *found, struct error *err)
{
    struct restore *r = w->restore;
    struct writer_file file;
    wait_for_room(r);
    int code = open_file(d, node, found, &file, err);
    if (code != 0) {
        pthread_mutex_lock(&r->lock);
        r->open_files--;
        pthread_mutex_unlock(&r->lock);
        return code;
    }
    struct target_file *f = memory_new(struct target_file);
    f->restore = r;
    f->directory = d;
    f->file = file;
    f->path = memory_copy_string(path);
    f->replaces = found != NULL;
    pthread_mutex_init(&f->writing, NULL);
    atomic_init(&f->pending, 1);
    target_directory_hold(d);
    tree_copy_node(&f->arena, node, &f->node);
    fill_file(r, f, found ? found->old : -1);
    target_file_release(f, r->metadata);
    return 0;
}

static int make_special(struct walk *w, const struct target_directory *d, const char *path,
                        const struct node *node, bool replace, struct error *err)
{
    struct restore *r = w->restore;
    int code = writer_make_special(d->fd, node->name, node, replace, err);
    metadata_writer_at(r->metadata, path);
    if (code == 0)
        code = metadata_write(r->metadata, d->fd, node->name, -1, node, err);
    if (code == 0)
        r->result->others++;
    return code;
}

static int make_entry(struct walk *w, struct target_directory *d, const char *path, const struct node *node,
                      const struct restore_found *found, struct error *err)
{
    return node->type == NODE_FILE ? make_file(w, d, path, node, found, err)
                                   : make_special(w, d, path, node, found != NULL, err);
}

static int set_metadata(struct walk *w, const struct target_directory *d, const char *path,
                        const struct node *node, const struct restore_found *found, struct error *err)
{
    struct restore *r = w->restore;
    metadata_writer_at(r->metadata, path);
    int code = metadata_write(r->metadata, d->fd, node->name, found->old, node, err);
    if (code != 0)
        return code;
    if (!metadata_writer_changed(r->metadata)) { /* the file system cannot keep it */
        r->result->unchanged++;
        return 0;
    }
    r->result->overwritten++;
    if (node->type == NODE_FILE)
        atomic_fetch_add(&r->files, 1);
    else
        r->result->others++;
    return 0;
}

/* What is there stays. Further names of what was backed up must not lead to it, unless it is that: a restore
 * before this one may have made it. */
static void leave(struct walk *w, const struct target_directory *d, const struct node *node,
                  const struct source_stat *st)
{
    w->restore->result->skipped++;
    if (st->type != node->type || (st->type == NODE_FILE && st->size != node->size) ||
        st->mtime_seconds != node->mtime_seconds || st->mtime_nanoseconds != node->mtime_nanoseconds)
        restore_put_place(w->left, d, node->name);
}

static void pretend(struct walk *w, const struct target_directory *d, const struct node *node,
                    const struct restore_found *found)
{
    struct restore *r = w->restore;
    if (node->type == NODE_FILE)
        atomic_fetch_add(&r->files, 1);
    else
        r->result->others++;
    if (found->way == RESTORE_SET)
        return;
    atomic_fetch_add(&r->bytes, found->old >= 0 ? found->to_fetch : data_of(node));
    restore_put_place(w->renewed, d, node->name);
}

static int go(struct walk *w, struct target_directory *d, const char *path, const struct node *node,
              const struct restore_found *found, struct error *err)
{
    struct restore *r = w->restore;
    int code = 0;
    if (found->way == RESTORE_LEFT) {
        leave(w, d, node, &found->stat);
        return 0;
    }
    if (found->way == RESTORE_SAME) {
        r->result->unchanged++;
        return 0;
    }
    if (r->parameters->dry_run)
        pretend(w, d, node, found);
    else if (found->way == RESTORE_SET)
        return set_metadata(w, d, path, node, found, err);
    else
        code = make_entry(w, d, path, node, found->way == RESTORE_FREE ? NULL : found, err);
    /* A file is counted when it has its name. */
    if (code == 0 && found->way != RESTORE_FREE && (r->parameters->dry_run || node->type != NODE_FILE))
        r->result->overwritten++;
    return code;
}

void restore_entry(struct walk *w, struct target_directory *d, const char *path, const struct node *entry)
{
    const struct restore_parameters *p = w->restore->parameters;
    struct node copy = *entry, *node = &copy; /* it may get another name */
    struct restore_found found;
    struct error why;
    int code = ERROR_EXISTS;
    if (node->type == NODE_SOCKET)
        return;
    /* Where nothing is expected it is quicker to try than to look. */
    if (!p->dry_run && (d->made || p->overwrite == RESTORE_NEVER))
        code = make_entry(w, d, path, node, NULL, &why);
    if (code == ERROR_EXISTS) {
        code = restore_find(w, d, path, node, &found, &why);
        if (code == 0)
            code = go(w, d, path, node, &found, &why);
        if (found.old >= 0)
            close(found.old);
    }
    if (code != 0) {
        restore_lose(w->restore, d, node->name);
        restore_failed(w, path, &why);
    }
}
