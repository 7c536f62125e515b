/*
 * Memory that is freed all at once: for messages and listings of many small parts. Not thread-safe.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/bytes.h"

/* Zero-initialised is empty and valid. */
struct arena {
    struct arena_block *blocks;
    size_t total; /* bytes taken from the system */
};

void arena_free(struct arena *arena);
/* For secrets: overwrites before it frees. */
void arena_cleanse(struct arena *arena);
/* Moves what `from` holds to arena; from is empty then. */
void arena_join(struct arena *arena, struct arena *from);
/* Zeroed, aligned for any type. */
void *arena_alloc(struct arena *arena, size_t size);
/* count * size, checked for overflow. */
void *arena_alloc_array(struct arena *arena, size_t count, size_t size);
/* A copy of the bytes, with a NUL behind that is not counted. */
struct bytes arena_copy(struct arena *arena, struct bytes bytes);
const char *arena_copy_string(struct arena *arena, const char *text);

#define arena_new(arena, type) ((type *)arena_alloc_array((arena), 1, sizeof(type)))

#endif
