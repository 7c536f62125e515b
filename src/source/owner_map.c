#include "source/owner_map.h"

#include "base/arena.h"
#include "base/memory.h"
#include "source/posix_acl.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* One that was met: a few hold nearly all entries, so the last one found stands in front. */
struct met {
    enum owner_kind kind;
    struct bytes name;
    uint32_t recorded, given;
    size_t difference; /* its number plus one; 0: there is none */
};

struct owner_map {
    bool by_name;
    pthread_mutex_t lock;
    struct owners *owners;
    struct arena arena;
    struct met *met;
    size_t count, capacity;
    struct owner_difference *differences;
    size_t difference_count, difference_capacity;
    uint64_t more, acl_numbers;
};

struct owner_map *owner_map_new(bool by_name)
{
    struct owner_map *map = memory_new(struct owner_map);
    map->by_name = by_name;
    map->owners = owners_new();
    pthread_mutex_init(&map->lock, NULL);
    return map;
}

void owner_map_free(struct owner_map *map)
{
    if (!map)
        return;
    pthread_mutex_destroy(&map->lock);
    owners_free(map->owners);
    free(map->met);
    free(map->differences);
    arena_free(&map->arena);
    free(map);
}

static size_t add_difference(struct owner_map *map, const struct owner_difference *difference)
{
    if (map->difference_count == OWNER_DIFFERENCES_MAX) {
        map->more++;
        return 0;
    }
    memory_reserve_one(map->differences, map->difference_count, map->difference_capacity);
    map->differences[map->difference_count++] = *difference;
    return map->difference_count;
}

/* An owner that is met for the first time. */
static struct met meet(struct owner_map *map, enum owner_kind kind, struct bytes name, uint32_t id)
{
    struct owner_difference d = {.kind = kind, .name = arena_copy(&map->arena, name), .recorded = id};
    d.known = owners_id(map->owners, kind, name, &d.number);
    d.given = map->by_name && d.known ? d.number : id;
    struct met met = {.kind = kind, .name = d.name, .recorded = id, .given = d.given};
    if (d.known && d.number == id)
        return met;
    struct bytes here = owners_name(map->owners, kind, d.given);
    if (!bytes_equal(here, name))
        d.here = arena_copy(&map->arena, here);
    met.difference = add_difference(map, &d);
    return met;
}

uint32_t owner_map_id(struct owner_map *map, enum owner_kind kind, struct bytes name, uint32_t id)
{
    if (name.size == 0)
        return id;
    pthread_mutex_lock(&map->lock);
    size_t i = 0;
    while (i < map->count &&
           !(map->met[i].recorded == id && map->met[i].kind == kind && bytes_equal(map->met[i].name, name)))
        i++;
    if (i == map->count) {
        struct met met = meet(map, kind, name, id);
        memory_reserve_one(map->met, map->count, map->capacity);
        map->met[map->count++] = met;
    }
    struct met found = map->met[i];
    map->met[i] = map->met[0];
    map->met[0] = found;
    if (found.difference)
        map->differences[found.difference - 1].entries++;
    pthread_mutex_unlock(&map->lock);
    return found.given;
}

void owner_map_acl(struct owner_map *map, const struct node *node, uint32_t uid, uint32_t gid,
                   struct bytes value, uint8_t *to)
{
    uint64_t numbers = 0;
    memcpy(to, value.data, value.size);
    for (size_t at = POSIX_ACL_HEADER; at + POSIX_ACL_ENTRY <= value.size; at += POSIX_ACL_ENTRY) {
        uint32_t tag = posix_acl_load(to + at, 2), id = posix_acl_load(to + at + 4, 4);
        if (tag != POSIX_ACL_USER && tag != POSIX_ACL_GROUP)
            continue;
        bool own = id == (tag == POSIX_ACL_USER ? node->uid : node->gid);
        if (own && map->by_name)
            posix_acl_store(to + at + 4, tag == POSIX_ACL_USER ? uid : gid, 4);
        numbers += !own;
    }
    pthread_mutex_lock(&map->lock);
    map->acl_numbers += numbers;
    pthread_mutex_unlock(&map->lock);
}

const struct owner_difference *owner_map_differences(const struct owner_map *map, size_t *count)
{
    *count = map->difference_count;
    return map->differences;
}

uint64_t owner_map_more(const struct owner_map *map)
{
    return map->more;
}

uint64_t owner_map_acl_numbers(const struct owner_map *map)
{
    return map->acl_numbers;
}

bool owner_map_is_by_name(const struct owner_map *map)
{
    return map->by_name;
}
