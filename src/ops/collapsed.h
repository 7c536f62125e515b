/*
 * Which snapshots of a repository hold far less than those before them, by what their manifests say, see
 * policy/collapse.h. For backup, prune, status and the list of snapshots.
 */
#ifndef OPS_COLLAPSED_H
#define OPS_COLLAPSED_H

#include "policy/collapse.h"
#include "repo/acknowledge.h"
#include "repo/snapshots.h"

struct collapsed {
    struct collapse_verdict verdict;
    bool newest;   /* of its job */
    int64_t since; /* collapsed: when the first of those in a row began, Unix seconds */
};

/* One for each snapshot of the list, in its order; the caller frees them. Each job of each host by itself.
 * acknowledged may be NULL. */
struct collapsed *collapsed_judge(const struct snapshot_list *list, const struct acknowledged *acknowledged);

#define COLLAPSED_TEXT_SIZE 160
/* "13 entries with 5.1 MiB, where there were up to 80 with 1.2 GiB before", or which sources are lost.
 * Returns text. */
char *collapsed_text(const struct statistics *statistics, const struct collapse_verdict *verdict,
                     char text[COLLAPSED_TEXT_SIZE]);

struct collapse_facts collapsed_facts(const struct statistics *statistics, bool acknowledged);

/* The history of one job of a host, before a snapshot that is about to be written. *newest_good: NULL if
 * there is none. */
void collapsed_history(const struct snapshot_list *list, const struct acknowledged *acknowledged,
                       const struct id16 *host, const char *job, struct collapse_history *history,
                       const struct snapshot **newest_good);

#endif
