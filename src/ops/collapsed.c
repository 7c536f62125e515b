#include "ops/collapsed.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_jobs(const struct manifest *a, const struct manifest *b)
{
    int order = memcmp(a->host.b, b->host.b, sizeof a->host.b);
    return order ? order : strcmp(a->job, b->job);
}

/* By job, and as they were recorded. */
static int compare(const void *left, const void *right)
{
    const struct snapshot *a = *(const struct snapshot *const *)left,
                          *b = *(const struct snapshot *const *)right;
    int order = compare_jobs(&a->manifest, &b->manifest);
    if (order)
        return order;
    if (a->manifest.sequence != b->manifest.sequence)
        return a->manifest.sequence < b->manifest.sequence ? -1 : 1;
    return memcmp(a->sha256.b, b->sha256.b, sizeof a->sha256.b);
}

static const struct snapshot **sort(const struct snapshot_list *list)
{
    const struct snapshot **order = memory_alloc_array(list->count, sizeof *order);
    for (size_t i = 0; i < list->count; i++)
        order[i] = &list->list[i];
    qsort(order, list->count, sizeof *order, compare);
    return order;
}

struct collapse_facts collapsed_facts(const struct statistics *s, bool acknowledged)
{
    return (struct collapse_facts){s->files + s->directories + s->others, s->bytes, s->sources_lost,
                                   acknowledged};
}

char *collapsed_text(const struct statistics *s, const struct collapse_verdict *verdict,
                     char text[COLLAPSED_TEXT_SIZE])
{
    struct collapse_facts facts = collapsed_facts(s, false);
    char now[32], before[32];
    if (facts.sources_lost)
        snprintf(text, COLLAPSED_TEXT_SIZE, "%llu of its sources held something before and %s empty or gone",
                 (unsigned long long)facts.sources_lost, facts.sources_lost == 1 ? "is" : "are");
    else
        snprintf(
            text, COLLAPSED_TEXT_SIZE, "%llu entries with %s, where there were up to %llu with %s before",
            (unsigned long long)facts.entries, text_format_size(facts.bytes, now),
            (unsigned long long)verdict->entries_before, text_format_size(verdict->bytes_before, before));
    return text;
}

static struct collapse_verdict judge(struct collapse_history *history, const struct snapshot *s,
                                     const struct acknowledged *acknowledged)
{
    struct collapse_facts facts =
        collapsed_facts(&s->manifest.statistics, acknowledged_has(acknowledged, &s->sha256));
    return collapse_judge(history, &facts);
}

struct collapsed *collapsed_judge(const struct snapshot_list *list, const struct acknowledged *acknowledged)
{
    struct collapsed *all = memory_alloc_array(list->count, sizeof *all);
    const struct snapshot **order = sort(list);
    struct collapse_history history = {0};
    int64_t since = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct collapsed *c = &all[order[i] - list->list];
        if (i > 0 && compare_jobs(&order[i - 1]->manifest, &order[i]->manifest) != 0) {
            history = (struct collapse_history){0};
            since = 0;
        }
        c->verdict = judge(&history, order[i], acknowledged);
        c->newest = i + 1 == list->count || compare_jobs(&order[i]->manifest, &order[i + 1]->manifest) != 0;
        since = !c->verdict.collapsed ? 0 : since ? since : order[i]->manifest.started;
        c->since = since;
    }
    free(order);
    return all;
}

void collapsed_history(const struct snapshot_list *list, const struct acknowledged *acknowledged,
                       const struct id16 *host, const char *job, struct collapse_history *history,
                       const struct snapshot **newest_good)
{
    const struct snapshot **order = sort(list);
    *history = (struct collapse_history){0};
    *newest_good = NULL;
    for (size_t i = 0; i < list->count; i++) {
        if (id16_equal(&order[i]->manifest.host, host) && strcmp(order[i]->manifest.job, job) == 0 &&
            !judge(history, order[i], acknowledged).collapsed)
            *newest_good = order[i];
    }
    free(order);
}
