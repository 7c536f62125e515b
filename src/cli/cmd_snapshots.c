#include "base/log.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/snapshot_choice.h"
#include "cli/snapshot_json.h"
#include "cli/status.h"
#include "ops/collapsed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_row(struct output_table *table, const struct snapshot *s, bool collapsed)
{
    char id[OUTPUT_SHORT_ID_SIZE], time[TEXT_TIME_SIZE], size[32], files[32], warnings[64];
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
    snprintf(warnings, sizeof warnings, "%s%llu warning%s", collapsed ? "collapsed, " : "",
             (unsigned long long)m->statistics.warnings, m->statistics.warnings == 1 ? "" : "s");
    output_table_cell(table, m->statistics.warnings ? warnings : "");
    buffer_free(&classes);
}

static void print(const struct options *options, const struct session *s,
                  const struct acknowledged *acknowledged)
{
    static const char *const headings[] = {"ID",     "TIME (UTC)", "HOST", "JOB", "CLASSES",
                                           ">FILES", ">SIZE",      "",     NULL};
    struct output_table *table = output_table_new(headings);
    json_t *items = json_array();
    const char *job = options->operand_count ? options->operands[0] : NULL;
    size_t count = 0;
    struct collapsed *collapsed = collapsed_judge(&s->snapshots, acknowledged);
    for (size_t i = 0; i < s->snapshots.count; i++) {
        const struct snapshot *snapshot = &s->snapshots.list[i];
        if (job && strcmp(job, snapshot->manifest.job) != 0)
            continue;
        count++;
        bool less = collapsed[i].verdict.collapsed;
        json_t *item = options->json ? snapshot_json(snapshot, s->wire.repository) : NULL;
        if (item)
            json_object_set_new(item, "collapsed", json_boolean(less));
        if (item)
            json_array_append_new(items, item);
        else
            add_row(table, snapshot, less);
    }
    if (options->json)
        output_json_print(json_pack("{s:O}", "snapshots", items));
    else if (count)
        output_table_print(table);
    if (count == 0 && job)
        log_info("job %s has no snapshots", job);
    else if (count == 0)
        log_info("the repository holds no snapshots");
    free(collapsed);
    json_decref(items);
    output_table_free(table);
}

static int run(const struct options *options, const char *file)
{
    struct session s;
    struct error err;
    struct acknowledged *acknowledged = NULL;
    int status = session_open(options, file, REPOSITORY_READ, WIRE_HOST, NULL, &s);
    if (status != STATUS_DONE)
        return status;
    if (options->operand_count && snapshot_choice_check_job(&s, options->operands[0], &err) != 0)
        status = status_report(&err);
    else if (acknowledged_load(s.wire.repository, &acknowledged, &err) != 0)
        status = status_report(&err);
    else
        print(options, &s, acknowledged);
    acknowledged_free(acknowledged);
    status = status_worse(status, session_damage(s.wire.repository));
    session_close(&s);
    return status;
}

int cmd_snapshots(const struct options *options)
{
    return wire_each_config(options, run);
}
