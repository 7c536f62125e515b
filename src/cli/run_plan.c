#include "cli/run_plan.h"

#include "base/memory.h"
#include "cli/local_time.h"
#include "cli/output.h"
#include "cli/status.h"
#include "cli/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct plan {
    const struct run_parameters *parameters;
    int64_t now;
    struct run_due *due;
    size_t due_count;
    struct snapshot_list snapshots;
    struct prune_result prune; /* as things are now, without what would be taken */
    bool prunes;
};

static int make_plan(struct repository *r, struct plan *plan, struct error *err)
{
    struct prune_parameters prune = plan->parameters->prune;
    prune.dry_run = true;
    int code = repository_sync(r, err);
    if (code == 0)
        code = run_decide_by_repository(plan->parameters, r, plan->now, plan->due, &plan->due_count, err);
    plan->prunes = plan->due_count > 0 && repository_may_prune(r);
    if (code == 0 && plan->prunes)
        code = snapshots_load(r, &plan->snapshots, err);
    if (code == 0 && plan->prunes)
        code = prune_run(r, &plan->snapshots, &prune, &plan->prune, err);
    return code;
}

static void print_class(const struct plan *plan, struct output_table *table, const char *job,
                        enum keep_class class, const struct due_decision *d)
{
    char time[LOCAL_TIME_SIZE];
    output_table_cell(table, job);
    output_table_cell(table, keep_class_name(class));
    output_table_cell(table, d->due ? "take" : "wait");
    output_table_cell(table, d->last_success ? local_time(d->last_success, plan->now, time) : "never");
    output_table_cell(table, local_time(d->due ? d->since : d->next, plan->now, time));
}

static void print_text(const struct plan *plan)
{
    static const char *const headings[] = {"JOB", "CLASS", "", "LAST SUCCESS", "DUE", NULL};
    struct output_table *table = output_table_new(headings);
    for (size_t i = 0; i < plan->parameters->request_count; i++) {
        for (unsigned c = 0; c < DUE_CLASS_COUNT; c++) {
            if (plan->due[i].decisions[c].set)
                print_class(plan, table, plan->parameters->requests[i].job, (enum keep_class)c,
                            &plan->due[i].decisions[c]);
        }
    }
    output_table_print(table);
    output_table_free(table);
    printf("%zu of %zu jobs would take a snapshot\n", plan->due_count, plan->parameters->request_count);
    for (size_t i = 0; i < plan->prune.count; i++) {
        const struct prune_decision *d = &plan->prune.decisions[i];
        char id[OUTPUT_SHORT_ID_SIZE], time[LOCAL_TIME_SIZE];
        if (!d->keep)
            printf("prune would remove snapshot %s of %s, %s: %s\n",
                   output_short_id(&d->snapshot->sha256, id), d->snapshot->manifest.job,
                   local_time(d->snapshot->manifest.ended, plan->now, time), d->reason);
    }
    if (plan->prunes && plan->prune.expired == 0)
        puts("prune would remove no snapshot, as things are now");
    puts("nothing was written");
}

static json_t *class_json(enum keep_class class, const struct due_decision *d)
{
    json_t *o = json_object();
    json_object_set_new(o, "class", json_string(keep_class_name(class)));
    json_object_set_new(o, "due", json_boolean(d->due));
    json_object_set_new(o, "overdue", json_boolean(d->overdue));
    if (d->last_success)
        output_json_time(o, "last_success", d->last_success);
    if (d->due)
        output_json_time(o, "since", d->since);
    output_json_time(o, "next", d->next);
    return o;
}

static json_t *job_json(const char *job, const struct run_due *due)
{
    json_t *o = json_object(), *classes = json_array();
    for (unsigned c = 0; c < DUE_CLASS_COUNT; c++) {
        if (due->decisions[c].set)
            json_array_append_new(classes, class_json((enum keep_class)c, &due->decisions[c]));
    }
    json_object_set_new(o, "job", json_string(job));
    json_object_set_new(o, "due", json_boolean(due->classes != 0));
    json_object_set_new(o, "classes", classes);
    return o;
}

static void print_json(const char *repository, const struct plan *plan)
{
    json_t *o = json_object(), *jobs = json_array(), *removed = json_array();
    for (size_t i = 0; i < plan->parameters->request_count; i++)
        json_array_append_new(jobs, job_json(plan->parameters->requests[i].job, &plan->due[i]));
    for (size_t i = 0; i < plan->prune.count; i++) {
        const struct prune_decision *d = &plan->prune.decisions[i];
        json_t *item = json_object();
        output_json_id(item, "id", &d->snapshot->sha256);
        json_object_set_new(item, "job", json_string(d->snapshot->manifest.job));
        output_json_time(item, "time", d->snapshot->manifest.ended);
        json_object_set_new(item, "reason", json_string(d->reason));
        if (d->keep)
            json_decref(item);
        else
            json_array_append_new(removed, item);
    }
    json_object_set_new(o, "repository", json_string(repository));
    json_object_set_new(o, "dry_run", json_true());
    json_object_set_new(o, "exit_status", json_integer(STATUS_DONE));
    json_object_set_new(o, "jobs", jobs);
    json_object_set_new(o, "remove", removed);
    output_json_print(o);
}

int run_plan_print(const struct options *options, struct config *config,
                   const struct run_parameters *parameters)
{
    struct wire wire;
    struct error err;
    struct plan plan = {.parameters = parameters,
                        .now = (int64_t)time(NULL),
                        .due = memory_alloc_array(parameters->request_count, sizeof *plan.due)};
    int code = wire_open_config(options, config, NULL, REPOSITORY_READ, WIRE_HOST, &wire, &err);
    if (code == 0) {
        code = make_plan(wire.repository, &plan, &err);
        if (code == 0 && options->json)
            print_json(config->repository.name, &plan);
        else if (code == 0)
            print_text(&plan);
        prune_result_free(&plan.prune);
        snapshots_free(&plan.snapshots);
        wire_close(&wire);
    }
    free(plan.due);
    return code == 0 ? STATUS_DONE : status_report(&err);
}
