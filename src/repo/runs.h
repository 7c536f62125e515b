/*
 * The history of runs: one signed record of each, chained per host, on every target and in the catalog. What
 * a run could not store waits in a folder of the state folder. Used by ops.
 */
#ifndef REPO_RUNS_H
#define REPO_RUNS_H

#include "repo/repository.h"

struct run_entry {
    struct id sha256; /* of the object; zero while it waits */
    bool waits;       /* no target has taken it yet */
    struct run_record record;
};

struct run_list {
    struct arena arena;
    struct run_entry *list; /* of each host oldest first, by sequence; those that wait behind all others */
    size_t count;
};

/* Keeps a record of a run that has begun in the state folder: what is left of it if the process is killed.
 * The next append takes it then, and runs_load does not show it before. *draft, allocated, names it; with one
 * from before, that is replaced. */
int runs_draft(const char *state_folder, const struct run_record *record, char **draft, struct error *err);

/* There will be no record. */
void runs_drop_draft(const char *draft);

/* Fills in host, sequence and previous, signs the record with software and texts that fit (printable, not too
 * long), and writes it to every active target, behind those that waited. The repository must be synced. The
 * draft, which may be NULL, goes. After a failure that is no failure of every target, runs_keep_waiting with
 * what was filled in lets the next append know the record again. */
int runs_append(struct repository *repository, struct run_record *record, const char *draft,
                struct error *err);
/* Writes those that wait. The repository must be synced. */
int runs_append_waiting(struct repository *repository, struct error *err);
/* Keeps a record in the state folder until a repository takes it. The draft, which may be NULL, goes. */
int runs_keep_waiting(const char *state_folder, const struct run_record *record, const char *draft,
                      struct error *err);

/* Every record of a synced repository that verifies, of all hosts, and those that wait. Others are warned of
 * and counted as damage. */
int runs_load(struct repository *repository, struct run_list *list, struct error *err);
/* Those alone that wait in a state folder. */
int runs_load_waiting(const char *state_folder, struct run_list *list, struct error *err);
void runs_free(struct run_list *list);

#endif
