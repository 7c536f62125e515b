/*
 * The targets of one repository written together: a queue per target, served by as many threads as the target
 * is worth requests at a time; objects are shared by all queues. Each target goes at its own pace. One that
 * fails or holds the others up is demoted: it takes no more writes and is caught up later. Used by repo.
 * Knows names and bytes only.
 */
#ifndef REPLICAS_REPLICAS_H
#define REPLICAS_REPLICAS_H

#include "storage/storage.h"

#include <stdbool.h>

struct replicas;

/* Takes ownership of the storages (count at most 16; NULL for one that is demoted at once). bytes_max: how
 * much may be queued and on its way, all targets together (an object counts once; one larger object goes
 * alone). lag_seconds: for how long, in all, a target may keep callers waiting while another one has nothing
 * left to do; then it is demoted. One that gets nothing done for half an hour is, too. Neither leaves fewer
 * than `keep` targets active. */
struct replicas *replicas_new(struct storage **targets, size_t count, uint64_t bytes_max,
                              unsigned lag_seconds, size_t keep);
/* Waits for what is queued on targets that still work, then stops the threads. */
void replicas_free(struct replicas *replicas);

size_t replicas_count(const struct replicas *replicas);
struct storage *replicas_storage(const struct replicas *replicas, size_t target);
bool replicas_is_active(struct replicas *replicas, size_t target);
/* Why a target was demoted; only valid if it is not active. */
const struct error *replicas_failure(const struct replicas *replicas, size_t target);
/* Takes a target out for good (unreachable at start, refused by a check). */
void replicas_demote(struct replicas *replicas, size_t target, const struct error *why);
/* As if it had lagged: replicas_reinstate takes it back. Not if fewer than `keep` would be left. */
void replicas_leave_behind(struct replicas *replicas, size_t target, const struct error *why);
/* From now on no target is demoted because it holds others up, but every one that still has work after so
 * many seconds is. 0: as it was at first. */
void replicas_be_patient(struct replicas *replicas, unsigned seconds);
/* Makes targets that were demoted because they lagged or because of a passing failure active again; how long
 * to wait for requests that they still work on. Returns a bit for each. What they hold must be looked at
 * anew. */
uint32_t replicas_reinstate(struct replicas *replicas, unsigned seconds);
size_t replicas_active_count(struct replicas *replicas);

enum replicas_order {
    REPLICAS_ANY_ORDER,
    REPLICAS_BARRIER /* on each target: begun when all queued before is durable, and done before the next
                        begins */
};

/* Queues an object for every active target of mask (bit per target, ~0u for all; inactive ones are passed
 * over). Takes ownership of *data (which is emptied). Blocks while too much is queued. Fails only when no
 * target is left (the error of the one demoted first) or after a cancel. */
int replicas_put(struct replicas *replicas, uint32_t mask, enum replicas_order order, const char *name,
                 struct buffer *data, struct error *err);
/* Waits until everything queued so far is durable or its target demoted: what is active afterwards has it
 * all. Fails only when no target is left, or after a cancel. */
int replicas_flush(struct replicas *replicas, struct error *err);
/* Makes waiting and later calls return CANCELLED, drops what is queued and ends what is on its way. For the
 * thread that waits for signals: not to be called in a signal handler. */
void replicas_cancel(struct replicas *replicas);
/* From now on *stop, once it is not 0 (a signal handler set it), makes waiting and later calls return
 * CANCELLED within a tenth of a second and drops what is queued; the storages go on working. NULL: no flag.
 */
void replicas_stop_on(struct replicas *replicas, const volatile int *stop);

#endif
