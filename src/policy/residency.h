/*
 * May a target be where it is? Pure: facts in, decision out. Used by cli before a target is opened for
 * writing.
 */
#ifndef POLICY_RESIDENCY_H
#define POLICY_RESIDENCY_H

#include <stdbool.h>
#include <stddef.h>

enum residency {
    RESIDENCY_ALLOWED,
    RESIDENCY_OUTSIDE,      /* its country is not among the allowed */
    RESIDENCY_UNDECLARED,   /* nobody knows its country: whoever configures it must say */
    RESIDENCY_CONTRADICTION /* declared to be in another country than the provider's region is in */
};

/* `allowed` holds countries by their two capital letters, and "EU" for every member. `known` is the country
 * that follows from provider and region, NULL where none does (also where the address was given by hand);
 * `declared` what the configuration says, or NULL. */
enum residency residency_decide(const char *const *allowed, size_t count, const char *known,
                                const char *declared);
/* A member of the European Union. */
bool residency_is_eu(const char *country);

/* True if a store that says its bucket is in `location` says so of another region than `region`. An empty
 * answer says nothing. `listed`: the provider has a region called `location`; `closed`: it has
 * no others, so that a name that is not listed is no region's but the store's own for all of itself. */
bool residency_is_elsewhere(const char *region, const char *location, bool listed, bool closed);

#endif
