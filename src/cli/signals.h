/*
 * SIGINT and SIGTERM: long work stops cleanly, or at once where it cannot. For the commands.
 */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

/* The first signal asks; if the process is still there two seconds later (something does not answer), it ends
 * where it is, with 128 and the signal's number, which loses nothing that was committed or uploaded. A second
 * signal ends it as usual. */
void signals_install(void);
/* What is under way may take so many seconds more before that end, also if the signal came already: hooks
 * that put something back, messages that say what happened. 0: the two seconds again. */
void signals_allow(unsigned seconds);
/* The signal's number once one has come; else 0. */
const volatile int *signals_stop(void);
/* What the process ends with: STATUS_STOPPED becomes 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP, and
 * STATUS_FAILED where no signal has come; others stay. */
int signals_exit_status(int status);

struct signals_watch;
/* When a signal has come, or so many seconds are over (0: never), long work gets a second to stop by itself;
 * then `cut` is called, on another thread, once. NULL if there is nothing to wait for. */
struct signals_watch *signals_watch_start(void (*cut)(void *context), void *context, unsigned seconds);
/* `cut` is not called any more afterwards. NULL is fine. */
void signals_watch_end(struct signals_watch *watch);

#endif
