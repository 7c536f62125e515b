/*
 * Packs: blobs compressed and sealed together in frames, frames in packs with their slots and a sealed table
 * of contents (DESIGN section 4). Used by repo. Bytes in, bytes out: no storage, no index. A slot is sealed
 * exactly once: a builder makes a fresh slot with a fresh pack key, its counter only grows.
 */
#ifndef PACK_PACK_H
#define PACK_PACK_H

#include "format/messages.h"
#include "format/seal.h"

/* ---- frames: compression ---- */

struct compressor; /* one per thread */

/* level: zstd, negative ones included. */
struct compressor *compressor_new(int level);
void compressor_free(struct compressor *compressor);
/* Compresses raw into out (replaced). Returns CODEC_ZSTD, or CODEC_RAW (with out empty: use raw as it is)
 * where that gains less than 1/64. Gives up early on data that does not compress. */
uint8_t compressor_run(struct compressor *compressor, struct bytes raw, struct buffer *out);

/* ---- building ---- */

struct pack_builder;

/* A new pack of one kind with one fresh slot. epoch (for data packs; NULL for meta) is the signed epoch entry
 * that the pack key is sealed to by HPKE; UNSUPPORTED for a suite this version does not know. secrets is kept
 * by reference. */
int pack_builder_new(const struct secrets *secrets, enum blob_kind kind, const struct epoch *epoch,
                     size_t size_hint, struct pack_builder **builder, struct error *err);
/* A new pack without a slot of its own, for frames copied from other packs (blind repack). */
struct pack_builder *pack_builder_new_copy(const struct secrets *secrets, enum blob_kind kind,
                                           size_t size_hint);
void pack_builder_free(struct pack_builder *builder);
/* Seals one frame: payload is what compressor_run gave (or raw), raw_length the size before. blobs: id,
 * offset and length in the raw frame, in order. */
void pack_builder_add(struct pack_builder *builder, struct bytes payload, uint8_t codec, uint32_t raw_length,
                      const struct blob_entry *blobs, size_t blob_count);
/* Copies a frame verbatim: its bytes as stored, its entry in the source pack, and the source's slot of that
 * number. */
int pack_builder_copy(struct pack_builder *builder, struct bytes stored_frame,
                      const struct frame_entry *frame, const struct blob_entry *blobs, struct bytes slot,
                      struct error *err);
/* Bytes so far, and the number of frames. */
size_t pack_builder_size(const struct pack_builder *builder);
size_t pack_builder_frame_count(const struct pack_builder *builder);
/* Pads (Padme below 1 MiB, then to 4 KiB), adds the table of contents, gives the pack's bytes and its entry
 * (author filled in by the caller; arrays allocated in arena). The builder is used up. FAILED for what
 * readers would refuse. */
int pack_builder_finish(struct pack_builder *builder, struct arena *arena, struct buffer *pack,
                        struct pack_entry *entry, struct error *err);

/* ---- reading ---- */

/* Bytes of slots lie at offset 7, entry->slots_length of them. */
#define PACK_SLOTS_OFFSET 7

/* Cuts the slots area into slots; count must match. INTEGRITY if malformed. */
int pack_split_slots(struct bytes slots_area, enum blob_kind kind, uint32_t slot_count, struct arena *arena,
                     struct bytes **slots, struct error *err);

struct frame_opener; /* the opened key of one slot; one per thread */

/* Opens a slot: a data slot with the recovery key of its epoch (DENIED with a hint if secrets hold none), a
 * meta slot with its metadata secret. The commitment is checked (INTEGRITY). */
int frame_opener_new(const struct secrets *secrets, enum blob_kind kind, struct bytes slot,
                     struct frame_opener **opener, struct error *err);
void frame_opener_free(struct frame_opener *opener);
/* Opens and decompresses one stored frame: replaces raw's contents with exactly frame->raw_length bytes.
 * INTEGRITY otherwise. */
int frame_opener_open(struct frame_opener *opener, const struct frame_entry *frame, struct bytes stored,
                      struct buffer *raw, struct error *err);

/* Checks a whole pack without content keys: magic, lengths, slots, and its sealed table of contents; fills
 * entry (arrays in arena, author zero). */
int pack_read_entry(const struct secrets *secrets, struct bytes pack, struct arena *arena,
                    enum blob_kind *kind, struct pack_entry *entry, struct error *err);
/* The table of contents' entry must equal what the index says; INTEGRITY otherwise. */
int pack_entries_equal(const struct pack_entry *a, const struct pack_entry *b, struct error *err);

#endif
