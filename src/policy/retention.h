/*
 * Object locks: when the date before which nobody removes an object is moved on. Pure, like its neighbours.
 */
#ifndef POLICY_RETENTION_H
#define POLICY_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

/* True if an object that is needed, locked until `until` (0: not known to be locked), is to be locked anew
 * for `retain` seconds from now. Between a half and a third of the time before the end: `spread`, a number
 * that belongs to the object, decides where, so that not all fall due on one day; and a host that is silent
 * for less than a third of `retain` leaves no object unlocked. */
bool retention_is_due(int64_t now, int64_t until, int64_t retain, uint16_t spread);

#endif
