#include "cli/progress.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define REDRAW_SECONDS 0.2
#define WIPE "\r\033[K"

struct progress {
    pthread_mutex_t lock;
    char *what;
    double started, drawn; /* seconds of the monotonic clock */
    bool visible;
};

static double monotonic_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void wipe(struct progress *p)
{
    if (p->visible)
        fputs(WIPE, stderr);
    p->visible = false;
}

/* Called by the log before a line. The line must be out before the next redraw, so that waits its turn. */
static void before_line(void *context)
{
    struct progress *p = context;
    pthread_mutex_lock(&p->lock);
    wipe(p);
    p->drawn = monotonic_seconds();
    pthread_mutex_unlock(&p->lock);
}

struct progress *progress_new(const struct options *options, const char *what)
{
    const char *terminal = getenv("TERM");
    if (options->quiet || options->json || !isatty(STDERR_FILENO) || !terminal ||
        strcmp(terminal, "dumb") == 0)
        return NULL;
    struct progress *p = memory_new(struct progress);
    pthread_mutex_init(&p->lock, NULL);
    p->what = text_visible(what);
    p->started = p->drawn = monotonic_seconds();
    log_set_before_line(before_line, p);
    return p;
}

void progress_format(const char *what, uint64_t done, uint64_t total, double seconds, size_t columns,
                     char *text, size_t size)
{
    char done_text[32], total_text[32], rate_text[32], left_text[32];
    double rate = seconds > 0.5 ? (double)done / seconds : 0;
    text_format_size(done, done_text);
    text_format_size(total, total_text);
    text_format_size((uint64_t)rate, rate_text);
    int n;
    if (total == 0)
        n = snprintf(text, size, "%s: %s", what, done_text);
    else
        n = snprintf(text, size, "%s: %s of %s (%d %%)", what, done_text, total_text,
                     done >= total ? 100 : (int)((double)done * 100 / (double)total));
    if (rate >= 1 && n > 0 && (size_t)n < size)
        n += snprintf(text + n, size - (size_t)n, ", %s/s", rate_text);
    if (rate >= 1 && total > done && n > 0 && (size_t)n < size) {
        text_format_duration((double)(total - done) / rate, left_text);
        snprintf(text + n, size - (size_t)n, ", %s left", left_text);
    }
    /* Cut by characters: a continued UTF-8 sequence must not be split. */
    size_t at = 0;
    for (size_t shown = 0; text[at]; at++) {
        shown += ((unsigned char)text[at] & 0xc0) != 0x80;
        if (shown > columns)
            break;
    }
    text[at] = '\0';
}

static size_t terminal_columns(void)
{
    struct winsize window;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col < 20)
        return 79;
    return window.ws_col - 1u;
}

void progress_update(void *progress, uint64_t done, uint64_t total)
{
    struct progress *p = progress;
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    double now = monotonic_seconds();
    if (now - p->drawn >= REDRAW_SECONDS) {
        char text[512];
        progress_format(p->what, done, total, now - p->started, terminal_columns(), text, sizeof text);
        fprintf(stderr, WIPE "%s", text);
        fflush(stderr);
        p->drawn = now;
        p->visible = true;
    }
    pthread_mutex_unlock(&p->lock);
}

void progress_free(struct progress *p)
{
    if (!p)
        return;
    log_set_before_line(NULL, NULL);
    wipe(p);
    fflush(stderr);
    pthread_mutex_destroy(&p->lock);
    free(p->what);
    free(p);
}

struct progress *progress_watch(const struct options *options, const char *what,
                                struct repository *repository)
{
    struct progress *p = progress_new(options, what);
    repository_set_progress(repository, progress_update, p);
    return p;
}

void progress_leave(struct progress *p, struct repository *repository)
{
    repository_set_progress(repository, NULL, NULL);
    progress_free(p);
}
