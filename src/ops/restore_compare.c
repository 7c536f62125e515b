/* Comparing what is there with what a snapshot has: by reading, and without touching anything. */
#include "base/memory.h"
#include "ops/restore_internal.h"
#include "source/name.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BLOB_MAX (64u << 20) /* a longer one is not compared: it is fetched */
#define ZEROS_SIZE (64u << 10)

static bool read_range(int fd, uint8_t *to, size_t size, uint64_t offset)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(fd, to + done, size - done, (off_t)(offset + done));
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static bool is_zero(const uint8_t *data, size_t size)
{
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

/* Holes of the file that is there are not read. */
static bool is_hole(struct restore *r, int fd, uint64_t length, uint64_t offset)
{
    uint64_t end = offset + length;
    buffer_clear(&r->compare);
    uint8_t *data = buffer_extend(&r->compare, ZEROS_SIZE);
    while (offset < end) {
        off_t next = lseek(fd, (off_t)offset, SEEK_DATA);
        if (next < 0 && errno == ENXIO)
            return true; /* a hole up to its end, or beyond it */
        if (next > (off_t)offset)
            offset = (uint64_t)next;
        if (offset >= end)
            return true;
        size_t size = end - offset < ZEROS_SIZE ? (size_t)(end - offset) : ZEROS_SIZE;
        if (!read_range(fd, data, size, offset) || !is_zero(data, size))
            return false;
        offset += size;
    }
    return true;
}

bool restore_same_extent(struct restore *r, int fd, const struct extent *e, uint64_t offset)
{
    if (offset > INT64_MAX || e->length > INT64_MAX - offset)
        return false;
    if (e->hole)
        return is_hole(r, fd, e->length, offset);
    if (e->length > BLOB_MAX)
        return false;
    buffer_clear(&r->compare);
    return read_range(fd, buffer_extend(&r->compare, (size_t)e->length), (size_t)e->length, offset) &&
           blob_hasher_matches(r->hasher, BLOB_DATA, buffer_bytes(&r->compare), &e->blob);
}

bool restore_same_contents(struct restore *r, int fd, uint64_t size, const struct node *node,
                           uint64_t *to_fetch)
{
    bool same = size == node->size;
    uint64_t offset = 0;
    for (size_t i = 0; i < node->content.count && (same || to_fetch) && !restore_stopped(r); i++) {
        const struct extent *e = &node->content.list[i];
        if (!restore_same_extent(r, fd, e, offset)) {
            same = false;
            if (to_fetch && !e->hole)
                *to_fetch += e->length;
        }
        offset += e->length;
    }
    return same;
}

static bool is_same(struct restore *r, const struct target_directory *d, const struct node *node,
                    struct restore_found *found)
{
    if (found->stat.type != NODE_FILE || node->type != NODE_FILE)
        return writer_special_is(d->fd, node->name, &found->stat, node);
    found->old = writer_file_open_old(d->fd, node->name, &found->stat);
    return found->old >= 0 && restore_same_contents(r, found->old, found->stat.size, node,
                                                    r->parameters->dry_run ? &found->to_fetch : NULL);
}

/* Who has another name of the file that is there may be somebody else: its metadata is not set in place. */
static enum restore_way compare(struct restore *r, const struct target_directory *d, const struct node *node,
                                struct restore_found *found)
{
    struct error ignored;
    if (!is_same(r, d, node, found) ||
        metadata_write(r->pretender, d->fd, node->name, found->old, node, &ignored) != 0)
        return RESTORE_REPLACED;
    if (!metadata_writer_changed(r->pretender))
        return RESTORE_SAME;
    return found->stat.link_count > 1 ? RESTORE_REPLACED : RESTORE_SET;
}

int restore_find(struct walk *w, struct target_directory *d, const char *path, struct node *node,
                 struct restore_found *found, struct error *err)
{
    struct restore *r = w->restore;
    char name[WRITER_NAME_SIZE];
    *found = (struct restore_found){.way = RESTORE_FREE, .old = -1};
    int code = writer_name(node->name, name, err);
    if (code != 0 || d->fd < 0)
        return code;
    code = source_stat(d->fd, name, &found->stat, err);
    if (code == 0)
        code = restore_part_names(w, d, path, node, &found->stat, err);
    if (code != 0)
        return code == ERROR_NOT_FOUND ? 0 : code;
    if (found->stat.type == NODE_UNKNOWN)
        return 0;
    found->way = RESTORE_REPLACED;
    if (r->parameters->overwrite == RESTORE_NEVER)
        found->way = writer_file_is_unfinished(&found->stat) ? RESTORE_REPLACED : RESTORE_LEFT;
    else if (found->stat.type == NODE_DIRECTORY)
        code = writer_check_replaceable(d->fd, node->name, err);
    else if (r->parameters->overwrite == RESTORE_CHANGED && node->hard_link.size == 0)
        found->way = compare(r, d, node, found);
    return code;
}
