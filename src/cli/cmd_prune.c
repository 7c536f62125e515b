#include "base/memory.h"
#include "base/text.h"
#include "cli/check_findings.h"
#include "cli/commands.h"
#include "cli/keep_of.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/snapshot_choice.h"
#include "cli/status.h"
#include "ops/prune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *hold_name(enum removal_hold hold)
{
    return hold == REMOVAL_FAILED_RUN ? "failed_run" : hold == REMOVAL_TOO_MUCH ? "max_removal" : "clock";
}

static json_t *decision_json(const struct prune_decision *d)
{
    json_t *o = json_object();
    output_json_id(o, "id", &d->snapshot->sha256);
    json_object_set_new(o, "job", json_string(d->snapshot->manifest.job));
    json_object_set_new(o, "host", json_string(d->snapshot->manifest.host_name));
    output_json_time(o, "time", d->snapshot->manifest.ended);
    json_object_set_new(o, "keep", json_boolean(d->keep));
    json_object_set_new(o, "reason", json_string(d->reason));
    if (d->hold)
        json_object_set_new(o, "hold", json_string(hold_name(d->hold)));
    return o;
}

static void print_json(const struct prune_result *r, bool dry_run)
{
    const struct collect_result *c = &r->collect;
    json_t *o = json_object(), *list = json_array();
    for (size_t i = 0; i < r->count; i++)
        json_array_append_new(list, decision_json(&r->decisions[i]));
    json_object_set_new(o, "dry_run", json_boolean(dry_run));
    json_object_set_new(o, "snapshots", list);
    output_json_number(o, "expired", r->expired);
    output_json_number(o, "held", r->held);
    output_json_number(o, "packs", c->packs);
    output_json_number(o, "bytes", c->bytes);
    output_json_number(o, "live_bytes", c->live_bytes);
    output_json_number(o, "dead_packs", c->dead_packs);
    output_json_number(o, "dead_bytes", c->dead_bytes);
    output_json_number(o, "repacked_packs", c->repacked_packs);
    output_json_number(o, "copied_bytes", c->copied_bytes);
    output_json_number(o, "sparse_frames", c->sparse_frames);
    output_json_number(o, "orphan_packs", c->orphan_packs);
    output_json_number(o, "deleted_packs", c->deleted_packs);
    output_json_number(o, "deleted_bytes", c->deleted_bytes);
    output_json_number(o, "delayed_packs", c->delayed_packs);
    if (c->delayed_until)
        output_json_time(o, "delayed_until", c->delayed_until);
    output_json_number(o, "locked_objects", c->locked_objects);
    output_json_number(o, "locked_bytes", c->locked_bytes);
    if (c->locked_until)
        output_json_time(o, "locked_until", c->locked_until);
    output_json_number(o, "locks_extended", c->lock_due);
    output_json_number(o, "lock_requests", c->lock_requests);
    output_json_print(o);
}

static void print_decisions(const struct prune_result *r)
{
    static const char *const headings[] = {"ID", "TIME (UTC)", "HOST", "JOB", "", "WHY", NULL};
    struct output_table *table = output_table_new(headings);
    for (size_t i = 0; i < r->count; i++) {
        const struct prune_decision *d = &r->decisions[i];
        char id[OUTPUT_SHORT_ID_SIZE], time[TEXT_TIME_SIZE];
        output_table_cell(table, output_short_id(&d->snapshot->sha256, id));
        output_table_cell(table, text_format_time(d->snapshot->manifest.ended, time));
        output_table_cell(table, d->snapshot->manifest.host_name);
        output_table_cell(table, d->snapshot->manifest.job);
        output_table_cell(table, d->keep ? "keep" : "remove");
        output_table_cell(table, d->reason);
    }
    output_table_print(table);
    output_table_free(table);
}

static void print_locks(const struct collect_result *c, bool dry_run)
{
    char size[32], time[TEXT_TIME_SIZE];
    if (c->locked_objects)
        printf("%llu objects (%s) would be removed or copied but are locked, %s%s\n",
               (unsigned long long)c->locked_objects, text_format_size(c->locked_bytes, size),
               c->locked_until ? "until " : "until a later date",
               c->locked_until ? text_format_time(c->locked_until, time) : "");
    if (c->lock_due)
        printf("the locks of %llu objects %s, at the price of %llu requests\n",
               (unsigned long long)c->lock_due, dry_run ? "would be moved on" : "were moved on",
               (unsigned long long)c->lock_requests);
}

static void print_text(const struct prune_result *r, bool dry_run)
{
    const struct collect_result *c = &r->collect;
    char a[32], b[32];
    if (dry_run)
        print_decisions(r);
    if (!r->collected) {
        if (r->held)
            printf("nothing is removed: %zu that have expired held back\n", r->held);
        else
            puts("nothing to prune: no snapshot has expired");
        return;
    }
    printf("%zu of %zu snapshots %s", r->expired, r->count, dry_run ? "would be removed" : "removed");
    printf(r->held ? ", %zu that have expired held back\n" : "\n", r->held);
    printf("%llu packs with %s: %llu dead (%s)", (unsigned long long)c->packs, text_format_size(c->bytes, a),
           (unsigned long long)c->dead_packs, text_format_size(c->dead_bytes, b));
    printf(", %llu partly dead or small (%s, of which %s %s)", (unsigned long long)c->repacked_packs,
           text_format_size(c->repacked_bytes, a), text_format_size(c->copied_bytes, b),
           dry_run ? "would be copied" : "were copied");
    if (c->orphan_packs)
        printf(", %llu left by runs that were cut off (%s)", (unsigned long long)c->orphan_packs,
               text_format_size(c->orphan_bytes, a));
    putchar('\n');
    if (c->sparse_frames)
        printf("%llu frames are mostly dead: the next backup stores what they hold afresh\n",
               (unsigned long long)c->sparse_frames);
    print_locks(c, dry_run);
    if (dry_run) {
        puts("nothing was written");
        return;
    }
    printf("deleted %llu packs, %s\n", (unsigned long long)c->deleted_packs,
           text_format_size(c->deleted_bytes, a));
    if (c->delayed_packs)
        printf("%llu packs wait for condemn_grace, or a writer that began before they were condemned, until "
               "%s at the latest\n",
               (unsigned long long)c->delayed_packs, text_format_time(c->delayed_until, a));
}

static int prune(const struct options *options, struct session *s)
{
    const struct config *config = s->wire.config;
    struct prune_job *jobs = memory_alloc_array(config->job_count, sizeof *jobs);
    struct prune_result result;
    struct error err = {0};
    uint64_t copied;
    check_locks(config, &(struct findings){.file = config->path});
    for (size_t i = 0; i < config->job_count; i++)
        jobs[i] = (struct prune_job){config->jobs[i].name, keep_of(&config->jobs[i].keep)};
    struct prune_parameters p = {.jobs = jobs,
                                 .job_count = config->job_count,
                                 .only_job = options->operand_count ? options->operands[0] : NULL,
                                 .state_folder = config->repository.state_dir,
                                 .clock_tolerance = config->repository.clock_tolerance,
                                 .max_removal = (unsigned)config->prune.max_removal,
                                 .dry_run = options->dry_run,
                                 .force = options->force};
    struct progress *progress = progress_watch(options, "prune: copying", s->wire.repository);
    int code = options->dry_run ? 0 : repository_catch_up(s->wire.repository, false, 0, &copied, &err);
    if (code == 0)
        code = prune_run(s->wire.repository, &s->snapshots, &p, &result, &err);
    else
        result = (struct prune_result){0};
    progress_leave(progress, s->wire.repository);
    if (code == 0 && options->json)
        print_json(&result, options->dry_run);
    else if (code == 0 && !options->quiet)
        print_text(&result, options->dry_run);
    int status = result.held && !options->dry_run ? STATUS_WARNINGS : STATUS_DONE;
    prune_result_free(&result);
    free(jobs);
    if (code != 0)
        return status_report(&err);
    return status_worse(status, session_behind(s->wire.repository));
}

static int run(const struct options *options, const char *file)
{
    struct session s;
    int status = session_open(options, file, options->dry_run ? REPOSITORY_READ : REPOSITORY_WRITE, WIRE_HOST,
                              options->dry_run ? NULL : "prune", &s);
    if (status != STATUS_DONE)
        return status;
    struct error err;
    if (options->operand_count && snapshot_choice_check_job(&s, options->operands[0], &err) != 0)
        status = status_report(&err);
    else
        status = prune(options, &s);
    session_close(&s);
    return status;
}

int cmd_prune(const struct options *options)
{
    return wire_each_config(options, run);
}
