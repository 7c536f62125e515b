/* Walking the trees of a snapshot: directories and special entries are made here, files handed to the
 * workers. */
#include "base/file.h"
#include "base/id_map.h"
#include "base/log.h"
#include "base/memory.h"
#include "crypto/digest.h"
#include "ops/restore_internal.h"
#include "source/directory.h"
#include "source/name.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW_BYTES (64u << 20)
#define WINDOW_PIECES (RESTORE_OPEN_FILES / 2)

/* What is done when all contents are there. */
struct later {
    const char *directory; /* its place, or that of what holds the entry */
    struct node node;
};

struct walk {
    struct restore *restore;
    const struct selection *selection;
    struct arena arena;
    struct later *directories, *links;
    size_t directory_count, directory_capacity, link_count, link_capacity;
    struct id_map *moved; /* hash of a first name's path: which of moved_places got its contents */
    const char **moved_places;
    size_t moved_count, moved_capacity;
    /* Where what lies at or below a path of the snapshot is, if not at the same path. */
    struct {
        const char *path, *place;
    } * places;
    size_t place_count, place_capacity;
    struct node above;   /* the folder that was asked for last */
    struct id_map *left; /* hash of the path of what was there already, and is another file */
    struct level *levels;
    size_t depth, capacity;
};

struct level {
    struct tree tree;
    size_t next;
    struct target_directory *directory; /* NULL in a dry run */
    char *path;
};

static char *join(const char *directory, struct bytes name)
{
    size_t n = strlen(directory);
    return memory_format("%s%s%.*s", directory, n && directory[n - 1] == '/' ? "" : "/", (int)name.size,
                         (const char *)name.data);
}

static void remember(struct walk *w, struct later **list, size_t *count, size_t *capacity,
                     const char *directory, const struct node *node)
{
    memory_reserve_one(*list, *count, *capacity);
    struct later *l = &(*list)[(*count)++];
    l->directory = arena_copy_string(&w->arena, directory);
    tree_copy_node(&w->arena, node, &l->node);
}

static void failed(struct walk *w, const char *path, const struct error *why)
{
    restore_fail(w->restore, path, why);
    atomic_fetch_add(&w->restore->failed, 1);
    if (why->code == ERROR_INTEGRITY)
        atomic_fetch_add(&w->restore->damaged, 1);
    if (why->code == ERROR_NO_SPACE)
        atomic_store(&w->restore->stopped, true);
}

static void remember_place(struct walk *w, const char *path, const char *place)
{
    memory_reserve_one(w->places, w->place_count, w->place_capacity);
    w->places[w->place_count].path = arena_copy_string(&w->arena, path);
    w->places[w->place_count++].place = arena_copy_string(&w->arena, place);
}

/* Where what the snapshot has at a path was put, or is to be. */
static char *place_of(const struct walk *w, struct bytes path)
{
    size_t longest = 0;
    const char *place = "";
    for (size_t i = 0; i < w->place_count; i++) {
        size_t size = strlen(w->places[i].path);
        if (size > longest && file_lies_in(path, w->places[i].path)) {
            longest = size;
            place = w->places[i].place;
        }
    }
    return memory_format("%s%.*s", place, (int)(path.size - longest), (const char *)path.data + longest);
}

/* ---- files ---- */

static void add_piece(struct restore *r, struct target_file *f, const struct extent *e, uint64_t offset)
{
    struct blob_location copies[BLOB_COPIES_MAX];
    size_t count;
    struct error why;
    int code = blobs_locate(r->repository, &e->blob, copies, &count, &why);
    if (code == 0 && (count == 0 || copies[0].length != e->length))
        code = error_set(&why, repository_nowhere(r->repository),
                         "a part of it is on no target that can be reached");
    if (code != 0) {
        if (!atomic_exchange(&f->failed, true))
            restore_fail(r, f->path, &why);
        atomic_store(&f->damaged, !error_is_outage(code));
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

/* A file that is being written looks like one that a killed restore has left. */
static void wait_for_all(struct restore *r)
{
    restore_flush(r);
    pthread_mutex_lock(&r->lock);
    while (r->open_files)
        pthread_cond_wait(&r->file_closed, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

/* True if the file has these bytes there already. */
static bool has_blob(struct restore *r, const struct target_file *f, const struct extent *e, uint64_t offset)
{
    buffer_clear(&r->compare);
    uint8_t *to = buffer_extend(&r->compare, (size_t)e->length);
    for (size_t done = 0; done < e->length;) {
        ssize_t n = pread(f->file.fd, to + done, (size_t)e->length - done, (off_t)(offset + done));
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return blob_hasher_matches(r->hasher, BLOB_DATA, buffer_bytes(&r->compare), &e->blob);
}

static void fill_file(struct restore *r, struct target_file *f)
{
    uint64_t offset = 0;
    struct error why;
    for (size_t i = 0; i < f->node.content.count && !restore_stopped(r); i++) {
        const struct extent *e = &f->node.content.list[i];
        if (e->hole && f->file.updated && writer_file_hole(&f->file, offset, e->length, &why) != 0)
            restore_warn(r, "%s: %s", f->path, why.message);
        if (!e->hole && !(f->file.updated && e->length <= 64u << 20 && has_blob(r, f, e, offset)))
            add_piece(r, f, e, offset);
        offset += e->length;
    }
    if (restore_stopped(r))
        atomic_store(&f->failed, true);
}

static int open_file(struct restore *r, struct target_directory *d, const struct node *node,
                     struct writer_file *file, struct error *err)
{
    enum restore_overwrite overwrite = r->parameters->overwrite;
    if (overwrite == RESTORE_CHANGED) {
        int code = writer_file_update(d->fd, node->name, file, err);
        if (code == 0)
            return 0;
    }
    return writer_file_create(d->fd, node->name, node->flags, overwrite != RESTORE_NEVER, file, err);
}

/* What is there stays. Further names of what was backed up must not lead to it, unless it is that: a restore
 * before this one may have made it. */
static void leave(struct walk *w, const struct target_directory *d, const struct node *node)
{
    char name[WRITER_NAME_SIZE];
    struct source_stat st;
    struct id hash;
    w->restore->result->skipped++;
    if (writer_name(node->name, name, NULL) == 0 && source_stat(d->fd, name, &st, NULL) == 0 &&
        st.type == node->type && (st.type != NODE_FILE || st.size == node->size) &&
        st.mtime_seconds == node->mtime_seconds && st.mtime_nanoseconds == node->mtime_nanoseconds)
        return;
    char *place = join(d->place, node->name);
    sha256(bytes_of_string(place), &hash);
    id_map_put(w->left, &hash, 1);
    free(place);
}

static void restore_file(struct walk *w, struct target_directory *d, const char *path,
                         const struct node *node)
{
    struct restore *r = w->restore;
    struct error why;
    struct writer_file file;
    wait_for_room(r);
    int code = open_file(r, d, node, &file, &why);
    if (code != 0) {
        pthread_mutex_lock(&r->lock);
        r->open_files--;
        pthread_mutex_unlock(&r->lock);
        if (code == ERROR_EXISTS && r->parameters->overwrite == RESTORE_NEVER)
            leave(w, d, node);
        else
            failed(w, path, &why);
        return;
    }
    struct target_file *f = memory_new(struct target_file);
    f->restore = r;
    f->directory = d;
    f->file = file;
    f->path = memory_copy_string(path);
    pthread_mutex_init(&f->writing, NULL);
    atomic_init(&f->pending, 1);
    target_directory_hold(d);
    tree_copy_node(&f->arena, node, &f->node);
    fill_file(r, f);
    target_file_release(f, r->metadata);
}

/* ---- the other types ---- */

/* True if the entry may be there already, for it lies in one before it. */
static bool lies_in_another(const struct selection *selection, size_t number)
{
    struct bytes path = bytes_of_string(selection->list[number].path);
    for (size_t i = 0; i < number; i++) {
        if (file_lies_in(path, selection->list[i].path))
            return true;
    }
    return false;
}

static bool find_moved(const struct walk *w, struct bytes first, uint64_t *number)
{
    struct id hash;
    sha256(first, &hash);
    return id_map_get(w->moved, &hash, number);
}

/* A hard link whose first name is not restored: the first of its names that is takes its place. Links,
 * FIFOs and devices have all that it takes; a file's contents are with the first name. */
static int take_over(struct walk *w, const struct target_directory *d, const struct node *link,
                     struct node *node, struct error *err)
{
    const char *first = (const char *)arena_copy(&w->arena, link->hard_link).data;
    struct manifest const *m = &w->restore->parameters->snapshot->manifest;
    struct id hash;
    if (link->type == NODE_FILE) {
        int code = tree_find_contents(&m->root, first, blobs_fetch_tree, w->restore->repository, &w->arena,
                                      node, err);
        if (code == ERROR_NOT_FOUND || (code == 0 && node->type != NODE_FILE))
            code = error_set(err, ERROR_INTEGRITY, "its hard link leads to no file");
        if (code != 0)
            return code;
    }
    node->name = link->name;
    sha256(link->hard_link, &hash);
    id_map_put(w->moved, &hash, w->moved_count);
    memory_reserve_one(w->moved_places, w->moved_count, w->moved_capacity);
    char *place = join(d->place, link->name);
    w->moved_places[w->moved_count++] = arena_copy_string(&w->arena, place);
    free(place);
    return 0;
}

static void restore_special(struct walk *w, struct target_directory *d, const char *path,
                            const struct node *node)
{
    struct restore *r = w->restore;
    struct error why;
    int code = writer_make_special(d->fd, node->name, node, r->parameters->overwrite != RESTORE_NEVER, &why);
    if (code == ERROR_EXISTS && r->parameters->overwrite == RESTORE_NEVER) {
        leave(w, d, node);
        return;
    }
    metadata_writer_at(r->metadata, path);
    if (code == 0)
        code = metadata_write(r->metadata, d->fd, node->name, -1, node, &why);
    if (code == 0)
        r->result->others++;
    else
        failed(w, path, &why);
}

static void restore_entry(struct walk *w, struct target_directory *d, const char *path,
                          const struct node *node)
{
    if (node->type == NODE_FILE)
        restore_file(w, d, path, node);
    else if (node->type != NODE_SOCKET)
        restore_special(w, d, path, node);
}

/* ---- directories ---- */

/* Who is not root needs a right to write below; the directory gets its own mode at the end. */
static void make_writable(int fd)
{
    struct source_stat st;
    if (geteuid() != 0 && source_stat(fd, "", &st, NULL) == 0 && (st.mode & 0300) != 0300)
        fchmod(fd, st.mode | 0300);
}

/* True for a folder on which something was mounted, if that is another source and comes here, too: its
 * contents get the mode that they had. */
static bool is_filled_by_another(const struct walk *w, const char *path, const struct node *node)
{
    bool other = false;
    for (size_t i = 0; w->depth && node->subtree.count == 0 && i < w->selection->count && !other; i++)
        other = strcmp(w->selection->list[i].path, path) == 0;
    return other;
}

static int enter(struct walk *w, struct target_directory *parent, const char *path, const struct node *node,
                 struct error *err)
{
    struct restore *r = w->restore;
    bool root = node->name.size == 1 && node->name.data[0] == '/';
    struct tree tree;
    int code = 0, fd = -1;
    if (!r->parameters->dry_run) {
        if (root)
            fd = dup(writer_root(r->writer));
        else
            code = writer_make_directory(parent->fd, node->name, r->parameters->overwrite != RESTORE_NEVER,
                                         &fd, err);
        if (code != 0)
            return code;
        make_writable(fd);
    }
    struct target_directory *d =
        target_directory_new(fd, root ? memory_copy_string("") : join(parent->place, node->name));
    if (!r->parameters->dry_run && !is_filled_by_another(w, path, node))
        remember(w, &w->directories, &w->directory_count, &w->directory_capacity, d->place, node);
    r->result->directories++;
    code = tree_fetch(&node->subtree, false, blobs_fetch_tree, r->repository, &tree, err);
    if (code != 0) {
        target_directory_release(d);
        return code;
    }
    memory_reserve_one(w->levels, w->depth, w->capacity);
    w->levels[w->depth++] = (struct level){tree, 0, d, memory_copy_string(path)};
    return 0;
}

static void restore_node(struct walk *w, struct target_directory *d, const char *path,
                         const struct node *node)
{
    struct restore *r = w->restore;
    struct error why;
    struct node copy = *node;
    log_verbose("%s", path);
    if (node->type == NODE_DIRECTORY) {
        if (enter(w, d, path, node, &why) != 0)
            failed(w, path, &why);
        return;
    }
    if (r->parameters->dry_run) {
        if (node->type == NODE_FILE) {
            atomic_fetch_add(&r->files, 1);
            atomic_fetch_add(&r->bytes, node->size);
        } else {
            r->result->others++;
        }
        return;
    }
    if (node->hard_link.size) {
        /* A name that leads to itself is none of the further ones: its source lay in another. */
        bool itself = bytes_equal(node->hard_link, bytes_of_string(path));
        if (!itself &&
            (selection_has(w->selection, node->hard_link) || find_moved(w, node->hard_link, NULL))) {
            remember(w, &w->links, &w->link_count, &w->link_capacity, d->place, node);
            return;
        }
        if (take_over(w, d, node, &copy, &why) != 0) {
            failed(w, path, &why);
            return;
        }
    }
    restore_entry(w, d, path, &copy);
}

static void walk_down(struct walk *w)
{
    while (w->depth) {
        struct level *level = &w->levels[w->depth - 1];
        if (level->next >= level->tree.count || restore_stopped(w->restore)) {
            tree_free(&level->tree);
            target_directory_release(level->directory);
            free(level->path);
            w->depth--;
            continue;
        }
        const struct node *node = &level->tree.nodes[level->next++];
        char *path = join(level->path, node->name);
        restore_node(w, level->directory, path, node);
        free(path);
    }
}

/* ---- above what was selected ---- */

static int knows(void *context, struct bytes path, bool *known, struct error *err)
{
    struct walk *w = context;
    struct manifest const *m = &w->restore->parameters->snapshot->manifest;
    char *text = memory_format("%.*s", (int)path.size, (const char *)path.data);
    int code = tree_find(&m->root, text, blobs_fetch_tree, w->restore->repository, &w->arena, &w->above, err);
    *known = code == 0 && w->above.type == NODE_DIRECTORY;
    free(text);
    return code == ERROR_NOT_FOUND ? 0 : code;
}

static void made(void *context, const char *place)
{
    struct walk *w = context;
    remember(w, &w->directories, &w->directory_count, &w->directory_capacity, place, &w->above);
}

/* The directory that holds a selected entry, made with those above it. */
static int open_parent(struct walk *w, const char *path, struct target_directory **d, struct bytes *name,
                       struct error *err)
{
    struct restore *r = w->restore;
    const char *slash = strrchr(path, '/');
    struct bytes parent = bytes_of(path, slash ? (size_t)(slash - path) : 0);
    struct writer_above above = {knows, made, w, true};
    char *place = NULL;
    int fd = -1, code = 0;
    *name = bytes_of_string(slash && slash[1] ? slash + 1 : path);
    if (!r->parameters->dry_run)
        code = writer_go_above(r->writer, parent, &above, &fd, &place, err);
    if (code != 0)
        return code;
    if (place && !bytes_equal(bytes_of_string(place), parent)) {
        char *own = join(place, *name);
        remember_place(w, path, own);
        free(own);
    }
    *d = target_directory_new(fd, place ? place
                                        : memory_format("%.*s", (int)parent.size, (const char *)parent.data));
    return 0;
}

/* ---- the end ---- */

/* Where the file is that a link leads to. */
static char *first_of(const struct walk *w, const struct node *link)
{
    uint64_t number;
    return find_moved(w, link->hard_link, &number) ? memory_copy_string(w->moved_places[number])
                                                   : place_of(w, link->hard_link);
}

static bool is_left(const struct walk *w, const struct node *link)
{
    struct id hash;
    char *first = first_of(w, link);
    sha256(bytes_of_string(first), &hash);
    free(first);
    return id_map_has(w->left, &hash);
}

/* Of links to what was left alone the first one takes its place. */
static void part_links(struct walk *w)
{
    for (size_t i = 0; i < w->link_count && !restore_stopped(w->restore); i++) {
        struct later *l = &w->links[i];
        struct node copy = l->node;
        struct error why;
        if (!is_left(w, &l->node))
            continue;
        char *path = join(l->directory, l->node.name);
        int fd = -1;
        int code = writer_open_path(w->restore->writer, bytes_of_string(l->directory), &fd, &why);
        struct target_directory *d = target_directory_new(fd, memory_copy_string(l->directory));
        if (code == 0)
            code = take_over(w, d, &l->node, &copy, &why);
        if (code == 0)
            restore_entry(w, d, path, &copy);
        else
            failed(w, path, &why);
        l->node.type = NODE_UNKNOWN; /* it is no link any more */
        target_directory_release(d);
        free(path);
    }
}

static void make_links(struct walk *w)
{
    struct restore *r = w->restore;
    bool replace = r->parameters->overwrite != RESTORE_NEVER;
    for (size_t i = 0; i < w->link_count && !restore_stopped(r); i++) {
        struct later *l = &w->links[i];
        struct error why;
        if (l->node.type == NODE_UNKNOWN)
            continue;
        char *target = first_of(w, &l->node);
        int fd;
        int code = writer_open_path(r->writer, bytes_of_string(l->directory), &fd, &why);
        if (code == 0) {
            code = writer_make_hard_link(r->writer, fd, l->node.name, bytes_of_string(target), replace, &why);
            close(fd);
        }
        free(target);
        if (code == 0 && l->node.type == NODE_FILE) {
            atomic_fetch_add(&r->files, 1);
        } else if (code == 0) {
            r->result->others++;
        } else if (code == ERROR_EXISTS && !replace) {
            r->result->skipped++;
        } else {
            char *path = join(l->directory, l->node.name);
            failed(w, path, &why);
            free(path);
        }
    }
}

/* Deepest first: what is written into a directory changes its times. */
static void finish_directories(struct walk *w)
{
    struct restore *r = w->restore;
    for (size_t i = w->directory_count; i-- > 0;) {
        struct later *l = &w->directories[i];
        struct error why;
        int fd;
        int code = writer_open_path(r->writer, bytes_of_string(l->directory), &fd, &why);
        metadata_writer_at(r->metadata, l->directory);
        if (code == 0) {
            code = metadata_write(r->metadata, fd, l->node.name, fd, &l->node, &why);
            close(fd);
        }
        if (code != 0)
            failed(w, l->directory, &why);
    }
}

static void stop_workers(struct restore *r)
{
    restore_flush(r);
    if (r->ahead)
        queue_close(r->ahead);
    for (size_t i = 0; i < r->fetcher_count; i++)
        pthread_join(r->fetchers[i], NULL);
    queue_close(r->tasks);
    for (size_t i = 0; i < r->worker_count; i++)
        pthread_join(r->workers[i], NULL);
}

void restore_walk(struct restore *r, const struct selection *selection)
{
    struct walk w = {.restore = r, .selection = selection, .moved = id_map_new(), .left = id_map_new()};
    for (size_t i = 0; i < selection->count && !restore_stopped(r); i++) {
        const struct selected *s = &selection->list[i];
        struct target_directory *parent;
        struct node node = s->node;
        struct bytes name;
        struct error why;
        if (open_parent(&w, s->path, &parent, &name, &why) != 0) {
            failed(&w, s->path, &why);
            continue;
        }
        node.name = name;
        if (!r->parameters->dry_run && lies_in_another(selection, i))
            wait_for_all(r);
        restore_node(&w, parent, s->path, &node);
        walk_down(&w);
        target_directory_release(parent);
    }
    part_links(&w);
    stop_workers(r);
    if (!r->parameters->dry_run) {
        make_links(&w);
        finish_directories(&w);
    }
    free(w.directories);
    free(w.links);
    free(w.moved_places);
    free(w.places);
    id_map_free(w.moved);
    id_map_free(w.left);
    free(w.levels);
    arena_free(&w.arena);
}
