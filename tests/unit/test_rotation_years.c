/*
 * Ten years of a start every hour, with outages of machine and store, failed runs, clocks that jump and are
 * put right, and prunes by hand, drawn at random: the decisions as `run` makes them, against a model that
 * keeps every snapshot there ever was and a calendar that was made by walking along the wall clock.
 */
#include "base/zone.h"
#include "policy/due.h"
#include "policy/removal.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HOUR ((int64_t)3600)
#define DAY (24 * HOUR)
#define BEGIN ((int64_t)1767222000) /* 2025-12-31T23:00:00Z: 2026 in Berlin */
#define END (BEGIN + 3653 * DAY)
#define TOLERANCE DAY
#define MOST 8000

/* Check writes down each assertion that it passes: millions, here. */
#define HOLDS(condition, ...)                                                                                \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            ck_abort_msg(__VA_ARGS__);                                                                       \
    } while (0)

static uint64_t random_state;

static uint32_t draw(uint32_t bound)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % bound;
}

/* ---- the calendar ---- */

static struct zone *zone;
static int64_t calendar[DUE_CLASS_COUNT][6000];
static size_t calendar_count[DUE_CLASS_COUNT];

static const struct due_time times[DUE_CLASS_COUNT] = {{.set = true, .hour = 2, .minute = 30},
                                                       {.set = true, .weekday = 0, .hour = 3},
                                                       {.set = true, .day = 31, .hour = 4},
                                                       {.set = true, .month = 2, .day = 29, .hour = 5}};

/* Half an hour at a time, as the zone and the schedules have it: the first moment of a day of the class at
 * which the wall clock is at or past the time. */
static void make_calendar(void)
{
    int64_t last[DUE_CLASS_COUNT] = {0};
    for (int64_t t = BEGIN - 800 * DAY; t < END + 800 * DAY; t += HOUR / 2) {
        time_t local = t + zone_offset(zone, t), tomorrow = local + DAY;
        struct tm now, next;
        gmtime_r(&local, &now);
        gmtime_r(&tomorrow, &next);
        bool month_ends = next.tm_mon != now.tm_mon;
        const bool is_day[] = {true, now.tm_wday == 0, month_ends, month_ends && now.tm_mon == 1};
        for (unsigned c = 0; c < DUE_CLASS_COUNT; c++) {
            bool past = now.tm_hour * 60 + now.tm_min >= times[c].hour * 60 + times[c].minute;
            if (!is_day[c] || !past || last[c] == local / DAY)
                continue;
            last[c] = local / DAY;
            calendar[c][calendar_count[c]++] = t;
        }
    }
}

static bool in_calendar(int64_t now)
{
    return now > BEGIN - 400 * DAY && now < END + 400 * DAY;
}

static int64_t latest_in_calendar(unsigned c, int64_t now)
{
    size_t low = 0, high = calendar_count[c];
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        *(calendar[c][middle] <= now ? &low : &high) = middle;
    }
    return calendar[c][low];
}

/* ---- the world ---- */

struct taken {
    uint32_t classes;
    int64_t started, ended, arrival;
    bool gone;   /* removed by rotation */
    bool wasted; /* forgotten by the person, since the clock was wrong when it was made */
};

struct world {
    struct due_schedule schedule;
    struct keep keep;
    bool has_store_clock, calm;
    int64_t real, skew, skew_until, away_until, off_until, forget_at;
    bool failed, told_too_much;
    struct taken *all;
    size_t count;
    size_t live[MOST], live_count;
    size_t removed, held[REMOVAL_TOO_MUCH + 1];
};

static int64_t clock_of(const struct world *w)
{
    return w->real + w->skew;
}

static bool is_doubtful(const struct world *w, const struct taken *s)
{
    return w->has_store_clock && llabs(s->ended - s->arrival) > TOLERANCE;
}

static void list_live(struct world *w)
{
    w->live_count = 0;
    for (size_t i = 0; i < w->count; i++) {
        if (!w->all[i].gone && !w->all[i].wasted)
            w->live[w->live_count++] = i;
    }
}

/* Weather: the machine off, the store away, the clock wrong; more than a day, or a little. Without a store's
 * clock nobody can tell a small jump ahead from time that has passed; so there are none, and large ones are
 * put right within the week that is held. */
static void draw_weather(struct world *w)
{
    if (w->calm)
        return;
    if (w->real >= w->off_until && draw(1500) == 0)
        w->off_until = w->real + (draw(10) ? 1 + draw(72) : 24 * (1 + draw(70))) * HOUR;
    if (w->real >= w->away_until && draw(700) == 0)
        w->away_until = w->real + (1 + draw(100)) * HOUR;
    if (w->skew && w->real >= w->skew_until) {
        w->skew = 0;
        w->forget_at = w->has_store_clock ? 0 : w->real + draw(240) * HOUR;
    } else if (!w->skew && !w->forget_at && draw(2500) == 0) {
        int64_t days = draw(3) ? 2 + draw(30) : 2 + draw(3000);
        bool ahead = draw(2);
        if (ahead && !w->has_store_clock)
            days = 401 + draw(3000);
        w->skew = draw(4) == 0 ? 60 * (int64_t)(1 + draw(29)) : (ahead ? days : -days) * DAY;
        w->skew_until = w->real + (2 + draw(148)) * HOUR;
    }
}

/* What the hint says: give up what was made while the clock was ahead. */
static void forget_wasted(struct world *w)
{
    if (!w->forget_at || w->real < w->forget_at)
        return;
    w->forget_at = 0;
    for (size_t i = 0; i < w->count; i++)
        w->all[i].wasted |= w->all[i].ended > w->real + HOUR;
}

/* ---- what must be ---- */

static bool counts(const struct world *w, const struct taken *s)
{
    return !s->wasted && s->ended <= clock_of(w) && !is_doubtful(w, s);
}

/* How many that were ever taken, are counted and newer than number i; of a class, or of all. */
static uint32_t newer_than(const struct world *w, size_t i, uint32_t classes, uint32_t enough)
{
    uint32_t n = 0;
    for (size_t k = w->count; k-- > 0 && n < enough;) {
        const struct taken *s = &w->all[k];
        n += k != i && (s->classes & classes) && counts(w, s) &&
             (s->ended > w->all[i].ended || (s->ended == w->all[i].ended && k > i));
    }
    return n;
}

static bool is_wanted(const struct world *w, size_t i)
{
    const struct taken *s = &w->all[i];
    const uint32_t limits[] = {w->keep.daily, w->keep.weekly, w->keep.monthly, w->keep.yearly};
    if (!counts(w, s) || (w->keep.within && s->ended >= clock_of(w) - w->keep.within))
        return true;
    for (unsigned c = 0; c < DUE_CLASS_COUNT; c++) {
        if ((s->classes >> c & 1) && newer_than(w, i, KEEP_CLASS_BIT(c), limits[c]) < limits[c])
            return true;
    }
    return newer_than(w, i, ~0u, 1) < 1;
}

/* Each class holds exactly its newest of all that ever were, and nothing else is gone. What `within` wanted
 * when the clock was put back may be gone already, so that only classes are asked. */
static void check_rotation(struct world *w, uint64_t seed)
{
    int64_t within = w->keep.within;
    for (size_t i = 0; i < w->count; i++) {
        const struct taken *s = &w->all[i];
        w->keep.within = s->gone ? 0 : within;
        if (s->gone && !counts(w, s))
            continue;
        if (!s->wasted)
            HOLDS(s->gone != is_wanted(w, i), "seed %d, hour %d: snapshot %d of classes %u is %s", (int)seed,
                  (int)((w->real - BEGIN) / HOUR), (int)i, s->classes, s->gone ? "gone" : "still there");
    }
    w->keep.within = within;
}

static void check_due(const struct world *w, uint32_t due, uint64_t seed)
{
    int64_t now = clock_of(w);
    if (!in_calendar(now))
        return;
    for (unsigned c = 0; c < DUE_CLASS_COUNT; c++) {
        int64_t last = INT64_MIN;
        for (size_t i = 0; i < w->live_count; i++) {
            const struct taken *s = &w->all[w->live[i]];
            if ((s->classes >> c & 1) && s->started <= now + HOUR && s->started > last)
                last = s->started;
        }
        HOLDS((due >> c & 1) == (last < latest_in_calendar(c, now)), "seed %d, hour %d, class %u", (int)seed,
              (int)((w->real - BEGIN) / HOUR), c);
    }
}

/* ---- one start ---- */

/* As prune does it. */
static void prune(struct world *w, bool force, uint64_t seed)
{
    int64_t now = clock_of(w);
    struct keep_snapshot *snapshots = calloc(w->live_count + 1, sizeof *snapshots);
    struct keep_decision *decisions = calloc(w->live_count + 1, sizeof *decisions);
    struct removal_backup *backups = calloc(w->live_count + 1, sizeof *backups);
    struct removal_clock clock = {.now = now,
                                  .tolerance = TOLERANCE,
                                  .store_known = w->has_store_clock,
                                  .store_now = w->real,
                                  .newest_own = INT64_MIN};
    struct removal_job job = {.failed = w->failed, .count = w->live_count, .max_removal = 50, .force = force};
    for (size_t i = 0; i < w->live_count; i++) {
        const struct taken *s = &w->all[w->live[i]];
        int64_t arrival = w->has_store_clock ? s->arrival : 0;
        /* This machine's first sight was by the same clock. */
        snapshots[i] = (struct keep_snapshot){.ended = s->ended,
                                              .classes = s->classes,
                                              .sequence = w->live[i] + 1,
                                              .uncounted = keep_is_doubtful(s->ended, arrival, 0, TOLERANCE)};
        backups[i] = (struct removal_backup){w->live[i] + 1, s->ended};
        clock.newest_own = s->ended > clock.newest_own ? s->ended : clock.newest_own;
    }
    keep_decide(&w->keep, now, snapshots, w->live_count, decisions);
    for (size_t i = 0; i < w->live_count; i++)
        job.expired += !decisions[i].keep;
    enum removal_hold hold = removal_check_clock(&clock);
    if (hold == REMOVAL_FREE && !clock.store_known && removal_jumped(backups, w->live_count, now))
        hold = REMOVAL_CLOCK_JUMPED;
    hold = removal_decide(hold, &job);
    w->held[hold]++;
    for (size_t i = 0; i < w->live_count && hold == REMOVAL_FREE; i++) {
        w->all[w->live[i]].gone = !decisions[i].keep;
        w->removed += !decisions[i].keep;
    }
    w->told_too_much = hold == REMOVAL_TOO_MUCH;
    bool wrong = llabs(w->skew) > TOLERANCE;
    HOLDS(!wrong || w->has_store_clock || w->skew < 0 || job.expired == 0 || hold,
          "seed %d: a clock that is ahead lets %d expire", (int)seed, (int)job.expired);
    HOLDS(!job.expired || !w->failed || hold, "seed %d: removed after a failed run", (int)seed);
    free(snapshots);
    free(decisions);
    free(backups);
    list_live(w);
    HOLDS(!w->count || w->live_count || w->all[w->count - 1].wasted, "seed %d: none is left", (int)seed);
    if (!hold && !wrong && !w->forget_at)
        check_rotation(w, seed);
}

static void start(struct world *w, uint64_t seed)
{
    struct due_success successes[MOST];
    struct due_decision decisions[DUE_CLASS_COUNT];
    for (size_t i = 0; i < w->live_count; i++)
        successes[i] = (struct due_success){w->all[w->live[i]].classes, w->all[w->live[i]].started};
    uint32_t due = due_decide(&w->schedule, clock_of(w), successes, w->live_count, decisions);
    check_due(w, due, seed);
    if (!due)
        return;
    w->failed = w->real < w->away_until;
    if (w->failed)
        return;
    HOLDS(w->count < MOST, "seed %d: too many", (int)seed);
    int64_t took = 60 + draw(1200);
    w->all[w->count++] = (struct taken){
        .classes = due, .started = clock_of(w), .ended = clock_of(w) + took, .arrival = w->real + took};
    list_live(w);
    w->real += took;
    prune(w, w->told_too_much && draw(2), seed);
    w->real -= took;
}

static void ten_years(uint64_t seed, size_t totals[REMOVAL_TOO_MUCH + 2])
{
    struct world *w = calloc(1, sizeof *w);
    random_state = seed * 77 + 1;
    w->all = calloc(MOST, sizeof *w->all);
    w->calm = seed == 0;
    w->has_store_clock = seed % 2;
    memcpy(w->schedule.times, times, sizeof times);
    w->schedule.zone = zone;
    w->keep = (struct keep){.daily = 7, .weekly = 5, .monthly = 12, .yearly = 3, .minimum = 1};
    if (seed % 4 == 2)
        w->keep = (struct keep){.daily = 2, .weekly = 1, .monthly = 1, .yearly = 1, .minimum = 1};
    if (seed % 4 == 3)
        w->keep.within = 14 * DAY;
    for (w->real = BEGIN; w->real < END; w->real += HOUR) {
        draw_weather(w);
        forget_wasted(w);
        list_live(w);
        if (w->real < w->off_until)
            continue;
        start(w, seed);
        if (w->calm || draw(500) != 0)
            continue;
        w->real += HOUR / 2;
        prune(w, w->told_too_much, seed); /* by hand, also after a failed run */
        w->real -= HOUR / 2;
    }
    if (w->calm) {
        size_t of_class[DUE_CLASS_COUNT] = {0};
        for (size_t i = 0; i < w->count; i++) {
            for (unsigned c = 0; c < DUE_CLASS_COUNT; c++)
                of_class[c] += w->all[i].classes >> c & 1;
        }
        /* One for each day, week, month and year, and the first of all, in each class. */
        ck_assert_uint_eq(of_class[KEEP_DAILY], 3653 + 1);
        ck_assert_uint_eq(of_class[KEEP_WEEKLY], 522 + 1);
        ck_assert_uint_eq(of_class[KEEP_MONTHLY], 120 + 1);
        ck_assert_uint_eq(of_class[KEEP_YEARLY], 10 + 1);
    }
    for (size_t i = 0; i <= REMOVAL_TOO_MUCH; i++)
        totals[i] += w->held[i];
    totals[REMOVAL_TOO_MUCH + 1] += w->removed;
    free(w->all);
    free(w);
}

/* Sanitizers need six times as long for what is in plain C everywhere: one world will do. */
#define WORLDS 6
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#undef WORLDS
#define WORLDS 1
#endif
#endif

START_TEST(ten_years_of_hourly_starts_in_bad_weather)
{
    size_t totals[REMOVAL_TOO_MUCH + 2] = {0};
    struct error err;
    ck_assert_int_eq(zone_load("Europe/Berlin", BEGIN - 4000 * DAY, END + 4000 * DAY, &zone, &err), 0);
    make_calendar();
    for (uint64_t seed = 0; seed < WORLDS; seed++)
        ten_years(seed, totals);
    zone_free(zone);
    /* Each of what holds rotation back has had something to hold. */
    for (size_t i = 0; i <= REMOVAL_TOO_MUCH && WORLDS > 1; i++)
        ck_assert_msg(totals[i] > 0, "hold %d never came", (int)i);
    ck_assert_uint_gt(totals[REMOVAL_TOO_MUCH + 1], 20000 / 6 * WORLDS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rotation_years");
    TCase *tests = tcase_create("years");
    tcase_set_timeout(tests, 0); /* meson's counts */
    tcase_add_test(tests, ten_years_of_hourly_starts_in_bad_weather);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
