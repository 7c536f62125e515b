#include "replicas/replicas.h"

#include "base/memory.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#define TARGETS 3
#define ROOMY (1u << 30)

static struct error err;

/* ---- a store in memory: as slow as is wanted, hanging until it is let go, or failing ---- */

#define NAMES_MAX 4096

struct store {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned connections, delay_ms, random_ms;
    bool hangs, cancelled;
    int fails_at; /* the how manieth put fails; 0: none */
    int fail_code;
    int begun[NAMES_MAX], ended[NAMES_MAX]; /* numbers of objects in the order of their beginnings and ends */
    size_t begun_count, ended_count;
    size_t now, most; /* puts at one time */
    bool barrier_broken;
};

static struct store stores[TARGETS];
static struct storage *targets[TARGETS];

/* Objects are called kind/number; kind "b" is a barrier: nothing else may be under way with it, and all that
 * was queued before it is done. */
static int store_put(void *driver, const char *name, struct bytes data, struct error *error)
{
    struct store *s = driver;
    int number = atoi(strchr(name, '/') + 1);
    bool barrier = name[0] == 'b';
    (void)data;
    pthread_mutex_lock(&s->lock);
    s->begun[s->begun_count++] = number;
    if (++s->now > s->most)
        s->most = s->now;
    if (barrier && (s->now != 1 || s->ended_count != s->begun_count - 1))
        s->barrier_broken = true;
    bool fails = s->fails_at && (int)s->begun_count == s->fails_at;
    unsigned delay = s->delay_ms + (s->random_ms ? (unsigned)rand() % s->random_ms : 0);
    while (s->hangs && !s->cancelled)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    usleep(delay * 1000);
    pthread_mutex_lock(&s->lock);
    if (barrier && s->now != 1)
        s->barrier_broken = true;
    s->now--;
    if (!fails)
        s->ended[s->ended_count++] = number;
    pthread_mutex_unlock(&s->lock);
    return fails ? error_set(error, s->fail_code, "it fails as asked") : 0;
}

static unsigned store_connections(void *driver)
{
    return ((struct store *)driver)->connections;
}

static void store_cancel(void *driver)
{
    struct store *s = driver;
    pthread_mutex_lock(&s->lock);
    s->cancelled = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void store_free(void *driver)
{
    (void)driver;
}

static const struct storage_driver driver = {.type = "memory",
                                             .put = store_put,
                                             .connections = store_connections,
                                             .cancel = store_cancel,
                                             .free = store_free};

static void setup(void)
{
    for (size_t i = 0; i < TARGETS; i++) {
        char label[16];
        snprintf(label, sizeof label, "store%zu", i);
        stores[i] = (struct store){.connections = 4, .fail_code = ERROR_FAILED};
        pthread_mutex_init(&stores[i].lock, NULL);
        pthread_cond_init(&stores[i].changed, NULL);
        targets[i] = storage_new(&driver, &stores[i], label, "memory");
    }
}

static void let_go(size_t target)
{
    pthread_mutex_lock(&stores[target].lock);
    stores[target].hangs = false;
    pthread_cond_broadcast(&stores[target].changed);
    pthread_mutex_unlock(&stores[target].lock);
}

static int put_as(struct replicas *replicas, uint32_t mask, enum replicas_order order, int number,
                  size_t size)
{
    char name[32];
    struct buffer data = {0};
    snprintf(name, sizeof name, "%s/%d", order == REPLICAS_BARRIER ? "b" : "a", number);
    if (size)
        memset(buffer_extend(&data, size), number, size);
    int code = replicas_put(replicas, mask, order, name, &data, &err);
    ck_assert_ptr_null(data.data);
    return code;
}

static int put(struct replicas *replicas, uint32_t mask, int number, size_t size)
{
    return put_as(replicas, mask, REPLICAS_ANY_ORDER, number, size);
}

static size_t stored(size_t target)
{
    pthread_mutex_lock(&stores[target].lock);
    size_t count = stores[target].ended_count;
    pthread_mutex_unlock(&stores[target].lock);
    return count;
}

static size_t begun(size_t target)
{
    pthread_mutex_lock(&stores[target].lock);
    size_t count = stores[target].begun_count;
    pthread_mutex_unlock(&stores[target].lock);
    return count;
}

static double monotonic_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- order ---- */

START_TEST(every_target_has_every_object_after_a_flush)
{
    struct replicas *replicas = replicas_new(targets, TARGETS, ROOMY, 60, 1);
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(put(replicas, ~0u, i, 10000), 0);
    ck_assert_int_eq(put(replicas, 2, 50, 0), 0); /* for the second only */
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    for (size_t i = 0; i < TARGETS; i++) {
        ck_assert_uint_eq(stored(i), i == 1 ? 51 : 50);
        ck_assert(replicas_is_active(replicas, i));
    }
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    replicas_free(replicas);
}
END_TEST

START_TEST(a_target_is_written_on_all_its_connections)
{
    stores[0].connections = 3;
    stores[1].connections = 1;
    for (size_t i = 0; i < TARGETS; i++)
        stores[i].delay_ms = 5;
    struct replicas *replicas = replicas_new(targets, TARGETS, ROOMY, 60, 1);
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(put(replicas, ~0u, i, 10), 0);
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    ck_assert_uint_eq(stores[0].most, 3);
    ck_assert_uint_eq(stores[1].most, 1);
    ck_assert_uint_eq(stores[2].most, 4);
    /* One connection keeps the order. */
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(stores[1].ended[i], i);
    replicas_free(replicas);
}
END_TEST

static void *let_go_later(void *unused)
{
    usleep(300000);
    let_go(0);
    return unused;
}

START_TEST(a_flush_waits_for_what_was_queued_before_and_not_for_a_count)
{
    /* The first object hangs, the others are done long before it: their number must not stand in for it. */
    stores[0].hangs = true;
    struct replicas *replicas = replicas_new(targets, 1, ROOMY, 60, 1);
    ck_assert_int_eq(put(replicas, 1, 0, 10), 0);
    while (begun(0) == 0)
        usleep(1000);
    pthread_mutex_lock(&stores[0].lock);
    stores[0].hangs = false; /* for those that come now; the first still waits for the word */
    pthread_mutex_unlock(&stores[0].lock);
    for (int i = 1; i < 20; i++)
        ck_assert_int_eq(put(replicas, 1, i, 10), 0);
    while (stored(0) < 19)
        usleep(1000);
    double from = monotonic_now();
    pthread_t helper;
    ck_assert_int_eq(pthread_create(&helper, NULL, let_go_later, NULL), 0);
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    ck_assert_uint_eq(stored(0), 20);
    ck_assert(monotonic_now() - from > 0.2);
    pthread_join(helper, NULL);
    replicas_free(replicas);
    storage_free(targets[1]);
    storage_free(targets[2]);
}
END_TEST

START_TEST(a_barrier_is_alone_and_in_its_place_on_every_target)
{
    for (size_t i = 0; i < TARGETS; i++)
        stores[i].random_ms = 3 + (unsigned)i;
    struct replicas *replicas = replicas_new(targets, TARGETS, ROOMY, 60, 1);
    for (int i = 0; i < 300; i++)
        ck_assert_int_eq(put_as(replicas, ~0u, rand() % 7 ? REPLICAS_ANY_ORDER : REPLICAS_BARRIER, i, 10), 0);
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    for (size_t i = 0; i < TARGETS; i++) {
        ck_assert(!stores[i].barrier_broken);
        ck_assert_uint_eq(stored(i), 300);
        ck_assert_uint_gt(stores[i].most, 1);
    }
    replicas_free(replicas);
}
END_TEST

START_TEST(a_fast_target_has_its_last_barrier_while_a_slow_one_is_at_the_first_object)
{
    stores[0].hangs = true;
    struct replicas *replicas = replicas_new(targets, 2, ROOMY, 60, 1);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(put(replicas, ~0u, i, 10), 0);
    ck_assert_int_eq(put_as(replicas, ~0u, REPLICAS_BARRIER, 20, 10), 0);
    ck_assert_int_eq(put_as(replicas, ~0u, REPLICAS_BARRIER, 21, 10), 0);
    while (stored(1) < 22)
        usleep(1000);
    ck_assert_int_eq(stores[1].ended[21], 21);
    ck_assert_uint_eq(stored(0), 0);
    let_go(0);
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    ck_assert_int_eq(stores[0].ended[21], 21);
    replicas_free(replicas);
    storage_free(targets[2]);
}
END_TEST

START_TEST(nothing_follows_on_a_target_where_something_failed)
{
    /* Whatever is the moment: no barrier behind an object that is not there. */
    for (int at = 1; at <= 40; at++) {
        struct store before = stores[1];
        stores[1].fails_at = at;
        stores[1].begun_count = stores[1].ended_count = 0;
        stores[1].random_ms = 1;
        struct replicas *replicas = replicas_new(targets, 2, ROOMY, 60, 1);
        for (int i = 0; i < 40; i++)
            ck_assert_int_eq(put_as(replicas, ~0u, i % 8 == 7 ? REPLICAS_BARRIER : REPLICAS_ANY_ORDER, i, 10),
                             0);
        ck_assert_int_eq(replicas_flush(replicas, &err), 0);
        ck_assert_int_eq(replicas_is_active(replicas, 1), 0);
        ck_assert_uint_eq(stores[0].ended_count, 40);
        replicas_free(replicas);
        bool there[40] = {false};
        for (size_t i = 0; i < stores[1].ended_count; i++) {
            int number = stores[1].ended[i];
            there[number] = true;
            for (int k = 0; number % 8 == 7 && k < number; k++)
                ck_assert(there[k]);
        }
        stores[0].begun_count = stores[0].ended_count = 0;
        stores[1] = before;
        targets[0] = storage_new(&driver, &stores[0], "store0", "memory");
        targets[1] = storage_new(&driver, &stores[1], "store1", "memory");
    }
    for (size_t i = 0; i < TARGETS; i++)
        storage_free(targets[i]);
}
END_TEST

START_TEST(freeing_waits_for_what_is_queued)
{
    for (size_t i = 0; i < TARGETS; i++)
        stores[i].delay_ms = 3;
    struct replicas *replicas = replicas_new(targets, TARGETS, ROOMY, 60, 1);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(put_as(replicas, ~0u, i % 5 ? REPLICAS_ANY_ORDER : REPLICAS_BARRIER, i, 100000), 0);
    replicas_free(replicas);
    for (size_t i = 0; i < TARGETS; i++)
        ck_assert_uint_eq(stored(i), 20);
}
END_TEST

struct producer {
    struct replicas *replicas;
    int first;
};

static void *produce(void *argument)
{
    struct producer *producer = argument;
    for (int i = 0; i < 40; i++) {
        char name[32];
        struct buffer data = {0};
        struct error why;
        snprintf(name, sizeof name, "a/%d", producer->first + i);
        memset(buffer_extend(&data, 3000), i, 3000);
        ck_assert_int_eq(replicas_put(producer->replicas, ~0u, REPLICAS_ANY_ORDER, name, &data, &why), 0);
        if (i % 10 == 9)
            ck_assert_int_eq(replicas_flush(producer->replicas, &why), 0);
    }
    return NULL;
}

START_TEST(several_threads_put_and_flush_at_once)
{
    for (size_t i = 0; i < TARGETS; i++)
        stores[i].random_ms = 2;
    struct replicas *replicas = replicas_new(targets, TARGETS, 10000, 60, 1);
    pthread_t threads[3];
    struct producer producers[3];
    for (int i = 0; i < 3; i++) {
        producers[i] = (struct producer){replicas, i * 1000};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < TARGETS; i++)
        ck_assert_uint_eq(stored(i), 120);
    replicas_free(replicas);
}
END_TEST

/* ---- memory ---- */

static void *fill(void *argument)
{
    struct producer *producer = argument;
    for (int i = 0; i < 10; i++)
        put(producer->replicas, ~0u, producer->first++, 1000);
    return NULL;
}

START_TEST(what_is_queued_is_bounded_over_all_targets)
{
    stores[0].hangs = true;
    struct replicas *replicas = replicas_new(targets, TARGETS, 4000, 60, 1);
    struct producer producer = {replicas, 0};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, fill, &producer), 0);
    while (stored(1) < 4 || stored(2) < 4)
        usleep(1000);
    usleep(50000);
    ck_assert_uint_eq(stored(1), 4); /* the fifth waits for the first to be done with one */
    let_go(0);
    pthread_join(thread, NULL);
    /* One that is larger than all goes alone. */
    ck_assert_int_eq(put(replicas, ~0u, 10, 5000), 0);
    ck_assert_int_eq(put(replicas, ~0u, 11, 5000), 0);
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    for (size_t i = 0; i < TARGETS; i++)
        ck_assert_uint_eq(stored(i), 12);
    replicas_free(replicas);
}
END_TEST

/* ---- targets that fail ---- */

START_TEST(a_target_that_fails_is_demoted_and_the_others_go_on)
{
    stores[1].fails_at = 20;
    struct replicas *replicas = replicas_new(targets, TARGETS, ROOMY, 60, 1);
    for (int i = 0; i < 60; i++)
        ck_assert_int_eq(put(replicas, ~0u, i, 1000), 0);
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    ck_assert_uint_eq(replicas_active_count(replicas), 2);
    ck_assert(!replicas_is_active(replicas, 1));
    ck_assert_ptr_nonnull(strstr(replicas_failure(replicas, 1)->message, "store1"));
    ck_assert_uint_eq(stored(0), 60);
    ck_assert_uint_eq(stored(2), 60);
    /* It may have been a passing failure: it can be had back, once it is quiet. */
    ck_assert_uint_eq(replicas_reinstate(replicas, 10), 2);
    ck_assert(replicas_is_active(replicas, 1));
    size_t before = stored(1);
    ck_assert_int_eq(put(replicas, 2, 60, 10), 0);
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    ck_assert_uint_eq(stored(1), before + 1);
    replicas_free(replicas);
}
END_TEST

START_TEST(a_full_target_is_demoted_for_good)
{
    char folder[] = "/tmp/holdfast-replicas-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    storage_free(targets[2]);
    if (mount("holdfast-test", folder, "tmpfs", 0, "size=256k") != 0) {
        for (size_t i = 0; i < 2; i++)
            storage_free(targets[i]);
        rmdir(folder);
        return; /* only root can make a full disk */
    }
    ck_assert_int_eq(storage_open_local("small", folder, false, &targets[2], &err), 0);
    struct replicas *replicas = replicas_new(targets, TARGETS, ROOMY, 60, 1);
    int code = 0;
    for (int i = 0; code == 0 && i < 30; i++)
        code = put(replicas, ~0u, i, 50000);
    int flushed = replicas_flush(replicas, &err);
    struct error why = *replicas_failure(replicas, 2);
    size_t active = replicas_active_count(replicas);
    uint32_t back = replicas_reinstate(replicas, 1);
    replicas_free(replicas);
    ck_assert_int_eq(umount(folder), 0);
    ck_assert_int_eq(rmdir(folder), 0);
    ck_assert_int_eq(code, 0);
    ck_assert_int_eq(flushed, 0);
    ck_assert_uint_eq(active, 2);
    ck_assert_uint_eq(back, 0);
    ck_assert_int_eq(why.code, ERROR_NO_SPACE);
    ck_assert_uint_eq(stored(0), 30);
}
END_TEST

START_TEST(with_no_target_left_the_first_failure_is_returned)
{
    struct replicas *replicas = replicas_new(targets, TARGETS, ROOMY, 60, 1);
    struct error why;
    error_set(&why, ERROR_DENIED, "the second one");
    replicas_demote(replicas, 1, &why);
    error_set(&why, ERROR_FAILED, "another");
    replicas_demote(replicas, 1, &why); /* too late to change why */
    replicas_demote(replicas, 0, &why);
    ck_assert_int_eq(put(replicas, ~0u, 1, 10), 0);
    ck_assert_int_eq(put(replicas, 1, 2, 10), 0); /* passed over */
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    replicas_leave_behind(replicas, 2, &why); /* not the last one */
    ck_assert(replicas_is_active(replicas, 2));
    replicas_demote(replicas, 2, &why);
    ck_assert_int_eq(put(replicas, ~0u, 3, 10), ERROR_DENIED);
    ck_assert_str_eq(err.message, "the second one");
    ck_assert_int_eq(replicas_flush(replicas, &err), ERROR_DENIED);
    ck_assert_uint_eq(stored(2), 1);
    ck_assert_uint_eq(replicas_reinstate(replicas, 1), 0); /* they were taken out for good */
    replicas_free(replicas);
}
END_TEST

/* ---- targets that lag ---- */

START_TEST(a_target_that_holds_the_others_up_is_demoted)
{
    stores[0].hangs = true;
    struct replicas *replicas = replicas_new(targets, TARGETS, 40, 1, 1);
    double from = monotonic_now();
    for (int i = 0; i < 30; i++)
        ck_assert_int_eq(put(replicas, ~0u, i, 10), 0);
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    ck_assert(monotonic_now() - from < 50);
    ck_assert(!replicas_is_active(replicas, 0));
    ck_assert_uint_eq(replicas_active_count(replicas), 2);
    ck_assert_str_ne(replicas_failure(replicas, 0)->hint, "");
    ck_assert_uint_eq(stored(1), 30);
    /* Not while it still works on something. */
    ck_assert_uint_eq(replicas_reinstate(replicas, 0), 0);
    let_go(0);
    ck_assert_uint_eq(replicas_reinstate(replicas, 10), 1);
    replicas_free(replicas);
    ck_assert_uint_le(stored(0), 4);
}
END_TEST

START_TEST(a_slow_target_costs_the_others_no_more_than_its_lag_however_much_there_is)
{
    /* It goes on all the time, but takes 250 ms for what the others do in none. */
    stores[2].connections = 1;
    stores[2].delay_ms = 250;
    struct replicas *replicas = replicas_new(targets, TARGETS, 40, 1, 1);
    double from = monotonic_now();
    for (int i = 0; i < 400; i++)
        ck_assert_int_eq(put(replicas, ~0u, i, 10), 0);
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    ck_assert(monotonic_now() - from < 50);
    ck_assert(!replicas_is_active(replicas, 2));
    ck_assert_uint_eq(stored(0), 400);
    ck_assert_uint_eq(stored(1), 400);
    replicas_free(replicas);
}
END_TEST

START_TEST(a_flush_demotes_a_target_that_hangs)
{
    stores[0].hangs = true;
    struct replicas *replicas = replicas_new(targets, TARGETS, ROOMY, 1, 1);
    ck_assert_int_eq(put(replicas, ~0u, 1, 10), 0);
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    ck_assert(!replicas_is_active(replicas, 0));
    ck_assert_uint_eq(replicas_active_count(replicas), 2);
    replicas_free(replicas); /* which ends what hangs */
}
END_TEST

START_TEST(as_many_targets_as_must_commit_are_waited_for)
{
    stores[0].delay_ms = 600;
    stores[0].connections = 1;
    struct replicas *replicas = replicas_new(targets, 2, 20, 1, 2);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(put(replicas, ~0u, i, 10), 0);
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    ck_assert_uint_eq(replicas_active_count(replicas), 2);
    ck_assert_uint_eq(stored(0), 5);
    replicas_free(replicas);
    storage_free(targets[2]);
}
END_TEST

START_TEST(patience_has_an_end_of_its_own)
{
    stores[0].delay_ms = 1500;
    struct replicas *replicas = replicas_new(targets, 2, ROOMY, 1, 1);
    replicas_be_patient(replicas, 60);
    ck_assert_int_eq(put(replicas, 1, 1, 10), 0);
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    ck_assert_uint_eq(stored(0), 1);
    ck_assert_uint_eq(replicas_active_count(replicas), 2);
    replicas_be_patient(replicas, 1);
    ck_assert_int_eq(put(replicas, 1, 2, 10), 0);
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    ck_assert_uint_eq(replicas_active_count(replicas), 1);
    replicas_free(replicas);
    storage_free(targets[2]);
}
END_TEST

static void *cancel_soon(void *argument)
{
    usleep(200000);
    replicas_cancel(argument);
    return NULL;
}

START_TEST(a_cancel_ends_waiting_calls_and_requests_and_drops_what_is_queued)
{
    stores[0].hangs = true;
    struct replicas *replicas = replicas_new(targets, 1, 60, 60, 1);
    pthread_t helper;
    ck_assert_int_eq(pthread_create(&helper, NULL, cancel_soon, replicas), 0);
    int code = 0;
    for (int i = 0; code == 0 && i < 10; i++)
        code = put(replicas, ~0u, i, 10);
    ck_assert_int_eq(code, ERROR_CANCELLED);
    ck_assert_int_eq(replicas_flush(replicas, &err), ERROR_CANCELLED);
    pthread_join(helper, NULL);
    replicas_free(replicas);
    ck_assert_uint_eq(stores[0].begun_count, 4);
    storage_free(targets[1]);
    storage_free(targets[2]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replicas");
    TCase *tests = tcase_create("replicas");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, every_target_has_every_object_after_a_flush);
    tcase_add_test(tests, a_target_is_written_on_all_its_connections);
    tcase_add_test(tests, a_flush_waits_for_what_was_queued_before_and_not_for_a_count);
    tcase_add_test(tests, a_barrier_is_alone_and_in_its_place_on_every_target);
    tcase_add_test(tests, a_fast_target_has_its_last_barrier_while_a_slow_one_is_at_the_first_object);
    tcase_add_test(tests, nothing_follows_on_a_target_where_something_failed);
    tcase_add_test(tests, freeing_waits_for_what_is_queued);
    tcase_add_test(tests, several_threads_put_and_flush_at_once);
    tcase_add_test(tests, what_is_queued_is_bounded_over_all_targets);
    tcase_add_test(tests, a_target_that_fails_is_demoted_and_the_others_go_on);
    tcase_add_test(tests, a_full_target_is_demoted_for_good);
    tcase_add_test(tests, with_no_target_left_the_first_failure_is_returned);
    tcase_add_test(tests, a_target_that_holds_the_others_up_is_demoted);
    tcase_add_test(tests, a_slow_target_costs_the_others_no_more_than_its_lag_however_much_there_is);
    tcase_add_test(tests, a_flush_demotes_a_target_that_hangs);
    tcase_add_test(tests, as_many_targets_as_must_commit_are_waited_for);
    tcase_add_test(tests, patience_has_an_end_of_its_own);
    tcase_add_test(tests, a_cancel_ends_waiting_calls_and_requests_and_drops_what_is_queued);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
