#include "base/id_map.h"

#include "base/memory.h"

#include <stdlib.h>

struct slot {
    struct id id;
    uint64_t value;
    bool used;
};

struct id_map {
    struct slot *slots;
    size_t count, mask; /* mask + 1 slots, a power of two */
};

struct id_map *id_map_new(void)
{
    struct id_map *map = memory_new(struct id_map);
    map->mask = 63;
    map->slots = memory_alloc_array(64, sizeof *map->slots);
    return map;
}

void id_map_free(struct id_map *map)
{
    if (!map)
        return;
    free(map->slots);
    free(map);
}

static size_t home(const struct id_map *map, const struct id *id)
{
    uint64_t h;
    memcpy(&h, id->b, sizeof h);
    return (size_t)h & map->mask;
}

/* The slot of id, or the free one where it would go. */
static size_t find(const struct id_map *map, const struct id *id)
{
    size_t i = home(map, id);
    while (map->slots[i].used && !id_equal(&map->slots[i].id, id))
        i = (i + 1) & map->mask;
    return i;
}

static void grow(struct id_map *map)
{
    struct slot *old = map->slots;
    size_t old_count = map->mask + 1;
    map->mask = old_count * 2 - 1;
    map->slots = memory_alloc_array(old_count * 2, sizeof *map->slots);
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].used)
            map->slots[find(map, &old[i].id)] = old[i];
    }
    free(old);
}

bool id_map_put(struct id_map *map, const struct id *id, uint64_t value)
{
    size_t i = find(map, id);
    if (map->slots[i].used) {
        map->slots[i].value = value;
        return false;
    }
    if ((map->count + 1) * 4 > (map->mask + 1) * 3) {
        grow(map);
        i = find(map, id);
    }
    map->slots[i] = (struct slot){*id, value, true};
    map->count++;
    return true;
}

bool id_map_get(const struct id_map *map, const struct id *id, uint64_t *value)
{
    const struct slot *s = &map->slots[find(map, id)];
    if (s->used && value)
        *value = s->value;
    return s->used;
}

bool id_map_remove(struct id_map *map, const struct id *id)
{
    size_t i = find(map, id);
    if (!map->slots[i].used)
        return false;
    map->count--;
    /* Close the gap: move back every entry that the gap would cut off from its home. */
    for (size_t j = (i + 1) & map->mask; map->slots[j].used; j = (j + 1) & map->mask) {
        size_t h = home(map, &map->slots[j].id);
        if (((j - h) & map->mask) >= ((j - i) & map->mask)) {
            map->slots[i] = map->slots[j];
            i = j;
        }
    }
    map->slots[i].used = false;
    return true;
}

size_t id_map_count(const struct id_map *map)
{
    return map->count;
}

bool id_map_next(const struct id_map *map, size_t *at, struct id *id, uint64_t *value)
{
    for (; *at <= map->mask; ++*at) {
        const struct slot *s = &map->slots[*at];
        if (!s->used)
            continue;
        *id = s->id;
        if (value)
            *value = s->value;
        ++*at;
        return true;
    }
    return false;
}
