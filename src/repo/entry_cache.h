/*
 * Decoded pack entries that were used lately (bounded). Only for repo, under its index lock.
 */
#ifndef REPO_ENTRY_CACHE_H
#define REPO_ENTRY_CACHE_H

#include "catalog/catalog.h"
#include "format/messages.h"

struct entry_cache;

struct entry_cache *entry_cache_new(struct catalog *catalog);
void entry_cache_free(struct entry_cache *cache);
/* The entry of a pack number; valid until the next call. */
int entry_cache_get(struct entry_cache *cache, uint64_t number, const struct pack_entry **entry,
                    struct error *err);

#endif
