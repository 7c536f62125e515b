/*
 * SIGINT and SIGTERM: long work stops cleanly. For the commands.
 */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

/* The first signal asks; the second ends the process as usual. */
void signals_install(void);
/* Not zero once a signal has come. */
const volatile int *signals_stop(void);

#endif
