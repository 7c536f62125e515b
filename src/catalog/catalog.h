/*
 * The catalog: the local SQLite copy of the repository's index and records, plus the stat cache and the run
 * history. Always rebuildable from the targets (stat cache and history aside). Used by repo and above. All
 * functions may be called from several threads (one lock inside). Messages are kept as the bytes that the
 * caller verified; the catalog does not decode them (rank 1: it cannot), so packs come with their blob ids as
 * a plain array.
 */
#ifndef CATALOG_CATALOG_H
#define CATALOG_CATALOG_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/id.h"

#include <stdbool.h>

struct catalog;

/* Opens or creates PATH. Made for another repository, of another schema, or damaged: it is set aside as
 * PATH.bad (one generation) and made anew, *fresh (may be NULL) says so. The caller holds the repository's
 * lock: the file is opened for this process alone, BUSY if another one has it. */
int catalog_open(const char *path, const struct id16 *repository, struct catalog **catalog, bool *fresh,
                 struct error *err);
/* Commits. If damage was met meanwhile, the file is set aside, so that the next run makes it anew. */
void catalog_close(struct catalog *catalog);

/* Writes of any kind gather in one transaction until this commits them (also done by itself every few
 * ten thousand rows or few seconds: a crash loses only cache). A write that fails undoes what was not
 * committed yet. */
int catalog_commit(struct catalog *catalog, struct error *err);

/* ---- packs and blobs ---- */

/* A pack has a number for its life in this catalog (dense, from 1; never given again); its
 * blobs have the numbers first_blob, first_blob + 1, ... in the order of its table of contents. */
struct catalog_pack {
    uint64_t number;
    struct id sha256;
    uint8_t kind;  /* 1 data, 2 meta */
    uint64_t size; /* bytes */
    struct id16 author;
    uint64_t first_blob;
    uint32_t blob_count;
    bool pending; /* uploaded by this host, listed by no index segment yet */
};

/* Adds a pack (number and first_blob are given here), its serialised entry and its blobs' ids (in
 * table-of-contents order), sorted insertion inside. If it is there already only `pending` is updated
 * (cleared when the new value is false). *number gets its number. EXISTS, without a message, if it is there
 * with another entry and this one is not empty. */
int catalog_add_pack(struct catalog *catalog, const struct catalog_pack *pack, struct bytes entry,
                     const struct id *ids, uint64_t *number, struct error *err);
/* Its blobs go too, and its place in segments. One that is not there is a success. */
int catalog_remove_pack(struct catalog *catalog, uint64_t number, struct error *err);
/* NOT_FOUND if there is none. */
int catalog_find_pack(struct catalog *catalog, const struct id *sha256, struct catalog_pack *pack,
                      struct error *err);
/* The pack that holds a blob number. */
int catalog_pack_of_blob(struct catalog *catalog, uint64_t blob_number, struct catalog_pack *pack,
                         struct error *err);
int catalog_pack_by_number(struct catalog *catalog, uint64_t number, struct catalog_pack *pack,
                           struct error *err);
/* Appends the serialised entry. */
int catalog_pack_entry(struct catalog *catalog, uint64_t number, struct buffer *out, struct error *err);
/* Every pack in ascending number; the callback must not change packs (collect, then change). Ends with its
 * non-zero return value. */
int catalog_each_pack(struct catalog *catalog,
                      int (*callback)(const struct catalog_pack *pack, void *context), void *context,
                      struct error *err);
/* Highest pack number and blob number ever given, for bitmaps. */
uint64_t catalog_pack_limit(struct catalog *catalog);
uint64_t catalog_blob_limit(struct catalog *catalog);

/* Numbers of all blobs whose id begins with the same 64 bits as id: candidates to be confirmed against the
 * entries. At most max are written to numbers; *count gets how many. The hot path of a backup: a prepared
 * statement on (prefix integer, number) WITHOUT ROWID. */
int catalog_find_blobs(struct catalog *catalog, const struct id *id, uint64_t *numbers, size_t max,
                       size_t *count, struct error *err);

/* ---- index segments ---- */

/* Records that a segment was read and which packs (numbers) it lists. body: its decoded essentials as the
 * caller encodes them. A segment that is there already is left as it is. */
int catalog_add_segment(struct catalog *catalog, const struct id *sha256, struct bytes body,
                        const uint64_t *packs, size_t pack_count, struct error *err);
/* Forgets a segment, and removes packs that no other segment lists and that are not pending. */
int catalog_remove_segment(struct catalog *catalog, const struct id *sha256, struct error *err);
bool catalog_has_segment(struct catalog *catalog, const struct id *sha256);
/* Listings: the callback may read the catalog; body is valid during the call. */
int catalog_each_segment(struct catalog *catalog,
                         int (*callback)(const struct id *sha256, struct bytes body, void *context),
                         void *context, struct error *err);
/* Numbers of the packs of a segment; *packs is allocated, the caller frees it. */
int catalog_segment_packs(struct catalog *catalog, const struct id *sha256, uint64_t **packs, size_t *count,
                          struct error *err);

/* ---- records: verified bodies of manifests, events, runs by the SHA-256 of their object ---- */

int catalog_put_record(struct catalog *catalog, uint8_t type, const struct id *sha256, struct bytes body,
                       struct error *err);
int catalog_get_record(struct catalog *catalog, uint8_t type, const struct id *sha256, struct buffer *out,
                       struct error *err);
int catalog_remove_record(struct catalog *catalog, uint8_t type, const struct id *sha256, struct error *err);
int catalog_each_record(struct catalog *catalog, uint8_t type,
                        int (*callback)(const struct id *sha256, struct bytes body, void *context),
                        void *context, struct error *err);

/* ---- stat cache: per job and directory path one row of bytes, written by the backup ---- */

/* key: SHA-256 of job and path (the caller's). Rows carry the generation they were written or kept in. */
int catalog_get_directory(struct catalog *catalog, const struct id *key, struct buffer *out,
                          struct error *err);
int catalog_put_directory(struct catalog *catalog, const char *job, const struct id *key, struct bytes row,
                          struct error *err);
/* Removes the rows of a job, for a job that is no longer configured or a cache no longer to be trusted. */
int catalog_clear_directories(struct catalog *catalog, const char *job, struct error *err);

/* ---- small values: "lease", "stat-cache/JOB", pins ... ---- */

int catalog_get_value(struct catalog *catalog, const char *key, struct buffer *out,
                      struct error *err); /* NOT_FOUND */
int catalog_put_value(struct catalog *catalog, const char *key, struct bytes value, struct error *err);
int catalog_remove_value(struct catalog *catalog, const char *key, struct error *err);
/* One that is a number; 0 where there is none. */
int64_t catalog_get_number(struct catalog *catalog, const char *key);
int catalog_put_number(struct catalog *catalog, const char *key, int64_t number, struct error *err);

#endif
