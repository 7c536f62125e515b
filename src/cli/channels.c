#include "cli/channels.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "cli/signals.h"
#include "http/url.h"
#include "notify/log_service.h"
#include "notify/mail.h"
#include "notify/web.h"

#include <stdlib.h>
#include <string.h>
#include <syslog.h>

struct round {
    const struct config *config;
    const struct notify_message *message; /* NULL: a run begins */
    unsigned limit;
    struct channel_outcome *outcomes;
};

char *channels_name(const struct config_notify *channel)
{
    static const char *const types[] = {"webhook", "ping", "mail", "syslog"};
    const char *type = types[channel->type];
    if (channel->type == CONFIG_NOTIFY_MAIL)
        return memory_format("%s to %s%s", type, channel->to.list[0], channel->to.count > 1 ? ", ..." : "");
    if (channel->type == CONFIG_NOTIFY_SYSLOG)
        return memory_copy_string(type);
    if (channel->url_file)
        return memory_format("%s of %s", type, channel->url_file);
    char *origin = http_url_origin(channel->url);
    char *name = memory_format("%s %s/...", type, origin);
    free(origin);
    return name;
}

static bool is_for(const struct config_notify *channel, const struct notify_message *message)
{
    static const unsigned bits[] = {[NOTIFY_FAILURE] = CONFIG_ON_FAILURE,
                                    [NOTIFY_WARNING] = CONFIG_ON_WARNING,
                                    /* which is a success, too */
                                    [NOTIFY_RECOVERED] = CONFIG_ON_RECOVERED | CONFIG_ON_SUCCESS,
                                    [NOTIFY_SUCCESS] = CONFIG_ON_SUCCESS};
    if (!message) /* nothing behind the address would mean that all is well */
        return channel->type == CONFIG_NOTIFY_PING && *channel->start;
    return channel->type == CONFIG_NOTIFY_PING || message->level == NOTIFY_TEST ||
           (channel->on & bits[message->level]);
}

static const char *suffix(const struct config_notify *channel, const struct notify_message *message)
{
    if (!message)
        return channel->start;
    return message->level == NOTIFY_FAILURE   ? channel->failure
           : message->level == NOTIFY_WARNING ? channel->warning
                                              : channel->success;
}

static int send_mail(const struct config_notify *channel, const struct notify_message *message,
                     unsigned timeout, struct error *err)
{
    const char **command = config_argv(&channel->command);
    struct mail_parameters p = {.to = channel->to.list,
                                .to_count = channel->to.count,
                                .from = channel->from,
                                .command = *command ? command : NULL,
                                .timeout = timeout};
    int code = mail_send(&p, message, err);
    free(command);
    return code;
}

static int send_one(const struct config_notify *channel, const struct notify_message *message,
                    unsigned timeout, struct error *err)
{
    static const int facilities[] = {LOG_DAEMON, LOG_USER,   LOG_LOCAL0, LOG_LOCAL1, LOG_LOCAL2,
                                     LOG_LOCAL3, LOG_LOCAL4, LOG_LOCAL5, LOG_LOCAL6, LOG_LOCAL7};
    struct web_parameters web = {.url = channel->url,
                                 .url_file = channel->url_file,
                                 .ca_file = channel->ca_file,
                                 .allow_insecure_http = channel->allow_insecure_http,
                                 .timeout = timeout};
    switch (channel->type) {
    case CONFIG_NOTIFY_WEBHOOK:
        return web_post(&web, bytes_of_string(message->json), err);
    case CONFIG_NOTIFY_PING:
        return web_ping(&web, suffix(channel, message), err);
    case CONFIG_NOTIFY_MAIL:
        return send_mail(channel, message, timeout, err);
    case CONFIG_NOTIFY_SYSLOG:
        return log_service_send(LOG_SERVICE_SOCKET, facilities[channel->facility], message, timeout, err);
    }
    return error_set(err, ERROR_FAILED, "this channel is unknown");
}

/* Never fails: the other channels must have their turn. */
static int send_round(size_t index, void *context, struct error *err)
{
    const struct round *r = context;
    const struct config_notify *channel = &r->config->notify[index];
    struct channel_outcome *outcome = &r->outcomes[index];
    unsigned timeout = (unsigned)channel->timeout;
    (void)err;
    if (!is_for(channel, r->message))
        return 0;
    outcome->tried = true;
    if (send_one(channel, r->message, r->limit && r->limit < timeout ? r->limit : timeout, &outcome->err) ==
        0)
        outcome->err = (struct error){0};
    return 0;
}

static void run_round(struct round *r)
{
    int64_t longest = 0;
    memset(r->outcomes, 0, r->config->notify_count * sizeof *r->outcomes);
    for (size_t i = 0; i < r->config->notify_count; i++) {
        if (r->config->notify[i].timeout > longest)
            longest = r->config->notify[i].timeout;
    }
    signals_allow(r->limit && r->limit < longest ? r->limit : (unsigned)longest);
    parallel_run(r->config->notify_count, (unsigned)r->config->notify_count, send_round, r, NULL);
    signals_allow(0);
}

void channels_send(const struct config *config, const struct notify_message *message, unsigned limit,
                   struct channel_outcome *outcomes)
{
    run_round(&(struct round){config, message, limit, outcomes});
}

void channels_begin(const struct config *config, struct channel_outcome *outcomes)
{
    run_round(&(struct round){config, NULL, 0, outcomes});
}

unsigned channels_report(const struct config *config, const struct channel_outcome *outcomes)
{
    unsigned failed = 0;
    for (size_t i = 0; i < config->notify_count; i++) {
        const struct error *err = &outcomes[i].err;
        if (err->code == 0)
            continue;
        char *name = channels_name(&config->notify[i]);
        log_warning("not delivered: %s: %s", name, err->message);
        log_hint("%s", err->hint);
        free(name);
        failed++;
    }
    return failed;
}
