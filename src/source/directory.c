#include "source/directory.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "source/open.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define DENTS_SIZE (256u * 1024)
#define DENTS_SIZE_MAX (64u * 1024 * 1024)
#define LISTINGS_MAX 3
#define TICK_MAX_NS (20 * 1000 * 1000)
#define CACHEDIR_SIGNATURE "Signature: 8a477f597d28d172789f06886806bc55"

int source_open_at(int directory, const char *name, int flags)
{
    flags |= O_CLOEXEC | O_NOCTTY | O_NOFOLLOW;
    int fd = openat(directory, name, flags | O_NOATIME);
    /* O_NOATIME is for the owner and for root. */
    if (fd < 0 && errno == EPERM)
        fd = openat(directory, name, flags);
    return fd;
}

enum node_type source_type_of_mode(unsigned mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return NODE_FILE;
    case S_IFDIR:
        return NODE_DIRECTORY;
    case S_IFLNK:
        return NODE_SYMLINK;
    case S_IFIFO:
        return NODE_FIFO;
    case S_IFCHR:
        return NODE_CHARACTER_DEVICE;
    case S_IFBLK:
        return NODE_BLOCK_DEVICE;
    case S_IFSOCK:
        return NODE_SOCKET;
    default:
        return NODE_UNKNOWN;
    }
}

int source_open_directory(int parent, const char *name, int *fd, struct error *err)
{
    *fd = source_open_at(parent, name, O_RDONLY | O_DIRECTORY);
    if (*fd < 0 && errno == ELOOP)
        errno = ENOTDIR;
    return *fd < 0 ? error_set_errno(err, errno, "cannot open the directory") : 0;
}

struct names {
    struct bytes *list;
    size_t count, capacity;
};

static bool is_dot(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* One allocation for all names of a getdents call. */
static void take_names(const uint8_t *dents, size_t size, struct arena *arena, struct names *names)
{
    char *to = arena_alloc(arena, size);
    size_t record;
    for (size_t at = 0; at < size; at += record) {
        const struct dirent64 *entry = (const struct dirent64 *)(const void *)(dents + at);
        record = entry->d_reclen;
        if (is_dot(entry->d_name))
            continue;
        size_t length = strlen(entry->d_name);
        memcpy(to, entry->d_name, length);
        to[length + 1] = (char)entry->d_type;
        memory_reserve_one(names->list, names->count, names->capacity);
        names->list[names->count++] = bytes_of(to, length);
        to += length + 2;
    }
}

enum node_type source_listed_type(struct bytes name)
{
    return source_type_of_mode((unsigned)DTTOIF(name.data[name.size + 1]));
}

static int compare_names(const void *a, const void *b)
{
    return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

/* One reading of the whole. *room: how much is asked for at once; then, how much it was. */
static int list_once(int fd, size_t *room, struct buffer *scratch, struct arena *arena, struct names *names,
                     struct error *err)
{
    size_t total = 0;
    buffer_clear(scratch);
    buffer_reserve(scratch, *room);
    for (;;) {
        ssize_t n = getdents64(fd, scratch->data, *room);
        if (n < 0)
            return error_set_errno(err, errno, "cannot list the directory");
        if (n == 0)
            break;
        total += (size_t)n;
        take_names(scratch->data, (size_t)n, arena, names);
        if (names->count > SOURCE_ENTRIES_MAX)
            return error_set(err, ERROR_UNSUPPORTED, "the directory has more than %u entries",
                             SOURCE_ENTRIES_MAX);
    }
    *room = total;
    return 0;
}

static bool same_times(const struct source_stat *a, const struct source_stat *b)
{
    return a->mtime_seconds == b->mtime_seconds && a->mtime_nanoseconds == b->mtime_nanoseconds &&
           a->ctime_seconds == b->ctime_seconds && a->ctime_nanoseconds == b->ctime_nanoseconds;
}

/* True if the directory may have changed again without its times telling, for they move in steps: of a tick
 * of the kernel, or of a second or two. */
static bool changed_now(const struct source_stat *st)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t age = now.tv_sec - st->ctime_seconds;
    if (age < -1 || age > 3)
        return false;
    return st->ctime_nanoseconds == 0 ||
           age * 1000000000 + now.tv_nsec - st->ctime_nanoseconds <= TICK_MAX_NS;
}

/* Lists again what changed while it was listed; at best in one call, during which the kernel lets nobody
 * change it. What cannot be listed again has been listed once. */
static void list_again(int fd, const struct source_stat *before, size_t room, struct buffer *scratch,
                       struct arena *arena, struct names *names)
{
    struct source_stat then = *before, now;
    for (int i = 0; i < LISTINGS_MAX; i++) {
        if (source_stat(fd, "", &now, NULL) != 0 || (same_times(&then, &now) && !changed_now(&now)))
            return;
        room += room / 4 + DENTS_SIZE;
        if (room > DENTS_SIZE_MAX)
            room = DENTS_SIZE_MAX;
        if (lseek(fd, 0, SEEK_SET) != 0 || list_once(fd, &room, scratch, arena, names, NULL) != 0)
            return;
        then = now;
    }
}

int source_list_directory(int fd, const struct source_stat *before, struct buffer *scratch,
                          struct arena *arena, struct bytes **list, size_t *count, struct error *err)
{
    struct names names = {0};
    size_t room = DENTS_SIZE;
    int code = list_once(fd, &room, scratch, arena, &names, err);
    if (code != 0)
        goto out;
    if (before)
        list_again(fd, before, room, scratch, arena, &names);
    if (names.count)
        qsort(names.list, names.count, sizeof *names.list, compare_names);
    size_t kept = 0;
    *list = arena_alloc_array(arena, names.count, sizeof **list);
    for (size_t i = 0; i < names.count; i++)
        if (kept == 0 || !bytes_equal((*list)[kept - 1], names.list[i]))
            (*list)[kept++] = names.list[i];
    *count = kept;
out:
    free(names.list);
    return code;
}

static uint32_t flags_of_attributes(uint64_t attributes)
{
    return (attributes & STATX_ATTR_IMMUTABLE ? FS_IMMUTABLE_FL : 0u) |
           (attributes & STATX_ATTR_APPEND ? FS_APPEND_FL : 0u) |
           (attributes & STATX_ATTR_NODUMP ? FS_NODUMP_FL : 0u);
}

int source_stat(int directory, const char *name, struct source_stat *out, struct error *err)
{
    struct statx st;
    int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH);
    if (statx(directory, name, flags, STATX_BASIC_STATS | STATX_BTIME, &st) != 0)
        return error_set_errno(err, errno, "cannot examine");
    *out = (struct source_stat){
        .type = source_type_of_mode(st.stx_mode),
        .mode = st.stx_mode & 07777u,
        .uid = st.stx_uid,
        .gid = st.stx_gid,
        .link_count = st.stx_nlink,
        .size = st.stx_size,
        .blocks = st.stx_blocks,
        .mtime_seconds = st.stx_mtime.tv_sec,
        .ctime_seconds = st.stx_ctime.tv_sec,
        .mtime_nanoseconds = st.stx_mtime.tv_nsec,
        .ctime_nanoseconds = st.stx_ctime.tv_nsec,
        .birth_seconds = st.stx_mask & STATX_BTIME ? st.stx_btime.tv_sec : 0,
        .birth_nanoseconds = st.stx_mask & STATX_BTIME ? st.stx_btime.tv_nsec : 0,
        .inode = st.stx_ino,
        .device = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor,
        .device_major = st.stx_rdev_major,
        .device_minor = st.stx_rdev_minor,
        .attribute_flags = flags_of_attributes(st.stx_attributes),
        .mount_root = (st.stx_attributes & st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0,
    };
    return 0;
}

int source_stat_path(const char *path, struct source_stat *out, struct error *err)
{
    char piece[PATH_MAX];
    int at = AT_FDCWD;
    while (strlen(path) >= sizeof piece) {
        const char *end = memrchr(path, '/', sizeof piece - 1);
        size_t length = end ? (size_t)(end - path) : 0;
        memcpy(piece, path, length);
        piece[length] = '\0';
        int next = length ? openat(at, piece, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
        if (at >= 0)
            close(at);
        if (next < 0)
            return error_set(err, ERROR_NOT_FOUND, "vanished before it was read");
        at = next;
        path = end + strspn(end, "/");
    }
    int code = source_stat(at, path, out, err);
    if (at >= 0)
        close(at);
    return code;
}

/* What kind of file system a descriptor leads to; 0: it cannot be told. */
static uint32_t kind_of(int fd)
{
    struct statfs fs;
    return fd >= 0 && fstatfs(fd, &fs) == 0 ? (uint32_t)fs.f_type : 0;
}

static bool is_of_kernel(uint32_t kind)
{
    static const uint32_t kinds[] = {PROC_SUPER_MAGIC, SYSFS_MAGIC,   CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
                                     DEBUGFS_MAGIC,    TRACEFS_MAGIC, SECURITYFS_MAGIC,   SELINUX_MAGIC,
                                     PSTOREFS_MAGIC,   BPF_FS_MAGIC,  DEVPTS_SUPER_MAGIC, BINFMTFS_MAGIC};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kind == kinds[i])
            return true;
    }
    return false;
}

bool source_is_of_kernel(int fd)
{
    return is_of_kernel(kind_of(fd));
}

const char *source_not_entered(int parent, const char *name)
{
    int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    uint32_t kind = kind_of(fd);
    if (fd >= 0)
        close(fd);
    return kind == AUTOFS_SUPER_MAGIC ? "looking into it would mount something"
           : is_of_kernel(kind)       ? "it shows the state of the kernel"
                                      : NULL;
}

int source_check_kind(const char *path, struct error *err)
{
    static const char *const kinds[] = {[NODE_FIFO] = "a FIFO",
                                        [NODE_CHARACTER_DEVICE] = "a character device",
                                        [NODE_BLOCK_DEVICE] = "a block device",
                                        [NODE_SOCKET] = "a socket"};
    struct stat st;
    enum node_type type = stat(path, &st) == 0 ? source_type_of_mode(st.st_mode) : NODE_UNKNOWN;
    if (type < NODE_FIFO)
        return 0;
    char *shown = text_visible(path);
    error_set(err, ERROR_FAILED, "source %s is neither a folder nor a file, but %s", shown, kinds[type]);
    if (type == NODE_SOCKET)
        error_hint(err, "what listens there makes it anew: take it out of paths");
    else
        error_hint(err,
                   "to keep what can be read from it, make it a job of its own, with type = \"command\"; "
                   "command = [ \"cat\", \"%s\" ]",
                   shown);
    free(shown);
    return ERROR_FAILED;
}

int source_beneath(int directory)
{
    return open_tree(directory, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
}

bool source_is_cachedir(int directory)
{
    char text[sizeof CACHEDIR_SIGNATURE - 1];
    int fd = source_open_at(directory, "CACHEDIR.TAG", O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return false;
    bool tagged = file_read_full(fd, text, sizeof text) == (ssize_t)sizeof text &&
                  memcmp(text, CACHEDIR_SIGNATURE, sizeof text) == 0;
    close(fd);
    return tagged;
}
