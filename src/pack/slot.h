/*
 * Slots and the keys that come out of them (SLOT and FRAME of holdfast-format(5)). Only for pack.
 */
#ifndef PACK_SLOT_H
#define PACK_SLOT_H

#include "crypto/aead.h"
#include "format/messages.h"
#include "format/seal.h"

#define SLOT_COMMIT_SIZE 16
#define SLOT_META_SIZE (16 + 4 + SLOT_COMMIT_SIZE)

/* What frames are sealed with: a slot's id and its frame key. */
struct frame_sealer {
    struct id16 repository, id;
    enum blob_kind kind;
    struct aead *aead;
};

/* Makes a fresh slot: appends it to out and gives the sealer. */
int slot_make(const struct secrets *secrets, enum blob_kind kind, const struct epoch *epoch,
              struct buffer *out, struct frame_sealer *sealer, struct error *err);
/* Opens one; errors as frame_opener_new. */
int slot_open(const struct secrets *secrets, enum blob_kind kind, struct bytes slot,
              struct frame_sealer *sealer, struct error *err);
void frame_sealer_free(struct frame_sealer *sealer);

/* Writes payload.size + AEAD_TAG_SIZE bytes. */
void frame_seal(struct frame_sealer *sealer, uint64_t counter, uint8_t codec, uint32_t raw_length,
                struct bytes payload, uint8_t *out);
int frame_open(struct frame_sealer *sealer, const struct frame_entry *frame, struct bytes stored,
               uint8_t *payload, struct error *err);

#endif
