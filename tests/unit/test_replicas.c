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

static char folder[64], paths[TARGETS][80];
static struct storage *targets[TARGETS];
static struct error err;
static atomic_uint done[TARGETS];

static void setup(void)
{
    strcpy(folder, "/tmp/holdfast-replicas-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (size_t i = 0; i < TARGETS; i++) {
        char label[16];
        snprintf(label, sizeof label, "disk%zu", i);
        snprintf(paths[i], sizeof paths[i], "%s/%zu", folder, i);
        ck_assert_int_eq(storage_open_local(label, paths[i], true, &targets[i], &err), 0);
        atomic_store(&done[i], 0);
    }
}

static void teardown(void)
{
    char *command = memory_format("rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
    free(command);
}

static void count_done(size_t target, const char *name, void *context)
{
    (void)name;
    ck_assert_ptr_eq(context, done);
    atomic_fetch_add(&done[target], 1);
}

static int put(struct replicas *replicas, unsigned mask, int number, size_t size)
{
    char name[32];
    struct buffer data = {0};
    snprintf(name, sizeof name, "packs/%02d/%d", number % 7, number);
    if (size)
        memset(buffer_extend(&data, size), number, size);
    int code = replicas_put(replicas, mask, name, &data, count_done, done, &err);
    ck_assert_ptr_null(data.data);
    return code;
}

static int add_one(const struct storage_object *object, void *context)
{
    (void)object;
    ++*(size_t *)context;
    return 0;
}

static size_t stored(struct replicas *replicas, size_t target)
{
    size_t count = 0;
    ck_assert_int_eq(storage_list(replicas_storage(replicas, target), "", add_one, &count, &err), 0);
    return count;
}

START_TEST(every_target_has_every_object_after_a_flush)
{
    struct replicas *replicas = replicas_new(targets, TARGETS, 2, 60);
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(put(replicas, ~0u, i, 10000), 0);
    ck_assert_int_eq(put(replicas, 2, 50, 0), 0); /* for the second only */
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    for (size_t i = 0; i < TARGETS; i++) {
        ck_assert_uint_eq(atomic_load(&done[i]), i == 1 ? 51 : 50);
        ck_assert_uint_eq(stored(replicas, i), i == 1 ? 51 : 50);
        ck_assert(replicas_is_active(replicas, i));
    }
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    replicas_free(replicas);
}
END_TEST

START_TEST(freeing_waits_for_what_is_queued)
{
    struct replicas *replicas = replicas_new(targets, TARGETS, 32, 60);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(put(replicas, ~0u, i, 100000), 0);
    replicas_free(replicas);
    for (size_t i = 0; i < TARGETS; i++)
        ck_assert_uint_eq(atomic_load(&done[i]), 20);
}
END_TEST

START_TEST(a_target_whose_folder_goes_is_demoted_and_the_others_go_on)
{
    struct replicas *replicas = replicas_new(targets, TARGETS, 4, 60);
    for (int i = 0; i < 60; i++) {
        if (i == 20) {
            char *moved = memory_format("%s.unmounted", paths[1]);
            ck_assert_int_eq(rename(paths[1], moved), 0);
            free(moved);
        }
        ck_assert_int_eq(put(replicas, ~0u, i, 1000), 0);
    }
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    ck_assert_uint_eq(replicas_active_count(replicas), 2);
    ck_assert(!replicas_is_active(replicas, 1));
    ck_assert_int_ne(replicas_failure(replicas, 1)->code, 0);
    ck_assert_ptr_nonnull(strstr(replicas_failure(replicas, 1)->message, "disk1"));
    ck_assert_uint_lt(atomic_load(&done[1]), 21);
    ck_assert_uint_eq(stored(replicas, 0), 60);
    ck_assert_uint_eq(stored(replicas, 2), 60);
    replicas_free(replicas);
}
END_TEST

START_TEST(a_full_target_is_demoted_and_the_others_go_on)
{
    if (mount("holdfast-test", paths[2], "tmpfs", 0, "size=256k") != 0) {
        for (size_t i = 0; i < TARGETS; i++)
            storage_free(targets[i]);
        return; /* only root can make a full disk */
    }
    storage_free(targets[2]);
    ck_assert_int_eq(storage_open_local("small", paths[2], false, &targets[2], &err), 0);
    struct replicas *replicas = replicas_new(targets, TARGETS, 4, 60);
    int code = 0;
    for (int i = 0; code == 0 && i < 30; i++)
        code = put(replicas, ~0u, i, 50000);
    int flushed = replicas_flush(replicas, &err);
    struct error why = *replicas_failure(replicas, 2);
    size_t active = replicas_active_count(replicas), first = stored(replicas, 0), small = stored(replicas, 2);
    replicas_free(replicas);
    ck_assert_int_eq(umount(paths[2]), 0);
    ck_assert_int_eq(code, 0);
    ck_assert_int_eq(flushed, 0);
    ck_assert_uint_eq(active, 2);
    ck_assert_int_eq(why.code, ERROR_NO_SPACE);
    ck_assert_uint_eq(first, 30);
    ck_assert_uint_eq(small, atomic_load(&done[2]));
}
END_TEST

START_TEST(with_no_target_left_the_first_failure_is_returned)
{
    struct replicas *replicas = replicas_new(targets, TARGETS, 4, 60);
    struct error why;
    error_set(&why, ERROR_DENIED, "the second one");
    replicas_demote(replicas, 1, &why);
    error_set(&why, ERROR_FAILED, "another");
    replicas_demote(replicas, 1, &why); /* too late to change why */
    replicas_demote(replicas, 0, &why);
    ck_assert_int_eq(put(replicas, ~0u, 1, 10), 0);
    ck_assert_int_eq(put(replicas, 1, 2, 10), 0); /* passed over */
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    replicas_demote(replicas, 2, &why);
    ck_assert_int_eq(put(replicas, ~0u, 3, 10), ERROR_DENIED);
    ck_assert_str_eq(err.message, "the second one");
    ck_assert_int_eq(replicas_flush(replicas, &err), ERROR_DENIED);
    ck_assert_uint_eq(stored(replicas, 2), 1);
    replicas_free(replicas);
}
END_TEST

/* A store that hangs until it is let go, as a network file system may: no local folder does that on demand.
 */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static int hanging_put(void *driver, const char *name, struct bytes data, struct error *error)
{
    (void)driver, (void)name, (void)data, (void)error;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return 0;
}

static void free_nothing(void *driver)
{
    (void)driver;
}

static const struct storage_driver hanging = {.type = "hanging", .put = hanging_put, .free = free_nothing};

static void hang_first(void)
{
    storage_free(targets[0]);
    targets[0] = storage_new(&hanging, NULL, "slow", "nowhere");
    pthread_mutex_lock(&gate);
}

START_TEST(a_target_that_hangs_is_demoted_when_it_holds_the_others_up)
{
    hang_first();
    struct replicas *replicas = replicas_new(targets, TARGETS, 3, 1);
    for (int i = 0; i < 30; i++)
        ck_assert_int_eq(put(replicas, ~0u, i, 10), 0);
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    ck_assert(!replicas_is_active(replicas, 0));
    ck_assert_uint_eq(replicas_active_count(replicas), 2);
    ck_assert_str_ne(replicas_failure(replicas, 0)->hint, "");
    ck_assert_uint_eq(stored(replicas, 1), 30);
    pthread_mutex_unlock(&gate);
    replicas_free(replicas);
    ck_assert_uint_eq(atomic_load(&done[0]), 0); /* it was demoted before it came to an end */
}
END_TEST

START_TEST(a_target_that_hangs_is_demoted_by_a_flush)
{
    hang_first();
    struct replicas *replicas = replicas_new(targets, TARGETS, 3, 1);
    ck_assert_int_eq(put(replicas, ~0u, 1, 10), 0);
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    ck_assert(!replicas_is_active(replicas, 0));
    ck_assert_uint_eq(replicas_active_count(replicas), 2);
    pthread_mutex_unlock(&gate);
    replicas_free(replicas);
}
END_TEST

static void *let_go_later(void *argument)
{
    (void)argument;
    usleep(1500000);
    return NULL;
}

START_TEST(a_target_that_is_written_alone_may_be_slow)
{
    hang_first();
    struct replicas *replicas = replicas_new(targets, TARGETS, 2, 1);
    pthread_t helper;
    ck_assert_int_eq(pthread_create(&helper, NULL, let_go_later, NULL), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(put(replicas, 1, i, 10), 0); /* one in hand, two queued: full */
    pthread_join(helper, NULL);
    pthread_mutex_unlock(&gate);
    for (int i = 3; i < 6; i++)
        ck_assert_int_eq(put(replicas, 1, i, 10), 0);
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    ck_assert(replicas_is_active(replicas, 0));
    ck_assert_uint_eq(atomic_load(&done[0]), 6);
    replicas_free(replicas);
}
END_TEST

static void *cancel_soon(void *argument)
{
    usleep(200000);
    replicas_cancel(argument);
    return NULL;
}

START_TEST(a_cancel_ends_waiting_calls_and_drops_what_is_queued)
{
    hang_first();
    struct replicas *replicas = replicas_new(targets, 1, 2, 60);
    pthread_t helper;
    ck_assert_int_eq(pthread_create(&helper, NULL, cancel_soon, replicas), 0);
    int code = 0;
    for (int i = 0; code == 0 && i < 10; i++)
        code = put(replicas, ~0u, i, 10);
    ck_assert_int_eq(code, ERROR_CANCELLED);
    ck_assert_int_eq(replicas_flush(replicas, &err), ERROR_CANCELLED);
    pthread_join(helper, NULL);
    pthread_mutex_unlock(&gate);
    replicas_free(replicas);
    ck_assert_uint_eq(atomic_load(&done[0]), 0);
    storage_free(targets[1]);
    storage_free(targets[2]);
}
END_TEST

struct producer {
    struct replicas *replicas;
    int first;
};

static void *produce(void *argument)
{
    struct producer *producer = argument;
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(put(producer->replicas, ~0u, producer->first + i, 3000), 0);
    return NULL;
}

START_TEST(several_threads_put_at_once)
{
    struct replicas *replicas = replicas_new(targets, TARGETS, 3, 60);
    pthread_t threads[3];
    struct producer producers[3];
    for (int i = 0; i < 3; i++) {
        producers[i] = (struct producer){replicas, i * 1000};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(replicas_flush(replicas, &err), 0);
    for (size_t i = 0; i < TARGETS; i++)
        ck_assert_uint_eq(stored(replicas, i), 120);
    replicas_free(replicas);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replicas");
    TCase *tests = tcase_create("replicas");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, every_target_has_every_object_after_a_flush);
    tcase_add_test(tests, freeing_waits_for_what_is_queued);
    tcase_add_test(tests, a_target_whose_folder_goes_is_demoted_and_the_others_go_on);
    tcase_add_test(tests, a_full_target_is_demoted_and_the_others_go_on);
    tcase_add_test(tests, with_no_target_left_the_first_failure_is_returned);
    tcase_add_test(tests, a_target_that_hangs_is_demoted_when_it_holds_the_others_up);
    tcase_add_test(tests, a_target_that_hangs_is_demoted_by_a_flush);
    tcase_add_test(tests, a_target_that_is_written_alone_may_be_slow);
    tcase_add_test(tests, a_cancel_ends_waiting_calls_and_drops_what_is_queued);
    tcase_add_test(tests, several_threads_put_at_once);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
