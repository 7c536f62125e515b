#include "base/log.h"

#include "base/text.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static enum log_level current_level = LOG_LEVEL_NORMAL;
static void (*before_line)(void *);
static void *before_line_context;
static pthread_mutex_t line_lock = PTHREAD_MUTEX_INITIALIZER;

void log_set_level(enum log_level level)
{
    current_level = level;
}

enum log_level log_get_level(void)
{
    return current_level;
}

void log_set_before_line(void (*callback)(void *), void *context)
{
    pthread_mutex_lock(&line_lock);
    before_line = callback;
    before_line_context = context;
    pthread_mutex_unlock(&line_lock);
}

static void write_line(const char *lead, const char *format, va_list args)
{
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        return;
    if (*text) {
        char *shown = text_printable(text);
        pthread_mutex_lock(&line_lock);
        if (before_line)
            before_line(before_line_context);
        fprintf(stderr, "%s%s\n", lead, shown);
        fflush(stderr);
        pthread_mutex_unlock(&line_lock);
        free(shown);
    }
    free(text);
}

#define LOG_FUNCTION(name, lead, lowest)                                                                     \
    void name(const char *format, ...)                                                                       \
    {                                                                                                        \
        if (current_level < (lowest))                                                                        \
            return;                                                                                          \
        va_list args;                                                                                        \
        va_start(args, format);                                                                              \
        write_line(lead, format, args);                                                                      \
        va_end(args);                                                                                        \
    }

LOG_FUNCTION(log_error, "holdfast: ", LOG_LEVEL_ERRORS)
LOG_FUNCTION(log_warning, "warning: ", LOG_LEVEL_QUIET)
LOG_FUNCTION(log_hint, "hint: ", LOG_LEVEL_QUIET)
LOG_FUNCTION(log_info, "", LOG_LEVEL_NORMAL)
LOG_FUNCTION(log_verbose, "", LOG_LEVEL_VERBOSE)
