#include "source/archive_stream.h"

#include "base/memory.h"
#include "base/text.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>

#define FETCH_SIZE (256u * 1024)

struct count {
    uint64_t size, zeros; /* zeros: at the end of what came so far */
};

struct archive_stream {
    struct archive *archive; /* which only unpacks */
    archive_fetch *fetch;
    void *context;
    uint8_t *fetched;
    struct count packed, unpacked;
    struct error failure;
    bool failed;
};

static void add(struct count *count, const uint8_t *data, size_t size)
{
    size_t zeros = 0;
    while (zeros < size && data[size - 1 - zeros] == 0)
        zeros++;
    count->zeros = zeros == size ? count->zeros + size : zeros;
    count->size += size;
}

static bool only_zeros_from(const struct count *count, uint64_t from)
{
    return from >= count->size || count->zeros >= count->size - from;
}

static int fetch_next(struct archive_stream *stream, size_t *done)
{
    if (stream->fetch(stream->context, stream->fetched, FETCH_SIZE, done, &stream->failure) != 0)
        stream->failed = true;
    else
        add(&stream->packed, stream->fetched, *done);
    return stream->failed ? stream->failure.code : 0;
}

static la_ssize_t on_read(struct archive *archive, void *context, const void **data)
{
    struct archive_stream *stream = context;
    size_t done = 0;
    *data = stream->fetched;
    if (!stream->failed && fetch_next(stream, &done) == 0)
        return (la_ssize_t)done;
    archive_set_error(archive, EIO, "the source failed");
    return -1;
}

static int fail(struct archive_stream *stream, const char *what)
{
    if (!stream->failed) {
        const char *reason = archive_error_string(stream->archive);
        char *visible = text_visible(reason ? reason : "it is damaged");
        error_set(&stream->failure, ERROR_INTEGRITY, "%s: %s", what, visible);
        free(visible);
        stream->failed = true;
    }
    return stream->failure.code;
}

int archive_stream_new(archive_fetch *fetch, void *context, struct archive_stream **out, struct error *err)
{
    struct archive_stream *stream = memory_new(struct archive_stream);
    struct archive_entry *entry;
    int code = 0;
    stream->fetch = fetch;
    stream->context = context;
    stream->fetched = memory_alloc(FETCH_SIZE);
    stream->archive = archive_read_new();
    if (!stream->archive) {
        code = error_set(err, ERROR_FAILED, "cannot set up libarchive");
        goto out;
    }
    /* Left out: what starts other programs. */
    archive_read_support_filter_gzip(stream->archive);
    archive_read_support_filter_bzip2(stream->archive);
    archive_read_support_filter_xz(stream->archive);
    archive_read_support_filter_lzma(stream->archive);
    archive_read_support_filter_zstd(stream->archive);
    archive_read_support_filter_lz4(stream->archive);
    archive_read_support_filter_compress(stream->archive);
    archive_read_support_format_raw(stream->archive);
    if (archive_read_open(stream->archive, stream, NULL, on_read, NULL) != ARCHIVE_OK ||
        archive_read_next_header(stream->archive, &entry) != ARCHIVE_OK) {
        fail(stream, "cannot open the archive");
        code = archive_stream_failed(stream, err);
    }
out:
    if (code == 0)
        *out = stream;
    else
        archive_stream_free(stream);
    return code;
}

void archive_stream_free(struct archive_stream *stream)
{
    if (!stream)
        return;
    if (stream->archive)
        archive_read_free(stream->archive);
    free(stream->fetched);
    free(stream);
}

ssize_t archive_stream_read(struct archive_stream *stream, const void **data)
{
    size_t size = 0;
    la_int64_t offset;
    *data = NULL;
    if (stream->failed)
        return -1;
    int result = archive_read_data_block(stream->archive, data, &size, &offset);
    if (result == ARCHIVE_EOF)
        return 0;
    if (result != ARCHIVE_OK) {
        fail(stream, "cannot unpack the archive");
        return -1;
    }
    add(&stream->unpacked, *data, size);
    return (ssize_t)size;
}

int archive_stream_failed(const struct archive_stream *stream, struct error *err)
{
    if (!stream->failed)
        return 0;
    if (err)
        *err = stream->failure;
    return stream->failure.code;
}

/* The end of one compressed stream need not be that of the file. */
static int read_packed(struct archive_stream *stream, struct error *err)
{
    uint64_t from = (uint64_t)archive_filter_bytes(stream->archive, -1);
    size_t done;
    do {
        if (fetch_next(stream, &done) != 0)
            return archive_stream_failed(stream, err);
    } while (done && only_zeros_from(&stream->packed, from));
    if (only_zeros_from(&stream->packed, from))
        return 0;
    error_set(err, ERROR_INTEGRITY,
              "behind the compressed archive, at byte %llu, there is more, which would be lost",
              (unsigned long long)from);
    return error_hint(
        err, "several compressed archives can be read where a command unpacks them first, as zcat does");
}

int archive_stream_finish(struct archive_stream *stream, uint64_t from, uint64_t *rest, struct error *err)
{
    const void *data;
    ssize_t n;
    do {
        n = archive_stream_read(stream, &data);
    } while (n > 0 && only_zeros_from(&stream->unpacked, from));
    if (n < 0)
        return archive_stream_failed(stream, err);
    if (!only_zeros_from(&stream->unpacked, from)) {
        error_set(err, ERROR_INTEGRITY,
                  "behind the end of the archive, after byte %llu, there is more, which would be lost",
                  (unsigned long long)from);
        return error_hint(err, "only archives of tar can follow one another");
    }
    *rest = stream->unpacked.size > from ? stream->unpacked.size - from : 0;
    return read_packed(stream, err);
}
