#include "cli/check_online.h"

#include "base/log.h"
#include "base/memory.h"
#include "cli/status.h"
#include "cli/targets.h"
#include "ops/probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const outcomes[] = {
    [PROBE_GOOD] = "ok", [PROBE_NOTE] = "note", [PROBE_WARNING] = "warning", [PROBE_FAILED] = "FAILED"};

static void print_rows(struct output_table *table, const char *target, const struct probe *probe)
{
    for (size_t i = 0; i < probe->count; i++) {
        output_table_cell(table, target);
        output_table_cell(table, probe->checks[i].name);
        output_table_cell(table, outcomes[probe->checks[i].outcome]);
        output_table_cell(table, probe->checks[i].detail);
    }
}

static void print_hints(const char *target, const struct probe *probe)
{
    for (size_t i = 0; i < probe->count; i++) {
        const struct probe_check *check = &probe->checks[i];
        if (check->outcome != PROBE_FAILED && check->outcome != PROBE_WARNING)
            continue;
        /* The messages of storage begin with the target's name. */
        bool named = strncmp(check->detail, "target ", strlen("target ")) == 0;
        char *text = named ? memory_copy_string(check->detail)
                           : memory_format("target %s: %s: %s", target, check->name, check->detail);
        if (check->outcome == PROBE_FAILED)
            log_error("%s", text);
        else
            log_warning("%s", text);
        free(text);
        log_hint("%s", check->hint);
    }
}

static json_t *to_json(const char *target, const struct probe *probe)
{
    json_t *checks = json_array(), *o = json_object();
    for (size_t i = 0; i < probe->count; i++) {
        const struct probe_check *check = &probe->checks[i];
        json_t *item = json_object();
        json_object_set_new(item, "check", json_string(check->name));
        json_object_set_new(
            item, "outcome",
            json_string(check->outcome == PROBE_FAILED ? "failed" : outcomes[check->outcome]));
        output_json_bytes(item, "detail", bytes_of_string(check->detail));
        json_array_append_new(checks, item);
    }
    json_object_set_new(o, "target", json_string(target));
    json_object_set_new(o, "checks", checks);
    return o;
}

/* Without a key file, init has not been run here. */
static bool is_unmade(const struct config *config, const struct config_target *t)
{
    return t->type == CONFIG_TARGET_LOCAL && access(t->path, F_OK) != 0 && errno == ENOENT &&
           access(config->repository.key_file, F_OK) != 0 && errno == ENOENT;
}

static void try_target(const struct config *config, const struct config_target *t, struct probe *probe)
{
    struct storage *storage = NULL;
    struct error err;
    bool elsewhere;
    struct probe_parameters p = {.region = t->type == CONFIG_TARGET_S3 ? t->region : NULL,
                                 .retain =
                                     t->object_lock.mode == CONFIG_LOCK_NONE ? 0 : t->object_lock.retain};
    if (is_unmade(config, t)) {
        probe_unmade(t->path, probe);
        return;
    }
    if (targets_open(config, t, &(struct targets_limits){0}, false, true, &storage, &elsewhere, &err) == 0) {
        probe_run(storage, &p, probe);
    } else {
        probe_unopened(&err, probe);
    }
    storage_free(storage);
}

int check_online(const struct config *config, bool quiet, json_t *json)
{
    static const char *const headings[] = {"TARGET", "CHECK", "", "WHAT", NULL};
    struct output_table *table = output_table_new(headings);
    struct probe *probes = memory_alloc_array(config->target_count, sizeof *probes);
    int status = STATUS_DONE;
    for (size_t i = 0; i < config->target_count; i++) {
        try_target(config, &config->targets[i], &probes[i]);
        print_rows(table, config->targets[i].name, &probes[i]);
        if (json)
            json_array_append_new(json, to_json(config->targets[i].name, &probes[i]));
        status = status_worse(status, probes[i].worst == PROBE_FAILED    ? STATUS_FAILED
                                      : probes[i].worst == PROBE_WARNING ? STATUS_WARNINGS
                                                                         : STATUS_DONE);
    }
    if (!json && !quiet)
        output_table_print(table);
    for (size_t i = 0; i < config->target_count; i++)
        print_hints(config->targets[i].name, &probes[i]);
    output_table_free(table);
    free(probes);
    return status;
}
