#include "ops/backup_links.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Clocks of file systems are coarse. */
#define CLOCK_SECONDS 2

struct first {
    struct source_stat st; /* when it was read */
    char *path;            /* NULL: none, or forgotten */
    bool used;
};

struct links {
    struct first *list; /* open addressing by device and inode */
    size_t count, capacity;
    int64_t began; /* seconds */
};

struct links *links_new(void)
{
    struct links *links = memory_new(struct links);
    links->began = (int64_t)time(NULL);
    return links;
}

void links_free(struct links *links)
{
    if (!links)
        return;
    for (size_t i = 0; i < links->capacity; i++)
        free(links->list[i].path);
    free(links->list);
    free(links);
}

static struct first *find(const struct links *links, const struct source_stat *st)
{
    size_t mask = links->capacity - 1;
    size_t i = (size_t)((st->inode * 0x9e3779b97f4a7c15u) ^ st->device) & mask;
    while (links->list[i].used &&
           (links->list[i].st.inode != st->inode || links->list[i].st.device != st->device))
        i = (i + 1) & mask;
    return &links->list[i];
}

static void grow(struct links *links)
{
    struct links old = *links;
    links->capacity = old.capacity ? old.capacity * 2 : 256;
    links->list = memory_alloc_array(links->capacity, sizeof *links->list);
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.list[i].used)
            *find(links, &old.list[i].st) = old.list[i];
    }
    free(old.list);
}

bool links_has_names(const struct source_stat *st)
{
    return st->type != NODE_DIRECTORY && st->link_count > 1;
}

static bool same_change(const struct source_stat *a, const struct source_stat *b)
{
    return a->ctime_seconds == b->ctime_seconds && a->ctime_nanoseconds == b->ctime_nanoseconds;
}

static bool tells_birth(const struct source_stat *st)
{
    return st->birth_seconds || st->birth_nanoseconds;
}

/* Everything but ctime, which moves when a name comes or goes. */
static bool alike(const struct source_stat *a, const struct source_stat *b)
{
    return a->type == b->type && a->inode == b->inode && a->device == b->device && a->size == b->size &&
           a->mtime_seconds == b->mtime_seconds && a->mtime_nanoseconds == b->mtime_nanoseconds &&
           a->birth_seconds == b->birth_seconds && a->birth_nanoseconds == b->birth_nanoseconds;
}

/* Where the times do not rule out that the number was used again, both names must lead to the same file now,
 * and the first one to what was read. */
static bool is_there(const struct first *first, const struct source_stat *st)
{
    struct source_stat now;
    if (source_stat_path(first->path, &now, NULL) != 0 || !alike(&now, st))
        return false;
    return tells_birth(st) || (same_change(&now, st) && same_change(&now, &first->st));
}

const char *links_first(const struct links *links, const struct source_stat *st, const char *path)
{
    if (!links_has_names(st) || !links->capacity)
        return NULL;
    const struct first *first = find(links, st);
    if (!first->path || strcmp(first->path, path) == 0 || !alike(&first->st, st))
        return NULL;
    /* What did not change since before the walk was not made meanwhile. */
    bool certain =
        tells_birth(st) && same_change(&first->st, st) && st->ctime_seconds < links->began - CLOCK_SECONDS;
    return certain || is_there(first, st) ? first->path : NULL;
}

void links_note(struct links *links, const struct source_stat *st, const char *path)
{
    if (!links_has_names(st))
        return;
    if (links->count * 2 >= links->capacity)
        grow(links);
    struct first *first = find(links, st);
    links->count += !first->used;
    free(first->path);
    *first = (struct first){*st, memory_copy_string(path), true};
}

void links_forget(struct links *links, const struct source_stat *st, const char *path)
{
    struct first *first = links_has_names(st) && links->capacity ? find(links, st) : NULL;
    if (!first || !first->path || strcmp(first->path, path) != 0)
        return;
    free(first->path);
    first->path = NULL;
}
