#include "policy/keep.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KNOWN_CLASSES (KEEP_CLASS_BIT(KEEP_CLASS_COUNT) - 1)

static int compare_ids(const struct keep_snapshot *a, const struct keep_snapshot *b)
{
    size_t common = a->id_size < b->id_size ? a->id_size : b->id_size;
    int order = common ? memcmp(a->id, b->id, common) : 0;
    return order ? order : (a->id_size > b->id_size) - (a->id_size < b->id_size);
}

/* Newest first; every host must come to the same order, so equal times are decided by the sequence and the
 * id. */
static int compare_newest_first(const void *left, const void *right)
{
    const struct keep_snapshot *a = *(const struct keep_snapshot *const *)left;
    const struct keep_snapshot *b = *(const struct keep_snapshot *const *)right;
    if (a->ended != b->ended)
        return a->ended < b->ended ? 1 : -1;
    if (a->sequence != b->sequence)
        return a->sequence < b->sequence ? 1 : -1;
    return compare_ids(a, b);
}

static bool class_limit(const struct keep *keep, enum keep_class class, uint32_t *limit)
{
    const uint32_t limits[] = {keep->daily, keep->weekly, keep->monthly, keep->yearly, keep->manual};
    *limit = limits[class];
    return class == KEEP_MANUAL ? keep->manual_set : *limit > 0;
}

static bool is_near(int64_t a, int64_t b, int64_t tolerance)
{
    int64_t apart;
    return !__builtin_sub_overflow(a > b ? a : b, a > b ? b : a, &apart) && apart <= tolerance;
}

bool keep_is_doubtful(int64_t ended, int64_t arrival, int64_t first_seen, int64_t tolerance)
{
    return arrival && !is_near(ended, arrival, tolerance) &&
           !(first_seen && is_near(ended, first_seen, tolerance));
}

struct ranks {
    uint32_t all;
    uint32_t of_class[KEEP_CLASS_COUNT];
};

/* The longest-lived class that wants the snapshot decides what is said; yearly outlives daily. */
static bool wanted_by_class(const struct keep *keep, const struct keep_snapshot *s, const struct ranks *ranks,
                            struct keep_decision *decision)
{
    for (int c = KEEP_CLASS_COUNT - 1; c >= 0; c--) {
        enum keep_class class = (enum keep_class)c;
        uint32_t limit;
        if (!(s->classes & KEEP_CLASS_BIT(class)))
            continue;
        bool limited = class_limit(keep, class, &limit);
        if (limited && ranks->of_class[class] > limit)
            continue;
        *decision = (struct keep_decision){true, limited ? KEEP_REASON_CLASS : KEEP_REASON_NO_LIMIT, class,
                                           ranks->of_class[class], limit};
        return true;
    }
    return false;
}

static bool is_within(const struct keep *keep, int64_t now, int64_t ended)
{
    int64_t edge;
    if (keep->within <= 0)
        return false;
    return __builtin_sub_overflow(now, keep->within, &edge) || ended >= edge;
}

static struct keep_decision decide(const struct keep *keep, int64_t now, const struct keep_snapshot *s,
                                   const struct ranks *ranks)
{
    struct keep_decision d = {.keep = true};
    if (s->pinned)
        d.reason = KEEP_REASON_PINNED;
    else if (s->uncounted)
        d.reason = KEEP_REASON_UNCOUNTED;
    else if (s->ended > now)
        d.reason = KEEP_REASON_FUTURE;
    else if (wanted_by_class(keep, s, ranks, &d))
        return d;
    else if ((s->classes & KNOWN_CLASSES) == 0)
        d = (struct keep_decision){true, KEEP_REASON_NO_LIMIT, KEEP_CLASS_COUNT, 0, 0};
    else if (is_within(keep, now, s->ended))
        d.reason = KEEP_REASON_WITHIN;
    else if (ranks->all <= keep->minimum)
        d = (struct keep_decision){true, KEEP_REASON_MINIMUM, 0, ranks->all, keep->minimum};
    else if (ranks->all == 1)
        d.reason = KEEP_REASON_LAST;
    else if (s->accepted)
        d.reason = KEEP_REASON_ACCEPTED;
    else
        d = (struct keep_decision){.keep = false, .reason = KEEP_REASON_EXPIRED};
    return d;
}

static void count_rank(struct ranks *ranks, const struct keep_snapshot *s)
{
    ranks->all++;
    for (int c = 0; c < KEEP_CLASS_COUNT; c++)
        ranks->of_class[c] += s->classes >> c & 1;
}

void keep_decide(const struct keep *keep, int64_t now, const struct keep_snapshot *snapshots, size_t count,
                 struct keep_decision *decisions)
{
    const struct keep_snapshot **order = memory_alloc_array(count, sizeof *order);
    for (size_t i = 0; i < count; i++)
        order[i] = &snapshots[i];
    qsort(order, count, sizeof *order, compare_newest_first);
    struct ranks good = {0}, all = {0};
    for (size_t i = 0; i < count; i++) {
        const struct keep_snapshot *s = order[i];
        if (!s->uncounted && s->ended <= now) {
            count_rank(&all, s);
            if (!s->collapsed)
                count_rank(&good, s);
        }
        decisions[s - snapshots] = decide(keep, now, s, s->collapsed ? &all : &good);
        decisions[s - snapshots].collapsed = s->collapsed;
    }
    free(order);
}

const char *keep_class_name(enum keep_class class)
{
    static const char *const names[] = {"daily", "weekly", "monthly", "yearly", "manual", "unknown"};
    return names[class <= KEEP_CLASS_COUNT ? class : KEEP_CLASS_COUNT];
}

char *keep_reason_text(const struct keep *keep, const struct keep_decision *decision,
                       char text[KEEP_TEXT_SIZE])
{
    const char *name = keep_class_name(decision->class);
    char duration[32];
    switch (decision->reason) {
    case KEEP_REASON_EXPIRED:
        snprintf(text, KEEP_TEXT_SIZE, "expired");
        break;
    case KEEP_REASON_PINNED:
        snprintf(text, KEEP_TEXT_SIZE, "pinned");
        break;
    case KEEP_REASON_UNCOUNTED:
        snprintf(text, KEEP_TEXT_SIZE, "uncounted: its time is in doubt");
        break;
    case KEEP_REASON_CLASS:
        snprintf(text, KEEP_TEXT_SIZE, "%s %u of %u", name, decision->rank, decision->limit);
        break;
    case KEEP_REASON_NO_LIMIT:
        snprintf(text, KEEP_TEXT_SIZE, "%s, until it is forgotten", name);
        break;
    case KEEP_REASON_WITHIN:
        if (keep->within % 86400 == 0)
            snprintf(text, KEEP_TEXT_SIZE, "within %lld d", (long long)(keep->within / 86400));
        else
            snprintf(text, KEEP_TEXT_SIZE, "within %s", text_format_duration((double)keep->within, duration));
        break;
    case KEEP_REASON_MINIMUM:
        snprintf(text, KEEP_TEXT_SIZE, "min %u of %u", decision->rank, decision->limit);
        break;
    case KEEP_REASON_LAST:
        snprintf(text, KEEP_TEXT_SIZE, "last good");
        break;
    case KEEP_REASON_ACCEPTED:
        snprintf(text, KEEP_TEXT_SIZE, "acknowledged, and larger ones are before it");
        break;
    case KEEP_REASON_FUTURE:
        snprintf(text, KEEP_TEXT_SIZE, "its time is in the future");
        break;
    }
    if (decision->collapsed && decision->keep) {
        size_t used = strlen(text);
        snprintf(text + used, KEEP_TEXT_SIZE - used, ", collapsed");
    }
    return text;
}
