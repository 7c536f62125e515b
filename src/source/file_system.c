#include "source/file_system.h"

#include "base/bytes.h"
#include "base/file.h"
#include "base/memory.h"
#include "crypto/digest.h"
#include "source/mounts.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Of Linux 6.8 and 6.9; the headers may be older. */
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000u
#endif
struct uuid_answer {
    uint8_t size, uuid[16];
};
#ifndef FS_IOC_GETFSUUID
#define FS_IOC_GETFSUUID _IOR(0x15, 0, struct uuid_answer)
#endif

/* Those that linux/magic.h lacks. */
#define ZFS_MAGIC 0x2fc12fc1u
#define BCACHEFS_MAGIC 0xca451a4eu
#define JFS_MAGIC 0x3153464au
#define LUSTRE_MAGIC 0x0bd00bd0u
#define CIFS_MAGIC 0xff534d42u

/* A stamp is of the last tick, or of the last two seconds. */
#define COARSE_SECONDS 2
/* The clock of a server that nobody sets, and what it learns late of what others write. */
#define REMOTE_SECONDS 3600

#define SLAVES_DEPTH 8
#define SYSFS_TEXT_MAX 4096u

/* A folder whose file system is looked at. */
struct place {
    int fd;
    struct statfs fs;
    uint32_t kind;
    dev_t device;
    uint64_t mount; /* as /proc/self/mountinfo has it; 0: not known */
};

enum group {
    ORDINARY, /* has a name of its own that lasts, and inodes that are used again only with other times */
    REMOTE,
    MEMORY,
    OTHER
};

static enum group group_of(uint32_t kind)
{
    static const struct {
        uint32_t kind;
        enum group group;
    } known[] = {{EXT4_SUPER_MAGIC, ORDINARY},
                 {XFS_SUPER_MAGIC, ORDINARY},
                 {BTRFS_SUPER_MAGIC, ORDINARY},
                 {F2FS_SUPER_MAGIC, ORDINARY},
                 {REISERFS_SUPER_MAGIC, ORDINARY},
                 {NILFS_SUPER_MAGIC, ORDINARY},
                 {ZFS_MAGIC, ORDINARY},
                 {BCACHEFS_MAGIC, ORDINARY},
                 {JFS_MAGIC, ORDINARY},
                 {NFS_SUPER_MAGIC, REMOTE},
                 {SMB_SUPER_MAGIC, REMOTE},
                 {SMB2_SUPER_MAGIC, REMOTE},
                 {CIFS_MAGIC, REMOTE},
                 {CEPH_SUPER_MAGIC, REMOTE},
                 {AFS_SUPER_MAGIC, REMOTE},
                 {LUSTRE_MAGIC, REMOTE},
                 {TMPFS_MAGIC, MEMORY},
                 {RAMFS_MAGIC, MEMORY},
                 {HUGETLBFS_MAGIC, MEMORY}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].kind == kind)
            return known[i].group;
    }
    return OTHER;
}

/* ---- images ---- */

/* A file of sysfs as text, without its end of line; NULL if there is none. The caller frees it. */
static char *read_text(const char *folder, const char *name)
{
    struct buffer text = {0};
    char *path = memory_format("%s/%s", folder, name), *result = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? file_read_full(fd, buffer_extend(&text, SYSFS_TEXT_MAX), SYSFS_TEXT_MAX) : -1;
    if (fd >= 0)
        close(fd);
    if (n > 0)
        result = memory_format("%.*s", (int)n - (text.data[n - 1] == '\n'), (const char *)text.data);
    buffer_free(&text);
    free(path);
    return result;
}

/* The file behind the loop device that a device is, is a part of, or is made of; NULL: there is none. */
static char *find_image(const char *device, int depth)
{
    static const char *const names[] = {"loop/backing_file", "../loop/backing_file"};
    char *image = NULL;
    for (size_t i = 0; i < 2 && !image; i++)
        image = read_text(device, names[i]);
    char *slaves = memory_format("%s/slaves", device);
    DIR *list = image || depth == 0 ? NULL : opendir(slaves);
    for (struct dirent *entry; list && !image && (entry = readdir(list));) {
        char *slave = memory_format("%s/%s", slaves, entry->d_name);
        if (entry->d_name[0] != '.')
            image = find_image(slave, depth - 1);
        free(slave);
    }
    if (list)
        closedir(list);
    free(slaves);
    return image;
}

/* The block device of a file system, as sysfs names it. Some show a device number of their own. */
static char *device_folder(const struct place *p)
{
    struct stat st;
    dev_t device = p->device;
    char *source = major(device) == 0 ? mounts_source(p->mount) : NULL;
    if (source && source[0] == '/' && stat(source, &st) == 0 && S_ISBLK(st.st_mode))
        device = st.st_rdev;
    free(source);
    return memory_format("/sys/dev/block/%u:%u", major(device), minor(device));
}

/* ---- identities ---- */

static void append_uuid(const struct place *p, struct buffer *text)
{
    struct uuid_answer answer = {0};
    struct btrfs_ioctl_fs_info_args info = {0};
    if (ioctl(p->fd, FS_IOC_GETFSUUID, &answer) == 0 && answer.size)
        buffer_append(text, answer.uuid, sizeof answer.uuid);
    else if (p->kind == BTRFS_SUPER_MAGIC && ioctl(p->fd, BTRFS_IOC_FS_INFO, &info) == 0)
        buffer_append(text, info.fsid, sizeof info.fsid);
    else
        buffer_append(text, &p->fs.f_fsid, sizeof p->fs.f_fsid);
}

/* What is mounted; of a snapshot of ZFS, what it is one of. */
static bool append_source(const struct place *p, struct buffer *text)
{
    char *source = mounts_source(p->mount);
    bool known = source != NULL;
    if (known)
        buffer_append(text, source, p->kind == ZFS_MAGIC ? strcspn(source, "@") : strlen(source));
    free(source);
    return known;
}

static void append_stat(const struct stat *st, struct buffer *text)
{
    buffer_append_format(text, " %llu %llu %lld %lld.%09ld %lld.%09ld", (unsigned long long)st->st_dev,
                         (unsigned long long)st->st_ino, (long long)st->st_size,
                         (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec, (long long)st->st_ctim.tv_sec,
                         st->st_ctim.tv_nsec);
}

/* A kernel that does not number mounts for good uses a number again: then the number of the disk, or of the
 * connection to a FUSE server, with the time when it was made, tells more. */
static void append_old_mount(const struct place *p, struct buffer *text)
{
    struct stat st;
    char *folder = device_folder(p), *sequence = read_text(folder, "diskseq");
    char *connection = memory_format("/sys/fs/fuse/connections/%u", minor(p->device));
    buffer_append_format(text, "old %llu disk %s", (unsigned long long)p->mount, sequence ? sequence : "");
    if (stat(connection, &st) == 0)
        append_stat(&st, text);
    free(connection);
    free(sequence);
    free(folder);
}

/* The mount, of this boot. As the first process has it: what systemd starts sees copies, which are new ones
 * each time. */
static bool append_mount(const struct place *p, struct buffer *text)
{
    char self[32];
    struct statx first, own = {0};
    char *boot = read_text("/proc/sys/kernel/random", "boot_id");
    if (!boot)
        return false;
    buffer_append_string(text, boot);
    free(boot);
    snprintf(self, sizeof self, "/proc/self/fd/%d", p->fd);
    char *real = realpath(self, NULL), *path = memory_format("/proc/1/root%s", real ? real : "/");
    if (statx(p->fd, "", AT_EMPTY_PATH, STATX_MNT_ID_UNIQUE | STATX_INO, &own) == 0 &&
        (own.stx_mask & STATX_MNT_ID_UNIQUE)) {
        if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_MNT_ID_UNIQUE | STATX_INO,
                  &first) == 0 &&
            first.stx_dev_major == own.stx_dev_major && first.stx_dev_minor == own.stx_dev_minor &&
            first.stx_ino == own.stx_ino)
            own = first;
        buffer_append_format(text, " %llu", (unsigned long long)own.stx_mnt_id);
    } else {
        append_old_mount(p, text);
    }
    free(real);
    free(path);
    return true;
}

/* A file that is mounted read-only stays what it is as long as it is the same file. */
static bool append_image(const struct place *p, const char *image, struct buffer *text)
{
    struct stat st;
    if (!(p->fs.f_flags & ST_RDONLY) || stat(image, &st) != 0)
        return append_mount(p, text);
    buffer_append_string(text, image);
    append_stat(&st, text);
    return true;
}

static bool identify(const struct place *p, struct buffer *text)
{
    buffer_append_format(text, "%x ", p->kind);
    if (group_of(p->kind) == REMOTE || p->kind == ZFS_MAGIC)
        return append_source(p, text);
    char *folder = device_folder(p), *image = find_image(folder, SLAVES_DEPTH);
    bool known = true;
    if (image)
        known = append_image(p, image, text);
    else if (group_of(p->kind) == ORDINARY)
        append_uuid(p, text);
    else
        known = append_mount(p, text);
    free(folder);
    free(image);
    return known;
}

/* Of an overlay the layer that is written to counts. */
static bool is_in_memory(const struct place *p)
{
    struct statfs upper;
    if (p->kind != OVERLAYFS_SUPER_MAGIC)
        return group_of(p->kind) == MEMORY;
    char *folder = mounts_option(p->mount, "upperdir=");
    bool memory = folder && statfs(folder, &upper) == 0 && group_of((uint32_t)upper.f_type) == MEMORY;
    free(folder);
    return memory;
}

void source_file_system_examine(int folder, struct source_file_system *out)
{
    struct place p = {.fd = folder};
    struct statx st;
    *out = (struct source_file_system){.tolerance = COARSE_SECONDS};
    if (fstatfs(folder, &p.fs) != 0 || statx(folder, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) != 0)
        return;
    p.kind = (uint32_t)p.fs.f_type;
    p.device = makedev(st.stx_dev_major, st.stx_dev_minor);
    p.mount = st.stx_mask & STATX_MNT_ID ? st.stx_mnt_id : 0;
    out->times_tell = !is_in_memory(&p);
    if (group_of(p.kind) == REMOTE || p.kind == FUSE_SUPER_MAGIC)
        out->tolerance = REMOTE_SECONDS;
    struct buffer text = {0};
    if (identify(&p, &text))
        sha256(buffer_bytes(&text), &out->identity);
    buffer_free(&text);
}

bool source_file_system_sync(int folder)
{
    return syncfs(folder) == 0;
}
