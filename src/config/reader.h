/*
 * Reads libconfig's tree into structs by the table of settings. Only config.c uses it.
 */
#ifndef CONFIG_READER_H
#define CONFIG_READER_H

#include "config/config.h"
#include "config/settings.h"

/* Parses text and fills the config's repository, targets and jobs, with defaults where settings are absent.
 * Errors: USAGE, "FILE:LINE: ...". */
int reader_parse(struct config *config, struct error *err);
/* Sets USAGE with "FILE:LINE: " before the message (without the line if it is 0). */
int reader_fail(const struct config *config, unsigned line, struct error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
