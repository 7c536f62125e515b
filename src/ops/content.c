#include "ops/content.h"

#include "base/file.h"
#include "base/id_map.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "ops/restore.h"
#include "repo/blobs.h"
#include "source/archive_writer.h"
#include "tree/links.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t zeros[64 << 10];

static int read_hole(uint64_t length, content_sink *sink, void *context, struct error *err)
{
    int code = 0;
    while (length && code == 0) {
        size_t n = length < sizeof zeros ? (size_t)length : sizeof zeros;
        code = sink(context, bytes_of(zeros, n), err);
        length -= n;
    }
    return code;
}

int content_read(struct repository *r, const struct node *node, content_sink *sink, void *context,
                 struct error *err)
{
    struct buffer plain = {0};
    int code = 0;
    for (size_t i = 0; i < node->content.count && code == 0; i++) {
        const struct extent *e = &node->content.list[i];
        if (e->hole) {
            code = read_hole(e->length, sink, context, err);
            continue;
        }
        buffer_clear(&plain);
        code = blobs_read(r, BLOB_DATA, &e->blob, &plain, err);
        if (code == 0 && plain.size != e->length)
            code =
                error_set(err, ERROR_INTEGRITY, "a piece of content has another length than its file says");
        if (code == 0)
            code = sink(context, buffer_bytes(&plain), err);
    }
    buffer_free_secret(&plain);
    return code;
}

/* For a later name of a hard link, the contents are those of the first. */
static int resolve_link(struct tree_links *links, struct node *node, struct error *err)
{
    int code = tree_links_resolve(links, node, err);
    if (code == ERROR_NOT_FOUND)
        code = error_set(err, ERROR_INTEGRITY, "%s", err ? err->message : "");
    return code;
}

static int write_out(void *context, struct bytes data, struct error *err)
{
    return file_write_all(*(int *)context, data, "standard output", err);
}

int content_write(struct repository *r, const struct extents *root, const char *typed, int fd,
                  struct error *err)
{
    struct arena arena = {0};
    struct tree_links *links = tree_links_new(root, blobs_fetch_tree, r);
    struct node node;
    char *path = NULL;
    int code = file_clean_path(typed, &path, err);
    if (code == 0)
        code = tree_find(root, path, blobs_fetch_tree, r, &arena, &node, err);
    if (code == 0 && node.type != NODE_FILE) {
        error_set(err, ERROR_USAGE, "%s is not a file", path);
        code =
            error_hint(err, node.type == NODE_DIRECTORY ? "holdfast export writes directories as an archive"
                                                        : "holdfast ls shows what it is");
    }
    if (code == 0)
        code = resolve_link(links, &node, err);
    if (code == 0)
        code = content_read(r, &node, write_out, &fd, err);
    tree_links_free(links);
    arena_free(&arena);
    free(path);
    return code;
}

/* ---- archives ---- */

struct export
{
    struct repository *repository;
    struct tree_links *links;
    struct archive_writer *writer;
    enum content_format format;
    const struct selection *selection;
    const char *prefix;   /* path of the entry that is walked */
    struct id_map *moved; /* hash of a first name's path: number of the name that got its contents */
    char **names;
    size_t name_count, name_capacity;
    uint64_t warnings;
    bool write_failed;
};

static void warn(void *context, const char *message)
{
    struct export *e = context;
    e->warnings++;
    log_warning("%s", message);
}

static int put_data(void *context, struct bytes data, struct error *err)
{
    struct export *e = context;
    int code = archive_writer_data(e->writer, data.data, data.size, err);
    e->write_failed = code != 0;
    return code;
}

/* What the writer says names the entry by itself. */
static int name_entry(const char *path, struct error *err)
{
    char *visible = text_visible(path);
    int code = error_prefix(err, "%s", visible);
    free(visible);
    return code;
}

/* Archives keep holes: those of a node are given as such, not as zeros. */
static int put_content(struct export *e, const char *path, const struct node *node, struct error *err)
{
    int code = 0;
    for (size_t i = 0; i < node->content.count && code == 0; i++) {
        struct node piece = {.content = {&node->content.list[i], 1}};
        if (node->content.list[i].hole) {
            code = archive_writer_hole(e->writer, node->content.list[i].length, err);
        } else {
            code = content_read(e->repository, &piece, put_data, e, err);
            if (code != 0 && !e->write_failed)
                return name_entry(path, err);
        }
    }
    return code;
}

/* The order of the walk: by components, a directory before what it holds. */
static int path_order(const char *a, const char *b)
{
    for (; *a && *a == *b; a++, b++)
        continue;
    unsigned char x = (unsigned char)*a, y = (unsigned char)*b;
    x = x == '/' ? 1 : x;
    y = y == '/' ? 1 : y;
    return (x > y) - (x < y);
}

/* An archive is read from its start: a hard link must lead to a name before it. Where the first name of the
 * tree comes later or not at all, this one gets the contents, and the others lead here. */
static int arrange_link(struct export *e, const char *path, struct arena *arena, struct node *node,
                        struct error *err)
{
    struct id hash;
    uint64_t number;
    bool is_first = node->hard_link.size == 0;
    const char *first = is_first ? path : (const char *)arena_copy(arena, node->hard_link).data;
    sha256(bytes_of_string(first), &hash);
    if (id_map_get(e->moved, &hash, &number)) {
        node->hard_link = arena_copy(arena, bytes_of_string(e->names[number]));
        node->content = (struct extents){0};
        return 0;
    }
    if (is_first || (path_order(first, path) < 0 && selection_has(e->selection, bytes_of_string(first))))
        return 0;
    id_map_put(e->moved, &hash, e->name_count);
    memory_reserve_one(e->names, e->name_count, e->name_capacity);
    e->names[e->name_count++] = memory_copy_string(path);
    int code = resolve_link(e->links, node, err);
    node->hard_link = (struct bytes){0};
    return code;
}

static int put_entry(struct export *e, const char *path, const struct node *node, struct error *err)
{
    struct arena arena = {0};
    struct node full = *node;
    int code = 0;
    if (e->format == CONTENT_ZIP)
        code = resolve_link(e->links, &full, err);
    else if (full.type != NODE_DIRECTORY)
        code = arrange_link(e, path, &arena, &full, err);
    if (code != 0) {
        arena_free(&arena);
        return name_entry(path, err);
    }
    code = archive_writer_entry(e->writer, bytes_of_string(path), &full, err);
    if (code == ERROR_UNSUPPORTED) {
        warn(e, err ? err->message : path);
        code = 0;
    } else if (code == 0 && full.type == NODE_FILE &&
               (full.hard_link.size == 0 || e->format == CONTENT_ZIP)) {
        code = put_content(e, path, &full, err);
    }
    arena_free(&arena);
    return code;
}

static int visit(void *context, const char *path, const struct node *node, struct error *err)
{
    struct export *e = context;
    char *whole = memory_format("%s/%s", strcmp(e->prefix, "/") == 0 ? "" : e->prefix, path);
    int code = put_entry(e, whole, node, err);
    free(whole);
    return code;
}

static int put_selected(struct export *e, const struct selected *s, struct error *err)
{
    int code = strcmp(s->path, "/") == 0 ? 0 : put_entry(e, s->path, &s->node, err);
    e->prefix = s->path;
    if (code == 0 && s->node.type == NODE_DIRECTORY)
        code = tree_walk(&s->node.subtree, blobs_fetch_tree, e->repository, visit, e, err);
    return code;
}

int content_export(struct repository *r, const struct extents *root, const char *const *paths,
                   size_t path_count, enum content_format format, int fd, uint64_t *warnings,
                   struct error *err)
{
    struct export e = {.repository = r, .format = format};
    struct selection selection;
    int code = selection_make(r, root, paths, path_count, &selection, err);
    if (code != 0)
        return code;
    e.selection = &selection;
    e.moved = id_map_new();
    e.links = tree_links_new(root, blobs_fetch_tree, r);
    if (selection.count == 0)
        code = error_set(err, ERROR_FAILED, "nothing to export: the snapshot holds nothing at these paths");
    if (code == 0)
        code = archive_writer_new(fd, format == CONTENT_ZIP ? ARCHIVE_WRITER_ZIP : ARCHIVE_WRITER_PAX, warn,
                                  &e, &e.writer, err);
    for (size_t i = 0; i < selection.count && code == 0; i++)
        code = put_selected(&e, &selection.list[i], err);
    if (code == 0)
        code = archive_writer_finish(e.writer, err);
    archive_writer_free(e.writer);
    id_map_free(e.moved);
    tree_links_free(e.links);
    for (size_t i = 0; i < e.name_count; i++)
        free(e.names[i]);
    free(e.names);
    selection_free(&selection);
    *warnings = e.warnings;
    return code;
}
