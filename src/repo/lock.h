/*
 * The lock of a state folder: one process at a time works on a repository on this machine. For repository.c,
 * for who works before it is opened, and for who must know which process that is.
 */
#ifndef REPO_LOCK_H
#define REPO_LOCK_H

#include "base/error.h"

#include <stdint.h>

struct lock_holder {
    char command[32];
    long process;
    int64_t since; /* Unix seconds */
};

struct lock;

/* The state folder is made if it is missing. The caller releases *lock, at the latest the end of the process
 * does. BUSY, with the holder's name, if another process still holds it after a quarter of a second. */
int lock_take(const char *state_folder, const char *command, struct lock **lock, struct error *err);
void lock_release(struct lock *lock);
/* Who holds it, after BUSY: false if that cannot be told. */
bool lock_read_holder(const char *state_folder, struct lock_holder *holder);

#endif
