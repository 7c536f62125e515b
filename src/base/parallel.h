/*
 * A loop whose rounds wait for something far away: several at the same time. For requests to stores, not for
 * the data path (its pipelines have their own threads).
 */
#ifndef BASE_PARALLEL_H
#define BASE_PARALLEL_H

#include "base/error.h"

#include <stddef.h>

/* Calls task for every index below count, on at most `threads` threads, this one among them; begins no new
 * round after one has failed. Returns the code of the first that failed, with its error. */
int parallel_run(size_t count, unsigned threads, int (*task)(size_t index, void *context, struct error *err),
                 void *context, struct error *err);

#endif
