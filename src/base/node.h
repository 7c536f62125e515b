/*
 * One entry of a directory listing, as sources read it, trees hold it and restores write it. Everything a
 * node points to lies in the arena of the listing it belongs to.
 */
#ifndef BASE_NODE_H
#define BASE_NODE_H

#include "base/bytes.h"
#include "base/id.h"

/* Bytes. File systems that count a name's characters, not its bytes, have names of three times 255; the
 * kernel takes up to 1024. */
#define NODE_NAME_MAX 1024u
#define NODE_OWNER_NAME_MAX 256u
#define NODE_XATTR_NAME_MAX 255u
#define NODE_XATTR_VALUE_MAX (64u * 1024)
#define NODE_LINK_TARGET_MAX (64u * 1024)

enum node_type {
    NODE_UNKNOWN,
    NODE_FILE,
    NODE_DIRECTORY,
    NODE_SYMLINK,
    NODE_FIFO,
    NODE_CHARACTER_DEVICE,
    NODE_BLOCK_DEVICE,
    NODE_SOCKET
};

/* A piece of content: a blob, or a hole of `length` zero bytes. */
struct extent {
    struct id blob;
    uint64_t length;
    bool hole;
};

struct extents {
    struct extent *list;
    size_t count;
};

struct xattr {
    struct bytes name; /* with its namespace: "user.colour" */
    struct bytes value;
};

struct node {
    struct bytes name;
    enum node_type type;
    uint32_t mode; /* 07777 */
    uint32_t uid, gid;
    struct bytes user, group; /* names, may be empty */
    int64_t mtime_seconds;
    uint32_t mtime_nanoseconds;
    uint64_t size; /* of a file, bytes */
    struct bytes link_target;
    uint32_t device_major, device_minor;
    struct xattr *xattrs; /* sorted by name */
    size_t xattr_count;
    uint32_t flags;         /* FS_*_FL of Linux that a restore can set */
    struct bytes hard_link; /* the first path of the same file, below the root; empty for that first one */
    struct extents content; /* of a file */
    struct extents subtree; /* of a directory: the pieces of its serialised listing */
};

#endif
