/* The walk over files: what is the same as last time is taken over, the rest goes to the workers. */
#include "ops/backup_walk.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "repo/lease.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What was gone is looked for again so long after. */
#define AGAIN_NS (1000 * 1000)

static void warn_metadata(void *context, const char *message)
{
    struct walk *w = context;
    w->incomplete = true;
    backup_warn(w->backup, "%s: %s", w->warn_path, message);
}

char *walk_join(const char *directory, const char *name)
{
    size_t n = strlen(directory);
    return memory_format("%s%s%s", directory, n && directory[n - 1] != '/' ? "/" : "", name);
}

/* ---- sources within sources ---- */

static int compare_sources(const void *a, const void *b)
{
    return strcmp(((const struct source *)a)->path, ((const struct source *)b)->path);
}

struct source *walk_find_source(struct walk *w, const char *path)
{
    struct source key = {.path = path};
    return bsearch(&key, w->sources, w->source_count, sizeof key, compare_sources);
}

void walk_note(struct walk *w, const char *path)
{
    struct source *source = w->source_count > 1 ? walk_find_source(w, path) : NULL;
    if (source)
        source->walked = true;
}

/* ---- directories ---- */

/* Whether it always was is looked at when the rest is done. */
static void note_bare(struct backup *b, const char *path, bool gone)
{
    memory_reserve_one(b->bare, b->bare_count, b->bare_capacity);
    b->bare[b->bare_count++] = (struct bare){path, gone};
}

/* Decides for each entry whether the last listing's node does; reads the rest. */
static void sort_entries(struct walk *w, struct directory *d)
{
    struct backup *b = w->backup;
    bool fetched = false;
    d->same = d->has_row && b->cache_valid && d->row.count == d->count;
    for (size_t i = 0; i < d->count && d->same; i++)
        d->same = look_is_same(w, d, i);
    if (d->same) {
        for (size_t i = 0; i < d->count; i++)
            look_count_same(w, d, i);
        return;
    }
    for (size_t i = 0; i < d->count && !backup_stopped(b); i++) {
        if (!d->has_row || !look_is_same(w, d, i) || !look_take_old(w, d, i, &fetched))
            read_entry(w, d, i);
    }
    read_flush(w);
}

/* What the cache has of a directory counts only if that was on the same file system: another one may have
 * entries of the same numbers and times. */
static bool read_row(struct backup *b, struct directory *d)
{
    static const struct id unknown;
    return cache_read(b, d->path, &d->row) && !id_equal(&d->file_system.facts.identity, &unknown) &&
           id_equal(&d->file_system.facts.identity, &d->row.file_system);
}

static void drop_beneath(struct directory *d)
{
    if (d->beneath >= 0)
        close(d->beneath);
    d->beneath = -1;
}

/* Starts on a directory that is open, and takes its descriptor. */
static void enter(struct walk *w, struct directory *parent, size_t index, const char *path,
                  struct source_entry *e, const struct source_stat *before)
{
    struct backup *b = w->backup;
    struct directory *d = directory_new(b, parent, index, path, e->fd);
    struct error why;
    d->stat = e->stat;
    e->fd = -1;
    walk_note(w, path);
    directory_hold(parent);
    atomic_fetch_add(&b->directories, 1);
    d->file_system = parent->parent && parent->stat.device == d->stat.device
                         ? parent->file_system
                         : look_file_system(w, d->fd, d->stat.device);
    d->has_row = read_row(b, d);
    if (look_list(w, d, before, &why) == 0) {
        sort_entries(w, d);
        const struct source *source = d->count == 0 ? walk_find_source(w, path) : NULL;
        if (source)
            note_bare(b, source->path, false);
    } else {
        atomic_fetch_add(&b->unread, 1);
        backup_warn(b, "%s: %s", path, why.message);
    }
    drop_beneath(d);
    memory_reserve_one(w->levels, w->depth, w->capacity);
    w->levels[w->depth++] = (struct level){d, 0};
}

static bool is_own_folder(const struct backup *b, const struct source_stat *st)
{
    for (size_t i = 0; i < b->own_count; i++) {
        if (b->own[i].device == st->device && b->own[i].inode == st->inode)
            return true;
    }
    return false;
}

/* What is mounted at an entry and left out. */
static bool leave_mount(const struct walk *w, const struct directory *d, size_t i, const char *path,
                        const struct source_stat *st)
{
    struct backup *b = w->backup;
    if (!st->mount_root && st->device == d->stat.device)
        return false;
    /* A subvolume that nobody mounted has a device number of its own. */
    const char *why = st->mount_root && b->parameters->one_file_system
                          ? "something is mounted there"
                          : source_not_entered(d->fd, (const char *)d->cached[i].name.data);
    if (!why)
        return false;
    log_verbose("%s: %s, its contents are left out", path, why);
    b->result->mounts_left_out++;
    return true;
}

static void enter_opened(struct walk *w, struct directory *d, size_t i, const char *path,
                         struct source_entry *e, const struct source_stat *before)
{
    struct backup *b = w->backup;
    struct error why;
    if (is_own_folder(b, &e->stat)) {
        log_verbose("%s: a folder of this program, its contents are left out", path);
    } else if (e->refused) {
        atomic_fetch_add(&b->unread, 1);
        error_set_errno(&why, e->refused, "cannot open the directory");
        backup_warn(b, "%s: %s", path, why.message);
    } else if (b->parameters->exclude_caches && source_is_cachedir(e->fd)) {
        log_verbose("%s: a cache directory, its contents are left out", path);
    } else {
        enter(w, d, i, path, e, before);
    }
}

static bool same_look(const struct source_stat *a, const struct source_stat *b)
{
    return a->type == b->type && a->inode == b->inode && a->device == b->device &&
           a->mtime_seconds == b->mtime_seconds && a->mtime_nanoseconds == b->mtime_nanoseconds &&
           a->ctime_seconds == b->ctime_seconds && a->ctime_nanoseconds == b->ctime_nanoseconds;
}

/* Time has gone by since the entry was listed: it may be another one now. */
static void enter_child(struct walk *w, struct directory *d, size_t i)
{
    const struct source_stat before = d->stats[i];
    struct source_entry e;
    struct error why;
    char *path = walk_join(d->path, (const char *)d->cached[i].name.data);
    if (!leave_mount(w, d, i, path, &before)) {
        int code = source_entry_open(d->fd, (const char *)d->cached[i].name.data, NODE_DIRECTORY, &e, &why);
        bool same = code == 0 && same_look(&e.stat, &before);
        if (code == 0 && !same)
            code = read_store_opened(w, d, i, &e, path, &why);
        if (code != 0)
            read_miss(w, d, i, path, 0, code, &why);
        else if (e.stat.type == NODE_DIRECTORY && d->cached[i].type == NODE_DIRECTORY &&
                 (same || !leave_mount(w, d, i, path, &e.stat)))
            enter_opened(w, d, i, path, &e, &before);
        source_entry_close(&e);
    }
    free(path);
}

/* Looks again at what was gone when its turn came, or was no file any more. False if there is nothing left;
 * wait: nor will there be. */
static bool look_again(struct walk *w, bool wait)
{
    struct backup *b = w->backup;
    pthread_mutex_lock(&b->lock);
    while (wait && b->batches && !b->again_count)
        pthread_cond_wait(&b->batch_done, &b->lock);
    struct again *list = b->again;
    size_t count = b->again_count;
    b->again = NULL;
    b->again_count = b->again_capacity = 0;
    pthread_mutex_unlock(&b->lock);
    if (count && !backup_stopped(b))
        nanosleep(&(struct timespec){.tv_nsec = AGAIN_NS}, NULL);
    for (size_t i = 0; i < count; i++) {
        struct directory *d = list[i].directory;
        size_t index = list[i].index;
        struct error why;
        char *path = walk_join(d->path, (const char *)d->cached[index].name.data);
        int code = backup_stopped(b) ? 0 : read_store(w, d, index, path, &why);
        if (code != 0)
            read_miss(w, d, index, path, list[i].tries, code, &why);
        else if (d->stats[index].type == NODE_DIRECTORY && d->cached[index].type == NODE_DIRECTORY)
            enter_child(w, d, index);
        free(path);
        drop_beneath(d);
        directory_release(d);
    }
    free(list);
    return count > 0;
}

static void walk_down(struct walk *w)
{
    while (w->depth) {
        struct level *level = &w->levels[w->depth - 1];
        struct directory *d = level->directory;
        size_t i = level->next++;
        if (i >= d->count || backup_stopped(w->backup)) {
            w->depth--;
            directory_release(d);
            backup_tick(w->backup);
            look_again(w, false);
            continue;
        }
        if (d->stats[i].type == NODE_DIRECTORY && d->cached[i].type == NODE_DIRECTORY)
            enter_child(w, d, i);
    }
}

/* ---- the sources ---- */

/* True if another source holds what the link leads to. */
static bool is_covered(const struct backup *b, const char *link, const char *target)
{
    const struct backup_parameters *p = b->parameters;
    bool covered = false;
    for (size_t i = 0; i < p->path_count && !covered; i++) {
        struct source_stat st;
        if (strcmp(p->paths[i], link) == 0 || source_stat(AT_FDCWD, p->paths[i], &st, NULL) != 0 ||
            st.type == NODE_SYMLINK)
            continue;
        char *above = realpath(p->paths[i], NULL);
        covered = above && file_lies_in(bytes_of_string(target), above);
        free(above);
    }
    return covered;
}

/* Who names a link means what is behind it. */
static void warn_of_link(struct backup *b, const char *path)
{
    char *target = realpath(path, NULL);
    if (!target || !is_covered(b, path, target))
        backup_warn(
            b,
            "source %s: a symbolic link, and it alone is kept: name what it leads to among the paths, "
            "too",
            path);
    free(target);
}

/* Where a descriptor leads to, without symbolic links; path where that cannot be told. */
static char *real_path(int fd, const char *path)
{
    char self[32];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    char *real = realpath(self, NULL);
    return real ? real : memory_copy_string(path);
}

/* One path of the configuration: an entry of the root tree under its whole path. */
static void walk_source(struct walk *w, struct directory *root, size_t index, const char *path)
{
    struct backup *b = w->backup;
    struct source_entry e = {.fd = -1};
    struct error why;
    const uint64_t taken = atomic_load(&b->files) + atomic_load(&b->others), unread = atomic_load(&b->unread);
    root->cached[index].name = arena_copy(&root->arena, bytes_of_string(path));
    int code = source_stat(AT_FDCWD, path, &root->stats[index], &why);
    const struct source_stat before = root->stats[index];
    if (code == 0)
        code = source_entry_open(AT_FDCWD, path, before.type, &e, &why);
    if (code == 0)
        code = read_store_opened(w, root, index, &e, path, &why);
    if (code == 0 && e.stat.type == NODE_DIRECTORY && e.refused)
        code = error_set_errno(&why, e.refused, "cannot open the directory");
    if (code != 0) {
        directory_leave_out(root, index);
        atomic_fetch_add(&b->unread, 1);
        backup_warn(b, "source %s: %s", path, why.message);
        if (code == ERROR_NOT_FOUND)
            note_bare(b, path, true);
    } else if (e.stat.type == NODE_SYMLINK) {
        warn_of_link(b, path);
    } else if (e.stat.type == NODE_DIRECTORY) {
        w->source = path;
        w->real = real_path(e.fd, path);
        w->mounts = b->parameters->one_file_system ? mounts_read() : NULL;
        enter(w, root, index, path, &e, &before);
        do
            walk_down(w);
        while (look_again(w, true));
        mounts_free(w->mounts);
        free(w->real);
        if (atomic_load(&b->files) + atomic_load(&b->others) == taken && atomic_load(&b->unread) > unread)
            backup_warn(b, "source %s: nothing in it could be read", path);
    }
    source_entry_close(&e);
}

/* Before anything is read. */
static bool check_sources(struct backup *b)
{
    const struct backup_parameters *p = b->parameters;
    struct error why;
    int code = 0;
    for (size_t i = 0; i < p->path_count && code == 0; i++)
        code = source_check_kind(p->paths[i], &why);
    if (code != 0)
        backup_fail(b, &why);
    return code == 0;
}

static void sort_sources(struct walk *w, const struct backup_parameters *p)
{
    w->sources = memory_alloc_array(p->path_count, sizeof *w->sources);
    for (size_t i = 0; i < p->path_count; i++)
        w->sources[i].path = p->paths[i];
    qsort(w->sources, p->path_count, sizeof *w->sources, compare_sources);
    for (size_t i = 0; i < p->path_count; i++) {
        if (w->source_count == 0 || strcmp(w->sources[w->source_count - 1].path, w->sources[i].path) != 0)
            w->sources[w->source_count++] = w->sources[i];
    }
}

void walk_files(struct backup *b)
{
    struct walk w = {.backup = b, .batch_bytes_max = repository_config(b->repository)->frame_group};
    if (!check_sources(b))
        return;
    sort_sources(&w, b->parameters);
    w.metadata = metadata_reader_new(warn_metadata, &w);
    struct directory *root = directory_new(b, NULL, 0, "", AT_FDCWD);
    root->nodes = arena_alloc_array(&root->arena, w.source_count, sizeof *root->nodes);
    root->cached = arena_alloc_array(&root->arena, w.source_count, sizeof *root->cached);
    root->stats = memory_alloc_array(w.source_count, sizeof *root->stats);
    root->file_system.settled = INT64_MIN; /* sources are always looked at */
    root->count = w.source_count;
    for (size_t i = 0; i < w.source_count && !backup_stopped(b); i++) {
        if (!w.sources[i].walked)
            walk_source(&w, root, i, w.sources[i].path);
    }
    directory_release(root);
    metadata_reader_free(w.metadata);
    buffer_free(&w.scratch);
    free(w.levels);
    free(w.file_systems);
    free(w.sources);
}
