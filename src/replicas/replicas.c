#include "replicas/replicas.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/memory.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define LANES_MAX 32
#define TICK_NS 100000000 /* how often a waiting call looks for targets that lag */
#define HUNG_SECONDS 1800 /* drivers give up earlier; a file system that does not answer never does */

/* Shared by the queues of all targets. */
struct object {
    size_t references, live; /* live: those of active targets */
    bool barrier;
    char *name;
    struct buffer data;
};

struct entry {
    struct entry *next;
    struct object *object;
    uint64_t sequence; /* grows along the queue of its target */
};

/* One thread of a target. */
struct lane {
    struct target *target;
    pthread_t thread;
    struct object *object; /* in hand */
    uint64_t sequence;     /* of it; 0: none */
};

struct target {
    struct replicas *replicas;
    struct storage *storage;
    struct lane lanes[LANES_MAX];
    size_t lane_count, busy; /* threads, and those that have an object in hand */
    pthread_cond_t work;     /* something can be taken, or the end has come */
    struct entry *first, *last;
    size_t queued;
    uint64_t sequence; /* of what was queued last */
    bool barrier;      /* one is in hand */
    bool active;
    bool may_return; /* demoted, but not for good */
    unsigned order;  /* of demotions */
    double held_up;  /* seconds for which others waited for it, in all */
    double progress; /* monotonic seconds: when something last went on */
    struct error why;
};

struct replicas {
    pthread_mutex_t lock; /* guards all below and all targets */
    pthread_cond_t changed;
    struct target targets[TARGETS_MAX];
    size_t count, keep;
    uint64_t bytes, bytes_max; /* in objects that some queue or thread has */
    uint64_t live_bytes;       /* of them, in those that active targets have */
    double lag_seconds;
    double patience, patient_until; /* monotonic seconds; 0: not patient */
    size_t waiting;                 /* calls that wait */
    double accounted;               /* until when their waiting was charged */
    unsigned demotions;
    bool closing;
    bool cancelled;
    const volatile int *stop; /* NULL: none */
};

static double monotonic_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- with the lock held ---- */

static void object_release(struct replicas *replicas, struct object *object, bool live)
{
    if (live && --object->live == 0)
        replicas->live_bytes -= object->data.size;
    if (--object->references > 0)
        return;
    replicas->bytes -= object->data.size;
    buffer_free(&object->data);
    free(object->name);
    free(object);
}

/* What demoted targets have in hand stays in memory until their requests end; the others go on meanwhile,
 * with little. */
static bool has_room(const struct replicas *replicas, uint64_t size)
{
    return replicas->bytes + size <= replicas->bytes_max || replicas->live_bytes == 0 ||
           (replicas->bytes > replicas->live_bytes && replicas->live_bytes + size <= replicas->bytes_max / 4);
}

static bool can_take(const struct target *target)
{
    return target->first && !target->barrier && !(target->first->object->barrier && target->busy);
}

static struct object *take(struct target *target, uint64_t *sequence)
{
    struct entry *entry = target->first;
    struct object *object = entry->object;
    *sequence = entry->sequence;
    target->first = entry->next;
    if (!target->first)
        target->last = NULL;
    target->queued--;
    free(entry);
    return object;
}

static void drop_queue(struct target *target)
{
    uint64_t sequence;
    while (target->first)
        object_release(target->replicas, take(target, &sequence), true);
}

static size_t backlog(const struct target *target)
{
    return target->queued + target->busy;
}

static bool is_idle(const struct target *target)
{
    return target->active && backlog(target) == 0;
}

static size_t active_count(const struct replicas *replicas)
{
    size_t active = 0;
    for (size_t i = 0; i < replicas->count; i++)
        active += replicas->targets[i].active;
    return active;
}

static void demote(struct target *target, const struct error *why, bool may_return)
{
    struct replicas *replicas = target->replicas;
    if (!target->active) {
        target->may_return &= may_return;
        return;
    }
    target->active = false;
    target->may_return = may_return;
    target->order = ++replicas->demotions;
    target->why = *why;
    drop_queue(target);
    for (size_t i = 0; i < target->lane_count; i++) {
        struct object *object = target->lanes[i].object;
        if (object && --object->live == 0)
            replicas->live_bytes -= object->data.size;
    }
    pthread_cond_broadcast(&replicas->changed);
}

/* In the midst of the work: somebody should know. */
static void demote_and_warn(struct target *target, const struct error *why)
{
    if (!target->active)
        return;
    log_warning("%s", why->message);
    log_hint("%s", why->hint);
    /* A full disk or a missing permission will not be gone when the others are done. */
    demote(target, why, why->code == ERROR_FAILED || why->code == ERROR_NOT_FOUND);
}

static void demote_slow(struct target *target, const char *what, double seconds)
{
    struct error why;
    error_set(&why, ERROR_FAILED, "target %s: %s %.0f s", storage_label(target->storage), what, seconds);
    error_hint(&why,
               "what it lacks is copied to it when the others are done, or by the next run; look at its "
               "connection or disk");
    demote_and_warn(target, &why);
}

static void notice_stop(struct replicas *replicas)
{
    if (replicas->cancelled || !replicas->stop || !*replicas->stop)
        return;
    replicas->cancelled = true;
    for (size_t i = 0; i < replicas->count; i++) {
        if (replicas->targets[i].active)
            drop_queue(&replicas->targets[i]);
    }
}

/* 0, or why a waiting call must return. */
static int state(struct replicas *replicas, struct error *err)
{
    const struct target *first = NULL;
    notice_stop(replicas);
    if (replicas->cancelled)
        return error_set(err, ERROR_CANCELLED,
                         replicas->stop && *replicas->stop ? "stopped by a signal" : "cancelled");
    if (active_count(replicas) > 0)
        return 0;
    for (size_t i = 0; i < replicas->count; i++) {
        if (!first || replicas->targets[i].order < first->order)
            first = &replicas->targets[i];
    }
    if (!first)
        return error_set(err, ERROR_FAILED, "there is no target");
    if (err)
        *err = first->why;
    return first->why.code;
}

/* Charges the time since the last look to whoever is furthest behind, if another target could go on. */
static void charge(struct replicas *replicas)
{
    double now = monotonic_now(), passed = now - replicas->accounted;
    size_t longest = 1;
    bool another_waits = false;
    replicas->accounted = now;
    for (size_t i = 0; i < replicas->count; i++) {
        const struct target *target = &replicas->targets[i];
        another_waits |= is_idle(target);
        if (target->active && backlog(target) > longest)
            longest = backlog(target);
    }
    for (size_t i = 0; i < replicas->count && active_count(replicas) > replicas->keep; i++) {
        struct target *target = &replicas->targets[i];
        if (!target->active || is_idle(target))
            continue;
        if (another_waits && replicas->patient_until <= 0 && backlog(target) == longest)
            target->held_up += passed;
        if (target->held_up > replicas->lag_seconds)
            demote_slow(target, "it held the others up for", target->held_up);
        else if (now - target->progress > HUNG_SECONDS)
            demote_slow(target, "nothing went on for", now - target->progress);
        else if (replicas->patient_until > 0 && now > replicas->patient_until)
            demote_slow(target, "it is still behind after", replicas->patience);
    }
}

static void wait_a_tick(struct replicas *replicas)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TICK_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    if (replicas->waiting++ == 0)
        replicas->accounted = monotonic_now();
    pthread_cond_timedwait(&replicas->changed, &replicas->lock, &until);
    replicas->waiting--;
    notice_stop(replicas);
    charge(replicas);
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
    target->progress = monotonic_now();
    if (code != 0 && !replicas->cancelled)
        demote_and_warn(target, &err);
}

static void *serve(void *argument)
{
    struct lane *lane = argument;
    struct target *target = lane->target;
    struct replicas *replicas = target->replicas;
    pthread_mutex_lock(&replicas->lock);
    for (;;) {
        while (!can_take(target) && !(replicas->closing && !target->first))
            pthread_cond_wait(&target->work, &replicas->lock);
        if (!target->first)
            break;
        lane->object = take(target, &lane->sequence);
        target->busy++;
        target->barrier = lane->object->barrier;
        store(target, lane->object);
        object_release(replicas, lane->object, target->active);
        target->barrier = false;
        target->busy--;
        lane->object = NULL;
        lane->sequence = 0;
        /* A barrier may be over, or its turn may have come; and nobody is left to take what is not there. */
        pthread_cond_broadcast(&target->work);
        pthread_cond_broadcast(&replicas->changed);
    }
    pthread_mutex_unlock(&replicas->lock);
    return NULL;
}

static void start_lane(struct target *target)
{
    struct lane *lane = &target->lanes[target->lane_count++];
    lane->target = target;
    /* Signals are for the main thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&lane->thread, NULL, serve, lane) != 0)
        abort(); /* as for memory: nothing can be reported better */
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void append(struct target *target, struct object *object)
{
    struct entry *entry = memory_new(struct entry);
    if (backlog(target) == 0)
        target->progress = monotonic_now();
    entry->object = object;
    entry->sequence = ++target->sequence;
    object->references++;
    object->live++;
    if (target->last)
        target->last->next = entry;
    else
        target->first = entry;
    target->last = entry;
    target->queued++;
    /* Threads come with the work: who only reads needs none. */
    if (backlog(target) > target->lane_count && target->lane_count < LANES_MAX &&
        target->lane_count < storage_connections(target->storage))
        start_lane(target);
    pthread_cond_signal(&target->work);
}

struct replicas *replicas_new(struct storage **targets, size_t count, uint64_t bytes_max,
                              unsigned lag_seconds, size_t keep)
{
    struct replicas *replicas = memory_new(struct replicas);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&replicas->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&replicas->lock, NULL);
    replicas->bytes_max = bytes_max;
    replicas->lag_seconds = lag_seconds;
    replicas->keep = keep > 0 ? keep : 1;
    replicas->count = count < TARGETS_MAX ? count : TARGETS_MAX;
    for (size_t i = 0; i < replicas->count; i++) {
        struct target *target = &replicas->targets[i];
        target->replicas = replicas;
        target->storage = targets[i];
        target->active = true;
        pthread_cond_init(&target->work, NULL);
    }
    return replicas;
}

void replicas_free(struct replicas *replicas)
{
    if (!replicas)
        return;
    pthread_mutex_lock(&replicas->lock);
    notice_stop(replicas);
    replicas->closing = true;
    for (size_t i = 0; i < replicas->count; i++) {
        struct target *target = &replicas->targets[i];
        /* Nobody waits any more for what it has in hand. */
        if ((!target->active || replicas->cancelled) && target->busy)
            storage_cancel(target->storage);
        pthread_cond_broadcast(&target->work);
    }
    pthread_mutex_unlock(&replicas->lock);
    for (size_t i = 0; i < replicas->count; i++) {
        struct target *target = &replicas->targets[i];
        for (size_t k = 0; k < target->lane_count; k++)
            pthread_join(target->lanes[k].thread, NULL);
        pthread_cond_destroy(&target->work);
        storage_free(target->storage);
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
    demote(&replicas->targets[target], why, false);
    pthread_mutex_unlock(&replicas->lock);
}

void replicas_leave_behind(struct replicas *replicas, size_t target, const struct error *why)
{
    pthread_mutex_lock(&replicas->lock);
    if (active_count(replicas) > replicas->keep)
        demote(&replicas->targets[target], why, true);
    pthread_mutex_unlock(&replicas->lock);
}

void replicas_be_patient(struct replicas *replicas, unsigned seconds)
{
    pthread_mutex_lock(&replicas->lock);
    replicas->patience = seconds;
    replicas->patient_until = seconds ? monotonic_now() + seconds : 0;
    pthread_mutex_unlock(&replicas->lock);
}

/* Waits for the target's requests under way; false if the time is over. */
static bool becomes_quiet(struct target *target, double until)
{
    struct replicas *replicas = target->replicas;
    while (target->busy && !replicas->cancelled && monotonic_now() < until)
        wait_a_tick(replicas);
    return !target->busy && !replicas->cancelled;
}

uint32_t replicas_reinstate(struct replicas *replicas, unsigned seconds)
{
    uint32_t mask = 0;
    pthread_mutex_lock(&replicas->lock);
    double until = monotonic_now() + seconds;
    for (size_t i = 0; i < replicas->count; i++) {
        struct target *target = &replicas->targets[i];
        if (target->active || !target->may_return || !becomes_quiet(target, until))
            continue;
        target->active = true;
        target->held_up = 0;
        mask |= 1u << i;
    }
    pthread_mutex_unlock(&replicas->lock);
    return mask;
}

size_t replicas_active_count(struct replicas *replicas)
{
    pthread_mutex_lock(&replicas->lock);
    size_t active = active_count(replicas);
    pthread_mutex_unlock(&replicas->lock);
    return active;
}

int replicas_put(struct replicas *replicas, uint32_t mask, enum replicas_order order, const char *name,
                 struct buffer *data, struct error *err)
{
    struct object *object = memory_new(struct object);
    object->references = object->live = 1;
    object->barrier = order == REPLICAS_BARRIER;
    object->name = memory_copy_string(name);
    object->data = *data;
    *data = (struct buffer){0};

    pthread_mutex_lock(&replicas->lock);
    int code;
    while ((code = state(replicas, err)) == 0 && !has_room(replicas, object->data.size))
        wait_a_tick(replicas);
    replicas->bytes += object->data.size;
    replicas->live_bytes += object->data.size;
    for (size_t i = 0; i < replicas->count && code == 0; i++) {
        if ((mask >> i & 1) && replicas->targets[i].active)
            append(&replicas->targets[i], object);
    }
    object_release(replicas, object, true);
    pthread_mutex_unlock(&replicas->lock);
    return code;
}

/* True if nothing up to that number is queued or in hand. */
static bool is_past(const struct target *target, uint64_t sequence)
{
    if (target->first && target->first->sequence <= sequence)
        return false;
    for (size_t i = 0; i < target->lane_count; i++) {
        if (target->lanes[i].sequence && target->lanes[i].sequence <= sequence)
            return false;
    }
    return true;
}

int replicas_flush(struct replicas *replicas, struct error *err)
{
    uint64_t until[TARGETS_MAX];
    pthread_mutex_lock(&replicas->lock);
    for (size_t i = 0; i < replicas->count; i++)
        until[i] = replicas->targets[i].sequence;
    for (size_t i = 0; i < replicas->count; i++) {
        const struct target *target = &replicas->targets[i];
        while (target->active && !replicas->cancelled && !is_past(target, until[i]))
            wait_a_tick(replicas);
    }
    int code = state(replicas, err);
    pthread_mutex_unlock(&replicas->lock);
    return code;
}

void replicas_cancel(struct replicas *replicas)
{
    pthread_mutex_lock(&replicas->lock);
    replicas->cancelled = true;
    for (size_t i = 0; i < replicas->count; i++) {
        if (replicas->targets[i].active)
            drop_queue(&replicas->targets[i]);
        if (replicas->targets[i].storage)
            storage_cancel(replicas->targets[i].storage);
    }
    pthread_cond_broadcast(&replicas->changed);
    pthread_mutex_unlock(&replicas->lock);
}

void replicas_stop_on(struct replicas *replicas, const volatile int *stop)
{
    pthread_mutex_lock(&replicas->lock);
    replicas->stop = stop;
    pthread_mutex_unlock(&replicas->lock);
}
