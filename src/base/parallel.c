#include "base/parallel.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#define THREADS_MAX 64

struct loop {
    size_t count;
    int (*task)(size_t index, void *context, struct error *err);
    void *context;
    atomic_size_t next;
    pthread_mutex_t lock; /* code, why */
    int code;
    struct error why;
};

static void *work(void *argument)
{
    struct loop *loop = argument;
    for (;;) {
        struct error why;
        size_t index = atomic_fetch_add(&loop->next, 1);
        if (index >= loop->count)
            return NULL;
        int code = loop->task(index, loop->context, &why);
        if (code == 0)
            continue;
        pthread_mutex_lock(&loop->lock);
        if (loop->code == 0) {
            loop->code = code;
            loop->why = why;
        }
        pthread_mutex_unlock(&loop->lock);
        atomic_store(&loop->next, loop->count);
        return NULL;
    }
}

int parallel_run(size_t count, unsigned threads, int (*task)(size_t index, void *context, struct error *err),
                 void *context, struct error *err)
{
    struct loop loop = {.count = count, .task = task, .context = context};
    pthread_t started[THREADS_MAX];
    size_t number = 0;
    /* Signals are for the thread that was there. */
    sigset_t all, before;
    pthread_mutex_init(&loop.lock, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (number + 1 < threads && number + 1 < count && number < THREADS_MAX &&
           pthread_create(&started[number], NULL, work, &loop) == 0)
        number++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    work(&loop);
    while (number > 0)
        pthread_join(started[--number], NULL);
    pthread_mutex_destroy(&loop.lock);
    if (loop.code != 0 && err)
        *err = loop.why;
    return loop.code;
}
