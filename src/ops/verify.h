/*
 * Checking what the targets hold, and repairing it from one another. For the commands verify and heal.
 */
#ifndef OPS_VERIFY_H
#define OPS_VERIFY_H

#include "repo/snapshots.h"

struct verify_parameters {
    double sample; /* percent of packs to be read whole on each target; 100: all objects */
    /* Not 0: not just any packs, but those whose SHA-256 begins with `first` or one of the span - 1 numbers
     * of 32 bits that follow (after the last comes 0). So that one verify can go on where another ended. */
    uint64_t span;
    uint32_t first;
    bool content; /* open every frame that is read and check every blob: needs a person's key */
    bool repair;  /* put damaged and missing objects anew from another target */
    void (*problem)(void *context, const char *target, const char *object, const char *what, bool repaired);
    /* A file of which not all can be restored, or a directory whose listing cannot; "/" for a whole snapshot.
     */
    void (*lost)(void *context, const struct snapshot *snapshot, const char *path);
    void *problem_context; /* of both */
    void (*progress)(void *context, uint64_t bytes, uint64_t total);
    void *progress_context;
    const volatile int *cancelled;
};

struct verify_result {
    uint64_t snapshots, objects, bytes; /* looked at; read */
    uint64_t blobs;                     /* whose ids were checked */
    uint64_t problems, repaired;        /* objects, each counted once */
    uint64_t hidden; /* of the problems: objects that were removed or overwritten, and are still there as
                        older versions */
    uint64_t
        targets_behind; /* active ones that lack whole snapshots: no damage, the next backup brings them */
    /* Entries of snapshots, in all snapshots together, and of how many: reported as lost; whole on some
     * target and not on all. */
    uint64_t lost_files, lost_snapshots;
    uint64_t incomplete_files, incomplete_snapshots;
    double seconds;
};

/* For a synced repository. Every blob that a live snapshot needs must be on every active target that
 * has the snapshot; what is read
 * must have the hash in its name, and packs the contents that the index says. Returns INTEGRITY if problems
 * remain, FAILED if each is that a target did not answer; what they are went through `problem`. */
int verify_run(struct repository *repository, const struct snapshot_list *list,
               const struct verify_parameters *parameters, struct verify_result *result, struct error *err);

#endif
