#include "base/memory.h"
#include "base/text.h"
#include "base/zone.h"
#include "policy/due.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define DAY ((int64_t)86400)
#define DAILY KEEP_CLASS_BIT(KEEP_DAILY)
#define WEEKLY KEEP_CLASS_BIT(KEEP_WEEKLY)
#define MONTHLY KEEP_CLASS_BIT(KEEP_MONTHLY)
#define YEARLY KEEP_CLASS_BIT(KEEP_YEARLY)

static int64_t at(const char *text)
{
    int64_t seconds;
    ck_assert_msg(text_parse_time(text, &seconds), "%s", text);
    return seconds;
}

static struct zone *zone_of(const char *name)
{
    struct zone *zone;
    struct error err = {0};
    ck_assert_msg(zone_load(name, at("2000-01-01"), at("2040-01-01"), &zone, &err) == 0, "%s", err.message);
    return zone;
}

static void same_time(int64_t time, const char *expected)
{
    char text[TEXT_TIME_SIZE];
    ck_assert_str_eq(text_format_time(time, text), expected);
}

static void local_is(const struct zone *zone, const char *local, const char *expected)
{
    same_time(zone_from_local(zone, at(local)), expected);
}

START_TEST(wall_clocks_have_one_answer_in_gaps_and_overlaps)
{
    struct zone *berlin = zone_of("Europe/Berlin"), *york = zone_of("America/New_York"),
                *lord_howe = zone_of("Australia/Lord_Howe"), *apia = zone_of("Pacific/Apia"),
                *kathmandu = zone_of("Asia/Kathmandu");
    local_is(berlin, "2026-01-15T12:00", "2026-01-15T11:00:00Z");
    local_is(berlin, "2026-07-15T12:00", "2026-07-15T10:00:00Z");
    local_is(berlin, "2026-03-29T01:59", "2026-03-29T00:59:00Z");
    local_is(berlin, "2026-03-29T02:00", "2026-03-29T01:00:00Z"); /* never shown: the instant of the skip */
    local_is(berlin, "2026-03-29T02:30", "2026-03-29T01:00:00Z");
    local_is(berlin, "2026-03-29T03:00", "2026-03-29T01:00:00Z");
    local_is(berlin, "2026-03-29T03:01", "2026-03-29T01:01:00Z");
    local_is(berlin, "2026-10-25T02:30", "2026-10-25T00:30:00Z"); /* shown twice: the first */
    local_is(berlin, "2026-10-25T03:00", "2026-10-25T02:00:00Z");
    local_is(york, "2026-03-08T02:30", "2026-03-08T07:00:00Z");
    local_is(york, "2026-11-01T01:30", "2026-11-01T05:30:00Z");
    local_is(lord_howe, "2026-10-04T02:15", "2026-10-03T15:30:00Z"); /* half an hour is skipped */
    local_is(apia, "2011-12-30T02:30", "2011-12-30T10:00:00Z");      /* a whole day is skipped */
    local_is(apia, "2011-12-31T02:30", "2011-12-30T12:30:00Z");
    local_is(kathmandu, "2026-06-01T00:00", "2026-05-31T18:15:00Z");
    zone_free(berlin);
    zone_free(york);
    zone_free(lord_howe);
    zone_free(apia);
    zone_free(kathmandu);
}
END_TEST

START_TEST(zones_leave_the_environment_as_it_was)
{
    struct error err = {0};
    struct zone *zone, *machine;
    setenv("TZ", "America/New_York", 1);
    zone = zone_of("Europe/Berlin");
    machine = zone_of(NULL);
    ck_assert_str_eq(getenv("TZ"), "America/New_York");
    ck_assert_int_eq(zone_offset(zone, at("2026-01-01")), 3600);
    ck_assert_int_eq(zone_offset(machine, at("2026-01-01")), -5 * 3600);
    /* Outside of what was loaded the nearest offset goes on. */
    ck_assert_int_eq(zone_offset(zone, INT64_MIN), 3600);
    ck_assert_int_eq(zone_offset(zone, INT64_MAX), 3600);
    zone_free(zone);
    zone_free(machine);
    unsetenv("TZ");
    zone = zone_of("UTC");
    ck_assert(!getenv("TZ"));
    ck_assert_int_eq(zone_offset(zone, at("2026-07-01")), 0);
    zone_free(zone);
    ck_assert_int_eq(zone_load("Mars/Base", 0, DAY, &zone, &err), ERROR_USAGE);
    ck_assert(strstr(err.message, "Mars/Base") && strstr(err.hint, "tzdata"));
    ck_assert(!zone_exists("../../../etc/passwd") && !zone_exists("/etc") && !zone_exists(""));
}
END_TEST

static struct due_schedule schedule_in(const struct zone *zone)
{
    return (struct due_schedule){.times = {{.set = true, .hour = 2, .minute = 30},
                                           {.set = true, .weekday = 0, .hour = 3},
                                           {.set = true, .day = 31, .hour = 4},
                                           {.set = true, .month = 2, .day = 29, .hour = 5}},
                                 .zone = zone};
}

START_TEST(each_class_has_its_time)
{
    struct zone *zone = zone_of("UTC");
    struct due_schedule s = schedule_in(zone);
    const int64_t now = at("2026-11-25T12:00"); /* a Wednesday */
    same_time(due_latest(&s, KEEP_DAILY, now), "2026-11-25T02:30:00Z");
    same_time(due_next(&s, KEEP_DAILY, now), "2026-11-26T02:30:00Z");
    same_time(due_latest(&s, KEEP_WEEKLY, now), "2026-11-22T03:00:00Z");
    same_time(due_next(&s, KEEP_WEEKLY, now), "2026-11-29T03:00:00Z");
    same_time(due_latest(&s, KEEP_MONTHLY, now), "2026-10-31T04:00:00Z");
    same_time(due_next(&s, KEEP_MONTHLY, now), "2026-11-30T04:00:00Z");  /* November has no 31st */
    same_time(due_latest(&s, KEEP_YEARLY, now), "2026-02-28T05:00:00Z"); /* 2026 is no leap year */
    same_time(due_next(&s, KEEP_YEARLY, now), "2027-02-28T05:00:00Z");
    same_time(due_next(&s, KEEP_YEARLY, at("2027-06-01")), "2028-02-29T05:00:00Z");
    same_time(due_next(&s, KEEP_MONTHLY, at("2028-02-01")), "2028-02-29T04:00:00Z");
    same_time(due_latest(&s, KEEP_MONTHLY, at("2027-03-01")), "2027-02-28T04:00:00Z");
    /* At the very second it is this one, and the next is the one after. */
    same_time(due_latest(&s, KEEP_DAILY, at("2026-11-25T02:30")), "2026-11-25T02:30:00Z");
    same_time(due_next(&s, KEEP_DAILY, at("2026-11-25T02:30")), "2026-11-26T02:30:00Z");
    same_time(due_latest(&s, KEEP_DAILY, at("2026-11-25T02:30") - 1), "2026-11-24T02:30:00Z");
    /* Before 1970, too. */
    same_time(due_latest(&s, KEEP_WEEKLY, -1), "1969-12-28T03:00:00Z");
    same_time(due_latest(&s, KEEP_MONTHLY, -1), "1969-12-31T04:00:00Z");
    zone_free(zone);
}
END_TEST

START_TEST(changes_of_the_wall_clock_have_one_time_each_day)
{
    struct zone *zone = zone_of("Europe/Berlin");
    struct due_schedule s = schedule_in(zone);
    same_time(due_next(&s, KEEP_DAILY, at("2026-03-28T12:00")), "2026-03-29T01:00:00Z");
    same_time(due_next(&s, KEEP_DAILY, at("2026-03-29T01:00")), "2026-03-30T00:30:00Z");
    same_time(due_next(&s, KEEP_DAILY, at("2026-10-24T12:00")), "2026-10-25T00:30:00Z");
    same_time(due_latest(&s, KEEP_DAILY, at("2026-10-25T01:30")), "2026-10-25T00:30:00Z");
    same_time(due_next(&s, KEEP_DAILY, at("2026-10-25T00:30")), "2026-10-26T01:30:00Z");
    zone_free(zone);
}
END_TEST

/* Latest and next fit together, and scheduled times are as many as there are periods. */
START_TEST(times_follow_each_other_in_any_zone)
{
    static const char *const names[] = {"UTC", "Europe/Berlin", "Pacific/Apia", "Africa/Casablanca"};
    for (size_t z = 0; z < sizeof names / sizeof *names; z++) {
        struct zone *zone = zone_of(names[z]);
        struct due_schedule s = schedule_in(zone);
        const int64_t from = at("2011-01-01"), to = at("2031-01-01");
        static const int expected[] = {7305, 1043, 240, 20};
        for (enum keep_class c = KEEP_DAILY; c <= KEEP_YEARLY; c++) {
            int n = 0;
            for (int64_t t = due_next(&s, c, from); t < to; n++) {
                int64_t next = due_next(&s, c, t);
                ck_assert_int_eq(due_latest(&s, c, t), t);
                ck_assert_int_eq(due_latest(&s, c, next - 1), t);
                ck_assert_int_eq(due_next(&s, c, t + (next - t) / 2), next);
                t = next;
            }
            ck_assert_msg(abs(n - expected[c]) <= 1, "%s: %d times of class %d", names[z], n, (int)c);
        }
        zone_free(zone);
    }
}
END_TEST

static uint32_t due_at(const struct due_schedule *s, const char *now, const char *success, uint32_t classes)
{
    struct due_decision decisions[DUE_CLASS_COUNT];
    struct due_success list[] = {{classes, success ? at(success) : 0}};
    return due_decide(s, at(now), list, success ? 1 : 0, decisions);
}

START_TEST(a_class_is_due_until_it_has_a_snapshot)
{
    struct zone *zone = zone_of("UTC");
    struct due_schedule s = schedule_in(zone);
    const uint32_t all = DAILY | WEEKLY | MONTHLY | YEARLY;
    ck_assert_uint_eq(due_at(&s, "2026-11-25T02:30", "2026-11-24T02:30", all), DAILY);
    ck_assert_uint_eq(due_at(&s, "2026-11-25T02:29", "2026-11-24T02:30", all), 0);
    ck_assert_uint_eq(due_at(&s, "2026-11-25T12:00", "2026-11-25T02:30", all), 0);
    ck_assert_uint_eq(due_at(&s, "2026-11-25T12:00", "2026-11-25T02:29", all), DAILY);
    ck_assert_uint_eq(due_at(&s, "2026-11-29T03:00", "2026-11-29T02:30", all), WEEKLY);
    ck_assert_uint_eq(due_at(&s, "2026-11-29T03:00", "2026-11-28T02:30", all), DAILY | WEEKLY);
    ck_assert_uint_eq(due_at(&s, "2027-03-01T00:00", "2026-11-28T02:30", all), all);
    /* A snapshot counts for the classes that it carries, one made by hand for none. */
    ck_assert_uint_eq(due_at(&s, "2026-11-25T12:00", "2026-11-25T03:00", DAILY), WEEKLY | MONTHLY | YEARLY);
    ck_assert_uint_eq(due_at(&s, "2026-11-25T12:00", "2026-11-25T03:00", KEEP_CLASS_BIT(KEEP_MANUAL)), all);
    /* A new job is due at once, in each of its classes, and a class that is not scheduled never. */
    ck_assert_uint_eq(due_at(&s, "2026-11-25T12:00", NULL, 0), all);
    s.times[KEEP_MONTHLY].set = s.times[KEEP_YEARLY].set = false;
    ck_assert_uint_eq(due_at(&s, "2026-11-25T12:00", NULL, 0), DAILY | WEEKLY);
    zone_free(zone);
}
END_TEST

START_TEST(decisions_say_since_when)
{
    struct zone *zone = zone_of("UTC");
    struct due_schedule s = schedule_in(zone);
    struct due_decision d[DUE_CLASS_COUNT];
    s.times[KEEP_YEARLY].set = false;
    const struct due_success list[] = {{DAILY, at("2026-11-22T02:31")},
                                       {DAILY | WEEKLY, at("2026-11-22T03:05")},
                                       {DAILY, at("2026-11-21T02:31")}};
    ck_assert_uint_eq(due_decide(&s, at("2026-11-25T12:00"), list, 3, d), DAILY | MONTHLY);
    ck_assert(d[KEEP_DAILY].due && d[KEEP_DAILY].overdue);
    same_time(d[KEEP_DAILY].last_success, "2026-11-22T03:05:00Z");
    same_time(d[KEEP_DAILY].since, "2026-11-23T02:30:00Z");
    same_time(d[KEEP_DAILY].latest, "2026-11-25T02:30:00Z");
    ck_assert(!d[KEEP_WEEKLY].due && !d[KEEP_WEEKLY].overdue && d[KEEP_WEEKLY].since == 0);
    same_time(d[KEEP_WEEKLY].next, "2026-11-29T03:00:00Z");
    ck_assert(d[KEEP_MONTHLY].due && !d[KEEP_MONTHLY].overdue && d[KEEP_MONTHLY].last_success == 0);
    same_time(d[KEEP_MONTHLY].since, "2026-10-31T04:00:00Z");
    ck_assert(!d[KEEP_YEARLY].set && d[KEEP_YEARLY].next == 0);
    ck_assert_uint_eq(due_decide(&s, at("2026-11-23T08:30"), list, 3, d), DAILY | MONTHLY);
    ck_assert(!d[KEEP_DAILY].overdue);
    due_decide(&s, at("2026-11-23T08:30") + 1, list, 3, d);
    ck_assert(d[KEEP_DAILY].overdue);
    zone_free(zone);
}
END_TEST

/* How many snapshots starts at every hour take, until each class rests again. */
static int runs_until(const struct due_schedule *s, int64_t now, struct due_success *list, size_t count,
                      int hours)
{
    struct due_decision decisions[DUE_CLASS_COUNT];
    int runs = 0;
    for (int h = 0; h < hours; h++, now += 3600) {
        uint32_t classes = due_decide(s, now, list, count, decisions);
        if (classes)
            list[count++] = (struct due_success){classes, now};
        runs += classes != 0;
    }
    return runs;
}

START_TEST(what_was_missed_is_caught_up_once)
{
    struct zone *zone = zone_of("Europe/Berlin");
    struct due_schedule s = schedule_in(zone);
    struct due_success list[64] = {{DAILY | WEEKLY | MONTHLY | YEARLY, at("2026-03-02T03:00")}};
    /* Off for seven weeks: one snapshot at the first start, then one a day. */
    ck_assert_int_eq(runs_until(&s, at("2026-04-20T09:00"), list, 1, 15), 1);
    ck_assert_uint_eq(list[1].classes, DAILY | WEEKLY | MONTHLY);
    memset(list + 1, 0, sizeof list - sizeof *list);
    ck_assert_int_eq(runs_until(&s, at("2026-04-20T09:00"), list, 1, 3 * 24), 4);
    zone_free(zone);
}
END_TEST

START_TEST(the_hour_that_comes_twice_has_one_snapshot)
{
    struct zone *zone = zone_of("Europe/Berlin");
    struct due_schedule s = schedule_in(zone);
    struct due_success list[64] = {{DAILY | WEEKLY | MONTHLY | YEARLY, at("2026-10-24T05:00")}};
    s.times[KEEP_WEEKLY].set = false;
    ck_assert_int_eq(runs_until(&s, at("2026-10-24T20:00"), list, 1, 24), 1);
    same_time(list[1].started,
              "2026-10-25T01:00:00Z"); /* 02:00 for the second time, after 02:30 for the first */
    list[0].started = at("2026-03-28T05:00");
    ck_assert_int_eq(runs_until(&s, at("2026-03-28T20:00"), list, 1, 24), 1);
    same_time(list[1].started, "2026-03-29T01:00:00Z");
    zone_free(zone);
}
END_TEST

START_TEST(another_time_zone_makes_at_most_one_snapshot_more)
{
    struct zone *berlin = zone_of("Europe/Berlin"), *york = zone_of("America/New_York"),
                *tokyo = zone_of("Asia/Tokyo");
    const struct zone *const zones[] = {berlin, york, tokyo};
    for (size_t from = 0; from < 3; from++) {
        for (size_t to = 0; to < 3; to++) {
            struct due_schedule s = schedule_in(zones[to]);
            s.times[KEEP_WEEKLY].set = s.times[KEEP_MONTHLY].set = s.times[KEEP_YEARLY].set = false;
            struct due_schedule before = schedule_in(zones[from]);
            for (int hour = 0; hour < 24; hour++) {
                int64_t now = at("2026-06-10") + hour * 3600;
                struct due_success list[16] = {{DAILY, due_latest(&before, KEEP_DAILY, now)}};
                int runs = runs_until(&s, now, list, 1, 49);
                ck_assert_int_ge(runs, 2);
                ck_assert_int_le(runs, 3);
                for (int i = 0; i < runs; i++) /* nor is the pause ever two days */
                    ck_assert_int_lt(list[i + 1].started - list[i].started, 2 * DAY);
            }
        }
    }
    zone_free(berlin);
    zone_free(york);
    zone_free(tokyo);
}
END_TEST

START_TEST(snapshots_of_a_wrong_clock_stop_nothing)
{
    struct zone *zone = zone_of("UTC");
    struct due_schedule s = schedule_in(zone);
    s.times[KEEP_MONTHLY].set = s.times[KEEP_YEARLY].set = false;
    /* The clock was a year ahead and is put right: daily goes on, and the stray one counts for nothing. */
    struct due_success list[64] = {{DAILY | WEEKLY, at("2027-11-20T04:00")},
                                   {DAILY | WEEKLY, at("2026-11-24T04:00")}};
    ck_assert_int_eq(runs_until(&s, at("2026-11-25T00:00"), list, 2, 2 * 24), 2);
    ck_assert_uint_eq(list[2].classes | list[3].classes, DAILY);
    /* A clock that is corrected by a little makes nothing due anew. */
    ck_assert_uint_eq(due_at(&s, "2026-11-25T03:00", "2026-11-25T03:59", DAILY | WEEKLY), 0);
    ck_assert_uint_eq(due_at(&s, "2026-11-25T03:00", "2026-11-25T04:01", DAILY | WEEKLY), DAILY | WEEKLY);
    /* It jumps ten years ahead: one snapshot, not ten years of them. */
    memset(list, 0, sizeof list);
    list[0] = (struct due_success){DAILY | WEEKLY, at("2026-11-25T04:00")};
    ck_assert_int_eq(runs_until(&s, at("2036-11-26T05:00"), list, 1, 20), 1);
    ck_assert_uint_eq(list[1].classes, DAILY | WEEKLY);
    zone_free(zone);
}
END_TEST

START_TEST(extreme_clocks_end)
{
    struct zone *zone = zone_of("Europe/Berlin");
    struct due_schedule s = schedule_in(zone);
    struct due_decision decisions[DUE_CLASS_COUNT];
    const int64_t times[] = {INT64_MIN, INT64_MAX, -1, 0, INT64_MAX / 2};
    for (size_t i = 0; i < 5; i++) {
        for (size_t k = 0; k < 5; k++) {
            struct due_success success = {31, times[k]};
            due_decide(&s, times[i], &success, 1, decisions);
        }
    }
    zone_free(zone);
}
END_TEST

START_TEST(jitter_spreads_runs_evenly_and_is_the_most_that_they_wait)
{
    unsigned drawn[5] = {0};
    ck_assert_int_eq(due_wait(0, UINT64_MAX), 0);
    for (uint64_t random = 0; random < 500; random++) {
        int64_t wait = due_wait(4, random);
        ck_assert(wait >= 0 && wait <= 4);
        drawn[wait]++;
    }
    for (size_t i = 0; i < 5; i++)
        ck_assert_uint_eq(drawn[i], 100);
    ck_assert_int_eq(due_wait(DAY, (uint64_t)DAY), DAY);
    ck_assert_int_eq(due_wait(DAY, (uint64_t)DAY + 1), 0);
    ck_assert_int_le(due_wait(DAY, UINT64_MAX), DAY);
    ck_assert_int_eq(due_wait(INT64_MAX, UINT64_MAX), INT64_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("due");
    TCase *tests = tcase_create("due");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, wall_clocks_have_one_answer_in_gaps_and_overlaps);
    tcase_add_test(tests, zones_leave_the_environment_as_it_was);
    tcase_add_test(tests, each_class_has_its_time);
    tcase_add_test(tests, changes_of_the_wall_clock_have_one_time_each_day);
    tcase_add_test(tests, times_follow_each_other_in_any_zone);
    tcase_add_test(tests, a_class_is_due_until_it_has_a_snapshot);
    tcase_add_test(tests, decisions_say_since_when);
    tcase_add_test(tests, what_was_missed_is_caught_up_once);
    tcase_add_test(tests, the_hour_that_comes_twice_has_one_snapshot);
    tcase_add_test(tests, another_time_zone_makes_at_most_one_snapshot_more);
    tcase_add_test(tests, snapshots_of_a_wrong_clock_stop_nothing);
    tcase_add_test(tests, extreme_clocks_end);
    tcase_add_test(tests, jitter_spreads_runs_evenly_and_is_the_most_that_they_wait);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
