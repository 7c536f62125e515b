/* Names that a file system does not tell apart: of case, or of how letters are composed, it may know nothing.
 * Which names it takes for the same only it can tell: one that is there, but not in the list of the
 * directory, is written in another way there. */
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "ops/restore_internal.h"
#include "source/name.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define TRIES_MAX 1000
#define SUFFIX ".case-conflict-"
#define NAME_BYTES 255 /* most file systems have no room for more */

/* Of one directory, read when they are needed. */
struct restore_names {
    struct arena arena;
    struct bytes *listed, *siblings; /* that are there, in byte order; that the snapshot has there */
    size_t listed_count, sibling_count, sibling_capacity;
};

void restore_names_free(struct restore_names *names)
{
    if (!names)
        return;
    arena_free(&names->arena);
    free(names->siblings);
    free(names);
}

static int compare_names(const void *a, const void *b)
{
    return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

static bool is_listed(const struct restore_names *n, struct bytes name)
{
    return n->listed_count && bsearch(&name, n->listed, n->listed_count, sizeof name, compare_names);
}

static int list(const struct target_directory *d, struct restore_names *n, struct error *err)
{
    struct buffer scratch = {0};
    int fd, code = source_open_directory(d->fd, ".", &fd, err);
    if (code != 0)
        return code;
    code = source_list_directory(fd, NULL, &scratch, &n->arena, &n->listed, &n->listed_count, err);
    close(fd);
    buffer_free(&scratch);
    return code;
}

static void add_sibling(struct restore_names *n, struct bytes name)
{
    memory_reserve_one(n->siblings, n->sibling_count, n->sibling_capacity);
    n->siblings[n->sibling_count++] = arena_copy(&n->arena, name);
}

/* What the snapshot has in the directory, and what was selected there by its path. */
static int find_siblings(const struct walk *w, const struct target_directory *d, struct restore_names *n,
                         struct error *err)
{
    const struct selection *s = w->selection;
    struct tree tree;
    if (n->sibling_count)
        return 0;
    for (size_t i = 0; d->path && i < s->count; i++) {
        const char *slash = strrchr(s->list[i].path, '/');
        size_t parent = slash ? (size_t)(slash - s->list[i].path) : 0;
        if (parent == strlen(d->path) && strncmp(s->list[i].path, d->path, parent) == 0)
            add_sibling(n, bytes_of_string(s->list[i].path + parent + (slash != NULL)));
    }
    if (d->subtree.count == 0)
        return 0;
    int code = tree_fetch(&d->subtree, false, blobs_fetch_tree, w->restore->repository, &tree, err);
    for (size_t i = 0; i < tree.count && code == 0; i++)
        add_sibling(n, tree.nodes[i].name);
    tree_free(&tree);
    return code;
}

static bool looks_the_same(struct bytes a, struct bytes b)
{
    return a.size == b.size && strncasecmp((const char *)a.data, (const char *)b.data, a.size) == 0;
}

static bool is_entry(const struct target_directory *d, struct bytes name, const struct source_stat *st)
{
    char text[WRITER_NAME_SIZE];
    struct source_stat other;
    return writer_name(name, text, NULL) == 0 && source_stat(d->fd, text, &other, NULL) == 0 &&
           other.inode == st->inode && other.device == st->device;
}

static bool is_sibling(const struct restore_names *n, struct bytes name)
{
    for (size_t i = 0; i < n->sibling_count; i++) {
        if (bytes_equal(n->siblings[i], name))
            return true;
    }
    return false;
}

/* True if one of the names that are listed is that of an entry, and of no entry of the snapshot: then the
 * file system writes the name of ours in its own way. */
static bool has_own_spelling(const struct target_directory *d, const struct restore_names *n,
                             const struct source_stat *st)
{
    for (size_t i = 0; i < n->listed_count; i++) {
        if (!is_sibling(n, n->listed[i]) && is_entry(d, n->listed[i], st))
            return true;
    }
    return false;
}

/* Which other entry of the snapshot has the place of this one: one that is listed under its own name, or was
 * restored before. */
static const struct bytes *find_owner(const struct target_directory *d, const struct restore_names *n,
                                      struct bytes name, const struct source_stat *st)
{
    for (size_t i = 0; i < n->sibling_count; i++) {
        struct bytes other = n->siblings[i];
        if (!bytes_equal(other, name) && is_listed(n, other) && looks_the_same(other, name))
            return &n->siblings[i];
    }
    if (st->link_count > 1 && has_own_spelling(d, n, st))
        return NULL;
    for (size_t i = 0; i < n->sibling_count; i++) {
        struct bytes other = n->siblings[i];
        if (!bytes_equal(other, name) && (is_listed(n, other) || bytes_compare(other, name) < 0) &&
            is_entry(d, other, st))
            return &n->siblings[i];
    }
    return NULL;
}

/* Whether all is the same but the number. */
static bool is_like(const struct source_stat *a, const struct source_stat *b)
{
    return a->type == b->type && a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
           a->link_count == b->link_count && a->size == b->size && a->device == b->device &&
           a->mtime_seconds == b->mtime_seconds && a->mtime_nanoseconds == b->mtime_nanoseconds &&
           a->ctime_seconds == b->ctime_seconds && a->ctime_nanoseconds == b->ctime_nanoseconds;
}

/* Where each path has an inode number of its own, as with some FUSE, the name leads to an entry that is like
 * it. More than one may be: that of another entry of the snapshot is not to be lost. */
static const struct bytes *find_like(const struct target_directory *d, const struct restore_names *n,
                                     struct bytes name, const struct source_stat *st)
{
    const struct bytes *like = NULL;
    for (size_t i = 0; i < n->listed_count; i++) {
        char text[WRITER_NAME_SIZE];
        struct source_stat other;
        if (looks_the_same(n->listed[i], name))
            return NULL; /* it is written in another way */
        if (writer_name(n->listed[i], text, NULL) != 0 || source_stat(d->fd, text, &other, NULL) != 0)
            continue;
        if (other.inode == st->inode && other.device == st->device)
            return NULL; /* the numbers tell */
        if (is_sibling(n, n->listed[i]) && is_like(&other, st))
            like = &n->listed[i];
    }
    return like;
}

/* ---- another name ---- */

/* In UTF-8 no letter is cut in two. */
static struct bytes make_name(struct walk *w, struct bytes name, unsigned number)
{
    char suffix[32];
    size_t n = (size_t)snprintf(suffix, sizeof suffix, SUFFIX "%u", number), size = name.size;
    if (size + n > NAME_BYTES) {
        size = NAME_BYTES - n;
        while (size > 1 && (name.data[size] & 0xc0) == 0x80)
            size--;
    }
    char *text = memory_format("%.*s%s", (int)size, (const char *)name.data, suffix);
    struct bytes made = arena_copy(&w->arena, bytes_of_string(text));
    free(text);
    return made;
}

/* True if this restore has used it for another entry. */
static bool is_given(const struct walk *w, const struct target_directory *d, struct bytes name,
                     const struct source_stat *st)
{
    for (size_t i = 0; i < w->given_count; i++) {
        const struct restore_given *g = &w->given[i];
        if (strcmp(g->directory, d->place) == 0 &&
            (looks_the_same(g->name, name) || is_entry(d, g->name, st)))
            return true;
    }
    return false;
}

/* True if a restore before this one may have made it: it has the contents. */
static bool is_ours(struct walk *w, const struct target_directory *d, const struct node *node,
                    struct bytes name, struct source_stat *st)
{
    struct node contents = *node;
    struct manifest const *m = &w->restore->parameters->snapshot->manifest;
    if (st->type != node->type)
        return false;
    if (node->type == NODE_DIRECTORY || writer_file_is_unfinished(st))
        return true;
    if (node->type != NODE_FILE)
        return writer_special_is(d->fd, name, st, node);
    if (node->hard_link.size) {
        const char *first = (const char *)arena_copy(&w->arena, node->hard_link).data;
        if (tree_find_contents(&m->root, first, blobs_fetch_tree, w->restore->repository, &w->arena,
                               &contents, NULL) != 0)
            return false;
    }
    int fd = writer_file_open_old(d->fd, name, st);
    bool same = fd >= 0 && restore_same_contents(w->restore, fd, st->size, &contents, NULL);
    if (fd >= 0)
        close(fd);
    return same;
}

static bool is_usable(struct walk *w, const struct target_directory *d, const struct restore_names *n,
                      const struct node *node, struct bytes name, struct source_stat *st)
{
    char text[WRITER_NAME_SIZE];
    for (size_t i = 0; i < n->sibling_count; i++) {
        if (looks_the_same(n->siblings[i], name))
            return false;
    }
    if (writer_name(name, text, NULL) != 0)
        return false;
    int code = source_stat(d->fd, text, st, NULL);
    if (code == ERROR_NOT_FOUND)
        st->type = NODE_UNKNOWN;
    return code == ERROR_NOT_FOUND ||
           (code == 0 && !is_given(w, d, name, st) && is_ours(w, d, node, name, st));
}

static void give(struct walk *w, const struct target_directory *d, const char *path, struct node *node,
                 struct bytes name, const struct bytes *owner)
{
    char *from = restore_join(d->place, node->name), *to = restore_join(d->place, name);
    char *visible = text_visible_bytes(name.data, name.size),
         *other = owner ? text_visible_bytes(owner->data, owner->size) : memory_copy_string("another entry");
    memory_reserve_one(w->given, w->given_count, w->given_capacity);
    w->given[w->given_count++] = (struct restore_given){.directory = arena_copy_string(&w->arena, d->place),
                                                        .name = name,
                                                        .from = arena_copy_string(&w->arena, from),
                                                        .to = arena_copy_string(&w->arena, to)};
    node->name = name;
    w->restore->result->conflicts++;
    restore_warn(w->restore, "%s: the file system takes its name for that of %s: it gets the name %s", path,
                 other, visible);
    free(from);
    free(to);
    free(visible);
    free(other);
}

/* New files that a restore was killed over, while it replaced old ones. */
static void remove_leftovers(const struct target_directory *d, const struct restore_names *n)
{
    for (size_t i = 0; i < n->listed_count; i++) {
        const char *name = (const char *)n->listed[i].data;
        struct source_stat st;
        long process;
        if (sscanf(name, WRITER_TEMPORARY, &process) == 1 && process > 0 && kill((pid_t)process, 0) != 0 &&
            errno == ESRCH && source_stat(d->fd, name, &st, NULL) == 0 && writer_file_is_unfinished(&st))
            writer_remove(d->fd, n->listed[i], NULL);
    }
}

int restore_part_names(struct walk *w, struct target_directory *d, const char *path, struct node *node,
                       struct source_stat *st, struct error *err)
{
    char text[WRITER_NAME_SIZE];
    int code = 0;
    if (!d->names) {
        d->names = memory_new(struct restore_names);
        code = list(d, d->names, err);
        if (code == 0 && !d->made && !w->restore->parameters->dry_run)
            remove_leftovers(d, d->names);
    }
    struct restore_names *n = d->names;
    if (code != 0 || is_listed(n, node->name))
        return code;
    /* Until then files may not have their names. */
    restore_wait(w->restore);
    if ((code = list(d, n, err)) != 0 || is_listed(n, node->name) ||
        (code = find_siblings(w, d, n, err)) != 0 || (code = writer_name(node->name, text, err)) != 0)
        return code;
    if (source_stat(d->fd, text, st, NULL) != 0) {
        st->type = NODE_UNKNOWN;
        return 0;
    }
    const struct bytes *owner = find_owner(d, n, node->name, st);
    if (!owner && !d->made)
        owner = find_like(d, n, node->name, st);
    if (!owner && !d->made)
        return 0;
    for (unsigned i = 1; i <= TRIES_MAX; i++) {
        struct bytes name = make_name(w, node->name, i);
        if (is_usable(w, d, n, node, name, st)) {
            give(w, d, path, node, name, owner);
            return 0;
        }
    }
    error_set(err, ERROR_EXISTS,
              "the file system takes its name for that of another entry, and has %u of its kind", TRIES_MAX);
    return error_hint(err, "restore to a file system that tells the case of letters");
}

char *restore_given_place(const struct walk *w, char *place)
{
    for (size_t i = 0; i < w->given_count; i++) {
        const struct restore_given *g = &w->given[i];
        if (!file_lies_in(bytes_of_string(place), g->from))
            continue;
        char *moved = memory_format("%s%s", g->to, place + strlen(g->from));
        free(place);
        place = moved;
    }
    return place;
}
