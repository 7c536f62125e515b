/*
 * Hooks as configured: which commands run when, and what they are told. For backup and run.
 */
#ifndef CLI_HOOKS_H
#define CLI_HOOKS_H

#include "config/config.h"
#include "format/messages.h"

#include <jansson.h>

/* What hooks are told, besides the repository's name. */
struct hooks_facts {
    const struct config *config;
    const struct config_hooks *hooks;
    const char *job; /* NULL: the run as a whole */
    bool begun;      /* hooks_before was called for it */
    uint32_t classes;
    int exit_status;           /* what follows is for those after it */
    const char *error;         /* NULL or "": none */
    const struct id *snapshot; /* NULL: none */
    uint64_t warnings;
    json_t *result; /* what is known, for standard input; borrowed */
};

/* Runs `before`, one after the other. The first that fails is the error; a signal ends it. */
int hooks_before(const struct hooks_facts *facts, struct error *err);
/* Runs `after`, if `begun`, then those for the outcome. They have their time also after a signal. Each that
 * fails is warned of; returns their number, with the error of the last. */
unsigned hooks_after(const struct hooks_facts *facts, struct error *err);

#endif
