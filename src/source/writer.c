#include "source/writer.h"

#include "base/file.h"
#include "base/memory.h"
#include "source/directory.h"
#include "source/flags.h"
#include "source/name.h"
#include "source/open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct writer {
    int root;
    char *path;
};

int writer_name(struct bytes name, char text[WRITER_NAME_SIZE], struct error *err)
{
    if (name.size == 0 || name.size >= WRITER_NAME_SIZE || memchr(name.data, '/', name.size) ||
        memchr(name.data, '\0', name.size) || bytes_equal(name, bytes_of_string(".")) ||
        bytes_equal(name, bytes_of_string("..")))
        return error_set(err, ERROR_USAGE, "the name is not one that a file can have");
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    return 0;
}

int writer_open(const char *destination, bool create, struct writer **out, struct error *err)
{
    int code = create ? file_make_directories(destination, 0700, err) : 0;
    if (code != 0)
        return code;
    int fd = open(destination, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open folder %s", destination);
    *out = memory_new(struct writer);
    (*out)->root = fd;
    (*out)->path = realpath(destination, NULL);
    return 0;
}

void writer_close(struct writer *writer)
{
    if (!writer)
        return;
    close(writer->root);
    free(writer->path);
    free(writer);
}

int writer_root(const struct writer *writer)
{
    return writer->root;
}

const char *writer_path(const struct writer *writer)
{
    return writer->path ? writer->path : "";
}

bool writer_next_component(struct bytes *path, struct bytes *name)
{
    while (path->size && *path->data == '/')
        *path = bytes_of(path->data + 1, path->size - 1);
    const uint8_t *slash = path->size ? memchr(path->data, '/', path->size) : NULL;
    *name = bytes_of(path->data, slash ? (size_t)(slash - path->data) : path->size);
    if (name->size)
        *path = bytes_of(path->data + name->size, path->size - name->size);
    return name->size != 0;
}

static int open_one(int directory, struct bytes name, int *fd, struct error *err)
{
    char text[WRITER_NAME_SIZE];
    int code = writer_name(name, text, err);
    return code ? code : source_open_directory(directory, text, fd, err);
}

int writer_open_path(const struct writer *writer, struct bytes path, int *out, struct error *err)
{
    struct bytes name;
    int fd = openat(writer->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), next = -1, code = 0;
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open the destination");
    while (code == 0 && writer_next_component(&path, &name)) {
        code = open_one(fd, name, &next, err);
        if (code == 0) {
            close(fd);
            fd = next;
        }
    }
    if (code == 0)
        *out = fd;
    else
        close(fd);
    return code;
}

static int error_in_the_way(struct error *err)
{
    error_set(err, ERROR_EXISTS, "something is in the way");
    return error_hint(err, "restore to an empty folder, or say --overwrite always");
}

static int make_directory(int directory, const char *name)
{
    struct flags_lifted lifted;
    int result = mkdirat(directory, name, 0700);
    if (result != 0 && errno == EPERM && flags_lift(directory, &lifted)) {
        result = mkdirat(directory, name, 0700);
        flags_put_back(&lifted);
    }
    return result;
}

int writer_make_directory(int directory, struct bytes name, bool replace, int *fd, bool *made,
                          struct error *err)
{
    char text[WRITER_NAME_SIZE];
    int code = writer_name(name, text, err);
    if (code != 0)
        return code;
    *made = make_directory(directory, text) == 0;
    if (!*made && errno != EEXIST)
        return error_set_errno(err, errno, "cannot make the directory");
    *fd = source_open_at(directory, text, O_RDONLY | O_DIRECTORY);
    if (*fd < 0 && !*made && (errno == ENOTDIR || errno == ELOOP)) {
        if (!replace)
            return error_in_the_way(err);
        if ((code = writer_remove(directory, name, err)) != 0)
            return code;
        *made = make_directory(directory, text) == 0;
        if (!*made)
            return error_set_errno(err, errno, "cannot make the directory");
        *fd = source_open_at(directory, text, O_RDONLY | O_DIRECTORY);
    }
    return *fd < 0 ? error_set_errno(err, errno, "cannot open the directory") : 0;
}

int writer_find_directory(int directory, struct bytes name, bool replace, int *fd, struct error *err)
{
    char text[WRITER_NAME_SIZE];
    int code = writer_name(name, text, err);
    if (code != 0)
        return code;
    *fd = source_open_at(directory, text, O_RDONLY | O_DIRECTORY);
    if (*fd >= 0 || errno == ENOENT)
        return 0;
    if (errno != ENOTDIR && errno != ELOOP)
        return error_set_errno(err, errno, "cannot open the directory");
    return replace ? 0 : error_in_the_way(err);
}

static mode_t type_of_device(const struct node *node)
{
    return node->type == NODE_FIFO ? S_IFIFO : node->type == NODE_CHARACTER_DEVICE ? S_IFCHR : S_IFBLK;
}

static int make_special_once(int directory, const char *name, const struct node *node, const char *target)
{
    if (node->type == NODE_SYMLINK)
        return symlinkat(target, directory, name);
    dev_t device = node->type == NODE_FIFO ? 0 : makedev(node->device_major, node->device_minor);
    return mknodat(directory, name, type_of_device(node) | 0600, device);
}

static int make_special(int directory, const char *name, const struct node *node, const char *target)
{
    struct flags_lifted lifted;
    int result = make_special_once(directory, name, node, target);
    if (result != 0 && errno == EPERM && flags_lift(directory, &lifted)) {
        result = make_special_once(directory, name, node, target);
        flags_put_back(&lifted);
    }
    return result;
}

bool writer_special_is(int directory, struct bytes name, const struct source_stat *st,
                       const struct node *node)
{
    char text[WRITER_NAME_SIZE];
    if (st->type != node->type || writer_name(name, text, NULL) != 0)
        return false;
    if (node->type != NODE_SYMLINK)
        return node->type == NODE_FIFO ||
               (st->device_major == node->device_major && st->device_minor == node->device_minor);
    struct buffer target = {0};
    size_t size = node->link_target.size + 1;
    ssize_t n = readlinkat(directory, text, (char *)buffer_extend(&target, size), size);
    bool same = n >= 0 && bytes_equal(bytes_of(target.data, (size_t)n), node->link_target);
    buffer_free(&target);
    return same;
}

int writer_make_special(int directory, struct bytes name, const struct node *node, bool replace,
                        struct error *err)
{
    char text[WRITER_NAME_SIZE], temporary[WRITER_NAME_SIZE], *target = NULL;
    int code = writer_name(name, text, err);
    if (code != 0)
        return code;
    if (node->type < NODE_SYMLINK || node->type > NODE_BLOCK_DEVICE)
        return error_set(err, ERROR_UNSUPPORTED, "its type cannot be made");
    if (node->type == NODE_SYMLINK) {
        if (node->link_target.size == 0 || memchr(node->link_target.data, '\0', node->link_target.size))
            return error_set(err, ERROR_USAGE, "the target is not one that a symbolic link can have");
        target = memory_format("%.*s", (int)node->link_target.size, (const char *)node->link_target.data);
    }
    int result = make_special(directory, text, node, target);
    if (result != 0 && errno == EEXIST && !replace) {
        code = error_in_the_way(err);
    } else if (result != 0 && errno == EEXIST) {
        writer_temporary_name(temporary);
        result = make_special(directory, temporary, node, target);
        if (result == 0 && (code = writer_take_name(directory, temporary, text, err)) != 0)
            unlinkat(directory, temporary, 0);
    }
    if (code == 0 && result != 0)
        code = error_set_errno(err, errno, "cannot make the %s",
                               node->type == NODE_SYMLINK ? "symbolic link"
                               : node->type == NODE_FIFO  ? "FIFO"
                                                          : "device");
    free(target);
    return code;
}

static int link_unlocked(int from, const char *target, int directory, const char *name)
{
    struct flags_lifted lifted;
    int result = linkat(from, target, directory, name, 0);
    if (result != 0 && errno == EPERM && flags_lift(directory, &lifted)) {
        result = linkat(from, target, directory, name, 0);
        flags_put_back(&lifted);
    }
    return result;
}

/* An immutable or append-only file can get no further name, and such a folder no further entry: those flags
 * are taken off meanwhile. */
static int link_entry(int from, const char *target, int directory, const char *name)
{
    struct flags_lifted lifted;
    int result = link_unlocked(from, target, directory, name);
    if (result != 0 && errno == EPERM && flags_lift_entry(from, target, &lifted)) {
        result = link_unlocked(from, target, directory, name);
        flags_put_back_entry(&lifted);
    }
    return result;
}

/* The folder of a path below the destination, open, and the last component. */
static int open_parent(const struct writer *writer, struct bytes path, int *fd, char last[WRITER_NAME_SIZE],
                       struct error *err)
{
    const uint8_t *slash = path.size ? memrchr(path.data, '/', path.size) : NULL;
    size_t parent = slash ? (size_t)(slash - path.data) + 1 : 0;
    int code = path.size ? writer_name(bytes_of(path.data + parent, path.size - parent), last, err)
                         : error_set(err, ERROR_USAGE, "the path is empty");
    return code ? code : writer_open_path(writer, bytes_of(path.data, parent), fd, err);
}

int writer_stat(const struct writer *writer, struct bytes path, struct source_stat *st, struct error *err)
{
    char last[WRITER_NAME_SIZE];
    int fd, code = open_parent(writer, path, &fd, last, err);
    if (code != 0)
        return code;
    code = source_stat(fd, last, st, err);
    close(fd);
    return code;
}

int writer_make_hard_link(const struct writer *writer, int directory, struct bytes name, struct bytes target,
                          bool replace, struct error *err)
{
    char text[WRITER_NAME_SIZE], last[WRITER_NAME_SIZE], temporary[WRITER_NAME_SIZE];
    int fd, code = writer_name(name, text, err);
    if (code == 0)
        code = open_parent(writer, target, &fd, last, err);
    if (code != 0)
        return error_prefix(err, "cannot link to the first name of the file");
    int result = link_entry(fd, last, directory, text);
    if (result != 0 && errno == EEXIST) {
        struct source_stat old, new;
        code = source_stat(directory, text, &old, err);
        if (code == 0)
            code = source_stat(fd, last, &new, err);
        /* There it is; and to rename one name of a file to another does nothing. */
        if (code == 0 && old.inode == new.inode && old.device == new.device)
            goto out;
        if (code == 0 && !replace)
            code = error_in_the_way(err);
        if (code == 0) {
            writer_temporary_name(temporary);
            result = link_entry(fd, last, directory, temporary);
            if (result == 0)
                code = writer_take_name(directory, temporary, text, err);
            /* It is still there, too, if both were names of the file: not every file system can tell. */
            if (result == 0)
                writer_remove(directory, bytes_of_string(temporary), NULL);
        }
    }
    if (code == 0 && result != 0)
        code = error_set_errno(err, errno, "cannot link to the first name of the file");
out:
    close(fd);
    return code;
}
