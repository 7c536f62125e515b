/*
 * A hash map from struct id to a u64, for ids that are uniformly distributed (hashes, HMACs with a secret
 * key). Not for ids that an attacker chooses. Not thread-safe.
 */
#ifndef BASE_ID_MAP_H
#define BASE_ID_MAP_H

#include "base/id.h"

struct id_map;

struct id_map *id_map_new(void);
void id_map_free(struct id_map *map);
/* True if it was not there; an old value is replaced. */
bool id_map_put(struct id_map *map, const struct id *id, uint64_t value);
bool id_map_get(const struct id_map *map, const struct id *id, uint64_t *value);
static inline bool id_map_has(const struct id_map *map, const struct id *id)
{
    return id_map_get(map, id, NULL);
}
/* True if it was there. */
bool id_map_remove(struct id_map *map, const struct id *id);
size_t id_map_count(const struct id_map *map);
/* Walks all entries, in no order: start with *at = 0; false at the end. The map must not change meanwhile. */
bool id_map_next(const struct id_map *map, size_t *at, struct id *id, uint64_t *value);

#endif
