/* schedule: what is due when. */
#include "base/log.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/local_time.h"
#include "cli/output.h"
#include "cli/schedule_of.h"
#include "cli/status.h"
#include "cli/targets.h"
#include "cli/wire.h"
#include "repo/successes.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct listing {
    int64_t now;
    struct output_table *table;
    json_t *list;
};

/* Where the state folder knows nothing, or another process has it. */
static int ask_repository(const struct options *options, struct config *config,
                          struct success_list *successes, struct error *err)
{
    struct wire wire = {0};
    int code = wire_open_config(options, config, NULL, REPOSITORY_READ, WIRE_HOST, &wire, err);
    if (code != 0)
        return code;
    code = repository_sync_records(wire.repository, err);
    if (code == 0)
        code = successes_load(wire.repository, successes, err);
    wire_close(&wire);
    return code;
}

static void add_json(struct listing *l, const char *repository, const char *job, enum keep_class class,
                     const struct due_decision *d)
{
    json_t *o = json_pack("{s:s, s:s, s:b, s:b}", "job", job, "class", keep_class_name(class), "due", d->due,
                          "overdue", d->overdue);
    output_json_bytes(o, "repository", bytes_of_string(repository));
    output_json_time(o, "next", d->next);
    if (d->last_success)
        output_json_time(o, "last_success", d->last_success);
    if (d->due)
        output_json_time(o, "due_since", d->since);
    json_array_append_new(l->list, o);
}

static void add_row(struct listing *l, const char *repository, const char *job, enum keep_class class,
                    const struct due_decision *d)
{
    char text[LOCAL_TIME_SIZE];
    output_table_cell(l->table, repository);
    output_table_cell(l->table, job);
    output_table_cell(l->table, keep_class_name(class));
    output_table_cell(l->table, d->last_success ? local_time(d->last_success, l->now, text) : "never");
    output_table_cell(l->table, local_time(d->next, l->now, text));
    if (!d->due) {
        output_table_cell(l->table, "");
        return;
    }
    char *due = !d->last_success ? memory_copy_string("due: the next run takes the first")
                                 : memory_format("%s since %s", d->overdue ? "OVERDUE" : "due",
                                                 local_time(d->since, l->now, text));
    output_table_cell(l->table, due);
    free(due);
}

static void add_jobs(struct listing *l, const struct config *config, const struct schedules *schedules,
                     const struct success_list *successes)
{
    for (size_t i = 0; i < config->job_count; i++) {
        size_t count;
        struct due_decision decisions[DUE_CLASS_COUNT];
        struct due_success *of_job = successes_of_job(successes, config->jobs[i].name, &count);
        due_decide(&schedules->list[i], l->now, of_job, count, decisions);
        free(of_job);
        for (unsigned c = 0; c < DUE_CLASS_COUNT; c++) {
            if (!decisions[c].set)
                continue;
            add_json(l, config->repository.name, config->jobs[i].name, (enum keep_class)c, &decisions[c]);
            add_row(l, config->repository.name, config->jobs[i].name, (enum keep_class)c, &decisions[c]);
        }
    }
}

static int add_file(const struct options *options, const char *file, void *context)
{
    struct listing *l = context;
    struct config *config = NULL;
    struct schedules schedules = {0};
    struct success_list successes = {0};
    struct error err = {0};
    int code = targets_load(file, false, &config, &err);
    if (code == 0)
        code = schedules_load(config, l->now, &schedules, &err);
    if (code != 0)
        goto out;
    code = successes_read_local(config->repository.state_dir, config->repository.key_file, "schedule",
                                &successes, &err);
    if (code != 0 || successes.count == 0) {
        bool known = code == 0;
        successes_free(&successes);
        code = ask_repository(options, config, &successes, &err);
        if (code != 0 && known) {
            log_warning("this machine knows of no snapshot yet, and no target tells: %s", err.message);
            code = 0;
        }
    }
    if (code == 0)
        add_jobs(l, config, &schedules, &successes);
out:
    successes_free(&successes);
    schedules_free(&schedules);
    config_free(config);
    return code == 0 ? STATUS_DONE : status_report(&err);
}

int cmd_schedule(const struct options *options)
{
    static const char *const headings[] = {"REPOSITORY", "JOB", "CLASS", "LAST SUCCESS", "NEXT", "", NULL};
    struct listing l = {(int64_t)time(NULL), output_table_new(headings), json_array()};
    int status = wire_each_file(options, add_file, &l);
    if (options->json)
        output_json_print(json_pack("{s:O}", "schedules", l.list));
    else if (json_array_size(l.list))
        output_table_print(l.table);
    else if (status == STATUS_DONE)
        puts("no job has a schedule");
    json_decref(l.list);
    output_table_free(l.table);
    return status;
}
