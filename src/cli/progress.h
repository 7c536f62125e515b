/*
 * A line on the terminal that shows how far long work is: done, total, rate, time left. Never drawn where
 * standard error is no terminal, or with --quiet or --json. For the commands.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "cli/options.h"
#include "repo/repository.h"

#include <stddef.h>
#include <stdint.h>

struct progress;

/* `what` leads the line ("backup files"); copied. NULL where no line is wanted: the functions below take it.
 * One at a time: it registers itself with the log, so that messages do not mix with it. */
struct progress *progress_new(const struct options *options, const char *what);
/* Bytes done, of total (0: not known). From any thread, as often as wanted: redrawn at most 5 times a second.
 * The progress has no type here, so that this can be called back. */
void progress_update(void *progress, uint64_t done, uint64_t total);
/* Wipes the line. */
void progress_free(struct progress *progress);

/* The same line, of what a repository copies until progress_leave(). */
struct progress *progress_watch(const struct options *options, const char *what,
                                struct repository *repository);
void progress_leave(struct progress *progress, struct repository *repository);

/* The line itself, at most `columns` characters, into text. `what` must be printable. */
void progress_format(const char *what, uint64_t done, uint64_t total, double seconds, size_t columns,
                     char *text, size_t size);

#endif
