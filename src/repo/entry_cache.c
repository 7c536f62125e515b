#include "repo/entry_cache.h"

#include "base/memory.h"

#include <stdlib.h>

#define ENTRIES_MAX 64
#define ENTRIES_BYTES_MAX (8u << 20)

struct cached_entry {
    uint64_t number; /* 0: free */
    uint64_t used;
    struct arena arena;
    struct pack_entry entry;
};

struct entry_cache {
    struct catalog *catalog;
    struct cached_entry list[ENTRIES_MAX];
    struct cached_entry *last;
    uint64_t clock;
    size_t bytes;
};

struct entry_cache *entry_cache_new(struct catalog *catalog)
{
    struct entry_cache *cache = memory_new(struct entry_cache);
    cache->catalog = catalog;
    return cache;
}

static void drop(struct entry_cache *cache, struct cached_entry *c)
{
    cache->bytes -= c->arena.total;
    arena_free(&c->arena);
    c->number = 0;
}

void entry_cache_free(struct entry_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < ENTRIES_MAX; i++)
        drop(cache, &cache->list[i]);
    free(cache);
}

/* A free place: the least recently used go until there is one, and until the bytes are within bounds. */
static struct cached_entry *make_room(struct entry_cache *cache)
{
    for (;;) {
        struct cached_entry *unused = NULL, *oldest = NULL;
        for (size_t i = 0; i < ENTRIES_MAX; i++) {
            struct cached_entry *c = &cache->list[i];
            if (!c->number)
                unused = c;
            else if (!oldest || c->used < oldest->used)
                oldest = c;
        }
        if (unused && (cache->bytes < ENTRIES_BYTES_MAX || !oldest))
            return unused;
        drop(cache, oldest);
    }
}

int entry_cache_get(struct entry_cache *cache, uint64_t number, const struct pack_entry **entry,
                    struct error *err)
{
    struct cached_entry *c = cache->last && cache->last->number == number ? cache->last : NULL;
    for (size_t i = 0; i < ENTRIES_MAX && !c; i++) {
        if (cache->list[i].number == number)
            c = &cache->list[i];
    }
    if (!c) {
        struct buffer bytes = {0};
        c = make_room(cache);
        int code = catalog_pack_entry(cache->catalog, number, &bytes, err);
        if (code == 0)
            code = pack_entry_decode(buffer_bytes(&bytes), &c->arena, &c->entry, err);
        buffer_free(&bytes);
        cache->bytes += c->arena.total;
        if (code != 0) {
            drop(cache, c);
            return code;
        }
        c->number = number;
    }
    c->used = ++cache->clock;
    cache->last = c;
    *entry = &c->entry;
    return 0;
}
