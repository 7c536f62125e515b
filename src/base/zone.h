/*
 * Time zones as plain tables of when their distance from UTC changes: made once from the system's data, pure
 * and safe in threads from then on. For the schedules of jobs and for times that people read.
 */
#ifndef BASE_ZONE_H
#define BASE_ZONE_H

#include "base/error.h"

#include <stdint.h>

struct zone;

/* True for the name of a time zone that this machine knows, and for "UTC". */
bool zone_exists(const char *name);

/* The zone of this name, or the machine's own for NULL, as it is between `from` and `to` (Unix seconds);
 * before and after, what holds at that end goes on. The caller frees *zone with zone_free. Sets TZ while it
 * works: no other thread may read the environment at that time. Errors: USAGE, the machine knows no such
 * zone. */
int zone_load(const char *name, int64_t from, int64_t to, struct zone **zone, struct error *err);
void zone_free(struct zone *zone);

/* Seconds east of UTC at `time` (Unix seconds). */
int32_t zone_offset(const struct zone *zone, int64_t time);

/* From what clocks on the wall show, in seconds since they showed 1970-01-01 00:00, to Unix seconds. What
 * they show twice, when they are put back, is the first of the two; what they never show, because they are
 * put forward, is the instant at which that happens. Never decreases with `local`. */
int64_t zone_from_local(const struct zone *zone, int64_t local);

#endif
