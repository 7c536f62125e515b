/*
 * Running a check and showing what it found: verify and heal.
 */
#ifndef CLI_VERIFY_PRINT_H
#define CLI_VERIFY_PRINT_H

#include "cli/session.h"
#include "ops/verify.h"

/* Returns the exit status. */
int verify_and_print(const struct options *options, struct session *session,
                     struct verify_parameters *parameters, const char *what);

#endif
