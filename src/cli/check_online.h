/*
 * check-config --online: what trying each target showed, as a table or as JSON.
 */
#ifndef CLI_CHECK_ONLINE_H
#define CLI_CHECK_ONLINE_H

#include "cli/output.h"
#include "config/config.h"

/* Tries every target of the configuration. Prints a table and hints, or with `json` (not NULL) appends one
 * object for each target. Returns the exit status: FAILED if a check failed, WARNINGS if one warns. */
int check_online(const struct config *config, bool quiet, json_t *json);

#endif
