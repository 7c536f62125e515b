/*
 * One command of the user's that runs before or after something: told the facts in its environment and as
 * JSON on its standard input.
 */
#ifndef NOTIFY_HOOK_H
#define NOTIFY_HOOK_H

#include "base/bytes.h"
#include "base/error.h"

struct hook {
    const char *name;               /* for the log: "before of job web" */
    const char *const *argv;        /* ends with NULL */
    const char *const *environment; /* NAME=VALUE beyond environment.h's; ends with NULL */
    struct bytes input;
    unsigned timeout;         /* seconds */
    const volatile int *stop; /* ends it when it is not 0; NULL: nothing does */
};

/* Runs it to its end. What it prints, on both outputs, becomes lines of the log (the last 64 KiB); if it
 * fails, the last of them are in the error as well. FAILED: status, signal, time; CANCELLED; NOT_FOUND,
 * DENIED. */
int hook_run(const struct hook *hook, struct error *err);

#endif
