/*
 * Content-defined chunking: cuts content where it says so itself, so that an insertion moves no other cut. A
 * gear hash with normalised cutting, after FastCDC (Xia et al., USENIX ATC 2016), over a secret table: public
 * tables let an observer tell contents by their chunk sizes (ePrint 2025/532). Used by tree and ops. Pure and
 * thread-safe.
 */
#ifndef CHUNKER_CHUNKER_H
#define CHUNKER_CHUNKER_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chunker_parameters {
    uint32_t min, average, max; /* bytes */
};

struct chunker;

/* USAGE unless 4 KiB <= min < average < max <= 64 MiB and average is a power of two. */
int chunker_check_parameters(const struct chunker_parameters *parameters, struct error *err);
/* table: 256 big-endian u64. The parameters must have passed the check. */
struct chunker *chunker_new(const struct chunker_parameters *parameters, const uint8_t table[2048]);
void chunker_free(struct chunker *chunker);
/* The length of the first chunk of data, or 0 if that depends on what follows: never with max bytes. last:
 * nothing follows data. */
size_t chunker_next(const struct chunker *chunker, const uint8_t *data, size_t size, bool last);
/* The same where more comes bit by bit: what a call has looked at for nothing, the next one, for the same
 * data and what follows it, does not look at again. *seen is between the calls; 0 before the first, and after
 * each that found a cut. */
size_t chunker_resume(const struct chunker *chunker, const uint8_t *data, size_t size, bool last,
                      size_t *seen);

#endif
