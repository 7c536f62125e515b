#include "source/mounts.h"

#include "base/arena.h"
#include "base/memory.h"

#include <stdbool.h>
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

struct line {
    uint64_t id;
    char *path, *type, *source, *options; /* the options of the file system, not of the mount */
};

/* The next word, ended in place; "" behind the last. */
static char *take_word(char **at)
{
    char *word = *at + strspn(*at, " ");
    size_t n = strcspn(word, " \n");
    *at = word + n + (word[n] != '\0');
    word[n] = '\0';
    return word;
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue" */
static bool parse_line(char *text, struct line *line)
{
    char *behind = strstr(text, " - "), *at = text;
    if (!behind)
        return false;
    line->id = strtoull(take_word(&at), NULL, 10);
    for (int i = 0; i < 3; i++)
        take_word(&at);
    line->path = take_word(&at);
    at = behind + 3;
    line->type = take_word(&at);
    line->source = take_word(&at);
    line->options = take_word(&at);
    unescape(line->path);
    unescape(line->source);
    return true;
}

typedef bool each_line(void *context, const struct line *line);

/* Until each() gives false. */
static void for_each(each_line *each, void *context)
{
    FILE *list = fopen("/proc/self/mountinfo", "re");
    char *text = NULL;
    size_t size = 0;
    struct line line;
    while (list && getline(&text, &size, list) > 0) {
        if (parse_line(text, &line) && !each(context, &line))
            break;
    }
    free(text);
    if (list)
        fclose(list);
}

static bool add_line(void *context, const struct line *line)
{
    struct mounts *m = context;
    memory_reserve_one(m->list, m->count, m->capacity);
    m->list[m->count++] = (struct mount){arena_copy_string(&m->arena, line->path), kind_of(line->type)};
    return true;
}

struct mounts *mounts_read(void)
{
    struct mounts *m = memory_new(struct mounts);
    for_each(add_line, m);
    if (m->count)
        qsort(m->list, m->count, sizeof *m->list, compare_mounts);
    return m;
}

struct wanted {
    uint64_t id;
    const char *option; /* or NULL: the source */
    char *value;
};

static bool find_value(void *context, const struct line *line)
{
    struct wanted *wanted = context;
    if (line->id != wanted->id)
        return true;
    const char *value = line->source;
    if (wanted->option) {
        value = strstr(line->options, wanted->option);
        value = value ? value + strlen(wanted->option) : "";
    }
    wanted->value = memory_format("%.*s", (int)(wanted->option ? strcspn(value, ",") : strlen(value)), value);
    return false;
}

char *mounts_source(uint64_t mount)
{
    struct wanted wanted = {.id = mount};
    for_each(find_value, &wanted);
    return wanted.value;
}

char *mounts_option(uint64_t mount, const char *option)
{
    struct wanted wanted = {.id = mount, .option = option};
    for_each(find_value, &wanted);
    return wanted.value;
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
