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

struct level {
    struct tree tree;
    size_t next;
    struct target_directory *directory;
    char *path;
};

char *restore_join(const char *directory, struct bytes name)
{
    size_t n = strlen(directory);
    return memory_format("%s%s%.*s", directory, n && directory[n - 1] == '/' ? "" : "/", (int)name.size,
                         (const char *)name.data);
}

void restore_put_place(struct id_map *map, const struct target_directory *d, struct bytes name)
{
    struct id hash;
    char *place = restore_join(d->place, name);
    sha256(bytes_of_string(place), &hash);
    id_map_put(map, &hash, 1);
    free(place);
}

void restore_remember(struct walk *w, struct restore_laters *list, const char *directory,
                      const struct node *node)
{
    memory_reserve_one(list->list, list->count, list->capacity);
    struct restore_later *l = &list->list[list->count++];
    l->directory = arena_copy_string(&w->arena, directory);
    tree_copy_node(&w->arena, node, &l->node);
}

void restore_failed(struct walk *w, const char *path, const struct error *why)
{
    if (why->code == ERROR_INTEGRITY)
        restore_fail_unread(w->restore, path, why);
    else
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

void restore_wait(struct restore *r)
{
    restore_flush(r);
    pthread_mutex_lock(&r->lock);
    while (r->open_files)
        pthread_cond_wait(&r->file_closed, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

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

/* Another entry may have the name; if not, what is no directory is replaced. */
static int open_taken(struct walk *w, struct target_directory *parent, const char *path, struct node *node,
                      int *fd, bool *made, struct error *err)
{
    struct restore *r = w->restore;
    bool replace = r->parameters->overwrite != RESTORE_NEVER;
    char name[WRITER_NAME_SIZE];
    struct source_stat st;
    int code = writer_name(node->name, name, err);
    if (code == 0)
        code = source_stat(parent->fd, name, &st, err);
    if (code == 0)
        code = restore_part_names(w, parent, path, node, &st, err);
    if (code != 0)
        return code;
    return r->parameters->dry_run ? writer_find_directory(parent->fd, node->name, replace, fd, err)
                                  : writer_make_directory(parent->fd, node->name, replace, fd, made, err);
}

/* The directory that an entry is, opened or made; *fd is -1 in a dry run where it is not there. */
static int open_directory(struct walk *w, struct target_directory *parent, const char *path,
                          struct node *node, int *fd, bool *made, struct error *err)
{
    struct restore *r = w->restore;
    int code;
    *fd = -1;
    *made = false;
    if (node->name.size == 1 && node->name.data[0] == '/') {
        *fd = r->writer ? dup(writer_root(r->writer)) : -1;
        return 0;
    }
    if (r->parameters->dry_run && parent->fd < 0)
        return 0;
    code = r->parameters->dry_run ? writer_find_directory(parent->fd, node->name, false, fd, err)
                                  : writer_make_directory(parent->fd, node->name, false, fd, made, err);
    if ((code == 0 && *fd >= 0 && !*made) || code == ERROR_EXISTS) {
        if (*fd >= 0)
            close(*fd);
        *fd = -1;
        code = open_taken(w, parent, path, node, fd, made, err);
    }
    if (code == 0 && !r->parameters->dry_run)
        make_writable(*fd);
    if (code == 0 && *fd >= 0 && !*made)
        restore_note_file_system(r, *fd);
    return code;
}

static int enter(struct walk *w, struct target_directory *parent, const char *path, const struct node *entry,
                 struct error *err)
{
    struct restore *r = w->restore;
    struct node node = *entry; /* it may get another name */
    bool root = node.name.size == 1 && node.name.data[0] == '/', made;
    struct tree tree;
    int fd, code = open_directory(w, parent, path, &node, &fd, &made, err);
    if (code != 0)
        return code;
    struct target_directory *d =
        target_directory_new(fd, root ? memory_copy_string("") : restore_join(parent->place, node.name));
    d->made = made;
    if (!is_filled_by_another(w, path, &node)) {
        restore_remember(w, &w->directories, d->place, &node);
        d->subtree = w->directories.list[w->directories.count - 1].node.subtree;
    }
    r->result->directories++;
    code = tree_fetch(&node.subtree, false, blobs_fetch_tree, r->repository, &tree, err);
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
    struct error why;
    struct node copy = *node;
    int code = 0;
    log_verbose("%s", path);
    if (node->type == NODE_DIRECTORY) {
        code = enter(w, d, path, node, &why);
    } else if (!restore_is_link(w, d, path, node)) {
        if (node->hard_link.size)
            code = restore_take_over(w, d, node, &copy, &why);
        if (code == 0)
            restore_entry(w, d, path, &copy);
    }
    if (code != 0)
        restore_failed(w, path, &why);
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
        char *path = restore_join(level->path, node->name);
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
    if (!*known)
        w->above = (struct node){0};
    free(text);
    return code == ERROR_NOT_FOUND ? 0 : code;
}

static void made(void *context, const char *place)
{
    struct walk *w = context;
    restore_remember(w, &w->directories, place, &w->above);
}

/* The directory that holds a selected entry, made with those above it. */
static int open_parent(struct walk *w, const char *path, struct target_directory **d, struct bytes *name,
                       struct error *err)
{
    struct restore *r = w->restore;
    const char *slash = strrchr(path, '/');
    struct bytes parent = bytes_of(path, slash ? (size_t)(slash - path) : 0);
    struct writer_above above = {knows, made, w, !r->parameters->dry_run};
    char *place = NULL, *text = memory_format("%.*s", (int)parent.size, (const char *)parent.data);
    int fd = -1, code = 0;
    w->above = (struct node){0};
    *name = bytes_of_string(slash && slash[1] ? slash + 1 : path);
    if (r->writer)
        code = writer_go_above(r->writer, parent, &above, &fd, &place, err);
    if (code != 0) {
        free(text);
        return code;
    }
    if (fd >= 0)
        restore_note_file_system(r, fd);
    if (place && !bytes_equal(bytes_of_string(place), parent)) {
        char *own = restore_join(place, *name);
        remember_place(w, path, own);
        free(own);
    }
    *d = target_directory_new(fd, place ? place : memory_copy_string(text));
    (*d)->path = arena_copy_string(&w->arena, text);
    if (fd >= 0)
        (*d)->subtree = w->above.subtree; /* of the last folder that was asked for */
    free(text);
    return 0;
}

/* ---- the end ---- */

/* Deepest first: what is written into a directory changes its times. */
static void finish_directories(struct walk *w)
{
    struct restore *r = w->restore;
    for (size_t i = w->directories.count; i-- > 0;) {
        struct restore_later *l = &w->directories.list[i];
        struct error why;
        int fd;
        int code = writer_open_path(r->writer, bytes_of_string(l->directory), &fd, &why);
        metadata_writer_at(r->metadata, l->directory);
        if (code == 0) {
            code = metadata_write(r->metadata, fd, l->node.name, fd, &l->node, &why);
            close(fd);
        }
        if (code != 0)
            restore_failed(w, l->directory, &why);
    }
}

static void stop_workers(struct restore *r)
{
    if (r->ahead)
        queue_close(r->ahead);
    for (size_t i = 0; i < r->fetcher_count; i++)
        pthread_join(r->fetchers[i], NULL);
    queue_close(r->tasks);
    for (size_t i = 0; i < r->worker_count; i++)
        pthread_join(r->workers[i], NULL);
}

static void restore_selected(struct walk *w, size_t number)
{
    const struct selected *s = &w->selection->list[number];
    struct target_directory *parent;
    struct node node = s->node;
    struct error why;
    if (open_parent(w, s->path, &parent, &node.name, &why) != 0) {
        restore_failed(w, s->path, &why);
        return;
    }
    /* A file that is being written looks like one that a killed restore has left. By way of a link it may be
     * the same one under any path. */
    if (w->place_count || lies_in_another(w->selection, number))
        restore_wait(w->restore);
    restore_node(w, parent, s->path, &node);
    walk_down(w);
    target_directory_release(parent);
}

void restore_walk(struct restore *r, const struct selection *selection)
{
    struct walk w = {.restore = r,
                     .selection = selection,
                     .moved = id_map_new(),
                     .left = id_map_new(),
                     .renewed = id_map_new()};
    for (size_t i = 0; i < selection->count && !restore_stopped(r); i++)
        restore_selected(&w, i);
    restore_wait(r);
    restore_links(&w);
    restore_wait(r);
    stop_workers(r);
    if (!r->parameters->dry_run)
        finish_directories(&w);
    free(w.directories.list);
    free(w.links.list);
    free(w.moved_places);
    free(w.places);
    free(w.given);
    id_map_free(w.moved);
    id_map_free(w.left);
    id_map_free(w.renewed);
    free(w.levels);
    arena_free(&w.arena);
}
