/*
 * Leases: what a writer shows to those who prune. Put before events and index are read (DESIGN section 4,
 * "Several hosts, no locks"). Used by ops.
 */
#ifndef REPO_LEASE_H
#define REPO_LEASE_H

#include "repo/repository.h"

/* Puts a lease on every active target, and removes what a killed process of this state folder left. */
int lease_begin(struct repository *repository, const char *purpose, struct error *err);
/* Puts a fresh lease and removes the old one when lease_refresh has passed since; cheap otherwise. Call it
 * now and then, from any thread. */
int lease_keep(struct repository *repository, struct error *err);
/* The same at once: targets that have come back have none, or no longer. */
int lease_renew(struct repository *repository, struct error *err);
/* Whether lease_keep came so late (lease_recheck: a suspended machine) that others may have taken this writer
 * for dead and deleted what it relies on; asked once. The caller syncs and checks. */
bool lease_lapsed(struct repository *repository);
/* Removes it. */
void lease_end(struct repository *repository);

#endif
