/*
 * When a class of snapshots is due: "02:30", "sun 03:00", "1 04:00", "last 04:00", "jan 1 05:00".
 * Parsed here; the decision what is due belongs to the scheduler.
 */
#ifndef CONFIG_SCHEDULE_H
#define CONFIG_SCHEDULE_H

#include <stdbool.h>

enum schedule_class { SCHEDULE_DAILY, SCHEDULE_WEEKLY, SCHEDULE_MONTHLY, SCHEDULE_YEARLY };

#define SCHEDULE_LAST_DAY 31 /* a month that is shorter has it on its last day */

struct schedule_time {
    bool set;
    int month;   /* yearly: 1 to 12 */
    int day;     /* monthly, yearly: 1 to SCHEDULE_LAST_DAY */
    int weekday; /* weekly: 0 Sunday to 6 Saturday */
    int hour, minute;
};

/* False if text does not have the form its class needs; see schedule_form. */
bool schedule_parse(enum schedule_class class, const char *text, struct schedule_time *time);
/* What the class expects, for messages: "\"HH:MM\"", ... */
const char *schedule_form(enum schedule_class class);

#endif
