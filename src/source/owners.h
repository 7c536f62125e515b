/*
 * Names of users and groups, each asked for once. For this module; one cache per thread.
 */
#ifndef SOURCE_OWNERS_H
#define SOURCE_OWNERS_H

#include "base/bytes.h"

#include <stdbool.h>

enum owner_kind { OWNER_USER, OWNER_GROUP };

struct owners;

struct owners *owners_new(void);
void owners_free(struct owners *owners);
/* The name of an id, empty if it has none. Valid as long as the cache. */
struct bytes owners_name(struct owners *owners, enum owner_kind kind, uint32_t id);
/* The id of a name; false if there is none on this machine. */
bool owners_id(struct owners *owners, enum owner_kind kind, struct bytes name, uint32_t *id);

#endif
