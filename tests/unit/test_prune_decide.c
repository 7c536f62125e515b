#include "ops/prune_internal.h"
#include "repo/runs.h"
#include "repo/snapshot_writer.h"
#include "repository_on_disk.h"

#include <check.h>
#include <string.h>
#include <time.h>

#define DAY ((int64_t)86400)

static int64_t now;

/* `days` ago, daily. Nothing reads its tree. */
static void write_snapshot(struct repository *r, const char *job, int64_t days)
{
    struct id id;
    struct extent root = {.length = 1};
    struct manifest m = {.job = job,
                         .classes = CLASS_DAILY,
                         .started = now - days * DAY,
                         .ended = now - days * DAY,
                         .keep = {.daily = 2, .minimum = 1},
                         .root = {&root, 1},
                         .source_type = "files"};
    MUST(snapshot_write(r, &m, &id, &err));
}

static void write_run(struct repository *r, const char *job, int64_t days, bool good)
{
    struct run_job run = {.job = job,
                          .classes = CLASS_DAILY,
                          .started = now - days * DAY,
                          .ended = now - days * DAY,
                          .exit_status = good ? 0 : 1,
                          .message = "",
                          .has_snapshot = good};
    struct run_record record = {.command = "run",
                                .message = "",
                                .started = run.started,
                                .ended = run.ended,
                                .exit_status = run.exit_status,
                                .jobs = &run,
                                .job_count = 1};
    MUST(runs_append(r, &record, NULL, &err));
}

/* How many expire, how many are held back, and what holds the oldest one. */
static void decides(struct prune_parameters p, size_t expired, size_t held, enum removal_hold hold)
{
    struct snapshot_list list;
    struct prune_result result = {0};
    struct repository *r = open_synced(REPOSITORY_READ);
    MUST(snapshots_load(r, &list, &err));
    p.clock_tolerance = DAY;
    p.max_removal = p.max_removal ? p.max_removal : 50;
    MUST(prune_decide(r, &list, &p, &result, &err));
    ck_assert_uint_eq(result.expired, expired);
    ck_assert_uint_eq(result.held, held);
    ck_assert_int_eq(result.decisions[0].hold, hold);
    ck_assert_int_eq(result.decisions[0].keep, expired == 0);
    ck_assert_int_eq(*result.held_why != '\0', held > 0);
    if (hold)
        ck_assert(strstr(result.decisions[0].reason, "held back"));
    prune_result_free(&result);
    snapshots_free(&list);
    repository_close(r);
}

static void begin(struct repository **r)
{
    now = (int64_t)time(NULL);
    *r = open_synced(REPOSITORY_WRITE);
}

START_TEST(nothing_of_a_job_expires_after_its_failed_run)
{
    struct repository *r;
    begin(&r);
    for (int64_t days = 4; days > 1; days--)
        write_snapshot(r, "files", days);
    write_run(r, "files", 2, true);
    write_run(r, "other", 1, false);
    repository_close(r);
    decides((struct prune_parameters){0}, 1, 0, REMOVAL_FREE);
    /* In the run that is going on. */
    decides((struct prune_parameters){.failed_jobs = (const char *const[]){"files"}, .failed_count = 1}, 0, 1,
            REMOVAL_FAILED_RUN);
    begin(&r);
    write_run(r, "files", 1, false);
    repository_close(r);
    decides((struct prune_parameters){.force = true}, 0, 1, REMOVAL_FAILED_RUN);
    /* One by hand makes up for it, and so does the next run, whatever its clock says. */
    begin(&r);
    write_snapshot(r, "files", 0);
    repository_close(r);
    decides((struct prune_parameters){0}, 2, 0, REMOVAL_FREE);
    begin(&r);
    write_run(r, "files", -300, false);
    repository_close(r);
    decides((struct prune_parameters){0}, 0, 2, REMOVAL_FAILED_RUN);
    begin(&r);
    write_run(r, "files", 0, true);
    repository_close(r);
    decides((struct prune_parameters){0}, 2, 0, REMOVAL_FREE);
    /* A run that waits for a target counts, too, and comes behind the others. */
    struct run_job job = {.job = "files",
                          .classes = CLASS_DAILY,
                          .started = now,
                          .ended = now,
                          .exit_status = 1,
                          .message = "away"};
    struct run_record record = {.command = "run", .message = "", .ended = now, .jobs = &job, .job_count = 1};
    MUST(runs_keep_waiting(state, &record, NULL, &err));
    decides((struct prune_parameters){0}, 0, 2, REMOVAL_FAILED_RUN);
}
END_TEST

START_TEST(more_than_allowed_expires_only_when_forced)
{
    struct repository *r;
    begin(&r);
    for (int64_t days = 5; days > 0; days--)
        write_snapshot(r, "files", days);
    for (int64_t days = 20; days > 0; days--)
        write_snapshot(r, "other", 0);
    repository_close(r);
    /* Of each job by itself: 3 of 5, and 18 of 20. */
    decides((struct prune_parameters){0}, 0, 21, REMOVAL_TOO_MUCH);
    decides((struct prune_parameters){.max_removal = 60}, 3, 18, REMOVAL_FREE);
    decides((struct prune_parameters){.max_removal = 100}, 21, 0, REMOVAL_FREE);
    decides((struct prune_parameters){.force = true}, 21, 0, REMOVAL_FREE);
    decides((struct prune_parameters){.force = true, .only_job = "files"}, 3, 0, REMOVAL_FREE);
    decides((struct prune_parameters){.only_job = "other"}, 0, 18, REMOVAL_FREE);
}
END_TEST

START_TEST(nothing_expires_while_the_clock_is_behind_what_it_has_been)
{
    struct repository *r;
    begin(&r);
    for (int64_t days = 4; days > 1; days--)
        write_snapshot(r, "files", days);
    write_snapshot(r, "other", 0);
    repository_close(r);
    decides((struct prune_parameters){0}, 1, 0, REMOVAL_FREE);
    begin(&r);
    write_snapshot(r, "other", -3);
    repository_close(r);
    decides((struct prune_parameters){.force = true}, 0, 1, REMOVAL_CLOCK_BACK);
    /* Given up, as the hint says. */
    struct snapshot_list list;
    begin(&r);
    MUST(snapshots_load(r, &list, &err));
    MUST(snapshots_forget(r, &list.list[list.count - 1].sha256, 1, "test", &err));
    snapshots_free(&list);
    repository_close(r);
    decides((struct prune_parameters){0}, 1, 0, REMOVAL_FREE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("prune_decide");
    TCase *tests = tcase_create("holds");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, remove_folder);
    tcase_add_test(tests, nothing_of_a_job_expires_after_its_failed_run);
    tcase_add_test(tests, more_than_allowed_expires_only_when_forced);
    tcase_add_test(tests, nothing_expires_while_the_clock_is_behind_what_it_has_been);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
