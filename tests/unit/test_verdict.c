#include "base/file.h"
#include "ops/verify_note.h"
#include "policy/verdict.h"

#include "helpers.h"

#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#define HOUR ((int64_t)3600)
#define DAY (24 * HOUR)
#define NOW (20000 * DAY)

/* A job with a daily schedule, taken an hour ago, that is due again tomorrow. */
static struct verdict_job well(void)
{
    struct verdict_job job = {.last_success = NOW - HOUR, .last_run = NOW - HOUR};
    job.decisions[KEEP_DAILY] = (struct due_decision){
        .set = true, .latest = NOW - HOUR, .next = NOW + 23 * HOUR, .last_success = NOW - HOUR};
    return job;
}

static struct verdict_job late(void)
{
    struct verdict_job job = {.last_success = NOW - 3 * DAY, .last_run = NOW - 3 * DAY};
    job.decisions[KEEP_DAILY] = (struct due_decision){.set = true,
                                                      .due = true,
                                                      .overdue = true,
                                                      .latest = NOW - DAY,
                                                      .next = NOW + HOUR,
                                                      .last_success = NOW - 3 * DAY,
                                                      .since = NOW - 2 * DAY};
    return job;
}

START_TEST(jobs)
{
    struct verdict_job job = well();
    ck_assert_int_eq(verdict_of_job(&job), VERDICT_OK);
    job.last_warnings = 1;
    ck_assert_int_eq(verdict_of_job(&job), VERDICT_WARNING);
    job = (struct verdict_job){{{0}}};
    ck_assert_int_eq(verdict_of_job(&job), VERDICT_NEVER);
    job = late();
    job.last_warnings = 1;
    ck_assert_int_eq(verdict_of_job(&job), VERDICT_OVERDUE);
}
END_TEST

START_TEST(a_failure_counts_until_something_succeeds)
{
    struct verdict_job job = well();
    job.last_run_failed = true;
    job.last_run = job.last_success + 60;
    ck_assert_int_eq(verdict_of_job(&job), VERDICT_FAILING);
    job.last_success = job.last_run + 60;
    ck_assert_int_eq(verdict_of_job(&job), VERDICT_OK);
    /* Also where nothing ever did, and before being overdue. */
    job = (struct verdict_job){.last_run = NOW, .last_run_failed = true};
    ck_assert_int_eq(verdict_of_job(&job), VERDICT_FAILING);
    job = late();
    job.last_run_failed = true;
    job.last_run = NOW - HOUR;
    ck_assert_int_eq(verdict_of_job(&job), VERDICT_FAILING);
}
END_TEST

START_TEST(a_run_at_work_is_the_answer_to_what_was_due_before_it)
{
    struct verdict_job job = late();
    job.working = NOW - HOUR;
    ck_assert_int_eq(verdict_of_job(&job), VERDICT_OK);
    job.working = job.decisions[KEEP_DAILY].since - 1; /* it began before: it hangs */
    ck_assert_int_eq(verdict_of_job(&job), VERDICT_OVERDUE);
}
END_TEST

START_TEST(when_a_class_becomes_overdue)
{
    struct verdict_job job = well();
    ck_assert_int_eq(verdict_overdue_at(&job.decisions[KEEP_DAILY]), NOW + 23 * HOUR + DUE_OVERDUE_SECONDS);
    job = late();
    ck_assert_int_eq(verdict_overdue_at(&job.decisions[KEEP_DAILY]), NOW - 2 * DAY + DUE_OVERDUE_SECONDS);
    ck_assert_int_eq(verdict_overdue_at(&job.decisions[KEEP_WEEKLY]), 0);
    job.decisions[KEEP_DAILY].last_success = 0;
    ck_assert_int_eq(verdict_overdue_at(&job.decisions[KEEP_DAILY]), 0);
}
END_TEST

START_TEST(damage_stays_until_everything_is_found_good)
{
    struct verdict_check checks[] = {{1, 0, true}, {2, 3, false}, {3, 0, false}, {4, 0, true}, {5, 1, true}};
    ck_assert_ptr_null(verdict_damage(checks, 0));
    ck_assert_ptr_null(verdict_damage(checks, 1));
    ck_assert_ptr_eq(verdict_damage(checks, 2), &checks[1]);
    ck_assert_ptr_eq(verdict_damage(checks, 3), &checks[1]);
    ck_assert_ptr_null(verdict_damage(checks, 4));
    ck_assert_ptr_eq(verdict_damage(checks, 5), &checks[4]);
    /* What is acknowledged does not count, and clears nothing either. */
    checks[4].acknowledged = true;
    ck_assert_ptr_null(verdict_damage(checks, 5));
    checks[3].damaged = 1;
    ck_assert_ptr_eq(verdict_damage(checks, 5), &checks[3]);
    checks[3].acknowledged = true;
    ck_assert_ptr_eq(verdict_damage(checks, 5), &checks[1]);
}
END_TEST

START_TEST(verify_becomes_too_old)
{
    ck_assert_int_eq(verdict_verify_overdue_at(0, 0, DAY), 0);
    ck_assert_int_eq(verdict_verify_overdue_at(0, NOW, DAY), NOW + VERDICT_VERIFY_SECONDS);
    ck_assert_int_eq(verdict_verify_overdue_at(NOW, NOW - DAY, 90 * DAY), NOW + 180 * DAY);
}
END_TEST

static void add(const char *folder, int64_t time, uint64_t damaged, bool all, uint64_t objects)
{
    struct verdict_check check = {time, damaged, all};
    ck_assert_int_eq(verify_note_add(folder, &check, objects, 2 * objects, NULL), 0);
}

START_TEST(what_was_verified_by_hand_is_remembered)
{
    struct verify_note note;
    char folder[] = "/tmp/holdfast-verdict-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    verify_note_load(folder, &note);
    ck_assert_int_eq(note.last.time, 0);
    add(folder, 10, 0, true, 5);
    add(folder, 20, 7, false, 6);
    add(folder, 30, 0, false, 7);
    verify_note_load(folder, &note);
    ck_assert_int_eq(note.last.time, 30);
    ck_assert(!note.last.all);
    ck_assert_uint_eq(note.objects, 7);
    ck_assert_uint_eq(note.bytes, 14);
    ck_assert_int_eq(note.damage.time, 20);
    ck_assert_uint_eq(note.damage.damaged, 7);
    ck_assert_int_eq(note.clean.time, 10);
    ck_assert(note.clean.all);
    /* What is not understood is nothing. */
    char *path = file_join(folder, "verify");
    ck_assert_int_eq(file_write_atomic(path, bytes_of_string("1 2 3\nx"), 0600, NULL), 0);
    verify_note_load(folder, &note);
    ck_assert_int_eq(note.last.time, 0);
    unlink(path);
    rmdir(folder);
    free(path);
}
END_TEST

RUN_TESTS("verdict", jobs, a_failure_counts_until_something_succeeds,
          a_run_at_work_is_the_answer_to_what_was_due_before_it, when_a_class_becomes_overdue,
          damage_stays_until_everything_is_found_good, verify_becomes_too_old,
          what_was_verified_by_hand_is_remembered)
