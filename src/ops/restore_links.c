/* Hard links: further names of files, made when all files are there. What cannot be a link becomes a copy. */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "crypto/digest.h"
#include "ops/restore_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool find_moved(const struct walk *w, struct bytes first, uint64_t *number)
{
    struct id hash;
    sha256(first, &hash);
    return id_map_get(w->moved, &hash, number);
}

bool restore_is_link(struct walk *w, const struct target_directory *d, const char *path,
                     const struct node *node)
{
    struct bytes first = node->hard_link;
    /* A name that leads to itself is none of the further ones: its source lay in another. */
    if (first.size == 0 || bytes_equal(first, bytes_of_string(path)) ||
        !(selection_has(w->selection, first) || find_moved(w, first, NULL)))
        return false;
    restore_remember(w, &w->links, d->place, node);
    struct restore_later *later = &w->links.list[w->links.count - 1];
    later->siblings = d->subtree;
    later->path = d->path;
    return true;
}

int restore_take_over(struct walk *w, const struct target_directory *d, const struct node *link,
                      struct node *node, struct error *err)
{
    const char *first = (const char *)arena_copy(&w->arena, link->hard_link).data;
    struct manifest const *m = &w->restore->parameters->snapshot->manifest;
    struct id hash;
    *node = *link;
    if (link->type == NODE_FILE) {
        int code = tree_find_contents(&m->root, first, blobs_fetch_tree, w->restore->repository, &w->arena,
                                      node, err);
        if (code == ERROR_NOT_FOUND || (code == 0 && node->type != NODE_FILE))
            code = error_set(err, ERROR_INTEGRITY, "its hard link leads to no file");
        if (code != 0)
            return code;
    }
    node->name = link->name;
    node->hard_link = (struct bytes){0};
    sha256(link->hard_link, &hash);
    id_map_put(w->moved, &hash, w->moved_count);
    memory_reserve_one(w->moved_places, w->moved_count, w->moved_capacity);
    char *place = restore_join(d->place, link->name);
    w->moved_places[w->moved_count++] = arena_copy_string(&w->arena, place);
    free(place);
    return 0;
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

/* Where the file is that a link leads to. */
static char *first_of(const struct walk *w, const struct node *link)
{
    uint64_t number;
    return restore_given_place(w, find_moved(w, link->hard_link, &number)
                                      ? memory_copy_string(w->moved_places[number])
                                      : place_of(w, link->hard_link));
}

static bool has_place(const struct id_map *map, const char *place)
{
    struct id hash;
    sha256(bytes_of_string(place), &hash);
    return id_map_has(map, &hash);
}

/* One warning for each reason. */
static void note_copy(struct walk *w, const char *path, const char *why)
{
    size_t i = 0;
    while (i < w->copies_count && strcmp(w->copies[i].why, why) != 0)
        i++;
    if (i == w->copies_count) {
        memory_reserve_one(w->copies, w->copies_count, w->copies_capacity);
        w->copies[w->copies_count++] =
            (struct restore_copies){memory_copy_string(path), memory_copy_string(why), 0};
    }
    w->copies[i].count++;
    w->restore->result->copies++;
    log_verbose("%s: %s", path, why);
}

/* A link that is to have the contents itself; why: it could not be a link, or NULL. */
static int make_copy(struct walk *w, struct target_directory *d, const char *path, const struct node *link,
                     const char *why, struct error *err)
{
    struct node copy;
    int code = restore_take_over(w, d, link, &copy, err);
    if (code != 0)
        return code;
    char *place = restore_join(d->place, link->name);
    restore_entry(w, d, path, &copy);
    restore_wait(w->restore); /* further links lead to it */
    if (why && !has_place(w->restore->lost, place))
        note_copy(w, path, why);
    free(place);
    return 0;
}

static void warn_of_copies(struct walk *w)
{
    for (size_t i = 0; i < w->copies_count; i++) {
        struct restore_copies *c = &w->copies[i];
        if (c->count == 1)
            restore_warn(w->restore, "%s: %s; it is a copy instead", c->path, c->why);
        else
            restore_warn(w->restore, "%s and %llu more: %s; they are copies instead", c->path,
                         (unsigned long long)c->count - 1, c->why);
        free(c->path);
        free(c->why);
    }
    free(w->copies);
}

static void count_link(struct walk *w, const struct node *link, const struct restore_found *found)
{
    struct restore_result *result = w->restore->result;
    if (link->type == NODE_FILE)
        atomic_fetch_add(&w->restore->files, 1);
    else
        result->others++;
    if (found->way == RESTORE_REPLACED)
        result->overwritten++;
}

/* True if both are names of one file, and a dry run would leave it so. */
static bool leads_to(const struct walk *w, const char *first, const struct restore_found *found)
{
    struct source_stat st;
    return w->restore->writer && found->way != RESTORE_FREE && !has_place(w->renewed, first) &&
           writer_stat(w->restore->writer, bytes_of_string(first), &st, NULL) == 0 &&
           st.inode == found->stat.inode && st.device == found->stat.device;
}

/* Of the folder that holds a place, or will: then of the nearest one above it that is there. */
static uint64_t device_above(const struct walk *w, const char *place)
{
    const struct writer *writer = w->restore->writer;
    struct bytes path = bytes_of_string(place);
    struct source_stat st = {0};
    int fd, code = ERROR_NOT_FOUND;
    while (code != 0 && path.size) {
        while (path.size && path.data[--path.size] != '/') {
        }
        code = writer_open_path(writer, path, &fd, NULL);
    }
    if (code == 0) {
        source_stat(fd, "", &st, NULL);
        close(fd);
    }
    return st.device;
}

/* What a dry run can know of a link: that it would lead to another file system. */
static int pretend_link(const struct walk *w, const struct target_directory *d, const struct node *link,
                        const char *first, struct error *err)
{
    char *place = restore_join(d->place, link->name);
    int code = 0;
    if (w->restore->writer && device_above(w, place) != device_above(w, first))
        code = error_set_errno(err, EXDEV, "cannot link to the first name of the file");
    free(place);
    return code;
}

static int make_link(struct walk *w, struct target_directory *d, const char *path, struct node *link,
                     const char *first, struct error *err)
{
    struct restore *r = w->restore;
    struct restore_found found;
    int code = restore_find(w, d, path, link, &found, err);
    if (code != 0)
        return code;
    if (leads_to(w, first, &found)) {
        r->result->unchanged++;
        return 0;
    }
    if (found.way == RESTORE_LEFT) {
        r->result->skipped++;
        return 0;
    }
    if (has_place(r->lost, first))
        code = error_set(err, ERROR_NOT_FOUND, "cannot link to the first name of the file: it was not made");
    else if (r->parameters->dry_run)
        code = pretend_link(w, d, link, first, err);
    else
        code = writer_make_hard_link(r->writer, d->fd, link->name, bytes_of_string(first),
                                     found.way == RESTORE_REPLACED, err);
    if (code == 0) {
        count_link(w, link, &found);
    } else if (code != ERROR_NO_SPACE) {
        struct error reason = *err;
        code = make_copy(w, d, path, link, reason.message, err);
    }
    return code;
}

/* What was left alone is another file: of links to it the first one gets the contents. */
static void restore_later(struct walk *w, struct restore_later *l)
{
    struct restore *r = w->restore;
    struct error why;
    char *first = first_of(w, &l->node), *path = restore_join(l->directory, l->node.name);
    int fd = -1, code = 0;
    bool left = has_place(w->left, first);
    if (r->writer)
        code = writer_open_path(r->writer, bytes_of_string(l->directory), &fd, &why);
    if (code == ERROR_NOT_FOUND && r->parameters->dry_run)
        code = 0;
    struct target_directory *d = target_directory_new(fd, memory_copy_string(l->directory));
    d->subtree = l->siblings;
    d->path = l->path;
    if (code == 0 && left)
        code = make_copy(w, d, path, &l->node, NULL, &why);
    else if (code == 0)
        code = make_link(w, d, path, &l->node, first, &why);
    if (code != 0)
        restore_failed(w, path, &why);
    target_directory_release(d);
    free(first);
    free(path);
}

void restore_links(struct walk *w)
{
    for (size_t i = 0; i < w->links.count && !restore_stopped(w->restore); i++)
        restore_later(w, &w->links.list[i]);
    warn_of_copies(w);
}
