/*
 * Which users and groups restored entries get, by name or by number, and where this machine's differ from
 * what was recorded. One for all threads of a restore.
 */
#ifndef SOURCE_OWNER_MAP_H
#define SOURCE_OWNER_MAP_H

#include "base/node.h"
#include "source/owners.h"

#define OWNER_DIFFERENCES_MAX 1000

/* A user or group whose name is unknown here, or has another number. */
struct owner_difference {
    enum owner_kind kind;
    struct bytes name;        /* as recorded */
    uint32_t recorded, given; /* numbers */
    bool known;               /* the name is known here, */
    uint32_t number;          /* as this number */
    struct bytes here;        /* who has the given number here, if it is somebody else; empty if nobody */
    uint64_t entries;
};

struct owner_map;

/* by_name: an entry gets who has the recorded name here, and the recorded number where nobody has it. */
struct owner_map *owner_map_new(bool by_name);
void owner_map_free(struct owner_map *map);
/* The number that an entry gets; it is counted. */
uint32_t owner_map_id(struct owner_map *map, enum owner_kind kind, struct bytes name, uint32_t id);
/* Copies the value of an ACL, of at most NODE_XATTR_VALUE_MAX bytes, with the numbers that it gets: those of
 * the node's own user and group as given to it. A snapshot knows no names of others: their numbers stay. */
void owner_map_acl(struct owner_map *map, const struct node *node, uint32_t uid, uint32_t gid,
                   struct bytes value, uint8_t *to);

/* The differences, at most OWNER_DIFFERENCES_MAX of them; they live as long as the map. Only when nobody uses
 * it any more. */
const struct owner_difference *owner_map_differences(const struct owner_map *map, size_t *count);
/* How many more there are. */
uint64_t owner_map_more(const struct owner_map *map);
/* Users and groups in ACLs that were left as numbers. */
uint64_t owner_map_acl_numbers(const struct owner_map *map);
bool owner_map_is_by_name(const struct owner_map *map);

#endif
