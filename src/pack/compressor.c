#include "base/memory.h"
#include "pack/pack.h"

#include <stdlib.h>
#include <zstd.h>

struct compressor {
    ZSTD_CCtx *context;
    bool fits;     /* the default level's parameters are fitted to what comes */
    unsigned last; /* 64ths of its size that the frame before came to */
};

/* zstd's parameters for level 3 are made for streams of many megabytes. Our frames are short and begin anew
 * each: tables that stay in the nearer cache, and the same for short frames as for long ones, save a quarter
 * of the time for less than a hundredth of the size. What hardly compresses gains nothing from the second,
 * longer match that level 3 looks for, and frames are mostly like the one before. */
static void fit_default_level(struct compressor *c)
{
    bool hardly = c->last > 26, not_at_all = c->last > 45;
    ZSTD_CCtx_setParameter(c->context, ZSTD_c_strategy, hardly ? ZSTD_fast : ZSTD_dfast);
    ZSTD_CCtx_setParameter(c->context, ZSTD_c_hashLog, hardly && !not_at_all ? 16 : 15);
    ZSTD_CCtx_setParameter(c->context, ZSTD_c_chainLog, 15);
    ZSTD_CCtx_setParameter(c->context, ZSTD_c_minMatch, 5);
}

struct compressor *compressor_new(int level)
{
    struct compressor *c = memory_new(struct compressor);
    c->context = ZSTD_createCCtx();
    if (!c->context)
        return memory_alloc_array(SIZE_MAX, 2); /* ends the process */
    ZSTD_CCtx_setParameter(c->context, ZSTD_c_compressionLevel, level);
    /* Sealing authenticates; the entry has the length. */
    ZSTD_CCtx_setParameter(c->context, ZSTD_c_checksumFlag, 0);
    c->fits = level == ZSTD_CLEVEL_DEFAULT;
    return c;
}

void compressor_free(struct compressor *c)
{
    if (!c)
        return;
    ZSTD_freeCCtx(c->context);
    free(c);
}

uint8_t compressor_run(struct compressor *c, struct bytes raw, struct buffer *out)
{
    buffer_clear(out);
    if (raw.size == 0)
        return CODEC_RAW;
    size_t bound = ZSTD_compressBound(raw.size);
    if (c->fits)
        fit_default_level(c);
    size_t n = ZSTD_compress2(c->context, buffer_extend(out, bound), bound, raw.data, raw.size);
    c->last = ZSTD_isError(n) ? 0 : (unsigned)((uint64_t)n * 64 / raw.size);
    if (ZSTD_isError(n) || n > raw.size - raw.size / 64 - 1) {
        buffer_clear(out);
        return CODEC_RAW;
    }
    out->size = n;
    return CODEC_ZSTD;
}
