#include "base/memory.h"
#include "pack/pack.h"

#include <stdlib.h>
#include <zstd.h>

struct compressor {
    ZSTD_CCtx *context;
};

/* zstd's parameters for level 3 are made for streams of many megabytes. Our frames are short and begin anew
 * each: tables that stay in the nearer cache, and the same for short frames as for long ones, save a quarter
 * of the time for less than a hundredth of the size. */
static void fit_default_level(ZSTD_CCtx *context)
{
    ZSTD_CCtx_setParameter(context, ZSTD_c_strategy, ZSTD_dfast);
    ZSTD_CCtx_setParameter(context, ZSTD_c_hashLog, 15);
    ZSTD_CCtx_setParameter(context, ZSTD_c_chainLog, 15);
    ZSTD_CCtx_setParameter(context, ZSTD_c_minMatch, 5);
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
    if (level == ZSTD_CLEVEL_DEFAULT)
        fit_default_level(c->context);
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
    size_t n = ZSTD_compress2(c->context, buffer_extend(out, bound), bound, raw.data, raw.size);
    if (ZSTD_isError(n) || n > raw.size - raw.size / 64 - 1) {
        buffer_clear(out);
        return CODEC_RAW;
    }
    out->size = n;
    return CODEC_ZSTD;
}
