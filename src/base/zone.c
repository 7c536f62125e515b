#include "base/zone.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* No zone has ever gone to another distance and back within less. */
#define STEP 86400

struct change {
    int64_t at; /* Unix seconds; the offset holds from then on */
    int32_t offset;
};

struct zone {
    struct change *changes; /* the first holds from the beginning of time */
    size_t count, capacity;
};

bool zone_exists(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";
    size_t n = strlen(name);
    if (n == 0 || n > 64 || strspn(name, allowed) != n || name[0] == '/')
        return false;
    if (strcmp(name, "UTC") == 0)
        return true;
    char path[128];
    snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* By the TZ that is set. */
static int32_t system_offset(int64_t at)
{
    time_t t = at;
    struct tm tm;
    return localtime_r(&t, &tm) ? (int32_t)tm.tm_gmtoff : 0;
}

static void add(struct zone *zone, int64_t at, int32_t offset)
{
    memory_reserve_one(zone->changes, zone->count, zone->capacity);
    zone->changes[zone->count++] = (struct change){at, offset};
}

static void read_changes(struct zone *zone, int64_t from, int64_t to)
{
    int32_t before = system_offset(from);
    add(zone, INT64_MIN, before);
    for (int64_t low = from; low < to; low += STEP) {
        int64_t high = low + STEP;
        int32_t after = system_offset(high);
        if (after == before)
            continue;
        int64_t old = low;
        while (high - old > 1) {
            int64_t middle = old + (high - old) / 2;
            *(system_offset(middle) == before ? &old : &high) = middle;
        }
        add(zone, high, after);
        before = after;
    }
}

int zone_load(const char *name, int64_t from, int64_t to, struct zone **zone, struct error *err)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    if (name && !zone_exists(name)) {
        error_set(err, ERROR_USAGE, "this machine knows no time zone \"%s\"", name);
        return error_hint(err, "install the package tzdata, or take a name that is in /usr/share/zoneinfo");
    }
    *zone = memory_new(struct zone);
    pthread_mutex_lock(&mutex);
    const char *set = getenv("TZ");
    char *old = set ? memory_copy_string(set) : NULL;
    if (name)
        setenv("TZ", name, 1);
    tzset();
    read_changes(*zone, from, to);
    if (old)
        setenv("TZ", old, 1);
    else
        unsetenv("TZ");
    tzset();
    pthread_mutex_unlock(&mutex);
    free(old);
    return 0;
}

void zone_free(struct zone *zone)
{
    if (!zone)
        return;
    free(zone->changes);
    free(zone);
}

int32_t zone_offset(const struct zone *zone, int64_t time)
{
    size_t i = zone->count - 1;
    while (i > 0 && zone->changes[i].at > time)
        i--;
    return zone->changes[i].offset;
}

int64_t zone_from_local(const struct zone *zone, int64_t local)
{
    for (size_t i = 0;; i++) {
        int64_t time = local - zone->changes[i].offset;
        if (i + 1 < zone->count && time >= zone->changes[i + 1].at)
            continue;
        return time > zone->changes[i].at ? time : zone->changes[i].at;
    }
}
