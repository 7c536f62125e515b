/*
 * Text for people and configuration: sizes, durations, times in RFC 3339, escaping, nearest names.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_TIME_SIZE 32

/* "20M" to bytes; suffixes K M G T are binary; digits only otherwise. False if malformed or out of range. */
bool text_parse_size(const char *text, uint64_t *bytes);
/* "30d" to seconds; suffixes s m h d w, none means seconds. False if malformed or out of range. */
bool text_parse_duration(const char *text, int64_t *seconds);
/* 1536 -> "1.5 KiB". Returns text. */
char *text_format_size(uint64_t bytes, char text[32]);
/* 3725 -> "1 h 2 min". Returns text. */
char *text_format_duration(double seconds, char text[32]);

/* Unix seconds to "2026-11-24T03:00:00Z". Returns text. Any year from 0 to 9999. */
char *text_format_time(int64_t seconds, char text[TEXT_TIME_SIZE]);
/* Unix seconds to "20261124T030000Z", as object names use it. Returns text. */
char *text_format_compact_time(int64_t seconds, char text[TEXT_TIME_SIZE]);
bool text_parse_compact_time(const char *text, size_t length, int64_t *seconds);
/* "2026-11-24", "2026-11-24T03:00", "...:00" or "...:00Z"; without a time the start of the day, in UTC. */
bool text_parse_time(const char *text, int64_t *seconds);

/* A copy in which control characters, backslashes and bytes that are not UTF-8 stand as \xHH: safe on any
 * terminal. The caller frees it. */
char *text_visible(const char *text);
char *text_visible_bytes(const void *data, size_t size);
/* Likewise, but backslashes stay: for whole messages, in which names are escaped already. */
char *text_printable(const char *text);
/* True if the bytes are well-formed UTF-8 without NUL. */
bool text_is_utf8(const void *data, size_t size);
/* The length of the UTF-8 sequence at p (RFC 3629: no surrogates, no overlong forms), of which `left` bytes,
 * at least 1, are there, and the character that it is; 0 if it is none. */
size_t text_decode(const uint8_t *p, size_t left, uint32_t *character);
/* The text without the byte-order mark that some editors put at its beginning. */
struct bytes text_without_mark(struct bytes text);

/* The name nearest to `wrong` (edit distance at most a third of its length, at least 1), or NULL. */
const char *text_nearest(const char *wrong, const char *const *names, size_t count);

#endif
