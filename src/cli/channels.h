/*
 * The channels that the configuration names: from settings to the modules of notify, all at the same time.
 */
#ifndef CLI_CHANNELS_H
#define CLI_CHANNELS_H

#include "config/config.h"
#include "notify/message.h"

#include <stdbool.h>

struct channel_outcome {
    bool tried;       /* false: the channel is not for such messages */
    struct error err; /* code 0: delivered */
};

/* "webhook https://HOST", "mail to root": what may be shown of a channel. The caller frees it. */
char *channels_name(const struct config_notify *channel);
/* Hands the message to every channel that is for its level (a test: to all); each gets its time, at most
 * `limit` seconds if that is not 0. Signals wait as long. outcomes has notify_count elements. */
void channels_send(const struct config *config, const struct notify_message *message, unsigned limit,
                   struct channel_outcome *outcomes);
/* Pings that a run begins. Likewise. */
void channels_begin(const struct config *config, struct channel_outcome *outcomes);
/* Warns of what was not delivered, and frees nothing. Returns how many those were. */
unsigned channels_report(const struct config *config, const struct channel_outcome *outcomes);

#endif
