/*
 * Times as people read them at a glance: on this machine's clock, and how far away. For the commands.
 */
#ifndef CLI_LOCAL_TIME_H
#define CLI_LOCAL_TIME_H

#include <stdint.h>

#define LOCAL_TIME_SIZE 64

/* "Thu 26 Nov 03:04", of another year than now "26 Nov 2025 03:04". Returns text. */
char *local_time(int64_t seconds, int64_t now, char text[LOCAL_TIME_SIZE]);
/* "Thu 26 Nov 2026 03:04 CET". Returns text. */
char *local_time_full(int64_t seconds, char text[LOCAL_TIME_SIZE]);
/* "34 min ago", "3 h ago", "in 2 d", "now": one number is enough. Returns text. */
char *local_time_distance(int64_t seconds, int64_t now, char text[LOCAL_TIME_SIZE]);
/* Both: "26 Nov 03:04, 3 h ago". Returns text. */
char *local_time_both(int64_t seconds, int64_t now, char text[LOCAL_TIME_SIZE]);

#endif
