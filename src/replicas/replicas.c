#include "replicas/replicas.h"

#include "base/log.h"
#include "base/memory.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define TARGETS_MAX 16
#define TICK_NS 100000000 /* how often a waiting call looks for stalled targets */

/* Shared by the queues of all targets; freed by the last that lets go. */
struct object {
    atomic_uint references;
    char *name;
    struct buffer data;
    replicas_done_callback *done;
    void *context;
};

struct target {
    struct replicas *replicas;
    struct storage *storage;
    size_t index;
    pthread_t thread;
    pthread_cond_t work;   /* something was queued, or the end has come */
    struct object **queue; /* a ring */
    size_t first, count;
    uint64_t queued, ended; /* objects, ever */
    bool active;
    bool working; /* an object is in the thread's hands */
    bool in_callback;
    double full_since; /* monotonic seconds; 0: not full, or drained to a half since */
    double progress;   /* when something last went on */
    struct error why;
};

struct replicas {
    pthread_mutex_t lock; /* guards all below and all targets */
    pthread_cond_t changed;
    struct target targets[TARGETS_MAX];
    size_t count;
    size_t capacity;
    double stall_seconds;
    struct target *first_failed;
    bool closing;
    bool cancelled;
};

static double monotonic_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void object_release(struct object *object)
{
    if (atomic_fetch_sub(&object->references, 1) != 1)
        return;
    buffer_free(&object->data);
    free(object->name);
    free(object);
}

/* ---- with the lock held ---- */

static struct object *take(struct target *target)
{
    struct object *object = target->queue[target->first];
    target->first = (target->first + 1) % target->replicas->capacity;
    target->count--;
    if (target->count <= target->replicas->capacity / 2)
        target->full_since = 0;
    return object;
}

static void append(struct target *target, struct object *object)
{
    size_t capacity = target->replicas->capacity;
    if (target->count == 0 && !target->working)
        target->progress = monotonic_now();
    atomic_fetch_add(&object->references, 1);
    target->queue[(target->first + target->count++) % capacity] = object;
    target->queued++;
    if (target->count == capacity && target->full_since == 0)
        target->full_since = monotonic_now();
    pthread_cond_signal(&target->work);
}

static void drop_queue(struct target *target)
{
    while (target->count > 0)
        object_release(take(target));
}

static void demote(struct target *target, const struct error *why)
{
    struct replicas *replicas = target->replicas;
    if (!target->active)
        return;
    target->active = false;
    target->why = *why;
    if (!replicas->first_failed)
        replicas->first_failed = target;
    drop_queue(target);
    pthread_cond_broadcast(&replicas->changed);
}

/* In the midst of the work: somebody should know. */
static void demote_and_warn(struct target *target, const struct error *why)
{
    if (!target->active)
        return;
    log_warning("%s", why->message);
    if (*why->hint)
        log_hint("%s", why->hint);
    demote(target, why);
}

static void demote_stalled(struct target *target)
{
    struct error why;
    error_set(&why, ERROR_FAILED, "target %s: it held the others up for %.0f s",
              storage_label(target->storage), target->replicas->stall_seconds);
    error_hint(&why, "what it lacks is copied to it by the next run; look at its connection or disk");
    demote_and_warn(target, &why);
}

static bool is_idle(const struct target *target)
{
    return target->active && target->count == 0 && !target->working;
}

static size_t active_count(const struct replicas *replicas)
{
    size_t active = 0;
    for (size_t i = 0; i < replicas->count; i++)
        active += replicas->targets[i].active;
    return active;
}

/* 0, or why a waiting call must return. */
static int state(const struct replicas *replicas, struct error *err)
{
    if (replicas->cancelled)
        return error_set(err, ERROR_CANCELLED, "cancelled");
    if (active_count(replicas) > 0)
        return 0;
    if (!replicas->first_failed)
        return error_set(err, ERROR_FAILED, "there is no target");
    if (err)
        *err = replicas->first_failed->why;
    return replicas->first_failed->why.code;
}

static void wait_a_tick(struct replicas *replicas)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TICK_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&replicas->changed, &replicas->lock, &until);
}

/* Among the targets of a put: whoever was behind for too long while another has nothing to do. */
static void check_stalls(struct replicas *replicas, unsigned mask)
{
    bool another_waits = false;
    for (size_t i = 0; i < replicas->count; i++)
        another_waits |= (mask >> i & 1) && is_idle(&replicas->targets[i]);
    if (!another_waits)
        return;
    double limit = monotonic_now() - replicas->stall_seconds;
    for (size_t i = 0; i < replicas->count; i++) {
        struct target *target = &replicas->targets[i];
        if ((mask >> i & 1) && target->active && target->full_since != 0 && target->full_since <= limit)
            demote_stalled(target);
    }
}

/* At a flush: whoever got nothing done for too long while another is ready. */
static void check_progress(struct replicas *replicas)
{
    bool another_is_ready = false;
    for (size_t i = 0; i < replicas->count; i++)
        another_is_ready |= is_idle(&replicas->targets[i]);
    if (!another_is_ready)
        return;
    double limit = monotonic_now() - replicas->stall_seconds;
    for (size_t i = 0; i < replicas->count; i++) {
        struct target *target = &replicas->targets[i];
        if (target->active && !is_idle(target) && !target->in_callback && target->progress <= limit)
            demote_stalled(target);
    }
}

/* Gives the object to those of the mask that have room. Returns those that have not. */
static unsigned offer(struct replicas *replicas, unsigned mask, struct object *object)
{
    unsigned full = 0;
    for (size_t i = 0; i < replicas->count; i++) {
        struct target *target = &replicas->targets[i];
        if (!(mask >> i & 1) || !target->active)
            continue;
        if (target->count < replicas->capacity)
            append(target, object);
        else
            full |= 1u << i;
    }
    return full;
}

/* ---- the threads ---- */

/* Stores one object. The lock is held when it is called and when it returns. */
static void store(struct target *target, struct object *object)
{
    struct replicas *replicas = target->replicas;
    struct error err;
    pthread_mutex_unlock(&replicas->lock);
    int code = storage_put(target->storage, object->name, buffer_bytes(&object->data), &err);
    pthread_mutex_lock(&replicas->lock);
    if (code != 0) {
        demote_and_warn(target, &err);
        return;
    }
    target->progress = monotonic_now();
    /* After a demotion or a cancel the caller may have gone on, and its context with it. */
    if (!object->done || !target->active || replicas->cancelled)
        return;
    target->in_callback = true;
    pthread_mutex_unlock(&replicas->lock);
    object->done(target->index, object->name, object->context);
    pthread_mutex_lock(&replicas->lock);
    target->in_callback = false;
}

static void *serve(void *argument)
{
    struct target *target = argument;
    struct replicas *replicas = target->replicas;
    pthread_mutex_lock(&replicas->lock);
    for (;;) {
        while (target->count == 0 && !replicas->closing)
            pthread_cond_wait(&target->work, &replicas->lock);
        if (target->count == 0)
            break;
        struct object *object = take(target);
        target->working = true;
        pthread_cond_broadcast(&replicas->changed);
        store(target, object);
        object_release(object);
        target->working = false;
        target->ended++;
        pthread_cond_broadcast(&replicas->changed);
    }
    pthread_mutex_unlock(&replicas->lock);
    return NULL;
}

static void start(struct replicas *replicas, size_t index, struct storage *storage)
{
    struct target *target = &replicas->targets[index];
    target->replicas = replicas;
    target->storage = storage;
    target->index = index;
    target->queue = memory_alloc_array(replicas->capacity, sizeof *target->queue);
    target->active = true;
    pthread_cond_init(&target->work, NULL);
    /* Signals are for the main thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&target->thread, NULL, serve, target) != 0)
        abort(); /* as for memory: nothing can be reported better */
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct replicas *replicas_new(struct storage **targets, size_t count, size_t queue_objects,
                              unsigned stall_seconds)
{
    struct replicas *replicas = memory_new(struct replicas);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&replicas->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&replicas->lock, NULL);
    replicas->capacity = queue_objects > 0 ? queue_objects : 1;
    replicas->stall_seconds = stall_seconds;
    replicas->count = count < TARGETS_MAX ? count : TARGETS_MAX;
    for (size_t i = 0; i < replicas->count; i++)
        start(replicas, i, targets[i]);
    return replicas;
}

void replicas_free(struct replicas *replicas)
{
    if (!replicas)
        return;
    pthread_mutex_lock(&replicas->lock);
    replicas->closing = true;
    for (size_t i = 0; i < replicas->count; i++)
        pthread_cond_signal(&replicas->targets[i].work);
    pthread_mutex_unlock(&replicas->lock);
    for (size_t i = 0; i < replicas->count; i++) {
        struct target *target = &replicas->targets[i];
        pthread_join(target->thread, NULL);
        pthread_cond_destroy(&target->work);
        storage_free(target->storage);
        free(target->queue);
    }
    pthread_cond_destroy(&replicas->changed);
    pthread_mutex_destroy(&replicas->lock);
    free(replicas);
}

/* ---- the caller's side ---- */

size_t replicas_count(const struct replicas *replicas)
{
    return replicas->count;
}

struct storage *replicas_storage(const struct replicas *replicas, size_t target)
{
    return replicas->targets[target].storage;
}

bool replicas_is_active(struct replicas *replicas, size_t target)
{
    pthread_mutex_lock(&replicas->lock);
    bool active = replicas->targets[target].active;
    pthread_mutex_unlock(&replicas->lock);
    return active;
}

const struct error *replicas_failure(const struct replicas *replicas, size_t target)
{
    return &replicas->targets[target].why;
}

void replicas_demote(struct replicas *replicas, size_t target, const struct error *why)
{
    pthread_mutex_lock(&replicas->lock);
    demote(&replicas->targets[target], why);
    pthread_mutex_unlock(&replicas->lock);
}

size_t replicas_active_count(struct replicas *replicas)
{
    pthread_mutex_lock(&replicas->lock);
    size_t active = active_count(replicas);
    pthread_mutex_unlock(&replicas->lock);
    return active;
}

int replicas_put(struct replicas *replicas, unsigned mask, const char *name, struct buffer *data,
                 replicas_done_callback *done, void *context, struct error *err)
{
    struct object *object = memory_new(struct object);
    atomic_init(&object->references, 1);
    object->name = memory_copy_string(name);
    object->data = *data;
    *data = (struct buffer){0};
    object->done = done;
    object->context = context;

    pthread_mutex_lock(&replicas->lock);
    int code;
    unsigned waiting = mask;
    while ((code = state(replicas, err)) == 0) {
        waiting = offer(replicas, waiting, object);
        if (waiting == 0)
            break;
        wait_a_tick(replicas);
        check_stalls(replicas, mask);
    }
    pthread_mutex_unlock(&replicas->lock);
    object_release(object);
    return code;
}

/* A demoted target is waited for only as long as it is in a callback. */
static bool is_flushed(const struct target *target, uint64_t until)
{
    return !target->in_callback && (!target->active || target->ended >= until);
}

int replicas_flush(struct replicas *replicas, struct error *err)
{
    uint64_t until[TARGETS_MAX];
    pthread_mutex_lock(&replicas->lock);
    for (size_t i = 0; i < replicas->count; i++)
        until[i] = replicas->targets[i].queued;
    for (size_t i = 0; i < replicas->count; i++) {
        const struct target *target = &replicas->targets[i];
        while (!is_flushed(target, until[i]) && !(replicas->cancelled && !target->in_callback)) {
            wait_a_tick(replicas);
            check_progress(replicas);
        }
    }
    int code = state(replicas, err);
    pthread_mutex_unlock(&replicas->lock);
    return code;
}

void replicas_cancel(struct replicas *replicas)
{
    pthread_mutex_lock(&replicas->lock);
    replicas->cancelled = true;
    for (size_t i = 0; i < replicas->count; i++)
        drop_queue(&replicas->targets[i]);
    pthread_cond_broadcast(&replicas->changed);
    pthread_mutex_unlock(&replicas->lock);
}
