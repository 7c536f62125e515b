/* Directory listings. */
#include "format/codec.h"
#include "tree.pb-c.h"

#include <string.h>

#define ROOT_NAME_MAX (64u << 10)
#define HARD_LINK_MAX (16u << 20)

static Holdfast__Xattr **xattr_list(const struct node *node, struct arena *arena)
{
    Holdfast__Xattr **pointers = arena_alloc_array(arena, node->xattr_count, sizeof *pointers);
    Holdfast__Xattr *list = arena_alloc_array(arena, node->xattr_count, sizeof *list);
    for (size_t i = 0; i < node->xattr_count; i++) {
        holdfast__xattr__init(&list[i]);
        list[i].name = codec_binary(node->xattrs[i].name);
        list[i].value = codec_binary(node->xattrs[i].value);
        pointers[i] = &list[i];
    }
    return pointers;
}

static void fill(Holdfast__Node *to, const struct node *node, struct arena *arena)
{
    holdfast__node__init(to);
    to->name = codec_binary(node->name);
    to->type = (Holdfast__NodeType)node->type;
    to->mode = node->mode;
    to->uid = node->uid;
    to->gid = node->gid;
    to->user = codec_binary(node->user);
    to->group = codec_binary(node->group);
    to->mtime_seconds = node->mtime_seconds;
    to->mtime_nanoseconds = node->mtime_nanoseconds;
    to->size = node->size;
    to->link_target = codec_binary(node->link_target);
    to->device_major = node->device_major;
    to->device_minor = node->device_minor;
    to->flags = node->flags;
    to->hard_link = codec_binary(node->hard_link);
    if (node->xattr_count) {
        to->n_xattrs = node->xattr_count;
        to->xattrs = xattr_list(node, arena);
    }
    if (node->content.count) {
        to->n_content = node->content.count;
        to->content = codec_extent_list(&node->content, arena);
    }
    if (node->subtree.count) {
        to->n_subtree = node->subtree.count;
        to->subtree = codec_extent_list(&node->subtree, arena);
    }
}

void tree_encode(const struct node *nodes, size_t count, struct buffer *out)
{
    struct arena arena = {0};
    Holdfast__Tree tree = HOLDFAST__TREE__INIT;
    Holdfast__Node *list = arena_alloc_array(&arena, count, sizeof *list);
    tree.n_nodes = count;
    tree.nodes = arena_alloc_array(&arena, count, sizeof *tree.nodes);
    for (size_t i = 0; i < count; i++) {
        fill(&list[i], &nodes[i], &arena);
        tree.nodes[i] = &list[i];
    }
    codec_pack(&tree.base, out);
    arena_free(&arena);
}

static bool name_is_valid(struct bytes name, bool root)
{
    if (name.size == 0 || name.size > (root ? ROOT_NAME_MAX : NODE_NAME_MAX) ||
        memchr(name.data, 0, name.size))
        return false;
    if (!root && memchr(name.data, '/', name.size))
        return false;
    for (size_t at = 0, end; at < name.size; at = end + 1) {
        const uint8_t *slash = memchr(name.data + at, '/', name.size - at);
        end = slash ? (size_t)(slash - name.data) : name.size;
        if (end - at == 2 && memcmp(name.data + at, "..", 2) == 0)
            return false;
    }
    return !(name.data[0] == '.' && (name.size == 1 || (name.size == 2 && name.data[1] == '.')));
}

static uint64_t total_length(const struct extents *extents)
{
    uint64_t total = 0;
    for (size_t i = 0; i < extents->count; i++)
        total += extents->list[i].length;
    return total;
}

static void read_xattrs(const Holdfast__Node *from, struct arena *arena, struct node *node)
{
    node->xattr_count = from->n_xattrs;
    node->xattrs = from->n_xattrs ? arena_alloc_array(arena, from->n_xattrs, sizeof *node->xattrs) : NULL;
    for (size_t i = 0; i < from->n_xattrs; i++)
        node->xattrs[i] =
            (struct xattr){codec_bytes(from->xattrs[i]->name), codec_bytes(from->xattrs[i]->value)};
}

static const char *check_xattrs(const struct node *node)
{
    for (size_t i = 0; i < node->xattr_count; i++) {
        const struct xattr *x = &node->xattrs[i];
        if (x->name.size == 0 || x->name.size > NODE_XATTR_NAME_MAX || x->value.size > NODE_XATTR_VALUE_MAX ||
            memchr(x->name.data, 0, x->name.size))
            return "an extended attribute is out of bounds";
        if (i && bytes_compare(x[-1].name, x->name) >= 0)
            return "extended attributes are not sorted";
    }
    return NULL;
}

/* What may not be together: a content on a directory, a size that the pieces do not add up to ... */
static const char *check_shape(const struct node *node)
{
    if (node->type != NODE_FILE && (node->content.count || node->size))
        return "content on what is not a file";
    if (node->type != NODE_DIRECTORY && node->subtree.count)
        return "a listing on what is not a directory";
    if (node->type == NODE_FILE && node->hard_link.size == 0 && total_length(&node->content) != node->size)
        return "pieces of content do not add up to the size";
    if (node->hard_link.size && (node->content.count || node->type == NODE_DIRECTORY))
        return "a hard link with content of its own";
    if ((node->type == NODE_SYMLINK) != (node->link_target.size > 0) ||
        node->link_target.size > NODE_LINK_TARGET_MAX ||
        (node->link_target.size && memchr(node->link_target.data, 0, node->link_target.size)))
        return "a symbolic link's target is out of bounds";
    for (size_t i = 0; i < node->subtree.count; i++) {
        if (node->subtree.list[i].hole)
            return "a listing with a hole";
    }
    return NULL;
}

const char *tree_node_refused(const struct node *node, bool root_names)
{
    if (!name_is_valid(node->name, root_names))
        return "a name is empty, too long, or not allowed";
    if (node->type < NODE_FILE || node->type > NODE_SOCKET)
        return "an entry of unknown type";
    if (node->mode > 07777 || node->mtime_nanoseconds > 999999999 || node->size > INT64_MAX)
        return "a mode, time or size is out of range";
    if (node->user.size > NODE_OWNER_NAME_MAX || node->group.size > NODE_OWNER_NAME_MAX ||
        node->hard_link.size > HARD_LINK_MAX)
        return "an owner's name or a hard link's path is too long";
    const char *why = check_xattrs(node);
    return why ? why : check_shape(node);
}

static const char *read_node(const Holdfast__Node *from, bool root_names, struct arena *arena,
                             struct node *node)
{
    *node = (struct node){
        .name = codec_bytes(from->name),
        .type = (enum node_type)from->type,
        .mode = from->mode,
        .uid = from->uid,
        .gid = from->gid,
        .user = codec_bytes(from->user),
        .group = codec_bytes(from->group),
        .mtime_seconds = from->mtime_seconds,
        .mtime_nanoseconds = from->mtime_nanoseconds,
        .size = from->size,
        .link_target = codec_bytes(from->link_target),
        .device_major = from->device_major,
        .device_minor = from->device_minor,
        .flags = from->flags,
        .hard_link = codec_bytes(from->hard_link),
    };
    if (from->type < HOLDFAST__NODE_TYPE__NODE_FILE || from->type > HOLDFAST__NODE_TYPE__NODE_SOCKET)
        return "an entry of unknown type";
    read_xattrs(from, arena, node);
    if (!codec_extents(from->n_content, from->content, arena, &node->content) ||
        !codec_extents(from->n_subtree, from->subtree, arena, &node->subtree))
        return "a piece of content is malformed";
    return tree_node_refused(node, root_names);
}

int tree_decode(struct bytes data, bool root_names, struct arena *arena, struct node **nodes, size_t *count,
                struct error *err)
{
    Holdfast__Tree *tree = codec_unpack(&holdfast__tree__descriptor, data, SIZE_MAX, arena, err);
    if (!tree)
        return err ? err->code : ERROR_INTEGRITY;
    *nodes = arena_alloc_array(arena, tree->n_nodes, sizeof **nodes);
    *count = tree->n_nodes;
    for (size_t i = 0; i < tree->n_nodes; i++) {
        const char *why = read_node(tree->nodes[i], root_names, arena, &(*nodes)[i]);
        if (!why && i && bytes_compare((*nodes)[i - 1].name, (*nodes)[i].name) >= 0)
            why = "entries are not sorted";
        if (why)
            return codec_malformed(err, "a directory listing", why);
    }
    return 0;
}
