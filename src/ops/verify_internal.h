/*
 * What the files of verify share. Nobody else includes it.
 */
#ifndef OPS_VERIFY_INTERNAL_H
#define OPS_VERIFY_INTERNAL_H

#include "base/id_map.h"
#include "ops/verify.h"
#include "repo/inspect.h"

#include <pthread.h>

#define VERIFY_UNREAD_MAX 16

/* Why the listings of a snapshot cannot be read. */
struct verify_unread {
    char *snapshot, *what;
};

struct verify {
    struct repository *repository;
    const struct verify_parameters *parameters;
    struct verify_result *result;
    struct id_map *seen; /* blobs that were looked up; value: on which targets */
    uint32_t wanted;     /* the active targets that have the snapshot at hand */
    uint64_t total;
    uint64_t outages;     /* problems that are left and only say that a target did not answer */
    struct error refusal; /* the first of them where a target would not */
    uint64_t pack_count;  /* of the arrays, by pack number, with a bit for each target: */
    uint32_t *listed;     /* where a segment lists it */
    uint32_t *missing;    /* where it is not, though snapshots need it */
    uint32_t *unlisted;   /* where it is, needed and not listed */
    uint32_t *bad;        /* whose copy is bad and was not repaired */
    bool lacking, some_bad;
    uint64_t unknown[TARGETS_MAX]; /* blobs that each target lacks and no pack is known to hold */
    struct verify_unread unread[VERIFY_UNREAD_MAX];
    size_t unread_count;
    pthread_mutex_t lock; /* the result, bad and what is reported while objects are read, several at a time */
};

static inline uint32_t verify_bad_targets(const struct verify *v, uint64_t pack)
{
    return pack < v->pack_count ? v->bad[pack] : 0;
}

/* The targets on which a pack is found. */
static inline uint32_t verify_held(const struct verify *v, uint64_t pack)
{
    return pack < v->pack_count ? v->listed[pack] & inspect_present(v->repository, pack) : 0;
}

/* Tells of a problem; it is counted apart, once for each object. */
void verify_tell(struct verify *v, const char *target, const char *object, const char *what, bool repaired);
void verify_count(struct verify *v, int code, bool repaired);

/* ---- verify_lack.c ---- */

/* Notes which packs the wanted targets lack for a blob. *was_seen: it was looked up before. */
int verify_check_blob(struct verify *v, const struct id *id, bool *was_seen, struct error *err);
/* Tells of each pack and each part of the index that is lacking. */
int verify_report_lacking(struct verify *v, struct error *err);
/* A snapshot of which not all listings can be read; each reason is told once, unless another problem is it.
 */
void verify_note_unread(struct verify *v, const char *snapshot, const struct error *why);
void verify_report_unread(struct verify *v);

/* ---- verify_lost.c ---- */

/* Counts each file, and each directory whose listing is gone, of which a target lacks some blob, and reports
 * those of which some blob has no good copy left. */
int verify_report_lost(struct verify *v, const struct snapshot_list *list, struct error *err);

#endif
