#include "cli/metrics.h"

#include "helpers.h"

/* The line that begins with it, or NULL. */
static const char *line(const char *text, const char *begin)
{
    const char *at = text;
    while ((at = strstr(at, begin))) {
        if (at == text || at[-1] == '\n')
            return at;
        at++;
    }
    return NULL;
}

static void has(const char *text, const char *wanted)
{
    const char *at = line(text, wanted);
    ck_assert_msg(at && at[strlen(wanted)] == '\n', "lacks %s: %.200s", wanted, at ? at : "no such line");
}

START_TEST(labels_are_escaped)
{
    struct buffer out = {0};
    struct overview_orphan orphans[] = {{.name = "a\"b\\c\nd\xff", .snapshots = 3}};
    struct overview o = {.now = 1000, .orphans = orphans, .orphan_count = 1};
    metrics_render(&o, "re\"po", &out);
    has(buffer_string(&out), "holdfast_unconfigured_job_snapshots{repository=\"re\\\"po\",backup_job="
                             "\"a\\\"b\\\\c\\\\x0ad\\\\xff\"} 3");
    buffer_free(&out);
}
END_TEST

START_TEST(what_is_known_has_a_sample_and_nothing_else)
{
    struct buffer out = {0};
    struct overview_job job = {.name = "files", .health = VERDICT_OVERDUE};
    struct overview_target targets[] = {{.name = "up",
                                         .answers = true,
                                         .missing_count = 2,
                                         .behind_since = 400,
                                         .used_known = true,
                                         .used = 7},
                                        {.name = "down"}};
    struct run_drill drill = {.ended = 77, .exit_status = 1};
    struct run_record run = {.started = 800, .ended = 900, .exit_status = 6, .drill = &drill};
    struct overview_problem problems[] = {{.level = OVERVIEW_BEHIND}, {.level = OVERVIEW_BEHIND}};
    struct verdict_check damage = {.damaged = 5};
    struct overview o = {.now = 1000,
                         .jobs = &job,
                         .job_count = 1,
                         .targets = targets,
                         .target_count = 2,
                         .problems = problems,
                         .problem_count = 2};
    job.decisions[KEEP_WEEKLY] = (struct due_decision){.set = true, .due = true, .since = 600, .next = 2000};
    job.overdue_at[KEEP_WEEKLY] = 950;
    job.last_success[KEEP_MANUAL] = 1000;
    metrics_render(&o, "r", &out);
    const char *text = buffer_string(&out);
    has(text, "holdfast_written_timestamp_seconds{repository=\"r\"} 1000");
    has(text, "holdfast_job_health{repository=\"r\",backup_job=\"files\"} 3");
    has(text,
        "holdfast_job_due_timestamp_seconds{repository=\"r\",backup_job=\"files\",class=\"weekly\"} 600");
    has(text,
        "holdfast_job_overdue_timestamp_seconds{repository=\"r\",backup_job=\"files\",class=\"weekly\"} 950");
    has(text,
        "holdfast_job_last_success_age_seconds{repository=\"r\",backup_job=\"files\",class=\"manual\"} 0");
    has(text, "holdfast_target_lag_seconds{repository=\"r\",target=\"up\"} 600");
    has(text, "holdfast_target_behind_since_timestamp_seconds{repository=\"r\",target=\"up\"} 400");
    has(text, "holdfast_target_up{repository=\"r\",target=\"down\"} 0");
    has(text, "holdfast_problems{repository=\"r\",severity=\"behind\"} 2");
    has(text, "holdfast_problems{repository=\"r\",severity=\"damage\"} 0");
    ck_assert_ptr_null(line(text, "holdfast_target_missing_snapshots{repository=\"r\",target=\"down\"}"));
    ck_assert_ptr_null(line(text, "holdfast_target_used_bytes{repository=\"r\",target=\"down\"}"));
    ck_assert_ptr_null(line(text, "holdfast_job_files{"));
    ck_assert_ptr_null(line(text, "holdfast_last_run_exit_status{"));
    ck_assert_ptr_null(line(text, "holdfast_last_drill_timestamp_seconds{"));
    ck_assert_ptr_null(line(text, "holdfast_last_verify_timestamp_seconds{"));
    buffer_clear(&out);
    o.last_run = o.drill = &run;
    o.damage = &damage;
    metrics_render(&o, "r", &out);
    text = buffer_string(&out);
    has(text, "holdfast_last_run_exit_status{repository=\"r\"} 6");
    has(text, "holdfast_last_run_duration_seconds{repository=\"r\"} 100");
    has(text, "holdfast_last_drill_timestamp_seconds{repository=\"r\"} 77");
    has(text, "holdfast_damaged_objects{repository=\"r\"} 5");
    buffer_free(&out);
}
END_TEST

RUN_TESTS("metrics", labels_are_escaped, what_is_known_has_a_sample_and_nothing_else)
