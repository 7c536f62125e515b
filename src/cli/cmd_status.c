#include "base/log.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/metrics.h"
#include "cli/output.h"
#include "cli/overview_of.h"
#include "cli/overview_print.h"
#include "cli/status.h"
#include "cli/targets.h"
#include "cli/wire.h"
#include "ops/brake_note.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Of one repository. */
struct facts {
    struct config *config;
    struct schedules schedules;
    struct wire wire;
    struct overview_facts of, before; /* before: what is past in it was acknowledged */
    struct lock_holder holder;
    int64_t now;
};

/* Who works on the repository; NULL if that cannot be told. */
static const struct lock_holder *holder_of(struct facts *f)
{
    return lock_read_holder(f->config->repository.state_dir, &f->holder) ? &f->holder : NULL;
}

/* What the targets say. */
static int ask_targets(const struct options *options, struct facts *f, struct error *err)
{
    int code = wire_open_config(options, f->config, NULL, REPOSITORY_READ, WIRE_HOST, &f->wire, err);
    if (code == 0)
        code = repository_sync_records(f->wire.repository, err);
    if (code == 0)
        code = overview_of(f->config, &f->schedules, f->wire.repository, f->now, 0,
                           repository_is_held(f->wire.repository) ? holder_of(f) : NULL, NULL, &f->of, err);
    return code;
}

/* What is remembered, and while another process has that nothing but the configuration. */
static int ask_memory(struct facts *f, const struct error *unanswered, struct error *err)
{
    int64_t known = 0;
    struct error why = {0};
    int code = wire_open_offline(f->config, NULL, &f->wire, &known, &why);
    if (code != 0 && code != ERROR_BUSY) {
        *err = *unanswered;
        return err->code;
    }
    const struct lock_holder *holder = code == ERROR_BUSY ? holder_of(f) : NULL;
    return overview_of(f->config, &f->schedules, f->wire.repository, f->now, known, holder, unanswered,
                       &f->of, err);
}

/* Puts aside what is past, and asks again. A record that waits has no name yet. */
static int acknowledge(const struct options *options, struct facts *f, struct error *err)
{
    const struct acknowledgement *past = &f->before.overview.past;
    int code = wire_open_config(options, f->config, NULL, REPOSITORY_WRITE, WIRE_HOST, &f->wire, err);
    struct repository *r = f->wire.repository;
    if (code == 0)
        code = repository_sync_records(r, err);
    if (code == 0)
        code = runs_append_waiting(r, err);
    if (code == 0)
        code = overview_of(f->config, &f->schedules, r, f->now, 0, NULL, NULL, &f->before, err);
    if (code == 0 && (past->runs.count || past->snapshots.count || past->check_count))
        code = acknowledge_write(r, past, err);
    if (code == 0 && f->before.overview.past_brakes)
        code = brake_notes_see(f->config->repository.state_dir, err);
    if (code == 0)
        code = overview_of(f->config, &f->schedules, r, f->now, 0, NULL, NULL, &f->of, err);
    if (code == 0)
        metrics_write(f->config, &f->schedules, NULL, r);
    return code;
}

static int gather(const struct options *options, const char *file, struct facts *f, struct error *unanswered,
                  struct error *err)
{
    f->now = (int64_t)time(NULL);
    int code = targets_load(file, false, &f->config, err);
    if (code == 0)
        code = schedules_load(f->config, f->now, &f->schedules, err);
    if (code != 0)
        return code;
    if (options->acknowledge)
        return acknowledge(options, f, err);
    code = ask_targets(options, f, err);
    if (code == 0 || code == ERROR_USAGE)
        return code;
    *unanswered = *err;
    overview_facts_free(&f->of);
    wire_close(&f->wire);
    return ask_memory(f, unanswered, err);
}

/* What all of them come to. */
struct shown {
    json_t *list; /* NULL: text */
    size_t count;
};

static int show(const struct options *options, const char *file, void *context)
{
    struct shown *shown = context;
    json_t *list = shown->list;
    struct facts f = {0};
    struct error err = {0}, unanswered = {0};
    enum log_level level = log_get_level();
    /* The overview says it all, in its order. */
    if (level < LOG_LEVEL_VERBOSE)
        log_set_level(LOG_LEVEL_ERRORS);
    if (shown->count++ > 0 && !list && !options->quiet)
        putchar('\n');
    int code = gather(options, file, &f, &unanswered, &err);
    log_set_level(level);
    int status = code == 0 ? overview_status(&f.of.overview) : status_report(&err);
    if (list && code == 0) {
        json_t *item = overview_json(&f.of.overview, f.config->repository.name, status);
        if (options->acknowledge)
            json_object_set_new(item, "acknowledged", overview_problems_json(&f.before.overview, true));
        json_array_append_new(list, item);
    } else if (list) {
        json_t *item = json_pack("{s:i}", "exit_status", status);
        output_json_bytes(item, "file", bytes_of_string(file));
        output_json_bytes(item, "error", bytes_of_string(err.message));
        json_array_append_new(list, item);
    } else if (code == 0) {
        if (options->acknowledge && !options->quiet)
            overview_print_acknowledged(&f.before.overview);
        overview_print(&f.of.overview, f.config->repository.name, options->quiet, options->verbose);
    }
    overview_facts_free(&f.before);
    overview_facts_free(&f.of);
    wire_close(&f.wire);
    schedules_free(&f.schedules);
    config_free(f.config);
    return status;
}

int cmd_status(const struct options *options)
{
    struct shown shown = {.list = options->json ? json_array() : NULL};
    int status = wire_each_file(options, show, &shown);
    if (shown.list)
        output_json_print(json_pack("{s:i, s:o}", "exit_status", status, "repositories", shown.list));
    return status;
}
