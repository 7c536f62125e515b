#include "policy/due.h"

#include "base/zone.h"

#include <string.h>
#include <time.h>

#define DAY ((int64_t)86400)
/* Years 0 to 9999, as for every time that is printed; beyond them a clock says nothing. */
#define EARLIEST (-62167219200 + 800 * DAY)
#define LATEST (253402300799 - 800 * DAY)

static int64_t clamp(int64_t now)
{
    return now < EARLIEST ? EARLIEST : now > LATEST ? LATEST : now;
}

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int days_of_month(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

/* Days since 1970-01-01. */
static int64_t day_of(int64_t year, int month, int day)
{
    int last = days_of_month(year, month);
    struct tm tm = {.tm_year = (int)year - 1900, .tm_mon = month - 1, .tm_mday = day > last ? last : day};
    return floor_divide(timegm(&tm), DAY);
}

/* The n-th time of the class, in days, weeks, months or years counted from some beginning. */
static int64_t scheduled(const struct due_schedule *s, enum keep_class class, int64_t n)
{
    const struct due_time *t = &s->times[class];
    int64_t day = n;
    if (class == KEEP_WEEKLY)
        day = n * 7 - 4 + t->weekday; /* 1970-01-01 was a Thursday */
    else if (class == KEEP_MONTHLY)
        day = day_of(floor_divide(n, 12), (int)(n - 12 * floor_divide(n, 12)) + 1, t->day);
    else if (class == KEEP_YEARLY)
        day = day_of(n, t->month, t->day);
    return zone_from_local(s->zone, day * DAY + t->hour * 3600 + t->minute * 60);
}

/* The count of the day, week, month or year that now lies in. */
static int64_t count_at(const struct due_schedule *s, enum keep_class class, int64_t now)
{
    int64_t local = now + zone_offset(s->zone, now);
    time_t t = local;
    struct tm tm;
    if (class == KEEP_DAILY || class == KEEP_WEEKLY)
        return floor_divide(floor_divide(local, DAY) + (class == KEEP_WEEKLY ? 4 : 0),
                            class == KEEP_WEEKLY ? 7 : 1);
    gmtime_r(&t, &tm);
    int64_t year = (int64_t)tm.tm_year + 1900;
    return class == KEEP_YEARLY ? year : year * 12 + tm.tm_mon;
}

/* Two beyond are enough: where a zone moves across the date line, the wall clock skips or repeats a day. */
#define BEYOND 2

int64_t due_latest(const struct due_schedule *s, enum keep_class class, int64_t now)
{
    int64_t n = count_at(s, class, clamp(now)) + BEYOND;
    while (scheduled(s, class, n) > clamp(now))
        n--;
    return scheduled(s, class, n);
}

int64_t due_next(const struct due_schedule *s, enum keep_class class, int64_t now)
{
    int64_t n = count_at(s, class, clamp(now)) - BEYOND;
    while (scheduled(s, class, n) <= clamp(now))
        n++;
    return scheduled(s, class, n);
}

static bool is_future(int64_t started, int64_t now)
{
    int64_t ahead;
    return started > now && (__builtin_sub_overflow(started, now, &ahead) || ahead > DUE_AHEAD_SECONDS);
}

static struct due_decision decide(const struct due_schedule *s, enum keep_class class, int64_t now,
                                  const struct due_success *successes, size_t count)
{
    struct due_decision d = {.set = true};
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        const struct due_success *c = &successes[i];
        if (!(c->classes & KEEP_CLASS_BIT(class)) || is_future(c->started, now))
            continue;
        if (!any || c->started > d.last_success)
            d.last_success = c->started;
        any = true;
    }
    d.latest = due_latest(s, class, now);
    d.next = due_next(s, class, now);
    d.due = !any || d.last_success < d.latest;
    if (d.due)
        d.since = any ? due_next(s, class, d.last_success) : d.latest;
    d.overdue = d.due && any && clamp(now) - d.since > DUE_OVERDUE_SECONDS;
    return d;
}

uint32_t due_decide(const struct due_schedule *s, int64_t now, const struct due_success *successes,
                    size_t count, struct due_decision decisions[DUE_CLASS_COUNT])
{
    uint32_t classes = 0;
    memset(decisions, 0, DUE_CLASS_COUNT * sizeof *decisions);
    for (unsigned c = 0; c < DUE_CLASS_COUNT; c++) {
        if (s->times[c].set)
            decisions[c] = decide(s, (enum keep_class)c, now, successes, count);
        if (decisions[c].due)
            classes |= KEEP_CLASS_BIT(c);
    }
    return classes;
}

int64_t due_wait(int64_t jitter, uint64_t random)
{
    return jitter > 0 ? (int64_t)(random % ((uint64_t)jitter + 1)) : 0;
}
