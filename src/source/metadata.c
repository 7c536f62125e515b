#include "source/metadata.h"

#include "base/memory.h"
#include "base/text.h"
#include "source/flags.h"
#include "source/open.h"
#include "source/owners.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define XATTR_LIST_MAX_SIZE (64u * 1024)
#define FIRST_TRY_SIZE 1024u /* the kernel allocates what it is asked for */
#define INCAPABLE_MAX 32

enum capability { XATTRS = 1, FLAGS = 2 };

/* What entries of one type on one file system were found not to have. */
struct incapable {
    uint64_t device;
    enum node_type type;
    unsigned lacks; /* enum capability */
};

struct metadata_reader {
    source_warning *warning;
    void *context;
    struct owners *owners;
    struct incapable incapable[INCAPABLE_MAX];
    size_t incapable_count;
    struct buffer list, value;
    struct xattr *xattrs;
    size_t xattr_count, xattr_capacity;
};

/* The entry while it is read. */
struct entry {
    struct metadata_reader *reader;
    const struct source_stat *st;
    struct arena *arena;
    int fd;
    bool readable; /* fd was opened for reading; else it is only a path */
    char path[32]; /* of fd in /proc, where it is only a path */
};

struct metadata_reader *metadata_reader_new(source_warning *warning, void *context)
{
    struct metadata_reader *reader = memory_new(struct metadata_reader);
    reader->warning = warning;
    reader->context = context;
    reader->owners = owners_new();
    return reader;
}

void metadata_reader_free(struct metadata_reader *reader)
{
    if (!reader)
        return;
    owners_free(reader->owners);
    buffer_free(&reader->list);
    buffer_free(&reader->value);
    free(reader->xattrs);
    free(reader);
}

static void __attribute__((format(printf, 2, 3)))
warn(struct metadata_reader *reader, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (reader->warning)
        reader->warning(reader->context, text);
}

static void warn_errno(struct metadata_reader *reader, int errnum, const char *what)
{
    char reason[128];
    warn(reader, "%s: %s", what, strerror_r(errnum, reason, sizeof reason));
}

static struct incapable *find_incapable(const struct entry *e)
{
    struct metadata_reader *reader = e->reader;
    for (size_t i = 0; i < reader->incapable_count; i++)
        if (reader->incapable[i].device == e->st->device && reader->incapable[i].type == e->st->type)
            return &reader->incapable[i];
    return NULL;
}

static bool is_capable(const struct entry *e, enum capability capability)
{
    const struct incapable *found = find_incapable(e);
    return !found || !(found->lacks & capability);
}

static void remember_incapable(const struct entry *e, enum capability capability)
{
    struct metadata_reader *reader = e->reader;
    struct incapable *found = find_incapable(e);
    if (!found && reader->incapable_count < INCAPABLE_MAX) {
        found = &reader->incapable[reader->incapable_count++];
        *found = (struct incapable){e->st->device, e->st->type, 0};
    }
    if (found)
        found->lacks |= capability;
}

static ssize_t get_list(const struct entry *e, void *to, size_t size)
{
    return e->readable ? flistxattr(e->fd, to, size) : listxattr(e->path, to, size);
}

static ssize_t get_value(const struct entry *e, const char *name, void *to, size_t size)
{
    return e->readable ? fgetxattr(e->fd, name, to, size) : getxattr(e->path, name, to, size);
}

/* The list of names (name NULL) or a value, of at most 64 KiB, into b. False with errno. */
static bool read_bounded(const struct entry *e, const char *name, struct buffer *b)
{
    static const size_t sizes[] = {FIRST_TRY_SIZE, NODE_XATTR_VALUE_MAX};
    _Static_assert(XATTR_LIST_MAX_SIZE == NODE_XATTR_VALUE_MAX, "one bound for both");
    ssize_t n = -1;
    for (size_t i = 0; i < 2 && n < 0; i++) {
        buffer_clear(b);
        buffer_reserve(b, sizes[i]);
        n = name ? get_value(e, name, b->data, sizes[i]) : get_list(e, b->data, sizes[i]);
        if (n < 0 && errno != ERANGE)
            return false;
    }
    if (n < 0)
        errno = E2BIG;
    b->size = n < 0 ? 0 : (size_t)n;
    return n >= 0;
}

static int compare_xattrs(const void *a, const void *b)
{
    return bytes_compare(((const struct xattr *)a)->name, ((const struct xattr *)b)->name);
}

/* Reads one attribute; room is what is left of the bound for all. */
static void read_xattr(const struct entry *e, const char *name, size_t *room)
{
    struct metadata_reader *reader = e->reader;
    char *visible;
    if (!read_bounded(e, name, &reader->value)) {
        if (errno == ENODATA) /* removed since it was listed */
            return;
        int errnum = errno;
        char text[400];
        visible = text_visible(name);
        snprintf(text, sizeof text, "cannot read the extended attribute %s", visible);
        free(visible);
        warn_errno(reader, errnum, text);
        return;
    }
    size_t size = strlen(name) + reader->value.size;
    if (size > *room) {
        visible = text_visible(name);
        warn(reader, "the extended attribute %.300s is left out: all together exceed %u bytes", visible,
             SOURCE_XATTRS_MAX);
        free(visible);
        return;
    }
    *room -= size;
    memory_reserve_one(reader->xattrs, reader->xattr_count, reader->xattr_capacity);
    reader->xattrs[reader->xattr_count++] = (struct xattr){
        arena_copy(e->arena, bytes_of_string(name)), arena_copy(e->arena, buffer_bytes(&reader->value))};
}

static void read_xattrs(const struct entry *e, struct node *node)
{
    struct metadata_reader *reader = e->reader;
    if (!is_capable(e, XATTRS))
        return;
    if (!read_bounded(e, NULL, &reader->list)) {
        if (errno == ENOTSUP)
            remember_incapable(e, XATTRS);
        else
            warn_errno(reader, errno, "cannot list the extended attributes");
        return;
    }
    if (reader->list.size == 0)
        return;
    size_t room = SOURCE_XATTRS_MAX;
    reader->xattr_count = 0;
    /* The kernel ends each name with a NUL; buffer_string() holds us to it. */
    const char *names = buffer_string(&reader->list);
    for (size_t at = 0; at < reader->list.size; at += strlen(names + at) + 1)
        if (names[at])
            read_xattr(e, names + at, &room);
    node->xattr_count = reader->xattr_count;
    node->xattrs = arena_alloc_array(e->arena, node->xattr_count, sizeof *node->xattrs);
    if (node->xattr_count == 0)
        return;
    memcpy(node->xattrs, reader->xattrs, node->xattr_count * sizeof *node->xattrs);
    qsort(node->xattrs, node->xattr_count, sizeof *node->xattrs, compare_xattrs);
}

static void read_flags(const struct entry *e, struct node *node)
{
    node->flags = e->st->attribute_flags & flags_kept;
    if ((e->st->type != NODE_FILE && e->st->type != NODE_DIRECTORY) || !e->readable || !is_capable(e, FLAGS))
        return;
    uint32_t flags;
    if (flags_read(e->fd, &flags))
        node->flags = flags & flags_kept;
    else if (flags_unsupported(errno))
        remember_incapable(e, FLAGS);
    else
        warn_errno(e->reader, errno, "cannot read the inode flags");
}

static int read_link(const struct entry *e, struct node *node, struct error *err)
{
    struct buffer *b = &e->reader->value;
    for (size_t size = FIRST_TRY_SIZE; size <= NODE_LINK_TARGET_MAX; size *= 2) {
        buffer_clear(b);
        ssize_t n = readlinkat(e->fd, "", (char *)buffer_extend(b, size + 1), size + 1);
        if (n < 0)
            return error_set_errno(err, errno, "cannot read the symbolic link");
        if ((size_t)n <= size) {
            node->link_target = arena_copy(e->arena, bytes_of(b->data, (size_t)n));
            return 0;
        }
    }
    return error_set(err, ERROR_UNSUPPORTED, "the target of the symbolic link has more than %u bytes",
                     NODE_LINK_TARGET_MAX);
}

int metadata_read(struct metadata_reader *reader, const struct source_entry *entry, struct arena *arena,
                  struct node *node, struct error *err)
{
    const struct source_stat *st = &entry->stat;
    struct entry e = {reader, st, arena, entry->fd, source_entry_readable(entry), ""};
    bool device = st->type == NODE_CHARACTER_DEVICE || st->type == NODE_BLOCK_DEVICE;
    int code = 0;
    *node = (struct node){
        .type = st->type,
        .mode = st->mode,
        .uid = st->uid,
        .gid = st->gid,
        .user = arena_copy(arena, owners_name(reader->owners, OWNER_USER, st->uid)),
        .group = arena_copy(arena, owners_name(reader->owners, OWNER_GROUP, st->gid)),
        .mtime_seconds = st->mtime_seconds,
        .mtime_nanoseconds = st->mtime_nanoseconds,
        .size = st->type == NODE_FILE ? st->size : 0,
        .device_major = device ? st->device_major : 0,
        .device_minor = device ? st->device_minor : 0,
    };
    snprintf(e.path, sizeof e.path, "/proc/self/fd/%d", e.fd);
    if (st->type == NODE_SYMLINK)
        code = read_link(&e, node, err);
    if (code != 0)
        return code;
    read_xattrs(&e, node);
    read_flags(&e, node);
    return 0;
}
