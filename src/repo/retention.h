/*
 * Object locks of a repository: which objects are locked until when, and moving the date on for those that
 * are needed, before it comes. For prune (collect.c).
 */
#ifndef REPO_RETENTION_H
#define REPO_RETENTION_H

#include "repo/internal.h"

struct retention_result {
    uint64_t due;      /* objects, counted once for each target */
    uint64_t requests; /* that moving their dates costs, listings included */
    uint64_t extended;
};

/* When the targets have been listed, before a session puts its first object: notes since when this state
 * folder locks what it puts. */
void retention_begin(struct repository *repository);

/* Unix seconds before which the object cannot be removed from the target, as far as is known here; 0 if
 * nothing is: then it may still be locked. */
int64_t retention_until(struct repository *repository, size_t target, const struct object_seen *object);

/* The same from the store, whose answer is noted; false, with 0, where it gives none. One request. */
bool retention_ask(struct repository *repository, size_t target, const struct object_seen *object,
                   int64_t *until);

/* After it was removed from the target. */
void retention_drop(struct repository *repository, size_t target, const struct object_seen *object);

/* The latest over the active targets. */
int64_t retention_anywhere(struct repository *repository, const struct object_seen *object);

/* True if a lock of this object is to be moved on now, if it is needed. */
bool retention_due(struct repository *repository, const struct object_seen *object);

/* True if a lock may have to be moved on. */
bool retention_has_due(struct repository *repository);

/* Moves on the dates of all objects that are due and for which `needed` is true. With dry_run it counts only.
 * Goes on after a failure; the code of the first is returned. */
int retention_extend(struct repository *repository,
                     bool (*needed)(const struct object_seen *object, void *context), void *context,
                     bool dry_run, struct retention_result *result, struct error *err);

#endif
