#include "source/mounts.h"

#include "base/arena.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mount {
    const char *path;
    enum mount_kind kind;
};

struct mounts {
    struct arena arena;
    struct mount *list; /* sorted by path */
    size_t count, capacity;
};

static int compare_mounts(const void *a, const void *b)
{
    const struct mount *x = a, *y = b;
    return strcmp(x->path, y->path);
}

/* File systems behind which no server and no program stands that may not answer. */
static enum mount_kind kind_of(const char *type)
{
    static const char *const local[] = {
        "bpf",    "btrfs",   "cgroup",  "cgroup2", "configfs", "debugfs",    "devpts",    "devtmpfs",
        "erofs",  "ext2",    "ext3",    "ext4",    "exfat",    "f2fs",       "hugetlbfs", "iso9660",
        "mqueue", "ntfs3",   "overlay", "proc",    "pstore",   "securityfs", "squashfs",  "sysfs",
        "tmpfs",  "tracefs", "udf",     "vfat",    "xfs",      "zfs"};
    for (size_t i = 0; i < sizeof local / sizeof *local; i++) {
        if (strcmp(type, local[i]) == 0)
            return MOUNT_LOCAL;
    }
    return MOUNT_OTHER;
}

/* Blanks and backslashes are written as \040 and the like. In place. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++) {
        if (from[0] == '\\' && strspn(from + 1, "01234567") >= 3) {
            *to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* One line: "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue". */
static void read_line(struct mounts *m, char *line)
{
    char *type = strstr(line, " - "), *at = line;
    for (int i = 0; i < 4 && at; i++) {
        at = strchr(at, ' ');
        at += at != NULL;
    }
    if (!type || !at)
        return;
    type += 3;
    type[strcspn(type, " \n")] = '\0';
    at[strcspn(at, " ")] = '\0';
    unescape(at);
    memory_reserve_one(m->list, m->count, m->capacity);
    m->list[m->count++] = (struct mount){arena_copy_string(&m->arena, at), kind_of(type)};
}

struct mounts *mounts_read(void)
{
    struct mounts *m = memory_new(struct mounts);
    FILE *list = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t size = 0;
    while (list && getline(&line, &size, list) > 0)
        read_line(m, line);
    free(line);
    if (list)
        fclose(list);
    if (m->count)
        qsort(m->list, m->count, sizeof *m->list, compare_mounts);
    return m;
}

enum mount_kind mounts_find(const struct mounts *m, const char *path)
{
    struct mount key = {.path = path};
    const struct mount *found =
        m->count ? bsearch(&key, m->list, m->count, sizeof key, compare_mounts) : NULL;
    if (!found)
        return MOUNT_NONE;
    /* Of several at one path, one above the other, none may be of those. */
    for (size_t i = 0; i < m->count; i++) {
        if (m->list[i].kind == MOUNT_OTHER && strcmp(m->list[i].path, path) == 0)
            return MOUNT_OTHER;
    }
    return MOUNT_LOCAL;
}

void mounts_free(struct mounts *m)
{
    if (!m)
        return;
    arena_free(&m->arena);
    free(m->list);
    free(m);
}
