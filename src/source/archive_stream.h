/*
 * The bytes of an archive as they come, unpacked: what archive_reader.h reads members from. Everything that
 * comes is counted, so that nothing behind the end of an archive is passed over unseen.
 */
#ifndef SOURCE_ARCHIVE_STREAM_H
#define SOURCE_ARCHIVE_STREAM_H

#include "base/error.h"
#include "source/archive_reader.h"

#include <sys/types.h>

struct archive_stream;

/* Reads the beginning and finds out what compresses it. INTEGRITY if there is nothing, or nothing that can be
 * unpacked; else what fetch fails with. */
int archive_stream_new(archive_fetch *fetch, void *context, struct archive_stream **stream,
                       struct error *err);
void archive_stream_free(struct archive_stream *stream);

/* The next unpacked bytes, valid until the next call. Their number, 0 at the end, -1 where it fails: then
 * archive_stream_failed() tells why. */
ssize_t archive_stream_read(struct archive_stream *stream, const void **data);
/* If a read failed: its code, and its message in err; else 0. */
int archive_stream_failed(const struct archive_stream *stream, struct error *err);

/* Reads all that is left and sets *rest to how many unpacked bytes there are from byte `from` on. INTEGRITY
 * if one of them is not zero (at least those before `from` must have been read), or if what is compressed is
 * followed by more than zeros. */
int archive_stream_finish(struct archive_stream *stream, uint64_t from, uint64_t *rest, struct error *err);

#endif
