#include "base/memory.h"
#include "policy/collapse.h"
#include "policy/keep.h"
#include "policy/removal.h"
#include "policy/retention.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define DAY ((int64_t)86400)
#define NOW (20000 * DAY)
#define MOST 60
#define ALL_CLASSES 31u

static uint64_t random_state;

static uint32_t draw(uint32_t bound)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % bound;
}

struct history {
    struct keep keep;
    struct keep_snapshot list[MOST + 1];
    uint8_t ids[MOST + 1][2];
    size_t count;
    struct keep_decision decisions[MOST + 1];
};

static void set_id(struct history *h, size_t i, uint8_t a, uint8_t b)
{
    h->ids[i][0] = a;
    h->ids[i][1] = b;
    h->list[i].id = h->ids[i];
    h->list[i].id_size = 2;
}

static void random_history(struct history *h, uint64_t seed)
{
    memset(h, 0, sizeof *h);
    random_state = seed * 77 + 1;
    uint32_t *limits[] = {&h->keep.daily, &h->keep.weekly, &h->keep.monthly, &h->keep.yearly,
                          &h->keep.manual};
    for (size_t i = 0; i < 5; i++)
        *limits[i] = draw(4) == 0 ? 0 : 1 + draw(8);
    h->keep.manual_set = draw(2);
    h->keep.within = draw(2) ? draw(20) * DAY : 0;
    h->keep.minimum = draw(5);
    h->count = draw(MOST + 1);
    for (size_t i = 0; i < h->count; i++) {
        struct keep_snapshot *s = &h->list[i];
        /* Few distinct times, so that ties happen; a few lie in the future. */
        s->ended = NOW + DAY - (int64_t)draw(60) * DAY;
        s->classes = draw(10) == 0 ? 32 * draw(2) : draw(3) ? 1u << draw(5) : draw(32);
        s->pinned = draw(15) == 0;
        s->uncounted = draw(15) == 0;
        set_id(h, i, (uint8_t)draw(256), (uint8_t)i);
    }
    keep_decide(&h->keep, NOW, h->list, h->count, h->decisions);
}

static bool counts(const struct keep_snapshot *s)
{
    return !s->uncounted && s->ended <= NOW;
}

static bool newer(const struct keep_snapshot *a, const struct keep_snapshot *b)
{
    return a->ended != b->ended ? a->ended > b->ended : memcmp(a->id, b->id, 2) < 0;
}

/* How many counted snapshots that share a bit of mask are newer than number i. */
static uint32_t newer_count(const struct history *h, size_t i, uint32_t mask)
{
    uint32_t n = 0;
    for (size_t j = 0; j < h->count; j++)
        n += j != i && counts(&h->list[j]) && (mask == ~0u || (h->list[j].classes & mask)) &&
             newer(&h->list[j], &h->list[i]);
    return n;
}

/* The rules, written as statements about one snapshot, without ranks and order. */
static bool must_live(const struct history *h, size_t i)
{
    const struct keep_snapshot *s = &h->list[i];
    const struct keep *k = &h->keep;
    const uint32_t limits[] = {k->daily, k->weekly, k->monthly, k->yearly, k->manual};
    if (s->pinned || !counts(s) || (s->classes & ALL_CLASSES) == 0)
        return true;
    for (unsigned c = 0; c < 5; c++) {
        bool limited = c == KEEP_MANUAL ? k->manual_set : limits[c] > 0;
        if ((s->classes >> c & 1) && (!limited || newer_count(h, i, 1u << c) < limits[c]))
            return true;
    }
    uint32_t ahead = newer_count(h, i, ~0u);
    return ahead == 0 || ahead < k->minimum || (k->within > 0 && NOW - s->ended <= k->within);
}

START_TEST(random_histories_follow_the_rules)
{
    struct history h;
    size_t kept = 0, removed = 0;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        random_history(&h, seed);
        for (size_t i = 0; i < h.count; i++) {
            ck_assert_msg(h.decisions[i].keep == must_live(&h, i), "seed %d, snapshot %d", (int)seed, (int)i);
            ck_assert(h.decisions[i].keep == (h.decisions[i].reason != KEEP_REASON_EXPIRED));
            *(h.decisions[i].keep ? &kept : &removed) += 1;
        }
    }
    ck_assert(kept > 10000 && removed > 10000);
}
END_TEST

static bool same_decision(const struct keep_decision *a, const struct keep_decision *b)
{
    return a->keep == b->keep && a->reason == b->reason && a->class == b->class && a->rank == b->rank &&
           a->limit == b->limit;
}

START_TEST(input_order_does_not_matter)
{
    struct history h;
    for (uint64_t seed = 0; seed < 500; seed++) {
        random_history(&h, seed);
        struct keep_snapshot reversed[MOST];
        struct keep_decision decisions[MOST];
        for (size_t i = 0; i < h.count; i++)
            reversed[h.count - 1 - i] = h.list[i];
        keep_decide(&h.keep, NOW, reversed, h.count, decisions);
        for (size_t i = 0; i < h.count; i++)
            ck_assert(same_decision(&decisions[h.count - 1 - i], &h.decisions[i]));
    }
}
END_TEST

START_TEST(times_in_doubt)
{
    ck_assert(!keep_is_doubtful(NOW, 0, 0, 60)); /* nobody else's clock */
    ck_assert(!keep_is_doubtful(NOW - 1000, 0, NOW, 60));
    ck_assert(!keep_is_doubtful(NOW, NOW + 60, 0, 60));
    ck_assert(keep_is_doubtful(NOW, NOW + 61, 0, 60));
    ck_assert(keep_is_doubtful(NOW, NOW - 61, 0, 60));
    /* A target that was added later got it late; we saw it in time. */
    ck_assert(!keep_is_doubtful(NOW, NOW + 1000000, NOW + 60, 60));
    ck_assert(keep_is_doubtful(NOW, NOW + 1000000, NOW + 61, 60));
    ck_assert(keep_is_doubtful(INT64_MIN, INT64_MAX, INT64_MAX, INT64_MAX));
}
END_TEST

START_TEST(uncounted_and_future_snapshots_displace_nothing)
{
    struct history h;
    for (uint64_t seed = 0; seed < 500; seed++) {
        random_history(&h, seed);
        struct keep_decision decisions[MOST + 1];
        h.list[h.count] = (struct keep_snapshot){
            .ended = seed % 2 ? NOW : NOW + 1 + (int64_t)seed, .classes = ALL_CLASSES, .uncounted = seed % 2};
        set_id(&h, h.count, 0, 255);
        keep_decide(&h.keep, NOW, h.list, h.count + 1, decisions);
        ck_assert(decisions[h.count].keep);
        for (size_t i = 0; i < h.count; i++)
            ck_assert(decisions[i].keep == h.decisions[i].keep && decisions[i].rank == h.decisions[i].rank);
    }
}
END_TEST

START_TEST(what_is_left_after_expiry_stays)
{
    struct history h;
    for (uint64_t seed = 0; seed < 500; seed++) {
        random_history(&h, seed);
        struct keep_snapshot left[MOST];
        struct keep_decision decisions[MOST];
        size_t n = 0;
        bool counted_before = false, counted_after = false;
        for (size_t i = 0; i < h.count; i++) {
            counted_before |= counts(&h.list[i]);
            if (h.decisions[i].keep)
                left[n++] = h.list[i];
        }
        keep_decide(&h.keep, NOW, left, n, decisions);
        for (size_t i = 0; i < n; i++) {
            ck_assert(decisions[i].keep);
            counted_after |= counts(&left[i]);
        }
        ck_assert(counted_after == counted_before); /* the last good one is never removed */
    }
}
END_TEST

START_TEST(ten_years_of_daily_runs_leave_what_keep_says)
{
    const struct keep keep = {.daily = 7, .weekly = 5, .monthly = 12, .yearly = 3, .minimum = 1};
    struct keep_snapshot list[64] = {0};
    struct keep_decision decisions[64];
    size_t count = 0;
    for (int64_t day = 0; day < 3650; day++) {
        uint32_t classes = KEEP_CLASS_BIT(KEEP_DAILY);
        classes |= day % 7 == 0 ? KEEP_CLASS_BIT(KEEP_WEEKLY) : 0;
        classes |= day % 30 == 0 ? KEEP_CLASS_BIT(KEEP_MONTHLY) : 0;
        classes |= day % 365 == 0 ? KEEP_CLASS_BIT(KEEP_YEARLY) : 0;
        ck_assert_uint_lt(count, 64);
        list[count++] = (struct keep_snapshot){.ended = day * DAY, .classes = classes};
        keep_decide(&keep, day * DAY, list, count, decisions);
        size_t n = 0;
        for (size_t i = 0; i < count; i++) {
            if (decisions[i].keep)
                list[n++] = list[i];
        }
        count = n;
    }
    size_t of_class[4] = {0};
    for (size_t i = 0; i < count; i++) {
        for (unsigned c = 0; c < 4; c++)
            of_class[c] += list[i].classes >> c & 1;
    }
    ck_assert_uint_eq(of_class[KEEP_YEARLY], 3);
    ck_assert_uint_ge(of_class[KEEP_MONTHLY], 12);
    ck_assert_uint_ge(of_class[KEEP_WEEKLY], 5);
    ck_assert_uint_ge(of_class[KEEP_DAILY], 7);
    ck_assert_uint_le(count, 7 + 5 + 12 + 3);
    ck_assert(list[count - 1].ended == 3649 * DAY);
}
END_TEST

/* Judges so many snapshots with these entries and bytes; true if the last has collapsed. */
static bool last_collapsed(struct collapse_history *h, size_t count, uint64_t entries, uint64_t bytes)
{
    struct collapse_verdict v = {0};
    for (size_t i = 0; i < count; i++)
        v = collapse_judge(h, &(struct collapse_facts){.entries = entries, .bytes = bytes});
    return v.collapsed;
}

START_TEST(a_snapshot_of_less_than_half_has_collapsed)
{
    struct collapse_history h = {0};
    ck_assert(!last_collapsed(&h, 1, 0, 0)); /* the first */
    ck_assert(!last_collapsed(&h, 1, 100, 1001));
    ck_assert(!last_collapsed(&h, 1, 50, 501));
    ck_assert(last_collapsed(&h, 1, 49, 1000));
    ck_assert(last_collapsed(&h, 1, 100, 500));
    /* However often, and however slowly it gets less still. */
    ck_assert(last_collapsed(&h, 20, 49, 1000));
    ck_assert(last_collapsed(&h, 20, 0, 0));
    ck_assert(!last_collapsed(&h, 1, 60, 600));
    /* The greatest of seven counts, one that is older does not. */
    ck_assert(last_collapsed(&h, 1, 49, 600));
    ck_assert(!last_collapsed(&h, 6, 60, 600));
    ck_assert(!last_collapsed(&h, 1, 30, 300));
    ck_assert(!last_collapsed(&h, 7, 30, 300));
    ck_assert(!last_collapsed(&h, 1, UINT64_MAX, UINT64_MAX));
    ck_assert(last_collapsed(&h, 1, UINT64_MAX / 2, UINT64_MAX));
}
END_TEST

START_TEST(a_source_that_is_lost_is_a_collapse_however_small)
{
    struct collapse_history h = {0};
    struct collapse_facts facts = {.entries = 1000, .bytes = 1000, .sources_lost = 1};
    ck_assert(!collapse_judge(&h, &facts).collapsed); /* nothing to compare it with */
    ck_assert(collapse_judge(&h, &facts).collapsed);
    facts.sources_lost = 0;
    ck_assert(!collapse_judge(&h, &facts).collapsed);
}
END_TEST

START_TEST(what_is_acknowledged_is_what_the_next_are_compared_with)
{
    struct collapse_history h = {0};
    struct collapse_facts facts = {.entries = 10, .bytes = 10};
    ck_assert(!last_collapsed(&h, 9, 100, 100));
    struct collapse_verdict v = collapse_judge(&h, &facts);
    ck_assert(v.collapsed && !v.accepted && v.entries_before == 100 && v.bytes_before == 100);
    facts.acknowledged = true;
    v = collapse_judge(&h, &facts);
    ck_assert(!v.collapsed && v.accepted);
    ck_assert(!last_collapsed(&h, 1, 10, 10));
    ck_assert(!last_collapsed(&h, 1, 5, 5));
    ck_assert(last_collapsed(&h, 1, 4, 10));
    /* One that is not less is acknowledged for something else: that changes nothing. */
    facts = (struct collapse_facts){.entries = 8, .bytes = 8, .acknowledged = true};
    ck_assert(!collapse_judge(&h, &facts).accepted);
    ck_assert(last_collapsed(&h, 1, 4, 10));
}
END_TEST

START_TEST(collapsed_snapshots_displace_no_good_one)
{
    /* Four good days, six of nothing, then good ones again. */
    struct keep keep = {.daily = 3};
    struct keep_snapshot list[16] = {0};
    struct keep_decision decisions[16];
    for (size_t i = 0; i < 10; i++)
        list[i] = (struct keep_snapshot){.ended = NOW - (int64_t)(20 - i) * DAY,
                                         .classes = KEEP_CLASS_BIT(KEEP_DAILY),
                                         .collapsed = i >= 4};
    keep_decide(&keep, NOW, list, 10, decisions);
    for (size_t i = 0; i < 10; i++)
        ck_assert_msg(decisions[i].keep == (i != 0 && !(i >= 4 && i < 7)), "%zu", i);
    char text[KEEP_TEXT_SIZE];
    ck_assert_str_eq(keep_reason_text(&keep, &decisions[9], text), "daily 1 of 3, collapsed");
    ck_assert_str_eq(keep_reason_text(&keep, &decisions[3], text), "daily 1 of 3");
    for (size_t i = 10; i < 13; i++)
        list[i] = (struct keep_snapshot){.ended = NOW - (int64_t)(20 - i) * DAY,
                                         .classes = KEEP_CLASS_BIT(KEEP_DAILY)};
    keep_decide(&keep, NOW, list, 13, decisions);
    for (size_t i = 0; i < 13; i++)
        ck_assert_msg(decisions[i].keep == (i >= 10), "%zu", i);
    /* The newest good one stays for ever, and so does what was accepted. */
    keep.daily = 1;
    list[9].collapsed = false;
    list[9].accepted = true;
    keep_decide(&keep, NOW, list, 13, decisions);
    ck_assert(decisions[12].keep && decisions[9].keep && !decisions[11].keep && !decisions[8].keep);
    ck_assert_int_eq(decisions[9].reason, KEEP_REASON_ACCEPTED);
}
END_TEST

static const char *reason_of(const struct keep *keep, struct keep_snapshot s, struct keep_snapshot other)
{
    static char text[KEEP_TEXT_SIZE];
    struct keep_decision decisions[2];
    keep_decide(keep, NOW, (struct keep_snapshot[]){s, other}, 2, decisions);
    return keep_reason_text(keep, &decisions[0], text);
}

START_TEST(reasons_say_why)
{
    const struct keep_snapshot newer_one = {.ended = NOW, .classes = KEEP_CLASS_BIT(KEEP_DAILY)};
    struct keep_snapshot s = {.ended = NOW - 10 * DAY, .classes = KEEP_CLASS_BIT(KEEP_DAILY)};
    struct keep keep = {.daily = 7};
    ck_assert_str_eq(reason_of(&keep, s, newer_one), "daily 2 of 7");
    keep.daily = 1;
    ck_assert_str_eq(reason_of(&keep, s, newer_one), "expired");
    keep.within = 14 * DAY;
    ck_assert_str_eq(reason_of(&keep, s, newer_one), "within 14 d");
    keep.within = 0;
    keep.minimum = 3;
    ck_assert_str_eq(reason_of(&keep, s, newer_one), "min 2 of 3");
    s.pinned = true;
    ck_assert_str_eq(reason_of(&keep, s, newer_one), "pinned");
    s = (struct keep_snapshot){.ended = NOW - 10 * DAY, .classes = KEEP_CLASS_BIT(KEEP_MANUAL)};
    keep = (struct keep){.daily = 1};
    ck_assert_str_eq(reason_of(&keep, s, newer_one), "manual, until it is forgotten");
    keep.manual_set = true;
    ck_assert_str_eq(reason_of(&keep, s, newer_one), "expired");
    s.ended = NOW + 1;
    ck_assert_str_eq(reason_of(&keep, s, newer_one), "its time is in the future");
    s.ended = NOW - 1;
    struct keep_snapshot older = newer_one;
    older.ended = NOW - 2;
    ck_assert_str_eq(reason_of(&keep, s, older), "last good");
    s.classes = KEEP_CLASS_BIT(KEEP_WEEKLY);
    ck_assert_str_eq(reason_of(&keep, s, newer_one), "weekly, until it is forgotten");
    s.uncounted = true;
    ck_assert_str_eq(reason_of(&keep, s, newer_one), "uncounted: its time is in doubt");
}
END_TEST

START_TEST(extreme_times_do_not_overflow)
{
    const struct keep keep = {.daily = 1, .within = INT64_MAX};
    struct keep_snapshot list[3] = {
        {.ended = INT64_MIN, .classes = 1}, {.ended = INT64_MAX, .classes = 1}, {.ended = 0, .classes = 1}};
    struct keep_decision decisions[3];
    keep_decide(&keep, INT64_MIN, list, 3, decisions);
    ck_assert(decisions[0].keep && decisions[1].keep && decisions[2].keep);
    keep_decide(&keep, INT64_MAX, list, 3, decisions);
    ck_assert(!decisions[0].keep && decisions[1].keep && decisions[2].keep);
    keep_decide(&keep, 0, NULL, 0, NULL);
}
END_TEST

START_TEST(clocks_that_cannot_be_trusted)
{
    struct removal_clock c = {.now = NOW, .tolerance = DAY, .newest_own = INT64_MIN};
    ck_assert_int_eq(removal_check_clock(&c), REMOVAL_FREE);
    c.newest_own = NOW + DAY;
    ck_assert_int_eq(removal_check_clock(&c), REMOVAL_FREE);
    c.newest_own = NOW + DAY + 1;
    ck_assert_int_eq(removal_check_clock(&c), REMOVAL_CLOCK_BACK);
    /* The store agrees: what is of the future was made when this clock was wrong. */
    c.store_known = true;
    c.store_now = NOW - DAY;
    ck_assert_int_eq(removal_check_clock(&c), REMOVAL_FREE);
    c.store_now = NOW - DAY - 1;
    ck_assert_int_eq(removal_check_clock(&c), REMOVAL_CLOCK_STORE);
    c.store_now = NOW + DAY + 1;
    ck_assert_int_eq(removal_check_clock(&c), REMOVAL_CLOCK_STORE);
    c = (struct removal_clock){.now = INT64_MIN, .store_known = true, .store_now = INT64_MAX};
    ck_assert_int_eq(removal_check_clock(&c), REMOVAL_CLOCK_STORE);
}
END_TEST

static bool jumped(int64_t first, int64_t second, uint64_t sequence, int64_t now)
{
    struct removal_backup list[] = {{sequence, second}, {1, first}};
    return removal_jumped(list, 2, now);
}

START_TEST(clocks_that_jumped_ahead)
{
    struct removal_backup none;
    ck_assert(!removal_jumped(&none, 0, NOW));
    ck_assert(!jumped(NOW - 400 * DAY, NOW, 2, NOW));
    ck_assert(jumped(NOW - 401 * DAY, NOW, 2, NOW));
    ck_assert(jumped(NOW - 401 * DAY, NOW, 2, NOW + 7 * DAY));
    ck_assert(!jumped(NOW - 401 * DAY, NOW, 2, NOW + 7 * DAY + 1)); /* time enough to look at the clock */
    ck_assert(!jumped(NOW - 401 * DAY, NOW, 3, NOW));               /* one between them is gone */
    ck_assert(!jumped(NOW - 1, NOW, 2, NOW + 400 * DAY));
    ck_assert(jumped(NOW - 1, NOW, 2, NOW + 400 * DAY + 1)); /* long since any */
    ck_assert(!jumped(NOW - 1, NOW + 1000 * DAY, 2, NOW));   /* of the future: does not count */
    ck_assert(jumped(INT64_MIN, INT64_MAX, 2, INT64_MAX));
}
END_TEST

START_TEST(what_holds_removal_back)
{
    struct removal_job job = {.count = 10, .expired = 5, .max_removal = 50};
    ck_assert_int_eq(removal_decide(REMOVAL_FREE, &job), REMOVAL_FREE);
    job.expired = 6;
    ck_assert_int_eq(removal_decide(REMOVAL_FREE, &job), REMOVAL_TOO_MUCH);
    job.force = true;
    ck_assert_int_eq(removal_decide(REMOVAL_FREE, &job), REMOVAL_FREE);
    job.failed = true; /* force is no cure for that, nor for a wrong clock */
    ck_assert_int_eq(removal_decide(REMOVAL_FREE, &job), REMOVAL_FAILED_RUN);
    ck_assert_int_eq(removal_decide(REMOVAL_CLOCK_STORE, &job), REMOVAL_CLOCK_STORE);
    job.expired = 0;
    ck_assert_int_eq(removal_decide(REMOVAL_CLOCK_STORE, &job), REMOVAL_FREE);
    job = (struct removal_job){.count = 3, .expired = 2, .max_removal = 66};
    ck_assert_int_eq(removal_decide(REMOVAL_FREE, &job), REMOVAL_TOO_MUCH);
    job.max_removal = 67;
    ck_assert_int_eq(removal_decide(REMOVAL_FREE, &job), REMOVAL_FREE);
    job.held = true;
    ck_assert_int_eq(removal_decide(REMOVAL_FREE, &job), REMOVAL_TOO_MUCH);
    job.force = true;
    ck_assert_int_eq(removal_decide(REMOVAL_FREE, &job), REMOVAL_FREE);
}
END_TEST

/* A year of daily prunes, with pauses of up to a third of the lock: never is an object without its lock, and
 * each is moved on only a few times. */
START_TEST(locks_never_lapse_and_are_moved_on_seldom)
{
    const int64_t day = 86400, retain = 30 * day;
    for (unsigned spread = 0; spread <= 65535; spread += 4369) {
        int64_t now = 0, until = retain;
        unsigned moved = 0;
        uint32_t random = spread + 1;
        while (now < 365 * day) {
            if (retention_is_due(now, until, retain, (uint16_t)spread)) {
                until = now + retain;
                moved++;
            }
            random = random * 1103515245 + 12345;
            now += random >> 16 & 7 ? day : retain / 3;
            ck_assert(until >= now);
        }
        ck_assert_uint_le(moved, 365 * 2 / 30 + 3);
        ck_assert_uint_ge(moved, 11);
    }
    ck_assert(!retention_is_due(5, 0, 0, 0));
    ck_assert(retention_is_due(5, 0, 1, 0));
    ck_assert(retention_is_due(INT64_MAX, 0, INT64_MAX, 65535));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy");
    TCase *tests = tcase_create("keep");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, random_histories_follow_the_rules);
    tcase_add_test(tests, input_order_does_not_matter);
    tcase_add_test(tests, times_in_doubt);
    tcase_add_test(tests, uncounted_and_future_snapshots_displace_nothing);
    tcase_add_test(tests, what_is_left_after_expiry_stays);
    tcase_add_test(tests, ten_years_of_daily_runs_leave_what_keep_says);
    tcase_add_test(tests, reasons_say_why);
    tcase_add_test(tests, a_snapshot_of_less_than_half_has_collapsed);
    tcase_add_test(tests, a_source_that_is_lost_is_a_collapse_however_small);
    tcase_add_test(tests, what_is_acknowledged_is_what_the_next_are_compared_with);
    tcase_add_test(tests, collapsed_snapshots_displace_no_good_one);
    tcase_add_test(tests, extreme_times_do_not_overflow);
    tcase_add_test(tests, clocks_that_cannot_be_trusted);
    tcase_add_test(tests, clocks_that_jumped_ahead);
    tcase_add_test(tests, what_holds_removal_back);
    tcase_add_test(tests, locks_never_lapse_and_are_moved_on_seldom);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
