#include "source/metadata_writer.h"

#include "base/memory.h"
#include "base/text.h"
#include "source/flags.h"
#include "source/name.h"
#include "source/open.h"
#include "source/posix_acl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define LIST_SIZE (64u * 1024)
#define FLAGS_EVERYWHERE (FS_SYNC_FL | FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL)

struct metadata_writer {
    struct owner_map *owners; /* NULL: by number */
    source_warning *warning;
    void *context;
    const char *path; /* for warnings; NULL: not known */
    uint64_t owner_failures;
    uint64_t times_device; /* asked for last */
    bool both_times;       /* of files there can be set only */
    bool pretends;         /* compares only */
    bool changed;          /* the last entry, or would have been */
    char list[LIST_SIZE + 1], value[NODE_XATTR_VALUE_MAX];
    uint8_t acl[NODE_XATTR_VALUE_MAX];
};

/* The entry while it is written. */
struct target {
    struct metadata_writer *writer;
    const struct node *node;
    int fd;
    char path[32]; /* of fd in /proc: reaches entries that are open as a path only, and links themselves */
    bool symlink;
    bool user_failed, group_failed;
    bool may_have_changed; /* the mode, by what was set before it */
    struct source_stat was;
    uint32_t uid, gid; /* to be set */
};

struct metadata_writer *metadata_writer_new(struct owner_map *owners, source_warning *warning, void *context)
{
    struct metadata_writer *writer = memory_new(struct metadata_writer);
    writer->owners = owners;
    writer->warning = warning;
    writer->context = context;
    return writer;
}

void metadata_writer_free(struct metadata_writer *writer)
{
    free(writer);
}

void metadata_writer_at(struct metadata_writer *writer, const char *path)
{
    writer->path = path;
}

void metadata_writer_pretend(struct metadata_writer *writer)
{
    writer->pretends = true;
}

bool metadata_writer_changed(const struct metadata_writer *writer)
{
    return writer->changed;
}

uint64_t metadata_writer_owner_failures(const struct metadata_writer *writer)
{
    return writer->owner_failures;
}

static void warn(struct target *t, int errnum, const char *what)
{
    const char *path = t->writer->path;
    char reason[128];
    char *text = memory_format("%s%s%s: %s", path ? path : "", path ? ": " : "", what,
                               strerror_r(errnum, reason, sizeof reason));
    if (t->writer->warning)
        t->writer->warning(t->writer->context, text);
    free(text);
}

static void warn_xattr(struct target *t, int errnum, const char *verb, struct bytes name)
{
    char text[400];
    char *visible = text_visible_bytes(name.data, name.size);
    snprintf(text, sizeof text, "cannot %s the extended attribute %.300s", verb, visible);
    warn(t, errnum, text);
    free(visible);
}

/* To be asked before each change: false if it is not to be made. What is immutable is so until then;
 * set_flags() makes it so again. */
static bool begin_change(struct target *t)
{
    if (t->writer->pretends)
        t->writer->changed = true;
    else if (t->was.attribute_flags & flags_locks)
        flags_unlock(t->fd);
    return !t->writer->pretends;
}

static void changed(struct target *t)
{
    t->writer->changed = true;
    t->may_have_changed = true;
}

static void choose_owner(struct target *t)
{
    const struct node *node = t->node;
    struct owner_map *owners = t->writer->owners;
    t->uid = owners ? owner_map_id(owners, OWNER_USER, node->user, node->uid) : node->uid;
    t->gid = owners ? owner_map_id(owners, OWNER_GROUP, node->group, node->gid) : node->gid;
}

static void set_owner(struct target *t)
{
    struct metadata_writer *writer = t->writer;
    uint32_t uid = t->uid, gid = t->gid;
    if (uid == t->was.uid && gid == t->was.gid)
        return;
    if (writer->pretends && uid != t->was.uid && geteuid() != 0) {
        t->user_failed = t->group_failed = true;
        return;
    }
    if (!begin_change(t))
        return;
    if (fchownat(t->fd, "", uid, gid, AT_EMPTY_PATH) == 0) {
        changed(t);
        return;
    }
    int errnum = errno;
    /* A group we belong to can be given without being root. */
    t->user_failed = uid != t->was.uid;
    t->group_failed = gid != t->was.gid;
    if (t->user_failed && t->group_failed && fchownat(t->fd, "", (uid_t)-1, gid, AT_EMPTY_PATH) == 0) {
        changed(t);
        t->group_failed = false;
    }
    if (errnum == EPERM && geteuid() != 0)
        writer->owner_failures++;
    else
        warn(t, errnum, "cannot set the owner");
}

static bool node_has(const struct node *node, struct bytes name)
{
    for (size_t i = 0; i < node->xattr_count; i++)
        if (bytes_equal(node->xattrs[i].name, name))
            return true;
    return false;
}

/* Of what the node does not have, attributes that came by inheritance or were there before are removed; those
 * that the kernel or a security module keeps by itself are not. */
static bool is_removable(struct bytes name)
{
    static const char *const removable[] = {"user.", "trusted.", "system.posix_acl_", "security.capability"};
    for (size_t i = 0; i < sizeof removable / sizeof *removable; i++) {
        size_t size = strlen(removable[i]);
        if (name.size >= size && memcmp(name.data, removable[i], size) == 0)
            return true;
    }
    return false;
}

/* Their number of bytes in the writer's list, each with a NUL. */
static size_t list_xattrs(struct target *t)
{
    char *list = t->writer->list;
    ssize_t size = flistxattr(t->fd, list, LIST_SIZE);
    if (size < 0 && errno == EBADF)
        size = listxattr(t->path, list, LIST_SIZE);
    if (size < 0 && errno != ENOTSUP)
        warn(t, errno, "cannot list the extended attributes");
    if (size <= 0)
        return 0;
    list[size] = '\0';
    return (size_t)size;
}

static void remove_xattrs(struct target *t, size_t size)
{
    const char *list = t->writer->list;
    for (size_t at = 0; at < size; at += strlen(list + at) + 1) {
        struct bytes name = bytes_of_string(list + at);
        if (!is_removable(name) || node_has(t->node, name) || !begin_change(t))
            continue;
        if (removexattr(t->path, list + at) == 0)
            changed(t);
        else if (errno != ENODATA)
            warn_xattr(t, errno, "remove", name);
    }
}

/* The value to be set: an ACL has numbers of users and groups in it. */
static struct bytes value_of(struct target *t, const struct xattr *xattr)
{
    bool acl = bytes_equal(xattr->name, bytes_of_string(ACL_ACCESS_NAME)) ||
               bytes_equal(xattr->name, bytes_of_string(ACL_DEFAULT_NAME));
    uint8_t *to = t->writer->acl;
    if (!acl || !t->writer->owners || xattr->value.size > sizeof t->writer->acl)
        return xattr->value;
    owner_map_acl(t->writer->owners, t->node, t->uid, t->gid, xattr->value, to);
    return bytes_of(to, xattr->value.size);
}

static void set_xattr(struct target *t, const struct xattr *xattr, bool has_any)
{
    struct bytes wanted = value_of(t, xattr);
    char name[XATTR_NAME_MAX + 1];
    if (xattr->name.size == 0 || xattr->name.size > XATTR_NAME_MAX ||
        memchr(xattr->name.data, '\0', xattr->name.size)) {
        warn_xattr(t, EINVAL, "set", xattr->name);
        return;
    }
    memcpy(name, xattr->name.data, xattr->name.size);
    name[xattr->name.size] = '\0';
    char *value = t->writer->value;
    ssize_t size = has_any ? getxattr(t->path, name, value, NODE_XATTR_VALUE_MAX) : -1;
    if (size >= 0 && bytes_equal(bytes_of(value, (size_t)size), wanted))
        return;
    if (!begin_change(t))
        return;
    if (setxattr(t->path, name, wanted.data, wanted.size, 0) == 0)
        changed(t);
    else
        warn_xattr(t, errno, "set", xattr->name);
}

static void set_xattrs(struct target *t)
{
    size_t size = list_xattrs(t);
    remove_xattrs(t, size);
    for (size_t i = 0; i < t->node->xattr_count; i++)
        set_xattr(t, &t->node->xattrs[i], size > 0);
}

static void set_mode(struct target *t)
{
    mode_t mode = t->node->mode & 07777u;
    if (t->symlink)
        return;
    /* A set-id bit with the wrong owner would lend somebody else's rights. */
    if (t->user_failed)
        mode &= ~(mode_t)S_ISUID;
    if (t->group_failed && t->node->type == NODE_FILE)
        mode &= ~(mode_t)S_ISGID;
    if ((mode == t->was.mode && !t->may_have_changed) || !begin_change(t))
        return;
    if (fchmod(t->fd, mode) == 0 || (errno == EBADF && chmod(t->path, mode) == 0))
        changed(t);
    else
        warn(t, errno, "cannot set the mode");
}

/* What libfuse 2 mounts forgets a change of the one time without the other, and says that it is done. */
static bool takes_both_times(struct target *t)
{
    struct metadata_writer *writer = t->writer;
    struct statfs fs;
    if (t->was.device != writer->times_device) {
        writer->times_device = t->was.device;
        writer->both_times = fstatfs(t->fd, &fs) == 0 && (uint32_t)fs.f_type == FUSE_SUPER_MAGIC;
    }
    return writer->both_times;
}

static void set_times(struct target *t)
{
    struct timespec times[] = {
        {.tv_nsec = takes_both_times(t) ? UTIME_NOW : UTIME_OMIT},
        {.tv_sec = t->node->mtime_seconds, .tv_nsec = t->node->mtime_nanoseconds},
    };
    if ((times[1].tv_sec == t->was.mtime_seconds && times[1].tv_nsec == t->was.mtime_nanoseconds) ||
        !begin_change(t))
        return;
    int result = -1;
    if (t->node->mtime_nanoseconds > 999999999) /* also UTIME_NOW and UTIME_OMIT */
        errno = EINVAL;
    else
        result = utimensat(t->fd, "", times, AT_EMPTY_PATH);
    if (result == 0)
        t->writer->changed = true;
    else
        warn(t, errno, "cannot set the time");
}

static void set_flags(struct target *t)
{
    uint32_t now, wanted = t->node->flags & flags_kept;
    if (t->node->type != NODE_FILE && t->node->type != NODE_DIRECTORY)
        return;
    if (!flags_read(t->fd, &now)) {
        if (wanted && !t->writer->pretends)
            warn(t, errno, "cannot set the inode flags");
        return;
    }
    if ((now & flags_kept) == wanted || !begin_change(t))
        return;
    if (flags_write(t->fd, (now & ~flags_kept) | wanted)) {
        t->writer->changed = true;
        return;
    }
    int errnum = errno;
    /* Another file system than the one it came from may know only these. */
    wanted = (wanted & FLAGS_EVERYWHERE) | (now & flags_kept & ~FLAGS_EVERYWHERE);
    flags_write(t->fd, (now & ~flags_kept) | wanted);
    warn(t, errnum, "cannot set all inode flags");
}

static int open_target(struct target *t, int directory, struct bytes name, struct error *err)
{
    char text[WRITER_NAME_SIZE];
    int code = writer_name(name, text, err);
    if (code != 0)
        return code;
    if (t->node->type == NODE_FILE || t->node->type == NODE_DIRECTORY)
        t->fd = source_open_at(directory, text,
                               O_RDONLY | O_NONBLOCK | (t->node->type == NODE_DIRECTORY ? O_DIRECTORY : 0));
    if (t->fd < 0)
        t->fd = openat(directory, text, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    return t->fd < 0 ? error_set_errno(err, errno, "cannot open") : 0;
}

int metadata_write(struct metadata_writer *writer, int directory, struct bytes name, int fd,
                   const struct node *node, struct error *err)
{
    struct target t = {.writer = writer, .node = node, .fd = fd, .symlink = node->type == NODE_SYMLINK};
    int code = fd < 0 ? open_target(&t, directory, name, err) : 0;
    writer->changed = false;
    if (code == 0)
        code = source_stat(t.fd, "", &t.was, err);
    if (code == 0 && t.was.type != node->type)
        code = error_set(err, ERROR_NOT_FOUND, "was replaced by something else");
    if (code == 0) {
        snprintf(t.path, sizeof t.path, "/proc/self/fd/%d", t.fd);
        choose_owner(&t);
        set_owner(&t);
        set_xattrs(&t);
        set_times(&t);
        set_mode(&t); /* until then a file is known as not whole, see writer_file.c */
        set_flags(&t);
    }
    if (fd < 0 && t.fd >= 0)
        close(t.fd);
    return code;
}
