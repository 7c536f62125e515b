/*
 * Messages about the work for the person or the log file: always to standard error, one line each,
 * control characters made visible. The level is the only global state of the project.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

/* ERRORS: only they. */
enum log_level { LOG_LEVEL_ERRORS, LOG_LEVEL_QUIET, LOG_LEVEL_NORMAL, LOG_LEVEL_VERBOSE };

void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* Called before each line is printed, so that a progress line can be wiped; NULL for none. */
void log_set_before_line(void (*callback)(void *), void *context);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_verbose(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* An empty one is none: an error may have no hint. */
void log_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
