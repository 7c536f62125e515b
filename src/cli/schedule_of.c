#include "cli/schedule_of.h"

#include "base/memory.h"
#include "base/zone.h"

#include <stdlib.h>
#include <string.h>

/* The yearly class looks back a year, and over it for what was missed. */
#define ZONE_SPAN (3 * 366 * (int64_t)86400)

static struct due_time time_of(const struct schedule_time *t)
{
    return (struct due_time){.set = t->set,
                             .month = t->month,
                             .day = t->day,
                             .weekday = t->weekday,
                             .hour = t->hour,
                             .minute = t->minute};
}

static bool same_zone(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

int schedules_load(const struct config *config, int64_t now, struct schedules *out, struct error *err)
{
    *out = (struct schedules){.list = memory_alloc_array(config->job_count, sizeof *out->list),
                              .count = config->job_count,
                              .zones = memory_alloc_array(config->job_count, sizeof *out->zones)};
    for (size_t i = 0; i < config->job_count; i++) {
        const struct config_schedule *s = &config->jobs[i].schedule;
        const struct zone *zone = NULL;
        for (size_t k = 0; k < i && !zone; k++) {
            if (same_zone(config->jobs[k].schedule.timezone, s->timezone))
                zone = out->list[k].zone;
        }
        if (!zone) {
            int code =
                zone_load(s->timezone, now - ZONE_SPAN, now + ZONE_SPAN, &out->zones[out->zone_count], err);
            if (code != 0)
                return code;
            zone = out->zones[out->zone_count++];
        }
        out->list[i] = (struct due_schedule){
            .times = {time_of(&s->daily), time_of(&s->weekly), time_of(&s->monthly), time_of(&s->yearly)},
            .zone = zone};
    }
    return 0;
}

void schedules_free(struct schedules *schedules)
{
    for (size_t i = 0; i < schedules->zone_count; i++)
        zone_free(schedules->zones[i]);
    free(schedules->zones);
    free(schedules->list);
    *schedules = (struct schedules){0};
}
