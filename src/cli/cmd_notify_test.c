#include "base/log.h"
#include "base/memory.h"
#include "cli/channels.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "cli/status.h"
#include "cli/targets.h"
#include "cli/tell.h"
#include "cli/wire.h"

#include <stdlib.h>

/* What all files come to. */
struct tried {
    struct output_table *table;
    json_t *list;
};

static void show(const struct config *config, const struct channel_outcome *outcomes,
                 const struct tried *tried)
{
    for (size_t i = 0; i < config->notify_count; i++) {
        const struct error *err = &outcomes[i].err;
        char *name = channels_name(&config->notify[i]);
        output_table_cell(tried->table, config->repository.name);
        output_table_cell(tried->table, name);
        output_table_cell(tried->table, err->code ? "FAILED" : "delivered");
        json_t *o = json_pack("{s:s, s:s, s:b}", "repository", config->repository.name, "channel", name,
                              "delivered", err->code == 0);
        if (err->code)
            output_json_bytes(o, "error", bytes_of_string(err->message));
        json_array_append_new(tried->list, o);
        free(name);
    }
}

static int test_file(const struct options *options, const char *file, void *context)
{
    (void)options;
    struct config *config;
    struct error err;
    struct tell tell;
    if (targets_load(file, false, &config, &err) != 0)
        return status_report(&err);
    struct channel_outcome *outcomes = memory_alloc_array(config->notify_count, sizeof *outcomes);
    tell_render(config, NOTIFY_TEST, NULL, &tell);
    channels_send(config, &tell.message, 0, outcomes);
    int status = channels_report(config, outcomes) ? STATUS_FAILED : STATUS_DONE;
    show(config, outcomes, context);
    tell_free(&tell);
    free(outcomes);
    config_free(config);
    return status;
}

int cmd_notify_test(const struct options *options)
{
    static const char *const headings[] = {"REPOSITORY", "CHANNEL", "", NULL};
    struct error err;
    struct tried tried = {output_table_new(headings), json_array()};
    int status = wire_each_file(options, test_file, &tried);
    if (status == STATUS_DONE && json_array_size(tried.list) == 0) {
        error_set(&err, ERROR_USAGE, "%s names no channel that could be tried", options->config);
        error_hint(&err, "holdfast.conf(5) describes notify");
        status = status_report(&err);
    }
    if (options->json)
        output_json_print(json_pack("{s:i, s:O}", "exit_status", status, "channels", tried.list));
    else if (!options->quiet)
        output_table_print(tried.table);
    json_decref(tried.list);
    output_table_free(tried.table);
    return status;
}
