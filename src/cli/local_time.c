#include "cli/local_time.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static bool local(int64_t seconds, struct tm *tm)
{
    time_t t = (time_t)seconds;
    return localtime_r(&t, tm) != NULL;
}

char *local_time(int64_t seconds, int64_t now, char text[LOCAL_TIME_SIZE])
{
    struct tm tm, present;
    if (!local(seconds, &tm) || !local(now, &present))
        return strcpy(text, "?");
    strftime(text, LOCAL_TIME_SIZE, tm.tm_year == present.tm_year ? "%a %d %b %H:%M" : "%d %b %Y %H:%M", &tm);
    return text;
}

char *local_time_full(int64_t seconds, char text[LOCAL_TIME_SIZE])
{
    struct tm tm;
    if (!local(seconds, &tm))
        return strcpy(text, "?");
    strftime(text, LOCAL_TIME_SIZE, "%a %d %b %Y %H:%M %Z", &tm);
    return text;
}

char *local_time_distance(int64_t seconds, int64_t now, char text[LOCAL_TIME_SIZE])
{
    static const struct {
        uint64_t seconds, from; /* from so many seconds on */
        const char *name;
    } units[] = {{86400, 2 * 86400, "d"}, {3600, 2 * 3600, "h"}, {60, 60, "min"}, {1, 2, "s"}};
    uint64_t distance = seconds > now ? (uint64_t)seconds - (uint64_t)now : (uint64_t)now - (uint64_t)seconds;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (distance < units[i].from)
            continue;
        snprintf(text, LOCAL_TIME_SIZE, "%s%llu %s%s", seconds > now ? "in " : "",
                 (unsigned long long)(distance / units[i].seconds), units[i].name,
                 seconds > now ? "" : " ago");
        return text;
    }
    return strcpy(text, "now");
}

char *local_time_both(int64_t seconds, int64_t now, char text[LOCAL_TIME_SIZE])
{
    char distance[LOCAL_TIME_SIZE];
    local_time(seconds, now, text);
    size_t length = strlen(text);
    snprintf(text + length, LOCAL_TIME_SIZE - length, ", %.24s", local_time_distance(seconds, now, distance));
    return text;
}
