/*
 * The targets of one repository written together: one queue and one thread per target, objects shared by all
 * queues. A target that fails or lags is demoted: it takes no more writes and is caught up later. Used by
 * repo. Knows names and bytes only.
 */
#ifndef REPLICAS_REPLICAS_H
#define REPLICAS_REPLICAS_H

#include "storage/storage.h"

#include <stdbool.h>

struct replicas;

/* Takes ownership of the storages (count at most 16). queue_objects: how many objects may wait per target
 * (memory bound: queue_objects x pack size in all, as objects are shared). stall_seconds: a target that fell
 * behind that long ago (its queue filled and never drained to a half since) while another target of the same
 * put waits for work is demoted; so is one that gets nothing done for that long during a flush that another
 * target has behind it. The last active target never is. */
struct replicas *replicas_new(struct storage **targets, size_t count, size_t queue_objects,
                              unsigned stall_seconds);
/* Waits for what is queued on targets that still work, then stops the threads. */
void replicas_free(struct replicas *replicas);

size_t replicas_count(const struct replicas *replicas);
struct storage *replicas_storage(const struct replicas *replicas, size_t target);
bool replicas_is_active(struct replicas *replicas, size_t target);
/* Why a target was demoted; only valid if it is not active. */
const struct error *replicas_failure(const struct replicas *replicas, size_t target);
/* Takes a target out (unreachable at start, refused by a check). */
void replicas_demote(struct replicas *replicas, size_t target, const struct error *why);
size_t replicas_active_count(struct replicas *replicas);

/* Called on a target's thread when an object is durable there; not after the target was demoted or all was
 * cancelled. No callback runs any more when a flush has returned. It must not call replicas_put or _flush. */
typedef void replicas_done_callback(size_t target, const char *name, void *context);

/* Queues an object for every active target (mask: bit per target, ~0u for all; inactive ones are passed
 * over). Takes ownership of *data (which is emptied). Blocks while queues are full. Fails only when no target
 * is left (the error of the one demoted first) or after a cancel. */
int replicas_put(struct replicas *replicas, unsigned mask, const char *name, struct buffer *data,
                 replicas_done_callback *done, void *context, struct error *err);
/* Waits until everything queued so far is durable or its target demoted. Fails only when no target is left,
 * or after a cancel. */
int replicas_flush(struct replicas *replicas, struct error *err);
/* Makes waiting and later calls return CANCELLED and drops what is queued. For the thread that waits for
 * signals: not to be called in a signal handler. */
void replicas_cancel(struct replicas *replicas);

#endif
