/*
 * Whether a snapshot holds far less than those before it: a source that is not mounted any more looks like
 * one that was emptied. Such a snapshot is kept apart in rotation, so that it displaces nothing. Pure. Used
 * by backup, prune, status and the list of snapshots.
 */
#ifndef POLICY_COLLAPSE_H
#define POLICY_COLLAPSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COLLAPSE_COMPARED 7 /* with so many of the newest good snapshots */

/* Of one snapshot. */
struct collapse_facts {
    uint64_t entries, bytes;
    uint64_t sources_lost; /* sources that held something before, and are empty or gone */
    bool acknowledged;     /* somebody looked, and it is as it should be */
};

/* Of the snapshots of one job, as far as they were judged; zero before the first. */
struct collapse_history {
    uint64_t entries[COLLAPSE_COMPARED], bytes[COLLAPSE_COMPARED];
    size_t good; /* how many were good; the newest is at (good - 1) % COLLAPSE_COMPARED */
};

struct collapse_verdict {
    bool collapsed;
    bool accepted;                         /* it would be, but was acknowledged */
    uint64_t entries_before, bytes_before; /* the greatest of the newest good ones; 0: there is none */
};

/* Judges the next snapshot of a job, in the order in which they were recorded, and takes it into the history
 * if it is good: its sources are all there, and its entries and bytes are each half of the greatest before
 * or more. One that is less, but acknowledged, is good, and what was before it
 * counts no more. */
struct collapse_verdict collapse_judge(struct collapse_history *history, const struct collapse_facts *facts);

#endif
