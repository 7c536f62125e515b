/*
 * A command that is started without a shell, in its own process group: its standard output is read, or it is
 * fed and what it prints is kept. What it says on standard error is kept for the error text. Used for sources
 * (ops, source/archive), for a credential_process (storage), for hooks and mail (notify).
 */
#ifndef BASE_COMMAND_H
#define BASE_COMMAND_H

#include "base/bytes.h"
#include "base/error.h"

/* Of what the command says on standard error, this much from the end is kept. */
#define COMMAND_ERRORS_MAX (64u * 1024)

struct command;

/* Starts argv (NULL at its end), found in PATH, with nothing on its standard input. environment NULL: the
 * caller's; folder NULL: the caller's. NOT_FOUND or DENIED where it cannot be started. */
int command_start(const char *const *argv, const char *const *environment, const char *folder,
                  struct command **command, struct error *err);
/* Likewise, with `input` on its standard input, which it may read or not. command_read() gives nothing: what
 * it prints is kept among what it says on standard error. */
int command_start_fed(const char *const *argv, const char *const *environment, struct bytes input,
                      struct command **command, struct error *err);
/* Whether a program would be found and may be run, by path or in PATH: NOT_FOUND or DENIED. */
int command_find(const char *program, struct error *err);
/* Shows what it has said on standard error so far, each line behind `name`. */
void command_log(const struct command *command, const char *name);
/* Adds to an error of command_finish(), which has the last line, those before it. */
void command_explain(const struct command *command, struct error *err);
/* From now on, command_read() and command_finish() fail with FAILED when so many seconds have passed. */
void command_set_timeout(struct command *command, unsigned seconds);
/* From now on they fail with CANCELLED, within a tenth of a second, once *stop is not 0; stop may be NULL. */
void command_set_stop(struct command *command, const volatile int *stop);
/* Up to size bytes of its output; *done is 0 at the end. Blocks. CANCELLED after command_cancel(). */
int command_read(struct command *command, void *to, size_t size, size_t *done, struct error *err);
/* Waits for it and checks how it ended; what it still writes gets SIGPIPE, so read to the end before. FAILED
 * with command, status and the last line it said; CANCELLED. A process it left in the background is not
 * waited for. */
int command_finish(struct command *command, struct error *err);
/* The end of what it said on standard error so far. */
struct bytes command_errors(const struct command *command);
/* Makes command_read() and command_finish() return, now or when they are called. For any thread, and for
 * signal handlers. The process group ends in command_free(). */
void command_cancel(struct command *command);
/* Ends the process group if the command was not seen to end: SIGTERM, after a second SIGKILL. */
void command_free(struct command *command);

#endif
