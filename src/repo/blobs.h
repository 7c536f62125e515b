/*
 * Reading blobs: where each copy lies, and its plaintext. Used by ops. Safe for several threads.
 */
#ifndef REPO_BLOBS_H
#define REPO_BLOBS_H

#include "repo/repository.h"

struct blob_location {
    uint64_t pack;                       /* the catalog's number */
    uint32_t frame;                      /* in the pack */
    uint32_t offset, length;             /* in the raw frame */
    uint32_t frame_offset, frame_stored; /* bytes: where the frame lies in the pack */
};

#define BLOB_COPIES_MAX 32

/* Every copy of a blob that some target holds, best first. count 0: none. */
int blobs_locate(struct repository *repository, const struct id *id, struct blob_location *copies,
                 size_t *count, struct error *err);

/* Says which pack is missing where, of a blob that no target holds. Returns the code: see
 * repository_nowhere(). */
int blobs_lacking(struct repository *repository, const struct id *id, struct error *err);

/* Appends the plaintext of a blob, tried from every copy on every target until its id matches. DENIED (no
 * recovery key), or INTEGRITY naming what is damaged or missing. Frames read lately are kept (bounded), meta
 * packs in the state folder. */
int blobs_read(struct repository *repository, enum blob_kind kind, const struct id *id, struct buffer *out,
               struct error *err);
/* blobs_read of meta blobs with the shape of a tree_fetch_blob; context is the repository. */
int blobs_fetch_tree(void *repository, const struct id *id, struct buffer *out, struct error *err);

/* Blob ids: HMAC-SHA256 over u8 kind | plaintext. One hasher per thread. */
struct blob_hasher;
struct blob_hasher *blob_hasher_new(const struct secrets *secrets);
void blob_hasher_free(struct blob_hasher *hasher);
/* The id with the id generation to write with. */
void blob_hasher_run(struct blob_hasher *hasher, enum blob_kind kind, struct bytes plain, struct id *id);
/* True if plain has this id, with any id generation. */
bool blob_hasher_matches(struct blob_hasher *hasher, enum blob_kind kind, struct bytes plain,
                         const struct id *id);

/* A pack opened for reading frames in bulk (restore, verify --content). Not shared between threads. */
struct pack_reader;

int pack_reader_open(struct repository *repository, uint64_t pack_number, struct pack_reader **reader,
                     struct error *err);
void pack_reader_free(struct pack_reader *reader);
const struct pack_entry *pack_reader_entry(const struct pack_reader *reader);
/* Reads the stored bytes of frames first..last in one request per target tried, for the pack_reader_frame
 * calls that follow. At most a pack's size of memory. */
int pack_reader_load(struct pack_reader *reader, uint32_t first, uint32_t last, struct error *err);
/* The raw plaintext of one frame (loaded before, else read now) replaces raw. The ids of the blobs in it are
 * not checked: the caller does, with blob_hasher_matches. On damage the other targets' copies of the pack are
 * tried; INTEGRITY if none is good. */
int pack_reader_frame(struct pack_reader *reader, uint32_t frame, struct buffer *raw, struct error *err);

#endif
