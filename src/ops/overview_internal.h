/*
 * What overview.c and overview_problems.c share.
 */
#ifndef OPS_OVERVIEW_INTERNAL_H
#define OPS_OVERVIEW_INTERNAL_H

#include "ops/collapsed.h"
#include "ops/overview.h"
#include "policy/status.h"
#include "repo/inspect.h"

#include <stddef.h>

struct overview_make {
    struct repository *repository; /* NULL: nothing can be had */
    const struct overview_parameters *parameters;
    const struct id16 *host; /* this one; NULL: not known */
    struct overview *overview;
    struct collapsed *collapsed; /* one for each snapshot */
    struct verify_note note;     /* of what was verified by hand */
    size_t problem_capacity;
    const struct run_record *failed_run; /* it is told of already, with all its jobs; NULL: none */
};

static inline bool overview_is_ours(const struct overview_make *m, const struct manifest *manifest)
{
    return m->host && id16_equal(&manifest->host, m->host);
}

/* A record of this host's; one that waits has no host yet. */
static inline bool overview_is_own_run(const struct overview_make *m, const struct run_entry *entry)
{
    return entry->waits || (m->host && id16_equal(&entry->record.host, m->host));
}

/* What is acknowledged is no problem. One that waits may have another hash tomorrow. */
static inline bool overview_is_acknowledged(const struct overview_make *m, const struct run_entry *entry)
{
    return !entry->waits && acknowledged_has(m->parameters->acknowledged, &entry->sha256);
}

/* The entry of one of the records. */
static inline const struct run_entry *overview_entry_of(const struct run_record *record)
{
    return (const struct run_entry *)(const void *)((const char *)record -
                                                    offsetof(struct run_entry, record));
}

/* An exit status that says that something was not done. */
static inline bool overview_is_failure(uint32_t exit_status)
{
    return exit_status != STATUS_DONE && exit_status != STATUS_WARNINGS && exit_status != STATUS_BEHIND &&
           exit_status != STATUS_STOPPED;
}

/* From all other facts. */
void overview_find_problems(struct overview_make *make);

#endif
