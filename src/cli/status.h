/*
 * Exit statuses, as holdfast(1) lists them, and how an error becomes one. For main.c and the commands.
 */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include "base/error.h"

enum status {
    STATUS_DONE = 0,
    STATUS_FAILED = 1,
    STATUS_USAGE = 2,
    STATUS_WARNINGS = 3, /* done, but a file could not be read */
    STATUS_BUSY = 4,
    STATUS_INTEGRITY = 5,
    STATUS_BEHIND = 6 /* done, but a target is behind */
};

/* The exit status of an error code; 0 gives STATUS_DONE. */
int status_of_error(int code);
/* The worse of two exit statuses: 5, 1, 2, 6, 3, 4, 0. */
int status_worse(int a, int b);
/* Prints the error and its hint, or a general one, to standard error and returns the exit status. */
int status_report(const struct error *err);

#endif
