/*
 * Who listens to a run: hooks and channels. For run; and, without the channels, for backup by hand.
 */
#ifndef CLI_LISTENER_H
#define CLI_LISTENER_H

#include "base/arena.h"
#include "config/config.h"
#include "ops/run.h"

struct listener {
    const struct config *config;
    struct repository *const *repository; /* what the history is read from; NULL while it is not open */
    bool tells;                           /* the channels, too */
    bool begun;                           /* hooks.before was reached */
    const char **begun_jobs;              /* names: their own was reached */
    size_t begun_count, begun_capacity;
    /* What came of it: */
    bool recovered;       /* the first good run after one that was not */
    unsigned undelivered; /* messages */
    unsigned failed;      /* hooks other than before */
    struct arena arena;   /* messages of jobs */
};

/* The events that it listens to; l is their context. */
struct run_events listener_events(struct listener *l);
/* Tells the channels alone. */
void listener_tell(struct listener *l, const struct run_record *record);
/* STATUS_WARNINGS if hooks of the run as a whole or of a job have failed, else STATUS_DONE. */
int listener_status(const struct listener *l);
void listener_free(struct listener *l);

#endif
