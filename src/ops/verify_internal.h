/*
 * What the files of verify share. Nobody else includes it.
 */
#ifndef OPS_VERIFY_INTERNAL_H
#define OPS_VERIFY_INTERNAL_H

#include "base/id_map.h"
#include "ops/verify.h"

#include <pthread.h>

struct verify {
    struct repository *repository;
    const struct verify_parameters *parameters;
    struct verify_result *result;
    struct id_map *seen; /* blobs that were looked up; value: on which targets */
    uint32_t wanted;     /* the active targets that have the snapshot at hand */
    uint64_t total;
    uint64_t outages;     /* problems that are left and only say that a target did not answer */
    struct error refusal; /* the first of them where a target would not */
    uint32_t *held;       /* by pack number: targets that have it and list it */
    uint32_t *bad;        /* by pack number: targets whose copy is bad and was not repaired */
    uint64_t bad_count;
    bool some_bad;
    pthread_mutex_t lock; /* the result, bad and what is reported while objects are read, several at a time */
};

static inline uint32_t verify_bad_targets(const struct verify *v, uint64_t pack)
{
    return pack < v->bad_count ? v->bad[pack] : 0;
}

/* Reports each file, and each directory whose listing is gone, of which some blob has no good copy left. */
int verify_report_lost(struct verify *v, const struct snapshot_list *list, struct error *err);

#endif
