#include "chunker/chunker.h"

#include "base/bytes.h"
#include "base/memory.h"

#include <stdlib.h>
#include <strings.h>

struct chunker {
    struct chunker_parameters parameters;
    uint64_t mask_early, mask_late; /* before and after the average size */
    uint64_t table[256];
};

int chunker_check_parameters(const struct chunker_parameters *p, struct error *err)
{
    if (p->min >= 4096 && p->min < p->average && p->average < p->max && p->max <= 64u << 20 &&
        (p->average & (p->average - 1)) == 0)
        return 0;
    return error_set(err, ERROR_USAGE,
                     "chunk sizes %u/%u/%u: minimum (at least 4 KiB), average (a power of two) and maximum "
                     "(at most 64 MiB) must rise",
                     p->min, p->average, p->max);
}

/* `bits` ones spread over the upper 48 bits: these depend on the last 48 bytes and more, the low ones on a
 * few only. */
static uint64_t spread_mask(unsigned bits)
{
    uint64_t mask = 0;
    for (unsigned i = 0; i < bits; i++)
        mask |= (uint64_t)1 << (63 - i * 48 / bits);
    return mask;
}

struct chunker *chunker_new(const struct chunker_parameters *parameters, const uint8_t table[2048])
{
    struct chunker *c = memory_new(struct chunker);
    c->parameters = *parameters;
    unsigned bits = (unsigned)ffs((int)parameters->average) - 1;
    /* Normalisation of level 2: four times harder before the average size, four times easier behind it. */
    c->mask_early = spread_mask(bits + 2);
    c->mask_late = spread_mask(bits - 2);
    for (size_t i = 0; i < 256; i++)
        c->table[i] = bytes_load_u64(table + 8 * i);
    return c;
}

void chunker_free(struct chunker *c)
{
    free(c);
}

/* The first cut in data[from..to), or `to`. *hash goes on from call to call. */
static size_t find_cut(const uint64_t *table, uint64_t mask, const uint8_t *data, size_t from, size_t to,
                       uint64_t *hash)
{
    uint64_t h = *hash;
    size_t i = from;
    for (; i + 2 <= to; i += 2) {
        h = (h << 1) + table[data[i]];
        if ((h & mask) == 0)
            return i + 1;
        h = (h << 1) + table[data[i + 1]];
        if ((h & mask) == 0)
            return i + 2;
    }
    for (; i < to; i++) {
        h = (h << 1) + table[data[i]];
        if ((h & mask) == 0)
            return i + 1;
    }
    *hash = h;
    return to + 1;
}

size_t chunker_resume(const struct chunker *c, const uint8_t *data, size_t size, bool last, size_t *seen)
{
    const struct chunker_parameters *p = &c->parameters;
    size_t from = *seen > p->min ? *seen : p->min;
    *seen = 0;
    if (size <= p->min)
        return last ? size : 0;
    size_t end = size < p->max ? size : p->max;
    size_t middle = end < p->average ? end : p->average;
    uint64_t hash = 0;
    /* The hash forgets what is 64 bytes back: warm it up before the first place where a cut may be. */
    for (size_t i = from - 64; i < from; i++)
        hash = (hash << 1) + c->table[data[i]];
    if (from < middle) {
        size_t cut = find_cut(c->table, c->mask_early, data, from, middle, &hash);
        if (cut <= middle)
            return cut;
        from = middle;
    }
    size_t cut = find_cut(c->table, c->mask_late, data, from, end, &hash);
    if (cut <= end)
        return cut;
    if (last || size >= p->max)
        return end;
    *seen = end;
    return 0;
}

size_t chunker_next(const struct chunker *c, const uint8_t *data, size_t size, bool last)
{
    size_t seen = 0;
    return chunker_resume(c, data, size, last, &seen);
}
