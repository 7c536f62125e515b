/* The walk over files: what is the same as last time is taken over, the rest goes to the workers. */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "crypto/digest.h"
#include "ops/backup_internal.h"
#include "repo/lease.h"
#include "source/file_system.h"
#include "source/mounts.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What is known of a file system, from when the walk first came to it. */
struct file_system {
    uint64_t device;
    struct source_file_system facts;
    int64_t settled; /* seconds: what changed before had been written back */
};

struct level {
    struct directory *directory;
    size_t next;
    struct source_stat stat; /* of the directory */
    size_t file_system;
    struct source_stat *stats;
};

/* One path of the configuration. */
struct source {
    const char *path;
    bool walked; /* within another one that it lies in */
};

struct walk {
    struct backup *backup;
    struct source *sources; /* sorted by path: an outer one comes before what lies in it */
    size_t source_count;
    const char *source; /* which is walked */
    char *real;         /* where it is, without symbolic links on the way */
    struct mounts *mounts;
    struct file_system *file_systems;
    size_t file_system_count, file_system_capacity;
    struct metadata_reader *metadata;
    struct blob_hasher *hasher;
    struct buffer scratch;
    const char *warn_path;
    bool incomplete; /* a part of the entry's metadata could not be read */
    struct level *levels;
    size_t depth, capacity;
    struct task *batch;
    uint64_t batch_bytes_max;
};

static void warn_metadata(void *context, const char *message)
{
    struct walk *w = context;
    w->incomplete = true;
    backup_warn(w->backup, "%s: %s", w->warn_path, message);
}

static char *join(const char *directory, const char *name)
{
    size_t n = strlen(directory);
    return memory_format("%s%s%s", directory, n && directory[n - 1] != '/' ? "/" : "", name);
}

/* ---- file systems ---- */

/* The number of the file system on which a folder lies. One that was not seen yet is looked at, and what is
 * dirty in it is written back first: a file that was written through a mapping may have changed again since,
 * and its times have not. */
static size_t find_file_system(struct walk *w, int folder, uint64_t device)
{
    static const struct id unknown;
    for (size_t i = 0; i < w->file_system_count; i++) {
        if (w->file_systems[i].device == device)
            return i;
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
            return w->file_system_count++;
        }
    }
    fs->settled = (int64_t)time(NULL) - fs->facts.tolerance;
    if (!source_file_system_sync(folder))
        fs->settled = INT64_MIN;
    return w->file_system_count++;
}

/* ---- sources within sources ---- */

static int compare_sources(const void *a, const void *b)
{
    return strcmp(((const struct source *)a)->path, ((const struct source *)b)->path);
}

/* The source of this path, or NULL. */
static struct source *find_source(struct walk *w, const char *path)
{
    struct source key = {.path = path};
    return bsearch(&key, w->sources, w->source_count, sizeof key, compare_sources);
}

/* The walk has come to a path: if it is a source of its own, it need not be walked again. */
static void note_walked(struct walk *w, const char *path)
{
    struct source *source = w->source_count > 1 ? find_source(w, path) : NULL;
    if (source)
        source->walked = true;
}

/* ---- hard links ---- */

static struct link *find_link(struct backup *b, uint64_t device, uint64_t inode)
{
    size_t i = (size_t)((inode * 0x9e3779b97f4a7c15u) ^ device) & (b->link_capacity - 1);
    while (b->links[i].path && (b->links[i].inode != inode || b->links[i].device != device))
        i = (i + 1) & (b->link_capacity - 1);
    return &b->links[i];
}

static void grow_links(struct backup *b)
{
    struct link *old = b->links;
    size_t old_capacity = b->link_capacity;
    b->link_capacity = old_capacity ? old_capacity * 2 : 256;
    b->links = memory_alloc_array(b->link_capacity, sizeof *b->links);
    for (size_t i = 0; i < old_capacity; i++) {
        if (old[i].path)
            *find_link(b, old[i].device, old[i].inode) = old[i];
    }
    free(old);
}

static bool has_names(const struct source_stat *st)
{
    return st->type != NODE_DIRECTORY && st->link_count > 1;
}

/* The path of the first name of the same file, or NULL: this is the first. */
static const char *first_link(struct backup *b, const struct source_stat *st, const char *path)
{
    if (!has_names(st))
        return NULL;
    if (b->link_count * 2 >= b->link_capacity)
        grow_links(b);
    struct link *link = find_link(b, st->device, st->inode);
    if (link->path && !link->lost)
        return link->path;
    b->link_count += !link->path;
    free(link->path);
    *link = (struct link){st->device, st->inode, memory_copy_string(path), false};
    return NULL;
}

/* True if the first name of the file was listed, but then could not be read. */
static bool first_is_lost(struct backup *b, const struct source_stat *st)
{
    return has_names(st) && find_link(b, st->device, st->inode)->lost;
}

static void lose_first(struct backup *b, const struct source_stat *st)
{
    /* A file that is itself a source is in no list of names. */
    struct link *link = has_names(st) && b->link_capacity ? find_link(b, st->device, st->inode) : NULL;
    if (link && link->path)
        link->lost = true;
}

/* ---- batches ---- */

static void flush_batch(struct walk *w)
{
    struct task *task = w->batch;
    w->batch = NULL;
    if (!task)
        return;
    if (!queue_put(w->backup->tasks, task)) {
        directory_release(task->directory);
        free(task);
    }
}

static void add_to_batch(struct walk *w, struct directory *d, size_t index, const struct source_stat *st)
{
    if (w->batch && w->batch->directory != d)
        flush_batch(w);
    if (!w->batch) {
        w->batch = memory_new(struct task);
        w->batch->directory = d;
        directory_hold(d);
    }
    struct task *task = w->batch;
    task->indexes[task->count] = index;
    task->stats[task->count++] = *st;
    task->bytes += st->size;
    if (task->count == BATCH_FILES_MAX || task->bytes >= w->batch_bytes_max)
        flush_batch(w);
}

/* ---- one entry that must be read ---- */

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

static int store_large(struct walk *w, struct directory *d, size_t index, const struct source_stat *st,
                       const char *path, struct error *err)
{
    struct source_file file;
    struct node node;
    const char *name = (const char *)d->cached[index].name.data;
    int code = source_file_open(d->fd, name, st, &file, err);
    if (code != 0)
        return code;
    code = metadata_read(w->metadata, d->fd, name, file.fd, &file.stat, &d->arena, &node, err);
    if (code == 0) {
        node.name = d->cached[index].name;
        d->nodes[index] = node;
        code = read_large(w, d, index, &file, err);
        enum source_change change;
        d->cached[index].trusted &= file.offset == file.stat.size;
        if (code == 0 && !backup_stopped(w->backup) &&
            (source_file_changed(&file, &change, err) != 0 || change != SOURCE_UNCHANGED)) {
            d->cached[index].trusted = false;
            backup_warn(w->backup, "%s: %s", path, source_change_text(change));
        }
        if (code != 0) {
            /* Part of it may be with the workers already: what was read stays, and the warning says that it
             * is not whole. */
            d->cached[index].trusted = false;
            backup_warn(w->backup, "%s: only its beginning could be read: %s", path, err->message);
            code = 0;
        }
        atomic_fetch_add(&w->backup->files, 1);
        atomic_fetch_add(&w->backup->files_new, 1);
    }
    source_file_close(&file);
    return code;
}

/* What has a mount on it, which is not looked at. */
static int read_mount_point(struct walk *w, struct directory *d, const char *name,
                            const struct source_stat *st, struct node *node, struct error *err)
{
    return d->beneath >= 0 ? metadata_read(w->metadata, d->beneath, name, -1, st, &d->arena, node, err)
                           : metadata_read(w->metadata, d->fd, "", d->fd, st, &d->arena, node, err);
}

static int store_changed(struct walk *w, struct directory *d, size_t index, const struct source_stat *st,
                         const char *path, const char *link, struct error *err)
{
    struct node *node = &d->nodes[index];
    const char *name = (const char *)d->cached[index].name.data;
    if (st->type == NODE_FILE && !link) {
        /* Other names lead to the first of a file: whether it can be read must be known before they come. */
        if (st->size > repository_chunker_parameters(w->backup->repository).min || has_names(st)) {
            int code = store_large(w, d, index, st, path, err);
            if (code != 0)
                lose_first(w->backup, st);
            return code;
        }
        /* Until the worker comes; it fills in the rest. */
        node->type = NODE_FILE;
        add_to_batch(w, d, index, st);
        return 0;
    }
    int code = st->beneath ? read_mount_point(w, d, name, st, node, err)
                           : metadata_read(w->metadata, d->fd, name, -1, st, &d->arena, node, err);
    if (code != 0) {
        if (!link)
            lose_first(w->backup, st);
        return code;
    }
    node->name = d->cached[index].name;
    if (link) {
        node->hard_link = arena_copy(&d->arena, bytes_of_string(link));
        node->size = 0;
    }
    if (st->type == NODE_FILE) {
        atomic_fetch_add(&w->backup->files, 1);
    } else if (st->type != NODE_DIRECTORY) {
        atomic_fetch_add(&w->backup->others, 1);
    }
    return 0;
}

/* ---- one directory ---- */

static void link_hash(const char *link, struct id *out)
{
    memset(out, 0, sizeof *out);
    if (link)
        sha256(bytes_of_string(link), out);
}

/* Where the name alone decides. Of what the listing does not tell the type, both cases must agree. */
static bool is_excluded(const struct backup *b, const char *path, enum node_type type)
{
    struct bytes text = bytes_of_string(path);
    return exclude_match(b->exclude, text, type == NODE_DIRECTORY) &&
           (type != NODE_UNKNOWN || exclude_match(b->exclude, text, true));
}

/* What is mounted at a folder, if that is left out. */
static enum mount_kind find_mount(const struct walk *w, const char *path, enum node_type type)
{
    if (!w->mounts || (type != NODE_DIRECTORY && type != NODE_UNKNOWN))
        return MOUNT_NONE;
    const char *rest = path + strlen(w->source);
    char *real = join(w->real, rest + strspn(rest, "/"));
    enum mount_kind kind = mounts_find(w->mounts, real);
    free(real);
    return kind;
}

/* What lies beneath a mount, which is not touched: it may not answer. Who may not see that takes it for a
 * folder like the one that holds it. */
static int examine_beneath(struct directory *d, const char *name, const struct source_stat *holder,
                           struct source_stat *st, struct error *err)
{
    if (d->beneath < 0)
        d->beneath = source_beneath(d->fd);
    *st = *holder;
    int code = d->beneath < 0 ? 0 : source_stat(d->beneath, name, st, err);
    st->beneath = true;
    return code;
}

/* What an entry is; false: it is left out. */
static bool examine(struct walk *w, struct directory *d, const struct source_stat *holder, struct bytes name,
                    const char *path, struct source_stat *st)
{
    struct backup *b = w->backup;
    struct error why;
    enum node_type listed = source_listed_type(name);
    if (is_excluded(b, path, listed))
        return false;
    enum mount_kind mount = find_mount(w, path, listed);
    int code = mount == MOUNT_OTHER ? examine_beneath(d, (const char *)name.data, holder, st, &why)
                                    : source_stat(d->fd, (const char *)name.data, st, &why);
    st->mount_root |= mount != MOUNT_NONE;
    if (code != 0)
        backup_warn(b, "%s: %s", path, code == ERROR_NOT_FOUND ? "vanished before it was read" : why.message);
    else if (st->type == NODE_SOCKET)
        log_verbose("%s: a socket, left out", path);
    else if (st->type == NODE_UNKNOWN)
        backup_warn(b, "%s: an entry of unknown type, left out", path);
    else
        return st->type == listed || !is_excluded(b, path, st->type);
    return false;
}

/* Before when an entry's times must lie for them to tell of any change. A file on which one of another file
 * system is mounted is none of this one. */
static int64_t settled_of(const struct file_system *fs, const struct source_stat *st)
{
    bool known = st->type != NODE_FILE || (fs->facts.times_tell && !st->mount_root);
    return known ? fs->settled : INT64_MIN;
}

/* Lists a directory, leaves out what is excluded, and notes what each entry is. */
static int list_entries(struct walk *w, struct directory *d, const struct source_stat *holder,
                        const struct file_system *fs, struct source_stat **stats, struct error *err)
{
    struct bytes *names;
    size_t count;
    struct backup *b = w->backup;
    int code = source_list_directory(d->fd, &w->scratch, &d->arena, &names, &count, err);
    if (code != 0)
        return code;
    d->nodes = arena_alloc_array(&d->arena, count, sizeof *d->nodes);
    d->cached = arena_alloc_array(&d->arena, count, sizeof *d->cached);
    *stats = memory_alloc_array(count, sizeof **stats);
    for (size_t i = 0; i < count; i++) {
        struct source_stat st = {0};
        char *path = join(d->path, (const char *)names[i].data);
        if (examine(w, d, holder, names[i], path, &st)) {
            if (st.type != NODE_DIRECTORY) /* one may not be entered, see enter() */
                note_walked(w, path);
            const char *link = first_link(b, &st, path);
            struct cached_entry *e = &d->cached[d->count];
            *e = cache_entry(names[i], &st, settled_of(fs, &st));
            link_hash(link, &e->link);
            /* Kept as text until the node is made. */
            if (link)
                d->nodes[d->count].hard_link = arena_copy(&d->arena, bytes_of_string(link));
            (*stats)[d->count++] = st;
        }
        free(path);
    }
    return 0;
}

static bool entry_is_same(const struct directory *d, size_t i)
{
    const struct cached_entry *before = cache_find(&d->row, d->cached[i].name);
    return before && cache_entry_same(before, &d->cached[i]) &&
           (before->type == NODE_DIRECTORY || id_equal(&before->link, &d->cached[i].link));
}

/* The bytes of a file count with its first name. */
static void count_same(struct walk *w, const struct source_stat *st, bool link)
{
    struct backup *b = w->backup;
    if (st->type == NODE_FILE)
        atomic_fetch_add(&b->files, 1);
    if (st->type == NODE_FILE && !link) {
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

/* Decides for each entry whether the last listing's node does; reads the rest. */
static void sort_entries(struct walk *w, struct directory *d, const struct source_stat *stats)
{
    struct backup *b = w->backup;
    d->same = d->has_row && b->cache_valid && d->row.count == d->count;
    bool some_same = false;
    for (size_t i = 0; i < d->count; i++) {
        bool same = d->has_row && entry_is_same(d, i) && !first_is_lost(b, &stats[i]);
        d->same &= same;
        some_same |= same;
    }
    if (d->same) {
        for (size_t i = 0; i < d->count; i++)
            count_same(w, &stats[i], d->nodes[i].hard_link.size);
        return;
    }
    if (some_same) {
        struct error why;
        /* A listing that cannot be read any more costs only a second reading of the files. */
        if (tree_fetch(&d->row.tree, d->fd < 0, blobs_fetch_tree, b->repository, &d->old, &why) != 0) {
            log_verbose("%s: %s", d->path, why.message);
            some_same = false;
        }
    }
    for (size_t i = 0; i < d->count && !backup_stopped(b); i++) {
        const struct node *old =
            some_same && entry_is_same(d, i) ? tree_node_by_name(&d->old, d->cached[i].name) : NULL;
        bool lost = first_is_lost(b, &stats[i]);
        if (old && !lost && (b->cache_valid || content_is_there(w, old))) {
            d->nodes[i] = *old;
            d->nodes[i].subtree = (struct extents){0};
            count_same(w, &stats[i], old->hard_link.size);
            continue;
        }
        char *path = join(d->path, (const char *)d->cached[i].name.data);
        if (lost) {
            first_link(b, &stats[i], path);
            d->nodes[i].hard_link = (struct bytes){0};
            link_hash(NULL, &d->cached[i].link);
        }
        struct bytes link = d->nodes[i].hard_link;
        w->warn_path = path;
        w->incomplete = false;
        struct error why;
        int code = store_changed(w, d, i, &stats[i], path, link.size ? (const char *)link.data : NULL, &why);
        if (w->incomplete)
            d->cached[i].trusted = false;
        if (code != 0) {
            d->nodes[i].type = NODE_UNKNOWN;
            backup_warn(b, "%s: %s", path,
                        code == ERROR_NOT_FOUND ? "vanished before it was read" : why.message);
        }
        free(path);
    }
    flush_batch(w);
}

static void push(struct walk *w, struct level level)
{
    memory_reserve_one(w->levels, w->depth, w->capacity);
    w->levels[w->depth++] = level;
}

/* What the cache has of a directory counts only if that was on the same file system: another one may have
 * entries of the same numbers and times. */
static bool read_row(struct backup *b, struct directory *d)
{
    static const struct id unknown;
    return cache_read(b, d->path, &d->row) && !id_equal(&d->file_system, &unknown) &&
           id_equal(&d->file_system, &d->row.file_system);
}

/* Starts on a directory that is open. Takes fd. */
static void enter(struct walk *w, struct directory *parent, size_t index, const char *path, int fd,
                  const struct source_stat *st, size_t file_system)
{
    struct backup *b = w->backup;
    struct directory *d = directory_new(b, parent, index, path, fd);
    struct source_stat *stats = NULL;
    struct error why;
    note_walked(w, path);
    directory_hold(parent);
    atomic_fetch_add(&b->directories, 1);
    d->file_system = w->file_systems[file_system].facts.identity;
    d->has_row = read_row(b, d);
    if (list_entries(w, d, st, &w->file_systems[file_system], &stats, &why) != 0)
        backup_warn(b, "%s: %s", path, why.message);
    else
        sort_entries(w, d, stats);
    if (d->beneath >= 0)
        close(d->beneath);
    d->beneath = -1;
    if (stats && d->count == 0 && d->row.count && find_source(w, path))
        backup_warn(b, "source %s: it is empty, and held %zu entries the last time: is it not mounted?", path,
                    d->row.count);
    push(w, (struct level){d, 0, *st, file_system, stats});
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
static const char *leave_mount(const struct walk *w, const struct level *level, const char *name,
                               const struct source_stat *st)
{
    if (!st->mount_root && st->device == level->stat.device)
        return NULL;
    /* A subvolume that nobody mounted has a device number of its own. */
    if (st->mount_root && w->backup->parameters->one_file_system)
        return "something is mounted there";
    return source_not_entered(level->directory->fd, name);
}

static void enter_child(struct walk *w, struct level *level, size_t i)
{
    struct directory *d = level->directory;
    struct backup *b = w->backup;
    const char *name = (const char *)d->cached[i].name.data;
    const struct source_stat st = level->stats[i];
    char *path = join(d->path, name);
    struct error why;
    int fd = -1;
    int code = 0;
    const char *mount = leave_mount(w, level, name, &st);
    if (mount) {
        log_verbose("%s: %s, its contents are left out", path, mount);
        b->result->mounts_left_out++;
    } else if (is_own_folder(b, &st)) {
        log_verbose("%s: a folder of this program, its contents are left out", path);
    } else if ((code = source_open_directory(d->fd, name, &fd, &why)) != 0) {
        backup_warn(b, "%s: %s", path, code == ERROR_NOT_FOUND ? "vanished before it was read" : why.message);
    } else if (b->parameters->exclude_caches && source_is_cachedir(fd)) {
        log_verbose("%s: a cache directory, its contents are left out", path);
        close(fd);
    } else {
        enter(w, d, i, path, fd, &st,
              st.device == level->stat.device ? level->file_system : find_file_system(w, fd, st.device));
    }
    free(path);
}

static void walk_down(struct walk *w)
{
    while (w->depth) {
        struct level *level = &w->levels[w->depth - 1];
        struct directory *d = level->directory;
        size_t i = level->next++;
        if (i >= d->count || backup_stopped(w->backup)) {
            w->depth--;
            free(level->stats);
            directory_release(d);
            backup_tick(w->backup);
            continue;
        }
        if (d->cached[i].type == NODE_DIRECTORY && (d->same || d->nodes[i].type != NODE_UNKNOWN))
            enter_child(w, level, i);
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
    struct source_stat st;
    struct error why;
    struct node *node = &root->nodes[index];
    root->cached[index].name = arena_copy(&root->arena, bytes_of_string(path));
    int code = source_stat(AT_FDCWD, path, &st, &why);
    int fd = -1;
    w->warn_path = path;
    if (code == 0 && st.type == NODE_DIRECTORY) {
        code = source_open_directory(AT_FDCWD, path, &fd, &why);
        if (code == 0)
            code = metadata_read(w->metadata, AT_FDCWD, path, fd, &st, &root->arena, node, &why);
    } else if (code == 0) {
        root->fd = AT_FDCWD;
        root->cached[index] = cache_entry(root->cached[index].name, &st, INT64_MIN);
        code = store_changed(w, root, index, &st, path, NULL, &why);
        flush_batch(w);
    }
    node->name = root->cached[index].name;
    if (code != 0) {
        node->type = NODE_UNKNOWN;
        if (fd >= 0)
            close(fd);
        backup_warn(b, "source %s: %s", path, why.message);
        return;
    }
    if (st.type == NODE_SYMLINK)
        warn_of_link(b, path);
    if (st.type == NODE_DIRECTORY) {
        w->source = path;
        w->real = real_path(fd, path);
        w->mounts = b->parameters->one_file_system ? mounts_read() : NULL;
        enter(w, root, index, path, fd, &st, find_file_system(w, fd, st.device));
        walk_down(w);
        mounts_free(w->mounts);
        free(w->real);
    }
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
