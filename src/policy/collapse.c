#include "policy/collapse.h"

static bool is_below_half(uint64_t now, uint64_t before)
{
    return now < before / 2 + before % 2;
}

struct collapse_verdict collapse_judge(struct collapse_history *history, const struct collapse_facts *facts)
{
    struct collapse_verdict verdict = {0};
    size_t compared = history->good < COLLAPSE_COMPARED ? history->good : COLLAPSE_COMPARED;
    for (size_t i = 0; i < compared; i++) {
        if (history->entries[i] > verdict.entries_before)
            verdict.entries_before = history->entries[i];
        if (history->bytes[i] > verdict.bytes_before)
            verdict.bytes_before = history->bytes[i];
    }
    bool less =
        compared > 0 && (facts->sources_lost > 0 || is_below_half(facts->entries, verdict.entries_before) ||
                         is_below_half(facts->bytes, verdict.bytes_before));
    verdict.collapsed = less && !facts->acknowledged;
    verdict.accepted = less && facts->acknowledged;
    if (verdict.collapsed)
        return verdict;
    if (verdict.accepted)
        history->good = 0;
    size_t at = history->good++ % COLLAPSE_COMPARED;
    history->entries[at] = facts->entries;
    history->bytes[at] = facts->bytes;
    return verdict;
}
