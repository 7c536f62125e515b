/*
 * How an error is told, and the exit status it gives. For main.c and the commands.
 */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include "base/error.h"
#include "policy/status.h"

/* Prints the error and its hint, or a general one, to standard error and returns the exit status. */
int status_report(const struct error *err);

#endif
