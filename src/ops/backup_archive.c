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
    struct branch **children;
    size_t count, capacity;
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

static struct branch *child(struct archive_backup *a, struct branch *parent, struct bytes name)
{
    struct branch *b = find_child(a, parent, name);
    if (b)
        return b;
    b = arena_new(&a->arena, struct branch);
    b->node = (struct node){.name = arena_copy(&a->arena, name), .type = NODE_DIRECTORY, .mode = 0755};
    memory_reserve_one(parent->children, parent->count, parent->capacity);
    parent->children[parent->count++] = b;
    struct id id = place(parent, name);
    id_map_put(a->places, &id, (uintptr_t)b);
    return b;
}

/* The branch at a path. With `make`, directories that the archive does not name are made; without, NULL if it
 * is not there. */
static struct branch *at_path(struct archive_backup *a, struct bytes path, bool make)
{
    struct branch *b = &a->root;
    for (size_t i = 0; i < path.size && b;) {
        size_t n = i;
        while (n < path.size && path.data[n] != '/')
            n++;
        struct bytes name = bytes_of(path.data + i, n - i);
        b = make ? child(a, b, name) : find_child(a, b, name);
        i = n + 1;
    }
    return b;
}

/* An archive says of a hard link only where it leads: to a member before it, which tells what it is. False
 * with a warning where there is none. */
static bool complete_link(struct archive_backup *a, const struct archive_member *member, struct node *node)
{
    const struct branch *first = at_path(a, node->hard_link, false);
    if (!first || first->node.type == NODE_DIRECTORY || bytes_equal(member->path, node->hard_link)) {
        char *path = text_visible_bytes(member->path.data, member->path.size);
        backup_warn(a->backup, "%s: left out: the archive does not hold what this hard link leads to", path);
        free(path);
        return false;
    }
    if (first->node.hard_link.size)
        node->hard_link = first->node.hard_link;
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
        if (run.hole)
            chunk_feeder_hole(feeder, run.length);
        else
            chunk_feeder_commit(feeder, (size_t)run.length);
    }
    chunk_feeder_end(feeder);
    large_file_release(file);
    atomic_fetch_add(&a->backup->files, 1);
    atomic_fetch_add(&a->backup->files_new, 1);
    return code;
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
    if (excluded || member->path.size == 0 || (node.hard_link.size && !complete_link(a, member, &node)))
        return 0;
    struct branch *b = at_path(a, member->path, true);
    struct bytes name = b->node.name;
    bool was_directory = b->count > 0;
    tree_copy_node(&a->arena, &node, &b->node);
    b->node.name = name;
    if (was_directory && b->node.type != NODE_DIRECTORY)
        b->count = 0; /* the later member of this name counts, as for tar */
    if (b->node.type == NODE_FILE && b->node.hard_link.size == 0)
        return read_content(a, reader, b, err);
    if (b->node.type == NODE_DIRECTORY)
        atomic_fetch_add(&a->backup->directories, 1);
    else
        atomic_fetch_add(&a->backup->others, 1);
    return 0;
}

static int store_branch(struct archive_backup *a, struct branch *b, struct extents *out, struct error *err)
{
    struct backup *backup = a->backup;
    struct chunker_parameters p = repository_chunker_parameters(backup->repository);
    struct node *nodes = memory_alloc_array(b->count, sizeof *nodes);
    int code = 0;
    for (size_t i = 0; i < b->count && code == 0; i++) {
        struct branch *c = b->children[i];
        if (c->node.type == NODE_DIRECTORY)
            code = store_branch(a, c, &c->node.subtree, err);
        nodes[i] = c->node;
    }
    if (code == 0)
        code = tree_store(nodes, b->count, repository_chunker(backup->repository), &p, blob_writer_store_tree,
                          backup->writer, &a->arena, out, err);
    free(nodes);
    return code;
}

static void branch_free(struct branch *b)
{
    for (size_t i = 0; i < b->count; i++)
        branch_free(b->children[i]);
    free(b->children);
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

static int read_source(struct archive_backup *a, struct error *err)
{
    const struct backup_parameters *p = a->backup->parameters;
    if (p->archive) {
        int fd = open(p->archive, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
            return error_set_errno(err, errno, "cannot open archive %s", p->archive);
        int code = read_members(a, archive_fetch_descriptor, &fd, err);
        close(fd);
        return code == 0 ? 0 : error_prefix(err, "archive %s", p->archive);
    }
    struct command *command;
    int code = command_start(p->command, NULL, NULL, &command, err);
    if (code != 0)
        return code;
    command_set_stop(command, p->cancelled);
    code = read_members(a, archive_fetch_command, command, err);
    struct error why;
    /* What the command says of its failure tells more than the archive that breaks off because of it. */
    if (!backup_stopped(a->backup) && command_finish(command, &why) != 0) {
        code = why.code;
        if (err)
            *err = why;
    }
    command_free(command);
    return code;
}

int read_archive(struct backup *b, struct error *err)
{
    struct archive_backup a = {.backup = b, .places = id_map_new()};
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
