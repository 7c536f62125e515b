#include "storage/storage.h"

#include "base/file.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LEFTOVER_SECONDS (24 * 60 * 60)
#define TEMPORARY_TRIES 1000
#define COMPARE_BYTES 65536
#define DIRECT_ALIGNMENT 4096
#define DIRECT_MIN (1u << 20)

struct local {
    char *path;
    atomic_bool missing; /* the first put makes the folder, and knows what follows */
    pthread_mutex_t making;
    /* Which folder it was when it was opened: what appears under its path after an unmount is another. */
    dev_t device;
    ino_t inode;
    atomic_uint temporaries;
};

static int make_root(struct local *local, struct error *err)
{
    struct stat st;
    pthread_mutex_lock(&local->making);
    int code = atomic_load(&local->missing) ? file_make_directories(local->path, 0700, err) : 0;
    if (code == 0 && atomic_load(&local->missing)) {
        if (stat(local->path, &st) != 0) {
            code = error_set_errno(err, errno, "cannot open folder %s", local->path);
        } else {
            local->device = st.st_dev;
            local->inode = st.st_ino;
            atomic_store(&local->missing, false);
        }
    }
    pthread_mutex_unlock(&local->making);
    return code;
}

static int open_root(struct local *local, bool create, int *fd, struct error *err)
{
    struct stat st;
    *fd = -1;
    if (atomic_load(&local->missing)) {
        int code = create ? make_root(local, err)
                          : error_set(err, ERROR_NOT_FOUND, "there is no folder %s", local->path);
        if (code != 0)
            return code;
    }
    *fd = open(local->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0 && errno != ENOENT && errno != ENOTDIR)
        return error_set_errno(err, errno, "cannot open folder %s", local->path);
    if (*fd >= 0 && fstat(*fd, &st) == 0 && st.st_dev == local->device && st.st_ino == local->inode)
        return 0;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    error_set(err, ERROR_FAILED, "the folder %s is no longer the one that was opened", local->path);
    error_hint(err, "was it removed or unmounted? run the command again when it is back");
    return ERROR_FAILED;
}

static int sync_folder(const struct local *local, int fd, const char *name, struct error *err)
{
    /* Some file systems cannot sync a folder and say EINVAL: they have nothing to sync. */
    if (fsync(fd) != 0 && errno != EINVAL)
        return error_set_errno(err, errno, "cannot sync the folder of %s/%s", local->path, name);
    return 0;
}

/* ENOTDIR and ELOOP below the root: something stands where a folder or an object belongs. */
static int foreign_entry(const struct local *local, const char *name, struct error *err)
{
    error_set(err, ERROR_INTEGRITY, "%s/%s: on the way there is something that is no folder or regular file",
              local->path, name);
    error_hint(err, "symbolic links and special files do not belong there: move them away");
    return ERROR_INTEGRITY;
}

/* Opens a folder below *fd in place of it. */
static int enter_folder(const struct local *local, int *fd, const char *part, const char *name, bool create,
                        struct error *err)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int next = openat(*fd, part, flags);
    if (next < 0 && errno == ENOENT && create) {
        if (mkdirat(*fd, part, 0700) != 0 && errno != EEXIST)
            return error_set_errno(err, errno, "cannot create the folder of %s/%s", local->path, name);
        int code = sync_folder(local, *fd, name, err);
        if (code != 0)
            return code;
        next = openat(*fd, part, flags);
    }
    if (next < 0 && (errno == ENOTDIR || errno == ELOOP))
        return foreign_entry(local, name, err);
    if (next < 0)
        return error_set_errno(err, errno, "cannot open the folder of %s/%s", local->path, name);
    close(*fd);
    *fd = next;
    return 0;
}

/* Opens the folder that holds name; *last points to the last part of it. NOT_FOUND if a folder is missing. */
static int open_folder(struct local *local, const char *name, bool create, int *fd, const char **last,
                       struct error *err)
{
    int code = open_root(local, create, fd, err);
    const char *slash;
    for (*last = name; code == 0 && (slash = strchr(*last, '/')); *last = slash + 1) {
        char part[STORAGE_NAME_MAX + 1];
        snprintf(part, sizeof part, "%.*s", (int)(slash - *last), *last);
        code = enter_folder(local, fd, part, name, create, err);
    }
    if (code != 0 && *fd >= 0)
        close(*fd);
    return code;
}

static int open_object(const struct local *local, const char *name, int folder, const char *last, int *fd,
                       struct stat *st, struct error *err)
{
    *fd = openat(folder, last, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (*fd < 0 && (errno == ELOOP || errno == ENXIO))
        return foreign_entry(local, name, err);
    if (*fd < 0)
        return error_set_errno(err, errno, "cannot open %s/%s", local->path, name);
    int code = 0;
    if (fstat(*fd, st) != 0)
        code = error_set_errno(err, errno, "cannot examine %s/%s", local->path, name);
    else if (!S_ISREG(st->st_mode))
        code = foreign_entry(local, name, err);
    if (code != 0)
        close(*fd);
    return code;
}

static bool file_holds(int fd, struct bytes data)
{
    bool same = true;
    uint8_t *piece = memory_alloc(COMPARE_BYTES);
    for (size_t at = 0; same && at < data.size; at += COMPARE_BYTES) {
        size_t size = data.size - at < COMPARE_BYTES ? data.size - at : COMPARE_BYTES;
        same = file_read_full(fd, piece, size) == (ssize_t)size && memcmp(piece, data.data + at, size) == 0;
    }
    free(piece);
    return same;
}

static bool is_stored(const struct local *local, const char *name, int folder, const char *last,
                      struct bytes data)
{
    int fd;
    struct stat st;
    if (open_object(local, name, folder, last, &fd, &st, NULL) != 0)
        return false;
    bool same = (uint64_t)st.st_size == data.size && file_holds(fd, data);
    close(fd);
    return same;
}

static int create_temporary(struct local *local, const char *name, int folder, char temporary[64], int *fd,
                            struct error *err)
{
    /* A name may be taken: by a crashed process with our number, or by one on another machine. */
    for (unsigned tries = 0; tries < TEMPORARY_TRIES; tries++) {
        snprintf(temporary, 64, ".tmp-%ld-%u", (long)getpid(), atomic_fetch_add(&local->temporaries, 1));
        *fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (*fd >= 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    return error_set_errno(err, errno, "cannot create a file for %s/%s", local->path, name);
}

/* Under its name in one step; with `fresh` only if nothing is there. */
static int name_object(int folder, const char *temporary, const char *last, const char *path, bool fresh,
                       struct error *err)
{
    if (!fresh && renameat(folder, temporary, folder, last) == 0)
        return 0;
    if (fresh && linkat(folder, temporary, folder, last, 0) == 0) {
        unlinkat(folder, temporary, 0);
        return 0;
    }
    if (fresh && (errno == EPERM || errno == ENOTSUP))
        return error_set(err, ERROR_UNSUPPORTED, "the file system of %s has no hard links", path);
    return error_set_errno(err, errno, "cannot create %s", path);
}

/* The whole pages of a large object go to the disk past the page cache: copying them there costs as much as
 * sealing did, and they would drive out what the server works with. Returns how many bytes were taken, 0
 * where the file system or the data's place in memory does not allow it: the rest goes the ordinary way,
 * which reports errors. */
static size_t write_direct(int fd, struct bytes data)
{
    size_t size = data.size / DIRECT_ALIGNMENT * DIRECT_ALIGNMENT;
    int flags = fcntl(fd, F_GETFL);
    if (size < DIRECT_MIN || (uintptr_t)data.data % DIRECT_ALIGNMENT || flags < 0 ||
        fcntl(fd, F_SETFL, flags | O_DIRECT) != 0)
        return 0;
    ssize_t n = write(fd, data.data, size);
    return fcntl(fd, F_SETFL, flags) == 0 && n > 0 ? (size_t)n : 0;
}

static int write_object(struct local *local, const char *name, int folder, const char *last,
                        struct bytes data, bool fresh, struct error *err)
{
    char temporary[64];
    int fd;
    int code = create_temporary(local, name, folder, temporary, &fd, err);
    if (code != 0)
        return code;
    char *path = file_join(local->path, name);
    size_t done = write_direct(fd, data);
    code = file_write_all(fd, bytes_of(data.data + done, data.size - done), path, err);
    if (code == 0 && fsync(fd) != 0)
        code = error_set_errno(err, errno, "cannot sync %s", path);
    if (close(fd) != 0 && code == 0)
        code = error_set_errno(err, errno, "cannot close %s", path);
    if (code == 0)
        code = name_object(folder, temporary, last, path, fresh, err);
    if (code != 0)
        unlinkat(folder, temporary, 0);
    free(path);
    return code;
}

static int put(void *driver, const char *name, struct bytes data, bool fresh, struct error *err)
{
    struct local *local = driver;
    int folder;
    const char *last;
    int code = open_folder(local, name, true, &folder, &last, err);
    if (code != 0)
        return code;
    if (fresh || !is_stored(local, name, folder, last, data))
        code = write_object(local, name, folder, last, data, fresh, err);
    /* Also for what was there: the process that wrote it may have ended before it came to this. */
    if (code == 0)
        code = sync_folder(local, folder, name, err);
    close(folder);
    return code;
}

static int local_put(void *driver, const char *name, struct bytes data, struct error *err)
{
    return put(driver, name, data, false, err);
}

static int local_put_new(void *driver, const char *name, struct bytes data, struct error *err)
{
    return put(driver, name, data, true, err);
}

static int read_range(int fd, const char *path, uint64_t offset, size_t size, struct buffer *out,
                      struct error *err)
{
    size_t start = out->size;
    uint8_t *to = buffer_extend(out, size);
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(fd, to + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            out->size = start;
            if (n < 0 && errno == EIO) /* the medium: another copy must take its place */
                return error_set(err, ERROR_INTEGRITY, "%s cannot be read: the disk reports an error", path);
            return n < 0 ? error_set_errno(err, errno, "cannot read %s", path)
                         : error_set(err, ERROR_INTEGRITY, "%s shrank while it was read", path);
        }
        done += (size_t)n;
    }
    return 0;
}

static int local_get(void *driver, const char *name, uint64_t offset, size_t size, bool whole,
                     struct buffer *out, struct error *err)
{
    struct local *local = driver;
    int folder, fd;
    const char *last;
    struct stat st;
    int code = open_folder(local, name, false, &folder, &last, err);
    if (code != 0)
        return code;
    code = open_object(local, name, folder, last, &fd, &st, err);
    close(folder);
    if (code != 0)
        return code;
    char *path = file_join(local->path, name);
    uint64_t length = (uint64_t)st.st_size;
    if (whole && length > size)
        code = error_set(err, ERROR_INTEGRITY, "%s has %llu bytes, at most %zu are expected", path,
                         (unsigned long long)length, size);
    else if (!whole && (offset > length || length - offset < size))
        code = error_set(err, ERROR_INTEGRITY, "%s has %llu bytes, %zu are expected from %llu on", path,
                         (unsigned long long)length, size, (unsigned long long)offset);
    else
        code = read_range(fd, path, offset, whole ? (size_t)length : size, out, err);
    free(path);
    close(fd);
    return code;
}

static int local_head(void *driver, const char *name, uint64_t *size, int64_t *time, struct error *err)
{
    struct local *local = driver;
    int folder;
    const char *last;
    struct stat st;
    int code = open_folder(local, name, false, &folder, &last, err);
    if (code != 0)
        return code;
    if (fstatat(folder, last, &st, AT_SYMLINK_NOFOLLOW) != 0)
        code = error_set_errno(err, errno, "cannot examine %s/%s", local->path, name);
    else if (!S_ISREG(st.st_mode))
        code = foreign_entry(local, name, err);
    close(folder);
    if (code == 0 && size)
        *size = (uint64_t)st.st_size;
    if (code == 0 && time)
        *time = st.st_mtim.tv_sec;
    return code;
}

struct walk {
    struct local *local;
    storage_list_callback *callback;
    void *context;
    time_t now;
    char name[STORAGE_NAME_MAX + 1]; /* of the entry at hand, from the root */
};

static bool is_temporary(const char *name)
{
    unsigned long pid, number;
    int end = 0;
    return sscanf(name, ".tmp-%lu-%lu%n", &pid, &number, &end) == 2 && !name[end];
}

/* What a crashed process left behind. Failing is harmless: it is tried again by the next listing. */
static void remove_leftover(const struct walk *walk, int folder, const char *name)
{
    struct stat st;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
        walk->now - st.st_mtim.tv_sec > LEFTOVER_SECONDS)
        unlinkat(folder, name, 0);
}

static int walk_folder(struct walk *walk, int fd, size_t length, struct error *err);

static int walk_subfolder(struct walk *walk, int folder, const char *part, size_t length, struct error *err)
{
    int fd = openat(folder, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return 0; /* gone, or no longer a folder */
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open folder %s/%s", walk->local->path, walk->name);
    if (length + 2 > sizeof walk->name) {
        close(fd);
        return 0; /* no name that is ours fits below */
    }
    walk->name[length] = '/';
    return walk_folder(walk, fd, length + 1, err);
}

static int walk_entry(struct walk *walk, int folder, const struct dirent *entry, size_t length,
                      struct error *err)
{
    size_t part = strlen(entry->d_name);
    if (entry->d_name[0] == '.') {
        if (is_temporary(entry->d_name))
            remove_leftover(walk, folder, entry->d_name);
        return 0;
    }
    if (part > STORAGE_NAME_MAX - length)
        return 0;
    memcpy(walk->name + length, entry->d_name, part + 1);
    if (!storage_is_name(walk->name))
        return 0;
    if (entry->d_type == DT_DIR)
        return walk_subfolder(walk, folder, entry->d_name, length + part, err);
    if (entry->d_type != DT_REG && entry->d_type != DT_UNKNOWN)
        return 0;
    struct stat st;
    if (fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT
                   ? 0
                   : error_set_errno(err, errno, "cannot examine %s/%s", walk->local->path, walk->name);
    if (S_ISDIR(st.st_mode))
        return walk_subfolder(walk, folder, entry->d_name, length + part, err);
    if (!S_ISREG(st.st_mode))
        return 0;
    struct storage_object object = {walk->name, (uint64_t)st.st_size, st.st_mtim.tv_sec, false};
    return walk->callback(&object, walk->context);
}

/* Takes fd over. walk->name holds the folder's name with a slash, length bytes. */
static int walk_folder(struct walk *walk, int fd, size_t length, struct error *err)
{
    DIR *folder = fdopendir(fd);
    if (!folder) {
        int code = error_set_errno(err, errno, "cannot read folder %s", walk->local->path);
        close(fd);
        return code;
    }
    int code = 0;
    while (code == 0) {
        errno = 0;
        struct dirent *entry = readdir(folder);
        if (!entry && errno != 0 && errno != ENOENT)
            code = error_set_errno(err, errno, "cannot read folder %s/%.*s", walk->local->path, (int)length,
                                   walk->name);
        if (!entry)
            break;
        code = walk_entry(walk, dirfd(folder), entry, length, err);
    }
    closedir(folder);
    return code;
}

static int local_list(void *driver, const char *prefix, storage_list_callback *callback, void *context,
                      struct error *err)
{
    struct walk walk = {.local = driver, .callback = callback, .context = context, .now = time(NULL)};
    int fd;
    const char *last;
    /* A folder that was never needed has no objects. */
    int code = open_folder(walk.local, prefix, false, &fd, &last, err);
    if (code != 0)
        return code == ERROR_NOT_FOUND ? 0 : code;
    snprintf(walk.name, sizeof walk.name, "%s", prefix);
    return walk_folder(&walk, fd, strlen(prefix), err);
}

static int local_remove(void *driver, const char *name, struct error *err)
{
    struct local *local = driver;
    int folder;
    const char *last;
    int code = open_folder(local, name, false, &folder, &last, err);
    if (code != 0)
        return code == ERROR_NOT_FOUND ? 0 : code;
    if (unlinkat(folder, last, 0) != 0 && errno != ENOENT)
        code = error_set_errno(err, errno, "cannot remove %s/%s", local->path, name);
    else
        code = sync_folder(local, folder, name, err);
    close(folder);
    return code;
}

static void local_free(void *driver)
{
    struct local *local = driver;
    pthread_mutex_destroy(&local->making);
    free(local->path);
    free(local);
}

static const struct storage_driver local_driver = {
    .type = "local",
    .put = local_put,
    .get = local_get,
    .head = local_head,
    .list = local_list,
    .remove = local_remove,
    .free = local_free,
    .put_new = local_put_new,
};

int storage_open_local(const char *label, const char *path, bool create, struct storage **storage,
                       struct error *err)
{
    struct stat st = {0};
    int code = 0;
    bool missing = create && stat(path, &st) != 0 && errno == ENOENT;
    if (!missing && stat(path, &st) != 0)
        code = error_set_errno(err, errno, "cannot open folder %s", path);
    else if (!missing && !S_ISDIR(st.st_mode))
        code = error_set(err, ERROR_NOT_FOUND, "%s is not a folder", path);
    if (code == ERROR_NOT_FOUND)
        error_hint(err, "check the path; is the disk mounted? (only init and heal make the folder)");
    if (code != 0) {
        error_prefix(err, "target %s", label);
        return code;
    }
    struct local *local = memory_new(struct local);
    /* The working folder may change; the target must not. */
    char *absolute = realpath(path, NULL);
    local->path = memory_copy_string(absolute ? absolute : path);
    free(absolute);
    atomic_init(&local->missing, missing);
    pthread_mutex_init(&local->making, NULL);
    local->device = st.st_dev;
    local->inode = st.st_ino;
    *storage = storage_new(&local_driver, local, label, path);
    return 0;
}
