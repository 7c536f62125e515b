#include "base/text.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/snapshot_json.h"
#include "cli/status.h"
#include "cli/wire.h"
#include "repo/snapshots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_row(struct output_table *table, const struct snapshot *s)
{
    char id[OUTPUT_SHORT_ID_SIZE], time[TEXT_TIME_SIZE], size[32], files[32];
    struct buffer classes = {0};
    const struct manifest *m = &s->manifest;
    snapshot_append_classes(m->classes, &classes);
    if (s->pinned)
        buffer_append_string(&classes, " (pinned)");
    snprintf(files, sizeof files, "%llu", (unsigned long long)m->statistics.files);
    output_table_cell(table, output_short_id(&s->sha256, id));
    output_table_cell(table, text_format_time(m->ended, time));
    output_table_cell(table, m->host_name);
    output_table_cell(table, m->job);
    output_table_cell(table, buffer_string(&classes));
    output_table_cell(table, files);
    output_table_cell(table, text_format_size(m->statistics.bytes, size));
    buffer_free(&classes);
}

static void print(const struct options *options, const struct repository *repository,
                  const struct snapshot_list *list)
{
    static const char *const headings[] = {"ID",      "TIME (UTC)", "HOST",  "JOB",
                                           "CLASSES", ">FILES",     ">SIZE", NULL};
    struct output_table *table = output_table_new(headings);
    json_t *items = json_array();
    const char *job = options->operand_count ? options->operands[0] : NULL;
    for (size_t i = 0; i < list->count; i++) {
        const struct snapshot *s = &list->list[i];
        if (job && strcmp(job, s->manifest.job) != 0)
            continue;
        if (options->json)
            json_array_append_new(items, snapshot_json(s, repository));
        else
            add_row(table, s);
    }
    if (options->json)
        output_json_print(json_pack("{s:o}", "snapshots", items));
    else {
        output_table_print(table);
        json_decref(items);
    }
    output_table_free(table);
}

static int run(const struct options *options, const char *file)
{
    struct wire wire;
    struct error err = {0};
    struct snapshot_list list = {0};
    int code = wire_open(options, file, REPOSITORY_READ, WIRE_HOST, &wire, &err);
    if (code != 0)
        return status_report(&err);
    code = repository_sync(wire.repository, &err);
    if (code == 0)
        code = snapshots_load(wire.repository, &list, &err);
    int status = code == 0 ? STATUS_DONE : status_report(&err);
    if (code == 0) {
        print(options, wire.repository, &list);
        status = session_damage(wire.repository);
    }
    snapshots_free(&list);
    wire_close(&wire);
    return status;
}

int cmd_snapshots(const struct options *options)
{
    return wire_each_config(options, run);
}
