/*
 * The stat cache: for each directory what its entries were, and which listing that gave. An entry that is the
 * same is not read again.
 */
#include "base/memory.h"
#include "crypto/digest.h"
#include "ops/backup_internal.h"
#include "repo/health.h"

#include <stdlib.h>
#include <string.h>

#define ROW_VERSION 2

static void row_key(struct backup *b, const char *path, struct id *key)
{
    struct buffer text = {0};
    buffer_append_string(&text, b->parameters->job);
    buffer_u8(&text, 0);
    buffer_append_string(&text, path);
    sha256(buffer_bytes(&text), key);
    buffer_free(&text);
}

void extents_hash(const struct extents *extents, struct id *out)
{
    struct buffer text = {0};
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < extents->count; i++) {
        buffer_append(&text, extents->list[i].blob.b, 32);
        buffer_u64(&text, extents->list[i].length);
    }
    if (text.size)
        sha256(buffer_bytes(&text), out);
    buffer_free(&text);
}

static void read_entry(struct reader *r, struct cached_entry *e)
{
    e->name = reader_take(r, reader_u16(r));
    e->type = reader_u8(r);
    e->trusted = reader_u8(r);
    e->size = reader_u64(r);
    e->inode = reader_u64(r);
    e->mtime_seconds = (int64_t)reader_u64(r);
    e->mtime_nanoseconds = reader_u32(r);
    e->ctime_seconds = (int64_t)reader_u64(r);
    e->ctime_nanoseconds = reader_u32(r);
    if (reader_u8(r))
        reader_copy(r, e->link.b, 32);
}

bool cache_read(struct backup *b, const char *path, struct cached_directory *row)
{
    struct id key;
    struct buffer bytes = {0};
    *row = (struct cached_directory){0};
    if (!b->use_cache)
        return false;
    row_key(b, path, &key);
    if (catalog_get_directory(repository_catalog(b->repository), &key, &bytes, NULL) != 0) {
        buffer_free(&bytes);
        return false;
    }
    struct reader r = reader_of(arena_copy(&row->arena, buffer_bytes(&bytes)));
    buffer_free(&bytes);
    if (reader_u8(&r) != ROW_VERSION)
        r.failed = true;
    reader_copy(&r, row->file_system.b, 32);
    uint32_t pieces = reader_u32(&r);
    if (pieces > r.size / 40)
        r.failed = true;
    row->tree.list = r.failed ? NULL : arena_alloc_array(&row->arena, pieces, sizeof *row->tree.list);
    row->tree.count = r.failed ? 0 : pieces;
    for (uint32_t i = 0; i < row->tree.count; i++) {
        reader_copy(&r, row->tree.list[i].blob.b, 32);
        row->tree.list[i].length = reader_u64(&r);
    }
    uint32_t count = reader_u32(&r);
    if (count > r.size / 44)
        r.failed = true;
    row->entries = r.failed ? NULL : arena_alloc_array(&row->arena, count, sizeof *row->entries);
    row->count = r.failed ? 0 : count;
    for (uint32_t i = 0; i < row->count; i++)
        read_entry(&r, &row->entries[i]);
    if (reader_finished(&r))
        return true;
    cached_directory_free(row);
    return false;
}

void cached_directory_free(struct cached_directory *row)
{
    arena_free(&row->arena);
    *row = (struct cached_directory){0};
}

void cache_write(struct backup *b, const char *path, const struct id *file_system, const struct extents *tree,
                 const struct cached_entry *entries, size_t count)
{
    static const struct id none;
    struct id key;
    struct buffer row = {0};
    struct error why;
    if (!b->use_cache)
        return;
    row_key(b, path, &key);
    buffer_u8(&row, ROW_VERSION);
    buffer_append(&row, file_system->b, 32);
    buffer_u32(&row, (uint32_t)tree->count);
    for (size_t i = 0; i < tree->count; i++) {
        buffer_append(&row, tree->list[i].blob.b, 32);
        buffer_u64(&row, tree->list[i].length);
    }
    buffer_u32(&row, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        const struct cached_entry *e = &entries[i];
        buffer_u16(&row, (uint16_t)e->name.size);
        buffer_append_bytes(&row, e->name);
        buffer_u8(&row, e->type);
        buffer_u8(&row, e->trusted);
        buffer_u64(&row, e->size);
        buffer_u64(&row, e->inode);
        buffer_u64(&row, (uint64_t)e->mtime_seconds);
        buffer_u32(&row, e->mtime_nanoseconds);
        buffer_u64(&row, (uint64_t)e->ctime_seconds);
        buffer_u32(&row, e->ctime_nanoseconds);
        bool has_link = !id_equal(&e->link, &none);
        buffer_u8(&row, has_link);
        if (has_link)
            buffer_append(&row, e->link.b, 32);
    }
    if (catalog_put_directory(repository_catalog(b->repository), b->parameters->job, &key, buffer_bytes(&row),
                              &why) != 0)
        backup_fail(b, &why);
    buffer_free(&row);
}

const struct cached_entry *cache_find(const struct cached_directory *row, struct bytes name)
{
    size_t low = 0, high = row->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = bytes_compare(row->entries[middle].name, name);
        if (order == 0)
            return &row->entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* What changes from `settled` on has other times. */
struct cached_entry cache_entry(struct bytes name, const struct source_stat *st, int64_t settled)
{
    int64_t latest = st->mtime_seconds > st->ctime_seconds ? st->mtime_seconds : st->ctime_seconds;
    return (struct cached_entry){.name = name,
                                 .type = (uint8_t)st->type,
                                 .trusted = latest < settled,
                                 .size = st->type == NODE_DIRECTORY ? 0 : st->size,
                                 .inode = st->inode,
                                 .mtime_seconds = st->mtime_seconds,
                                 .mtime_nanoseconds = st->mtime_nanoseconds,
                                 .ctime_seconds = st->ctime_seconds,
                                 .ctime_nanoseconds = st->ctime_nanoseconds};
}

bool cache_entry_same(const struct cached_entry *a, const struct cached_entry *b)
{
    return a->trusted && a->type == b->type && a->size == b->size && a->inode == b->inode &&
           a->mtime_seconds == b->mtime_seconds && a->mtime_nanoseconds == b->mtime_nanoseconds &&
           a->ctime_seconds == b->ctime_seconds && a->ctime_nanoseconds == b->ctime_nanoseconds;
}

/* ---- is what the cache names still there? ---- */

static char *stamp_key(const struct backup *b)
{
    return memory_format("stat-cache/%s", b->parameters->job);
}

static bool cache_is_valid(struct backup *b)
{
    char *key = stamp_key(b);
    struct buffer stamp = {0};
    bool valid = catalog_get_value(repository_catalog(b->repository), key, &stamp, NULL) == 0 &&
                 health_check(b->repository, buffer_bytes(&stamp));
    buffer_free(&stamp);
    free(key);
    return valid;
}

int cache_begin(struct backup *b, struct error *err)
{
    char *key = stamp_key(b);
    b->cache_valid = b->use_cache && cache_is_valid(b);
    int code = b->use_cache ? catalog_remove_value(repository_catalog(b->repository), key, err) : 0;
    free(key);
    return code;
}

int cache_stamp(struct backup *b, const struct id *manifest, struct error *err)
{
    char *key = stamp_key(b);
    struct buffer stamp = {0};
    health_stamp(b->repository, manifest, &stamp);
    int code = catalog_put_value(repository_catalog(b->repository), key, buffer_bytes(&stamp), err);
    buffer_free(&stamp);
    free(key);
    return code;
}
