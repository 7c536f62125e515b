/*
 * What people are told of a run, and when: the words and the document for the channels. For run and
 * notify-test.
 */
#ifndef CLI_TELL_H
#define CLI_TELL_H

#include "config/config.h"
#include "format/messages.h"
#include "notify/message.h"

struct tell {
    struct notify_message message;
    char *subject, *text, *json; /* what message points to */
};

/* FAILURE, WARNING or SUCCESS. */
enum notify_level tell_level(int exit_status);
/* "failure", "warning" ... */
const char *tell_level_name(enum notify_level level);
/* run NULL: a test. Bytes that are not UTF-8 stand as \xHH. Freed with tell_free. */
void tell_render(const struct config *config, enum notify_level level, const struct run_record *run,
                 struct tell *tell);
void tell_free(struct tell *tell);

#endif
