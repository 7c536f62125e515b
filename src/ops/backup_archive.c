/* Archives as trees: members come in any order, so the tree is kept until the end of the stream. */
#include "base/command.h"
#include "base/id_map.h"
#include "base/memory.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "ops/backup_internal.h"
#include "source/archive_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct branch {
    struct node node;
    struct branch *parent; /* NULL: the root */
    size_t index;          /* among its children */
    struct branch **children;
    size_t count, capacity;
    struct branch *first;      /* of a hard link: what it leads to, which is none itself */
    struct bytes path;         /* of a hard link */
    bool filled;               /* contents came, with this name or with a further one */
    const struct branch *heir; /* where a later member took its place: which link has its contents now */
};

struct archive_backup {
    struct backup *backup;
    struct directory *holder; /* the root tree: what the workers fill in lies below it */
    struct arena arena;
    struct branch root;
    struct id_map *places; /* of branches; values are their addresses */
};

static void warn(void *context, const char *message)
{
    struct archive_backup *a = context;
    backup_warn(a->backup, "%s", message);
}

/* Folders may have many members: they are found by a hash of where they are. */
static struct id place(const struct branch *parent, struct bytes name)
{
    struct buffer key = {0};
    struct id id;
    buffer_append(&key, &parent, sizeof parent);
    buffer_append_bytes(&key, name);
    sha256(buffer_bytes(&key), &id);
    buffer_free(&key);
    return id;
}

static struct branch *find_child(const struct archive_backup *a, const struct branch *parent,
                                 struct bytes name)
{
    struct id id = place(parent, name);
    uint64_t found = 0;
    id_map_get(a->places, &id, &found);
    return (struct branch *)(uintptr_t)found;
}

static struct branch *branch_new(struct archive_backup *a, struct branch *parent, size_t index,
                                 struct bytes name)
{
    struct branch *b = arena_new(&a->arena, struct branch);
    b->node = (struct node){.name = arena_copy(&a->arena, name), .type = NODE_DIRECTORY, .mode = 0755};
    b->parent = parent;
    b->index = index;
    parent->children[index] = b;
    struct id id = place(parent, name);
    id_map_put(a->places, &id, (uintptr_t)b);
    return b;
}

static struct branch *child(struct archive_backup *a, struct branch *parent, struct bytes name)
{
    struct branch *b = find_child(a, parent, name);
    if (b)
        return b;
    memory_reserve_one(parent->children, parent->count, parent->capacity);
    return branch_new(a, parent, parent->count++, name);
}

static void branch_free(struct branch *b)
{
    for (size_t i = 0; i < b->count; i++)
        branch_free(b->children[i]);
    free(b->children);
    b->children = NULL;
    b->count = b->capacity = 0;
}

/* Where an archive names a path twice the later member counts, as for tar. The earlier one is not
 * overwritten: workers may still be at its contents, and hard links may have led to it. */
static struct branch *take_place(struct archive_backup *a, struct branch *old)
{
    struct branch *parent = old->parent;
    branch_free(old);
    return branch_new(a, parent, old->index, old->node.name);
}

static bool is_live(const struct branch *b)
{
    while (b->parent && b->index < b->parent->count && b->parent->children[b->index] == b)
        b = b->parent;
    return !b->parent;
}

/* The branch at a path; NULL if it is not there. With `make`, directories that the archive does not name are
 * made, and NULL is for a path through something that is none. */
static struct branch *at_path(struct archive_backup *a, struct bytes path, bool make)
{
    struct branch *b = &a->root;
    for (size_t i = 0; i < path.size && b;) {
        size_t n = i;
        while (n < path.size && path.data[n] != '/')
            n++;
        struct bytes name = bytes_of(path.data + i, n - i);
        if (!make)
            b = find_child(a, b, name);
        else
            b = b->node.type == NODE_DIRECTORY ? child(a, b, name) : NULL;
        i = n + 1;
    }
    return b;
}

static void warn_left_out(struct archive_backup *a, struct bytes path, const char *why)
{
    char *shown = text_visible_bytes(path.data, path.size);
    backup_warn(a->backup, "%s: left out: %s", shown, why);
    free(shown);
}

/* What a hard link leads to, which is none itself: a member before it, whose path becomes that of the link.
 * NULL where there is none. */
static struct branch *find_first(struct archive_backup *a, const struct archive_member *member,
                                 struct node *node)
{
    struct branch *b = node->hard_link.size ? at_path(a, node->hard_link, false) : NULL;
    if (!b || b->node.type == NODE_DIRECTORY || bytes_equal(member->path, node->hard_link))
        return NULL;
    if (b->first)
        node->hard_link = b->node.hard_link;
    return b->first ? b->first : b;
}

/* An archive says of a hard link only where it leads, and that tells what it is. False with a warning where
 * nothing is there, and the contents do not come with the link. */
static bool complete_link(struct archive_backup *a, const struct archive_member *member,
                          const struct branch *first, struct node *node)
{
    if (!first && node->type == NODE_FILE && node->size) {
        node->hard_link = (struct bytes){0};
        return true;
    }
    if (!first) {
        warn_left_out(a, member->path, "the archive does not hold what this hard link leads to");
        return false;
    }
    node->type = first->node.type;
    node->size = 0;
    node->link_target = first->node.link_target;
    node->device_major = first->node.device_major;
    node->device_minor = first->node.device_minor;
    return true;
}

static int read_content(struct archive_backup *a, struct archive_reader *reader, struct branch *b,
                        struct error *err)
{
    struct large_file *file = large_file_new(a->holder, &b->node);
    struct chunk_feeder *feeder = chunk_feeder_new(a->backup, file);
    int code = 0;
    while (code == 0) {
        size_t room;
        struct source_run run;
        void *to = chunk_feeder_room(feeder, &room);
        code = archive_reader_data(reader, to, room, &run, err);
        if (code != 0 || run.length == 0 || backup_stopped(a->backup))
            break;
        b->filled = true;
        if (run.hole)
            chunk_feeder_hole(feeder, run.length);
        else
            chunk_feeder_commit(feeder, (size_t)run.length);
    }
    chunk_feeder_end(feeder);
    large_file_release(file);
    return code;
}

/* In cpio the contents of a file may stand with its last name, and none with the others. */
static int read_linked(struct archive_backup *a, struct archive_reader *reader, struct branch *first,
                       struct error *err)
{
    return first && first->node.type == NODE_FILE && !first->filled ? read_content(a, reader, first, err) : 0;
}

static int read_member(struct archive_backup *a, struct archive_reader *reader,
                       const struct archive_member *member, struct error *err)
{
    struct buffer path = {0};
    buffer_append_string(&path, "/");
    buffer_append_bytes(&path, member->path);
    bool excluded =
        exclude_match(a->backup->exclude, buffer_bytes(&path), member->node.type == NODE_DIRECTORY);
    buffer_free(&path);
    struct node node = member->node;
    struct branch *first = find_first(a, member, &node);
    if (excluded || member->path.size == 0)
        return read_linked(a, reader, first, err);
    if (node.hard_link.size && !complete_link(a, member, first, &node))
        return 0;
    struct branch *b = at_path(a, member->path, true);
    if (!b) {
        warn_left_out(a, member->path, "what the archive holds above it is not a directory");
        return 0;
    }
    if (b->node.type != NODE_DIRECTORY || (b->count && node.type != NODE_DIRECTORY))
        b = take_place(a, b); /* else it was just made, or stays a directory */
    struct bytes name = b->node.name;
    tree_copy_node(&a->arena, &node, &b->node);
    b->node.name = name;
    b->first = first;
    if (first)
        b->path = arena_copy(&a->arena, member->path);
    return b->node.type == NODE_FILE && !first ? read_content(a, reader, b, err)
                                               : read_linked(a, reader, first, err);
}

static void count(struct backup *b, const struct node *node)
{
    atomic_fetch_add(node->type == NODE_FILE        ? &b->files
                     : node->type == NODE_DIRECTORY ? &b->directories
                                                    : &b->others,
                     1);
    if (node->type == NODE_FILE)
        atomic_fetch_add(&b->files_new, 1);
}

/* A hard link whose first name a later member took gets the contents; further ones lead to it. */
static void settle_link(struct branch *link)
{
    struct branch *first = link->first;
    if (is_live(first))
        return;
    if (first->heir) {
        link->node.hard_link = first->heir->path;
        return;
    }
    first->heir = link;
    link->node.hard_link = (struct bytes){0};
    link->node.content = first->node.content;
    link->node.size = first->node.size;
}

static int store_branch(struct archive_backup *a, struct branch *b, struct extents *out, struct error *err)
{
    struct backup *backup = a->backup;
    struct chunker_parameters p = repository_chunker_parameters(backup->repository);
    struct node *nodes = memory_alloc_array(b->count, sizeof *nodes);
    int code = 0;
    for (size_t i = 0; i < b->count && code == 0; i++) {
        struct branch *c = b->children[i];
        if (c->first)
            settle_link(c);
        if (c->node.type == NODE_DIRECTORY)
            code = store_branch(a, c, &c->node.subtree, err);
        count(backup, &c->node);
        nodes[i] = c->node;
    }
    if (code == 0)
        code = tree_store(nodes, b->count, repository_chunker(backup->repository), &p, blob_writer_store_tree,
                          backup->writer, &a->arena, out, err);
    free(nodes);
    return code;
}

static int read_members(struct archive_backup *a, archive_fetch *fetch, void *context, struct error *err)
{
    struct archive_reader *reader;
    int code = archive_reader_new(fetch, context, warn, a, &reader, err);
    if (code != 0)
        return code;
    for (bool more = true; code == 0 && more && !backup_stopped(a->backup);) {
        struct arena arena = {0};
        struct archive_member member;
        code = archive_reader_next(reader, &arena, &member, &more, err);
        if (code == 0 && more)
            code = read_member(a, reader, &member, err);
        arena_free(&arena);
    }
    archive_reader_free(reader);
    return code;
}

/* Damage of the source is none of the repository. */
static int fail_source(struct error *err)
{
    if (!err || err->code != ERROR_INTEGRITY)
        return err ? err->code : ERROR_FAILED;
    err->code = ERROR_FAILED;
    return *err->hint ? ERROR_FAILED : error_hint(err, "make the archive anew: this one is not whole");
}

struct output {
    struct command *command;
    bool ended;
};

static int fetch_output(void *context, void *to, size_t size, size_t *done, struct error *err)
{
    struct output *output = context;
    int code = archive_fetch_command(output->command, to, size, done, err);
    output->ended = code == 0 && *done == 0;
    return code;
}

static int read_source(struct archive_backup *a, struct error *err)
{
    const struct backup_parameters *p = a->backup->parameters;
    if (p->archive) {
        int fd = open(p->archive, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
            return error_set_errno(err, errno, "cannot open archive %s", p->archive);
        int code = read_members(a, archive_fetch_descriptor, &fd, err);
        close(fd);
        if (code != 0)
            code = fail_source(err);
        return code == 0 ? 0 : error_prefix(err, "archive %s", p->archive);
    }
    struct command *command;
    int code = command_start(p->command, NULL, NULL, &command, err);
    if (code != 0)
        return code;
    command_set_stop(command, p->cancelled);
    struct output output = {.command = command};
    code = read_members(a, fetch_output, &output, err);
    if (code != 0)
        code = fail_source(err);
    struct error why;
    /* What the command says of its failure tells more than the archive that breaks off because of it; but it
     * fails because of the archive where nobody read that to its end. */
    if (!backup_stopped(a->backup) && (code == 0 || output.ended) &&
        finish_command(a->backup, command, &why) != 0) {
        code = why.code;
        if (err)
            *err = why;
    }
    command_free(command);
    return code;
}

int read_archive(struct backup *b, struct error *err)
{
    struct archive_backup a = {
        .backup = b, .root = {.node = {.type = NODE_DIRECTORY}}, .places = id_map_new()};
    a.holder = directory_new(b, NULL, 0, "", -1);
    a.holder->waits = true;
    int code = read_source(&a, err);
    if (code != 0 && !backup_stopped(b))
        backup_fail(b, err);
    directory_release(a.holder);
    backup_wait_root(b);
    struct extents root = {0};
    if (code == 0 && !backup_stopped(b))
        code = store_branch(&a, &a.root, &root, err);
    pthread_mutex_lock(&b->lock);
    b->root = root;
    arena_join(&b->root_arena, &a.arena);
    pthread_mutex_unlock(&b->lock);
    branch_free(&a.root);
    id_map_free(a.places);
    return code;
}
