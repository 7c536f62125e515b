#include "base/file.h"

#include "base/memory.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

ssize_t file_read_full(int fd, void *to, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = read(fd, (char *)to + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static int read_open_file(int fd, const char *path, size_t max, struct buffer *out, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return error_set_errno(err, errno, "cannot examine %s", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERROR_USAGE, "%s is not a regular file", path);
    if ((uint64_t)st.st_size > max)
        return error_set(err, ERROR_USAGE, "%s has %lld bytes, at most %zu are expected", path,
                         (long long)st.st_size, max);
    size_t size = (size_t)st.st_size;
    size_t at = out->size;
    /* One byte more tells a file that grows. */
    ssize_t n = file_read_full(fd, buffer_extend(out, size + 1), size + 1);
    if (n < 0) {
        int code = error_set_errno(err, errno, "cannot read %s", path);
        out->size = at;
        return code;
    }
    out->size = at + (size_t)n;
    if ((size_t)n > size && size == max)
        return error_set(err, ERROR_USAGE, "%s grew while it was read", path);
    return 0;
}

int file_read(const char *path, size_t max, struct buffer *out, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open %s", path);
    int code = read_open_file(fd, path, max, out, err);
    close(fd);
    return code;
}

int file_read_secret(const char *path, size_t max, struct buffer *out, struct error *err)
{
    int code;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open %s", path);
    if (fstat(fd, &st) != 0) {
        code = error_set_errno(err, errno, "cannot examine %s", path);
        goto out;
    }
    if (S_ISREG(st.st_mode) && (st.st_mode & 077)) {
        error_set(err, ERROR_DENIED, "%s holds a secret but group or others may access it (mode %04o)", path,
                  (unsigned)st.st_mode & 07777);
        code = error_hint(err, "chmod 600 %s", path);
        goto out;
    }
    if (st.st_uid != 0 && st.st_uid != geteuid()) {
        error_set(err, ERROR_DENIED, "%s holds a secret but belongs to user %u", path, (unsigned)st.st_uid);
        code = error_hint(err, "chown it to root or to the user who runs holdfast");
        goto out;
    }
    if (S_ISREG(st.st_mode)) {
        code = read_open_file(fd, path, max, out, err);
        goto out;
    }
    /* A pipe, as in --passphrase-file <(command). */
    fcntl(fd, F_SETFL, 0);
    ssize_t n = file_read_full(fd, buffer_extend(out, max), max);
    code = n < 0 ? error_set_errno(err, errno, "cannot read %s", path) : 0;
    out->size -= max - (n < 0 ? 0 : (size_t)n);
out:
    close(fd);
    return code;
}

int file_write_all(int fd, struct bytes contents, const char *path, struct error *err)
{
    size_t done = 0;
    while (done < contents.size) {
        ssize_t n = write(fd, contents.data + done, contents.size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, errno, "cannot write %s", path);
        if (n == 0)
            return error_set(err, ERROR_NO_SPACE, "cannot write %s: the file system took no more bytes",
                             path);
        done += (size_t)n;
    }
    return 0;
}

char *file_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return memory_copy_string(".");
    if (slash == path)
        return memory_copy_string("/");
    char *parent = memory_copy(path, (size_t)(slash - path) + 1);
    parent[slash - path] = '\0';
    return parent;
}

char *file_join(const char *a, const char *b)
{
    size_t n = strlen(a);
    while (n > 1 && a[n - 1] == '/')
        n--;
    while (*b == '/')
        b++;
    if (n == 1 && *a == '/')
        n = 0;
    return memory_format("%.*s/%s", (int)n, a, b);
}

size_t file_normalise(char *path, size_t size)
{
    size_t to = size && path[0] == '/';
    for (size_t at = 0, n; at < size; at += n + 1) {
        const char *slash = memchr(path + at, '/', size - at);
        n = (slash ? (size_t)(slash - path) : size) - at;
        if (n == 0 || (n == 1 && path[at] == '.'))
            continue;
        if (to && path[to - 1] != '/')
            path[to++] = '/';
        memmove(path + to, path + at, n);
        to += n;
    }
    if (to == 0 && size)
        path[to++] = '.';
    return to;
}

static bool climbs(const char *path)
{
    for (size_t n; *path; path += n + (path[n] == '/')) {
        n = strcspn(path, "/");
        if (n == 2 && memcmp(path, "..", 2) == 0)
            return true;
    }
    return false;
}

int file_clean_path(const char *typed, char **clean, struct error *err)
{
    if (climbs(typed)) {
        char *shown = text_visible(typed);
        error_set(err, ERROR_USAGE, "%s: a path with \"..\" is not followed", shown);
        free(shown);
        return error_hint(err, "write the path that it leads to");
    }
    *clean = memory_copy_string(typed);
    (*clean)[file_normalise(*clean, strlen(*clean))] = '\0';
    return 0;
}

bool file_lies_in(struct bytes path, const char *above)
{
    size_t n = strlen(above);
    return path.size >= n && memcmp(path.data, above, n) == 0 &&
           (path.size == n || path.data[n] == '/' || (n && above[n - 1] == '/'));
}

static int sync_directory(const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open folder %s", path);
    int code = 0;
    /* Some file systems cannot sync a folder and say EINVAL: they have nothing to sync. */
    if (fsync(fd) != 0 && errno != EINVAL)
        code = error_set_errno(err, errno, "cannot sync folder %s", path);
    close(fd);
    return code;
}

int file_sync_parent(const char *path, struct error *err)
{
    char *parent = file_parent(path);
    int code = sync_directory(parent, err);
    free(parent);
    return code;
}

#define TEMPORARY ".tmp-"
#define LEFTOVER_SECONDS (24 * 60 * 60)

void file_remove_leftovers(const char *folder)
{
    DIR *opened = opendir(folder);
    for (struct dirent *entry; opened && (entry = readdir(opened));) {
        struct stat st;
        if (strstr(entry->d_name, TEMPORARY) &&
            fstatat(dirfd(opened), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            time(NULL) - st.st_mtim.tv_sec > LEFTOVER_SECONDS)
            unlinkat(dirfd(opened), entry->d_name, 0);
    }
    if (opened)
        closedir(opened);
}

static int write_file(const char *path, struct bytes contents, mode_t mode, bool replace, struct error *err)
{
    static atomic_uint counter;
    char *temporary =
        memory_format("%s" TEMPORARY "%ld-%u", path, (long)getpid(), atomic_fetch_add(&counter, 1));
    int code;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0 && errno == EEXIST && unlink(temporary) == 0) /* left by a crashed process with our number */
        fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) {
        code = error_set_errno(err, errno, "cannot create %s", temporary);
        free(temporary);
        return code;
    }
    code = file_write_all(fd, contents, path, err);
    if (code == 0 && fchmod(fd, mode) != 0) /* whatever the umask takes away */
        code = error_set_errno(err, errno, "cannot set the mode of %s", path);
    if (code == 0 && fsync(fd) != 0)
        code = error_set_errno(err, errno, "cannot sync %s", path);
    if (close(fd) != 0 && code == 0)
        code = error_set_errno(err, errno, "cannot close %s", path);
    if (code == 0 && (replace ? rename(temporary, path) : link(temporary, path)) != 0)
        code = error_set_errno(err, errno, "cannot create %s", path);
    if (code != 0 || !replace)
        unlink(temporary);
    if (code == 0)
        code = file_sync_parent(path, err);
    free(temporary);
    return code;
}

int file_write_atomic(const char *path, struct bytes contents, mode_t mode, struct error *err)
{
    return write_file(path, contents, mode, true, err);
}

/* A file without a name until it is whole: whoever is killed leaves nothing, for these files hold secrets. */
int file_create_atomic(const char *path, struct bytes contents, mode_t mode, struct error *err)
{
    char *parent = file_parent(path), self[32];
    int fd = open(parent, O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
    free(parent);
    if (fd < 0) /* a file system that cannot, or another reason that shows again */
        return write_file(path, contents, mode, false, err);
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    int code = file_write_all(fd, contents, path, err);
    if (code == 0 && fsync(fd) != 0)
        code = error_set_errno(err, errno, "cannot sync %s", path);
    if (code == 0 && linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) != 0)
        code = error_set_errno(err, errno, "cannot create %s", path);
    if (close(fd) != 0 && code == 0)
        code = error_set_errno(err, errno, "cannot close %s", path);
    return code == 0 ? file_sync_parent(path, err) : code;
}

int file_make_directories(const char *path, mode_t mode, struct error *err)
{
    struct stat st;
    if (stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return 0;
        return error_set(err, ERROR_FAILED, "%s is not a folder", path);
    }
    char *parent = file_parent(path);
    int code = 0;
    if (strcmp(parent, path) != 0)
        code = file_make_directories(parent, mode, err);
    if (code == 0 && mkdir(path, mode) != 0 && errno != EEXIST)
        code = error_set_errno(err, errno, "cannot create folder %s", path);
    else if (code == 0)
        code = sync_directory(parent, err);
    free(parent);
    return code;
}
