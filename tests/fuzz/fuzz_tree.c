/*
 * Directory listings, and what is done with them: walks, comparisons, copies into archives. The input is one
 * flag byte and several blobs, each behind its length in two bytes; blob n has the id n 00 00 ...
 */
#include "fuzz.h"
#include "source/archive_writer.h"
#include "tree/tree.h"

#include <fcntl.h>
#include <unistd.h>

#define BLOBS_MAX 8
#define ZEROS_MAX (1u << 16) /* the largest file that is copied: of so many zeros */

struct blobs {
    struct bytes list[BLOBS_MAX];
    size_t count;
    unsigned left; /* listings may hold one another here, which hashes forbid: so many are fetched */
};

static int fetch(void *context, const struct id *id, struct buffer *out, struct error *err)
{
    struct blobs *blobs = context;
    if (id->b[0] >= blobs->count || blobs->left == 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no such blob");
    blobs->left--;
    buffer_append_bytes(out, blobs->list[id->b[0]]);
    return 0;
}

static int on_visit(void *context, const char *path, const struct node *node, struct error *err)
{
    (void)err;
    size_t *seen = context;
    *seen += strlen(path) + node->name.size;
    return 0;
}

static int on_change(void *context, enum tree_change change, const char *path, const struct node *before,
                     const struct node *after, struct error *err)
{
    (void)err;
    must((before || change == TREE_ADDED) && (after || change == TREE_REMOVED));
    *(size_t *)context += strlen(path);
    return 0;
}

static bool is_component(struct bytes name)
{
    return name.size > 0 && name.size <= 255 && !memchr(name.data, '/', name.size) &&
           !memchr(name.data, 0, name.size) && !bytes_equal(name, bytes_of_string(".")) &&
           !bytes_equal(name, bytes_of_string(".."));
}

static void export(const struct node *nodes, size_t count, enum archive_writer_format format)
{
    struct error err = {0};
    struct archive_writer *writer;
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    must(fd >= 0 && archive_writer_new(fd, format, NULL, NULL, &writer, &err) == 0);
    for (size_t i = 0; i < count; i++) {
        const struct node *n = &nodes[i];
        bool has_content = n->type == NODE_FILE && (n->hard_link.size == 0 || format == ARCHIVE_WRITER_ZIP);
        if (n->size <= ZEROS_MAX && worked(archive_writer_entry(writer, n->name, n, &err), &err) &&
            has_content)
            must(archive_writer_hole(writer, n->size, &err) == 0);
    }
    must(archive_writer_finish(writer, &err) == 0);
    archive_writer_free(writer);
    close(fd);
}

static void check_listing(struct bytes data, bool root)
{
    struct error err = {0};
    struct arena arena = {0};
    struct buffer once = {0}, twice = {0};
    struct node *nodes, copy;
    size_t count, more;
    if (worked(tree_decode(data, root, &arena, &nodes, &count, &err), &err)) {
        for (size_t i = 0; i < count; i++) {
            must(root || is_component(nodes[i].name));
            must(i == 0 || bytes_compare(nodes[i - 1].name, nodes[i].name) < 0);
            tree_copy_node(&arena, &nodes[i], &copy);
        }
        export(nodes, count, ARCHIVE_WRITER_PAX);
        export(nodes, count, ARCHIVE_WRITER_ZIP);
        tree_encode(nodes, count, &once);
        must(tree_decode(buffer_bytes(&once), root, &arena, &nodes, &more, &err) == 0 && more == count);
        tree_encode(nodes, count, &twice);
        must(bytes_equal(buffer_bytes(&once), buffer_bytes(&twice)));
    }
    buffer_free(&once);
    buffer_free(&twice);
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    struct error err = {0};
    struct arena arena = {0};
    struct blobs blobs = {.left = 100};
    struct reader r = reader_of(bytes_of(input, size));
    struct node found;
    size_t seen = 0;
    uint8_t flags = reader_u8(&r);
    while (r.at < r.size && blobs.count < BLOBS_MAX) {
        size_t length = reader_u16(&r), left = r.size - r.at;
        blobs.list[blobs.count++] = reader_take(&r, length < left ? length : left);
    }
    if (blobs.count == 0)
        return 0;
    for (size_t i = 0; i < blobs.count; i++)
        check_listing(blobs.list[i], i == 0 && (flags & 1));
    struct extent first = {.length = blobs.list[0].size}, second = {.blob.b[0] = 1};
    second.length = blobs.count > 1 ? blobs.list[1].size : 0;
    struct extents before = {&first, 1}, after = {&second, 1};
    worked(tree_walk(&before, fetch, &blobs, on_visit, &seen, &err), &err);
    worked(tree_compare(&before, &after, fetch, &blobs, on_change, &seen, &err), &err);
    worked(tree_find(&before, "/a/b", fetch, &blobs, &arena, &found, &err), &err);
    arena_free(&arena);
    return 0;
}
