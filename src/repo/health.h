/*
 * A stamp of what a snapshot relied on, so that the next one knows in one step, without looking at each blob,
 * that everything it needed is still usable on every target. Used by the backup op.
 */
#ifndef REPO_HEALTH_H
#define REPO_HEALTH_H

#include "repo/repository.h"

/* Appends the stamp of the repository as it is after this manifest was committed. */
void health_stamp(struct repository *repository, const struct id *manifest, struct buffer *out);
/* True if the manifest is live, all segments of then are still in force on every active target, and no pack
 * became unusable since. */
bool health_check(struct repository *repository, struct bytes stamp);

#endif
