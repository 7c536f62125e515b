#include "http/limit.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define PIECE_MAX ((size_t)64 * 1024)
#define PIECE_MIN ((size_t)1024)
#define PIECES_PER_SECOND 20
#define BURST_SECONDS 0.1 /* time not used that may be caught up with */
#define LOOK_SECONDS 0.1  /* how often a waiting thread looks whether it is cancelled */

struct http_limit {
    atomic_uint references;
    pthread_mutex_t lock;
    double rate; /* bytes a second */
    double next; /* monotonic seconds: from when on the next piece may pass */
};

struct http_limit *http_limit_new(uint64_t bytes_per_second)
{
    struct http_limit *limit = memory_new(struct http_limit);
    atomic_init(&limit->references, 1);
    pthread_mutex_init(&limit->lock, NULL);
    limit->rate = bytes_per_second ? (double)bytes_per_second : 1;
    return limit;
}

struct http_limit *http_limit_share(struct http_limit *limit)
{
    if (limit)
        atomic_fetch_add(&limit->references, 1);
    return limit;
}

void http_limit_free(struct http_limit *limit)
{
    if (!limit || atomic_fetch_sub(&limit->references, 1) != 1)
        return;
    pthread_mutex_destroy(&limit->lock);
    free(limit);
}

size_t http_limit_piece(const struct http_limit *limit)
{
    double piece = limit ? limit->rate / PIECES_PER_SECOND : (double)PIECE_MAX;
    if (piece >= (double)PIECE_MAX)
        return PIECE_MAX;
    return piece <= (double)PIECE_MIN ? PIECE_MIN : (size_t)piece;
}

uint64_t http_limit_rate(const struct http_limit *limit)
{
    return limit ? (uint64_t)limit->rate : UINT64_MAX;
}

static double monotonic_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

bool http_limit_wait(struct http_limit *limit, size_t bytes, const atomic_bool *cancelled)
{
    if (!limit)
        return true;
    /* Whoever comes first takes the time that its bytes need, so all get their turn in the order they ask. */
    pthread_mutex_lock(&limit->lock);
    double now = monotonic_now();
    double start = limit->next > now - BURST_SECONDS ? limit->next : now - BURST_SECONDS;
    limit->next = start + (double)bytes / limit->rate;
    pthread_mutex_unlock(&limit->lock);
    while (start > now) {
        if (atomic_load(cancelled))
            return false;
        double rest = start - now < LOOK_SECONDS ? start - now : LOOK_SECONDS;
        nanosleep(&(struct timespec){0, (long)(rest * 1e9)}, NULL);
        now = monotonic_now();
    }
    return true;
}
