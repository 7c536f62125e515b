/*
 * How people name snapshots: SNAPSHOT of holdfast(1). For the commands.
 */
#ifndef REPO_SNAPSHOT_NAME_H
#define REPO_SNAPSHOT_NAME_H

#include "repo/snapshots.h"

/* What was typed: latest, JOB:latest, JOB:daily, JOB@2026-11-20[T03:00], or JOB alone; without JOB of any
 * job; each with HOST/ before it. */
struct snapshot_name {
    const char *host, *job; /* NULL: any */
    bool is_word;           /* JOB alone: it may have been meant for something else */
    uint32_t class_bit;     /* 0: any */
    bool has_time;
    int64_t time;       /* at or before, Unix seconds */
    const char *suffix; /* what stands behind the job, such as ":daily" */
    char *text;
};

/* USAGE, with a hint, where what stands behind the job is nothing known. */
int snapshot_name_parse(const char *text, struct snapshot_name *name, struct error *err);
void snapshot_name_free(struct snapshot_name *name);

/* The snapshot whose id begins with these, at least 4, hex digits; *snapshot is NULL if there is none, or the
 * text is something else. USAGE if there are several. It points into list. */
int snapshots_find_id(const struct snapshot_list *list, const char *text, const struct snapshot **snapshot,
                      struct error *err);
/* The newest snapshot of each job that the name fits: without a host, of this host's jobs where any fits,
 * else of every host's. They point into list; the array is the caller's to free. Returns how many. */
size_t snapshots_choose(const struct snapshot_list *list, const struct repository *repository,
                        const struct snapshot_name *name, const struct snapshot ***choices);

#endif
