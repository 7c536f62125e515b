/* Comparing two trees: listings that are the same are not read. */
#include "base/memory.h"
#include "tree/links.h"

#include <stdlib.h>
#include <string.h>

struct pair {
    struct extents before, after; /* in the arena of the comparison */
    char *path;
    bool is_root, has_before, has_after;
};

struct comparison {
    struct pair *stack; /* directories still to be compared */
    size_t count, capacity;
    tree_fetch_blob *fetch;
    void *context;
    tree_report *report;
    void *report_context;
    struct tree_links *links_before, *links_after;
};

static bool extents_equal(const struct extents *a, const struct extents *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct extent *x = &a->list[i], *y = &b->list[i];
        if (x->length != y->length || x->hole != y->hole || (!x->hole && !id_equal(&x->blob, &y->blob)))
            return false;
    }
    return true;
}

static bool metadata_equal(const struct node *a, const struct node *b)
{
    if (a->mode != b->mode || a->uid != b->uid || a->gid != b->gid || a->mtime_seconds != b->mtime_seconds ||
        a->mtime_nanoseconds != b->mtime_nanoseconds || a->flags != b->flags ||
        a->device_major != b->device_major || a->device_minor != b->device_minor ||
        a->xattr_count != b->xattr_count || !bytes_equal(a->hard_link, b->hard_link))
        return false;
    for (size_t i = 0; i < a->xattr_count; i++) {
        if (!bytes_equal(a->xattrs[i].name, b->xattrs[i].name) ||
            !bytes_equal(a->xattrs[i].value, b->xattrs[i].value))
            return false;
    }
    return true;
}

static struct extents copy_extents(const struct extents *from)
{
    struct extents copy = {.count = from->count};
    if (from->count)
        copy.list = memory_copy(from->list, from->count * sizeof *copy.list);
    return copy;
}

static void push(struct comparison *c, const char *path, bool is_root, const struct extents *before,
                 const struct extents *after)
{
    memory_reserve_one(c->stack, c->count, c->capacity);
    struct pair *p = &c->stack[c->count++];
    *p = (struct pair){
        .path = memory_copy_string(path), .is_root = is_root, .has_before = before, .has_after = after};
    if (before)
        p->before = copy_extents(before);
    if (after)
        p->after = copy_extents(after);
}

static void pair_free(struct pair *p)
{
    free(p->before.list);
    free(p->after.list);
    free(p->path);
}

static const struct extents *listing(const struct node *node)
{
    return node && node->type == NODE_DIRECTORY ? &node->subtree : NULL;
}

/* A further name of a file has the contents of the first, which may be another one by now. One that leads
 * nowhere has none. */
static int resolve(struct tree_links *links, const struct node *node, struct node *copy, struct error *err)
{
    struct error why;
    *copy = *node;
    int code = tree_links_resolve(links, copy, &why);
    if (code == ERROR_NOT_FOUND)
        return 0;
    if (code != 0 && err)
        *err = why;
    return code;
}

/* Reports how two entries differ; one of them may be missing. */
static int report_entry(struct comparison *c, const char *path, const struct node *before,
                        const struct node *after, struct error *err)
{
    struct node x, y;
    int code = before ? resolve(c->links_before, before, &x, err) : 0;
    if (code == 0 && after)
        code = resolve(c->links_after, after, &y, err);
    if (code != 0)
        return code;
    if (!before)
        return c->report(c->report_context, TREE_ADDED, path, NULL, &y, err);
    if (!after)
        return c->report(c->report_context, TREE_REMOVED, path, &x, NULL, err);
    if (x.type != y.type)
        return c->report(c->report_context, TREE_TYPE_CHANGED, path, &x, &y, err);
    if (!extents_equal(&x.content, &y.content) || !bytes_equal(x.link_target, y.link_target))
        return c->report(c->report_context, TREE_CONTENT_CHANGED, path, &x, &y, err);
    if (!metadata_equal(&x, &y))
        return c->report(c->report_context, TREE_METADATA_CHANGED, path, &x, &y, err);
    return 0;
}

static int compare_entry(struct comparison *c, const char *directory, const struct node *before,
                         const struct node *after, struct error *err)
{
    struct buffer path = {0};
    struct bytes name = before ? before->name : after->name;
    buffer_append_string(&path, directory);
    if (path.size && path.data[path.size - 1] != '/' && name.data[0] != '/')
        buffer_u8(&path, '/');
    buffer_append_bytes(&path, name);
    const char *text = buffer_string(&path);
    int code = report_entry(c, text, before, after, err);
    const struct extents *x = listing(before), *y = listing(after);
    if (code == 0 && (x || y) && !(x && y && extents_equal(x, y)))
        push(c, text, false, x, y);
    buffer_free(&path);
    return code;
}

static int compare_pair(struct comparison *c, const struct pair *p, struct error *err)
{
    struct tree before = {0}, after = {0};
    size_t first = c->count;
    int code = p->has_before ? tree_fetch(&p->before, p->is_root, c->fetch, c->context, &before, err) : 0;
    if (code == 0 && p->has_after)
        code = tree_fetch(&p->after, p->is_root, c->fetch, c->context, &after, err);
    for (size_t i = 0, j = 0; code == 0 && (i < before.count || j < after.count);) {
        int order = i == before.count  ? 1
                    : j == after.count ? -1
                                       : bytes_compare(before.nodes[i].name, after.nodes[j].name);
        const struct node *x = order <= 0 ? &before.nodes[i++] : NULL;
        const struct node *y = order >= 0 ? &after.nodes[j++] : NULL;
        code = compare_entry(c, p->path, x, y, err);
    }
    /* The stack is last in, first out: what was pushed in name order must come out so. */
    for (size_t i = first, j = c->count; i + 1 < j; i++) {
        struct pair swapped = c->stack[i];
        c->stack[i] = c->stack[--j];
        c->stack[j] = swapped;
    }
    tree_free(&before);
    tree_free(&after);
    return code;
}

int tree_compare(const struct extents *before, const struct extents *after, tree_fetch_blob *fetch,
                 void *context, tree_report *report, void *report_context, struct error *err)
{
    struct comparison c = {
        .fetch = fetch, .context = context, .report = report, .report_context = report_context};
    int code = 0;
    c.links_before = tree_links_new(before, fetch, context);
    c.links_after = tree_links_new(after, fetch, context);
    if (!extents_equal(before, after))
        push(&c, "", true, before, after);
    while (code == 0 && c.count) {
        struct pair p = c.stack[--c.count];
        code = compare_pair(&c, &p, err);
        pair_free(&p);
    }
    while (c.count)
        pair_free(&c.stack[--c.count]);
    free(c.stack);
    tree_links_free(c.links_before);
    tree_links_free(c.links_after);
    return code;
}
