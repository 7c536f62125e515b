#include "base/arena.h"

#include "base/memory.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    alignas(max_align_t) uint8_t data[];
};

void arena_free(struct arena *arena)
{
    struct arena_block *next;
    for (struct arena_block *b = arena->blocks; b; b = next) {
        next = b->next;
        free(b);
    }
    *arena = (struct arena){0};
}

void arena_cleanse(struct arena *arena)
{
    for (struct arena_block *b = arena->blocks; b; b = b->next)
        explicit_bzero(b->data, b->used);
    arena_free(arena);
}

void arena_join(struct arena *arena, struct arena *from)
{
    /* Behind the block that is being filled; what joins is mostly small, what it joins may be long. */
    struct arena_block **place = arena->blocks ? &arena->blocks->next : &arena->blocks;
    struct arena_block **last = &from->blocks;
    while (*last)
        last = &(*last)->next;
    *last = *place;
    *place = from->blocks;
    arena->total += from->total;
    *from = (struct arena){0};
}

void *arena_alloc(struct arena *arena, size_t size)
{
    const size_t unit = alignof(max_align_t);
    if (size > SIZE_MAX / 2)
        return memory_alloc_array(SIZE_MAX, 2); /* ends the process */
    size = (size + unit - 1) / unit * unit;
    struct arena_block *b = arena->blocks;
    if (!b || b->size - b->used < size) {
        /* Blocks double with the arena, so that a small listing costs little and a large one few calls. */
        size_t room = arena->total < 512 ? 512 : arena->total > 256 * 1024 ? 256 * 1024 : arena->total;
        if (room < size)
            room = size;
        b = memory_alloc(sizeof *b + room);
        b->used = 0;
        b->size = room;
        b->next = arena->blocks;
        arena->blocks = b;
        arena->total += sizeof *b + room;
    }
    void *p = b->data + b->used;
    b->used += size;
    return memset(p, 0, size);
}

void *arena_alloc_array(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        total = SIZE_MAX;
    return arena_alloc(arena, total);
}

struct bytes arena_copy(struct arena *arena, struct bytes bytes)
{
    uint8_t *p = arena_alloc(arena, bytes.size + 1);
    if (bytes.size)
        memcpy(p, bytes.data, bytes.size);
    return bytes_of(p, bytes.size);
}

const char *arena_copy_string(struct arena *arena, const char *text)
{
    return (const char *)arena_copy(arena, bytes_of_string(text)).data;
}
