/*
 * What is told: a message in the forms that the channels need, rendered by the caller.
 */
#ifndef NOTIFY_MESSAGE_H
#define NOTIFY_MESSAGE_H

enum notify_level {
    NOTIFY_FAILURE,
    NOTIFY_WARNING,
    NOTIFY_RECOVERED, /* good again, after a failure or a warning */
    NOTIFY_SUCCESS,
    NOTIFY_TEST
};

struct notify_message {
    enum notify_level level;
    const char *subject; /* one line, UTF-8 */
    const char *text;    /* lines, UTF-8 */
    const char *json;    /* the body of webhooks */
};

#endif
