/*
 * Exit statuses, as holdfast(1) lists them and run records keep them, and how an error becomes one. Pure.
 */
#ifndef POLICY_STATUS_H
#define POLICY_STATUS_H

enum status {
    STATUS_DONE = 0,
    STATUS_FAILED = 1,
    STATUS_USAGE = 2,
    STATUS_WARNINGS = 3, /* done, but a file could not be read */
    STATUS_BUSY = 4,
    STATUS_INTEGRITY = 5,
    STATUS_BEHIND = 6, /* done, but a target is behind */
    /* A signal stopped it. The process ends with 128 and the signal's number, see cli/signals.h. */
    STATUS_STOPPED = 130
};

/* The exit status of an error code; 0 gives STATUS_DONE, CANCELLED STATUS_STOPPED. */
int status_of_error(int code);
/* The worse of two exit statuses: 5, 130, 1, 2, 6, 3, 4, 0. */
int status_worse(int a, int b);

#endif
