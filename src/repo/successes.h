/*
 * Which classes of which jobs this host has taken, and when: from every manifest and run record that the
 * catalog knows, also of snapshots that are gone. What is due follows from it (policy/due.h). Used by ops.
 */
#ifndef REPO_SUCCESSES_H
#define REPO_SUCCESSES_H

#include "policy/due.h"
#include "repo/repository.h"

struct job_success {
    const char *job;
    struct due_success success;
};

struct success_list {
    struct arena arena;
    struct job_success *list; /* in no order; a snapshot may be there twice */
    size_t count, capacity;
};

/* The repository must be synced (its records suffice), or offline. */
int successes_load(struct repository *repository, struct success_list *list, struct error *err);
/* From what the state folder knows, without asking any target: nothing if there is no catalog. BUSY, as
 * lock_take tells it, if another process works. */
int successes_read_local(const char *state_folder, const char *host_key_file, const char *command,
                         struct success_list *list, struct error *err);
void successes_free(struct success_list *list);

/* Those of one job, allocated: the caller frees them. */
struct due_success *successes_of_job(const struct success_list *list, const char *job, size_t *count);

#endif
