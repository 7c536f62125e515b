/* Entries that must be read: by the walker itself, or in batches by the workers. */
#include "base/memory.h"
#include "ops/backup_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

/* What was gone is looked for so many times more. */
#define TRIES_MAX 3

/* ---- batches ---- */

static void count_batch(struct backup *b, int more)
{
    pthread_mutex_lock(&b->lock);
    b->batches += (size_t)more;
    pthread_mutex_unlock(&b->lock);
}

void read_flush(struct walk *w)
{
    struct task *task = w->batch;
    w->batch = NULL;
    if (!task)
        return;
    count_batch(w->backup, 1);
    if (!queue_put(w->backup->tasks, task)) {
        count_batch(w->backup, -1);
        directory_release(task->directory);
        free(task);
    }
}

static void add_to_batch(struct walk *w, struct directory *d, size_t index)
{
    if (w->batch && w->batch->directory != d)
        read_flush(w);
    if (!w->batch) {
        w->batch = memory_new(struct task);
        w->batch->directory = d;
        directory_hold(d);
    }
    struct task *task = w->batch;
    task->indexes[task->count++] = index;
    task->bytes += d->stats[index].size;
    if (task->count == BATCH_FILES_MAX || task->bytes >= w->batch_bytes_max)
        read_flush(w);
}

/* ---- one entry ---- */

static int read_large(struct walk *w, struct directory *d, size_t index, struct source_file *file,
                      struct error *err)
{
    struct large_file *large = large_file_new(d, &d->nodes[index]);
    struct chunk_feeder *feeder = chunk_feeder_new(w->backup, large);
    int code = 0;
    for (;;) {
        size_t room;
        struct source_run run;
        void *to = chunk_feeder_room(feeder, &room);
        code = source_file_next(file, to, room, &run, err);
        if (code != 0 || run.length == 0 || backup_stopped(w->backup))
            break;
        if (run.hole)
            chunk_feeder_hole(feeder, run.length);
        else
            chunk_feeder_commit(feeder, (size_t)run.length);
    }
    chunk_feeder_end(feeder);
    large_file_release(large);
    return code;
}

/* Errors of the file at hand are warnings. */
static void store_contents(struct walk *w, struct directory *d, size_t index, const char *path,
                           struct source_file *file)
{
    struct backup *b = w->backup;
    struct cached_entry *cached = &d->cached[index];
    enum source_change change;
    struct error why;
    int code = read_large(w, d, index, file, &why);
    cached->trusted &= file->offset == file->stat.size;
    if (code != 0) {
        /* Part of it may be with the workers already: what was read stays, and the warning says that it is
         * not whole. */
        cached->trusted = false;
        backup_warn(b, "%s: only its beginning could be read: %s", path, why.message);
    } else if (!backup_stopped(b) &&
               (source_file_changed(file, &change, &why) != 0 || change != SOURCE_UNCHANGED)) {
        cached->trusted = false;
        backup_warn(b, "%s: %s", path, source_change_text(change));
    }
    atomic_fetch_add(&b->files_new, 1);
}

int read_store_opened(struct walk *w, struct directory *d, size_t index, const struct source_entry *e,
                      const char *path, struct error *err)
{
    struct backup *b = w->backup;
    struct node node;
    struct source_file file;
    const struct source_stat *st = &e->stat;
    bool other = d->stats[index].type != st->type;
    d->stats[index] = *st;
    directory_note_entry(d, index, st);
    if (other && look_leaves_out(b, path, st)) {
        directory_leave_out(d, index);
        return 0;
    }
    /* Names that are sources themselves are never links: they may be restored alone. */
    const char *link = d->parent ? links_first(b->links, st, path) : NULL;
    look_link_hash(link, &d->cached[index].link);
    w->warn_path = path;
    w->incomplete = false;
    int code = st->type == NODE_FILE && !link ? source_file_open(e, &file, err) : 0;
    if (code == 0)
        code = metadata_read(w->metadata, e, &d->arena, &node, err);
    if (code != 0)
        return code;
    if (w->incomplete)
        d->cached[index].trusted = false; /* it is asked for again next time */
    node.name = d->cached[index].name;
    if (link) {
        node.hard_link = arena_copy(&d->arena, bytes_of_string(link));
        node.size = 0;
    }
    d->nodes[index] = node;
    if (st->type == NODE_FILE && !link)
        store_contents(w, d, index, path, &file);
    if (!link && d->parent)
        links_note(b->links, st, path);
    if (st->type != NODE_DIRECTORY)
        atomic_fetch_add(st->type == NODE_FILE ? &b->files : &b->others, 1);
    return 0;
}

/* Opens an entry; of what has a mount on it, what lies beneath, as it was examined. */
static int open_entry(struct directory *d, size_t index, struct source_entry *e, struct error *err)
{
    const struct source_stat *st = &d->stats[index];
    const char *name = (const char *)d->cached[index].name.data;
    if (!st->beneath)
        return source_entry_open(d->fd, name, st->type, e, err);
    *e = (struct source_entry){.fd = -1, .stat = *st};
    if (d->beneath < 0)
        d->beneath = source_beneath(d->fd);
    if (d->beneath >= 0) {
        int code = source_entry_open(d->beneath, name, st->type, e, err);
        e->stat.beneath = e->stat.mount_root = true;
        return code;
    }
    /* It is taken for a folder like the one that holds it. */
    e->fd = fcntl(d->fd, F_DUPFD_CLOEXEC, 0);
    return e->fd < 0 ? error_set_errno(err, errno, "cannot open") : 0;
}

int read_store(struct walk *w, struct directory *d, size_t index, const char *path, struct error *err)
{
    struct source_entry e;
    links_forget(w->backup->links, &d->stats[index], path);
    int code = open_entry(d, index, &e, err);
    if (code == 0)
        code = read_store_opened(w, d, index, &e, path, err);
    source_entry_close(&e);
    return code;
}

void read_miss(struct walk *w, struct directory *d, size_t index, const char *path, unsigned tries, int code,
               const struct error *why)
{
    directory_leave_out(d, index);
    if (code == ERROR_NOT_FOUND && tries < TRIES_MAX) {
        backup_look_again(w->backup, d, index, tries + 1);
    } else if (code == ERROR_NOT_FOUND) {
        backup_warn(w->backup, "%s: vanished before it was read", path);
    } else {
        atomic_fetch_add(&w->backup->unread, 1);
        backup_warn(w->backup, "%s: %s", path, why->message);
    }
}

void read_entry(struct walk *w, struct directory *d, size_t i)
{
    const struct source_stat *st = &d->stats[i];
    struct error why;
    if (st->type == NODE_UNKNOWN) {
        backup_look_again(w->backup, d, i, 0);
        return;
    }
    /* Other names lead to the first of a file: it must be read before they come. */
    if (st->type == NODE_FILE && st->size <= repository_chunker_parameters(w->backup->repository).min &&
        !links_has_names(st)) {
        /* Until the worker comes; it fills in the rest. */
        d->nodes[i].type = NODE_FILE;
        add_to_batch(w, d, i);
        return;
    }
    char *path = walk_join(d->path, (const char *)d->cached[i].name.data);
    int code = read_store(w, d, i, path, &why);
    if (code != 0)
        read_miss(w, d, i, path, 0, code, &why);
    free(path);
}
