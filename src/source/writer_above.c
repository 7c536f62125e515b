/* The folders above what is restored. Step by step rather than by openat2(), which takes no path beyond
 * PATH_MAX, and whose answer has no path. */
#include "base/memory.h"
#include "base/text.h"
#include "source/directory.h"
#include "source/name.h"
#include "source/open.h"
#include "source/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40 /* as the kernel follows in one path */

/* The way down. */
struct descent {
    const struct writer *writer;
    const struct writer_above *above;
    int fd;              /* the folder reached; -1 where nothing is made, and it is missing */
    struct buffer place; /* its path below the destination, without links */
    unsigned links;
};

static int error_link(struct error *err, const char *name, const char *why)
{
    char *visible = text_visible(name);
    error_set(err, ERROR_EXISTS, "something is in the way: %.300s is a symbolic link %s", visible, why);
    free(visible);
    return error_hint(err, "restore to another folder, and move the files from there");
}

static int error_above(struct error *err, const char *name)
{
    char *visible = text_visible(name);
    error_set(err, ERROR_EXISTS, "something is in the way: %.300s is no folder", visible);
    free(visible);
    return error_hint(
        err, "what lies above a restored path is never replaced: move it away, or restore to another folder");
}

/* One folder down, if there is one of this name; false with errno, ENOTDIR also for links. */
static bool enter(struct descent *d, const char *name)
{
    int fd = source_open_at(d->fd, name, O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
        errno = errno == ELOOP ? ENOTDIR : errno;
        return false;
    }
    close(d->fd);
    d->fd = fd;
    buffer_append_format(&d->place, "/%s", name);
    return true;
}

/* Back to a folder that was reached before. */
static int go_back(struct descent *d, size_t size, struct error *err)
{
    int fd;
    d->place.size = size;
    int code = writer_open_path(d->writer, buffer_bytes(&d->place), &fd, err);
    if (code != 0)
        return code;
    close(d->fd);
    d->fd = fd;
    return 0;
}

static int go_up(struct descent *d, const char *link, struct error *err)
{
    size_t size = d->place.size;
    if (size == 0)
        return strcmp(writer_path(d->writer), "/") == 0
                   ? 0
                   : error_link(err, link, "that leads out of the destination");
    while (d->place.data[--size] != '/') {
    }
    return go_back(d, size, err);
}

/* Whoever can make links in a folder must not lead a restore by root to another one. */
static int read_link(const struct descent *d, const char *name, char target[PATH_MAX], struct error *err)
{
    struct source_stat st;
    int code = source_stat(d->fd, name, &st, err);
    if (code != 0)
        return code;
    if (st.type != NODE_SYMLINK)
        return error_above(err, name);
    if (st.uid != 0 && st.uid != geteuid())
        return error_link(err, name, "that belongs neither to root nor to you");
    ssize_t n = readlinkat(d->fd, name, target, PATH_MAX);
    if (n < 0)
        return error_set_errno(err, errno, "cannot read a symbolic link above it");
    if (n == PATH_MAX)
        return error_link(err, name, "that is too long");
    target[n] = '\0';
    return 0;
}

/* Where a target begins: an absolute one at the destination, as if that were the root, unless it names the
 * destination as it is seen from here. */
static int begin_link(struct descent *d, struct bytes *target, struct error *err)
{
    struct bytes root = bytes_of_string(writer_path(d->writer));
    if (target->size == 0 || *target->data != '/')
        return 0;
    if (target->size >= root.size && memcmp(target->data, root.data, root.size) == 0 &&
        (target->size == root.size || target->data[root.size] == '/'))
        *target = bytes_of(target->data + root.size, target->size - root.size);
    return go_back(d, 0, err);
}

/* Follows the link `name` of the folder reached, step by step: what it leads to must be there. */
static int follow(struct descent *d, const char *link, struct error *err)
{
    char target[PATH_MAX], text[WRITER_NAME_SIZE];
    struct buffer rest = {0};
    struct bytes path = bytes_of_string(link), name;
    int code = 0;
    while (code == 0 && writer_next_component(&path, &name)) {
        if (bytes_equal(name, bytes_of_string(".")))
            continue;
        if (bytes_equal(name, bytes_of_string(".."))) {
            code = go_up(d, link, err);
            continue;
        }
        if ((code = writer_name(name, text, err)) != 0)
            break;
        if (enter(d, text))
            continue;
        if (errno != ENOTDIR) {
            code = error_link(err, link,
                              errno == ENOENT ? "that leads to nothing in the destination"
                                              : "to a folder that cannot be opened");
            break;
        }
        code = ++d->links > LINKS_MAX ? error_link(err, link, "in a loop") : read_link(d, text, target, err);
        if (code != 0)
            break;
        struct buffer all = {0};
        buffer_append_string(&all, target);
        buffer_append_string(&all, "/");
        buffer_append(&all, path.data, path.size);
        buffer_free(&rest);
        rest = all;
        path = buffer_bytes(&rest);
        code = begin_link(d, &path, err);
    }
    buffer_free(&rest);
    return code;
}

/* Plain 0755 whatever the umask, or for nobody else until it gets the mode that the snapshot knows. */
static int make(struct descent *d, const char *name, bool known, struct error *err)
{
    struct source_stat st;
    if (mkdirat(d->fd, name, known ? 0700 : 0755) != 0 || !enter(d, name))
        return error_set_errno(err, errno, "cannot make a folder above it");
    if (!known && source_stat(d->fd, "", &st, NULL) == 0 && (st.mode & 0777) != 0755)
        fchmod(d->fd, (st.mode & 07000) | 0755);
    return 0;
}

/* One folder down; path is what the snapshot calls it. */
static int go_down(struct descent *d, struct bytes path, const char *name, struct error *err)
{
    const struct writer_above *above = d->above;
    bool known;
    int code = above->knows(above->context, path, &known, err);
    if (code != 0 || enter(d, name))
        return code;
    if (errno == ENOTDIR)
        return known ? error_above(err, name) : follow(d, name, err);
    if (errno != ENOENT)
        return error_set_errno(err, errno, "cannot open a folder above it");
    if (!above->make) {
        close(d->fd);
        d->fd = -1;
        return 0;
    }
    code = make(d, name, known, err);
    if (code == 0 && known)
        above->made(above->context, buffer_string(&d->place));
    return code;
}

int writer_go_above(const struct writer *writer, struct bytes path, const struct writer_above *above, int *fd,
                    char **place, struct error *err)
{
    char text[WRITER_NAME_SIZE];
    struct descent d = {.writer = writer, .above = above};
    struct bytes rest = path, name;
    int code = writer_open_path(writer, (struct bytes){0}, &d.fd, err);
    if (code != 0)
        return code;
    while (code == 0 && d.fd >= 0 && writer_next_component(&rest, &name)) {
        code = writer_name(name, text, err);
        if (code == 0)
            code = go_down(&d, bytes_of(path.data, path.size - rest.size), text, err);
    }
    if (code == 0) {
        *fd = d.fd;
        *place = memory_copy_string(buffer_string(&d.place));
    } else if (d.fd >= 0) {
        close(d.fd);
    }
    buffer_free(&d.place);
    return code;
}
