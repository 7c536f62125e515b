/*
 * The lock of a state folder: one process at a time works on a repository on this machine. For repository.c,
 * and for who must know which process that is.
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

/* *fd is to be closed by the caller, or by the end of the process. BUSY, with the holder's name, if it is
 * still held after a quarter of a second. */
int lock_take(const char *state_folder, const char *command, int *fd, struct error *err);
/* Who holds it, after BUSY: false if that cannot be told. */
bool lock_read_holder(const char *state_folder, struct lock_holder *holder);

#endif
