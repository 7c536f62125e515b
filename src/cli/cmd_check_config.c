#include "base/memory.h"
#include "base/text.h"
#include "cli/channels.h"
#include "cli/check_findings.h"
#include "cli/check_online.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/status.h"
#include "cli/targets.h"
#include "cli/wire.h"
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *describe_json(const struct config *config)
{
    json_t *targets = json_array(), *jobs = json_array(), *channels = json_array();
    for (size_t i = 0; i < config->target_count; i++)
        json_array_append_new(targets, json_string(config->targets[i].name));
    for (size_t i = 0; i < config->job_count; i++)
        json_array_append_new(jobs, json_string(config->jobs[i].name));
    for (size_t i = 0; i < config->notify_count; i++) {
        char *channel = channels_name(&config->notify[i]);
        output_json_append(channels, bytes_of_string(channel));
        free(channel);
    }
    json_t *item = json_object();
    output_json_bytes(item, "file", bytes_of_string(config->path));
    json_object_set_new(item, "repository", json_string(config->repository.name));
    json_object_set_new(item, "targets", targets);
    json_object_set_new(item, "jobs", jobs);
    json_object_set_new(item, "channels", channels);
    return item;
}

static void describe_keep(const struct config_keep *keep)
{
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {{"daily", keep->daily},
                   {"weekly", keep->weekly},
                   {"monthly", keep->monthly},
                   {"yearly", keep->yearly},
                   {"manual", keep->manual < 0 ? 0 : keep->manual}};
    bool some = false;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (numbers[i].value > 0) {
            printf("%s%lld %s", some ? ", " : "; keeps ", (long long)numbers[i].value, numbers[i].name);
            some = true;
        }
    }
    if (!some)
        printf("; keeps every snapshot until it is forgotten");
}

static void describe(const struct config *config)
{
    static const char *const sources[] = {"files", "a command", "an archive"};
    char *path = text_visible(config->path);
    printf("%s: repository %s, key file %s\n", path, config->repository.name, config->repository.key_file);
    for (size_t i = 0; i < config->target_count; i++) {
        const struct config_target *t = &config->targets[i];
        printf("  target %s: %s%s\n", t->name, t->type == CONFIG_TARGET_LOCAL ? "folder " : "bucket ",
               t->type == CONFIG_TARGET_LOCAL ? t->path : t->bucket);
    }
    for (size_t i = 0; i < config->job_count; i++) {
        printf("  job %s: %s", config->jobs[i].name, sources[config->jobs[i].source.type]);
        describe_keep(&config->jobs[i].keep);
        const struct config_schedule *s = &config->jobs[i].schedule;
        if (!s->daily.set && !s->weekly.set && !s->monthly.set && !s->yearly.set)
            printf("; no schedule: taken by holdfast backup alone");
        putchar('\n');
    }
    for (size_t i = 0; i < config->notify_count; i++) {
        char *channel = channels_name(&config->notify[i]);
        printf("  tells %s\n", channel);
        free(channel);
    }
    free(path);
}

struct place {
    char *file, *path;
    const char *what;
};

/* What was read so far. */
struct checked {
    json_t *items;
    struct place *places;
    size_t place_count, place_capacity;
};

/* Two repositories that write to one place spoil it for one another. */
static void check_place(struct checked *c, const char *what, const char *path, struct findings *f)
{
    for (size_t i = 0; path && i < c->place_count; i++) {
        const struct place *p = &c->places[i];
        if (strcmp(p->what, what) == 0 && strcmp(p->path, path) == 0 && strcmp(p->file, f->file) != 0)
            finding(f, 0, "each repository needs its own", "%s is %s, as in %s", what, path, p->file);
    }
    if (!path)
        return;
    memory_reserve_one(c->places, c->place_count, c->place_capacity);
    c->places[c->place_count++] = (struct place){memory_copy_string(f->file), memory_copy_string(path), what};
}

static void check_others(struct checked *c, const struct config *config, struct findings *f)
{
    check_place(c, "state_dir", config->repository.state_dir, f);
    check_place(c, "key_file", config->repository.key_file, f);
    check_place(c, "metrics.textfile", config->metrics.textfile, f);
    for (size_t i = 0; i < config->target_count; i++)
        if (config->targets[i].type == CONFIG_TARGET_LOCAL)
            check_place(c, "the path of a target", config->targets[i].path, f);
}

static int report(struct checked *c, const struct config *config, json_t *item)
{
    struct findings f = {.file = config->path, .list = item ? json_array() : NULL};
    check_rotation(config, &f);
    check_machine(config, &f);
    check_others(c, config, &f);
    if (item)
        json_object_set_new(item, "warnings", f.list);
    return f.count ? STATUS_WARNINGS : STATUS_DONE;
}

static int check(const struct options *options, const char *file, void *context)
{
    struct checked *checked = context;
    struct error err;
    struct config *config;
    if (targets_load(file, true, &config, &err) != 0)
        return status_report(&err);
    int status = STATUS_DONE;
    json_t *item = options->json ? describe_json(config) : NULL;
    if (!options->json && !options->quiet)
        describe(config);
    status = report(checked, config, item);
    if (options->online) {
        json_t *checks = options->json ? json_array() : NULL;
        status = status_worse(status, check_online(config, options->quiet, checks));
        if (checks)
            json_object_set_new(item, "online", checks);
    }
    if (item)
        json_array_append_new(checked->items, item);
    config_free(config);
    return status;
}

int cmd_check_config(const struct options *options)
{
    struct checked checked = {.items = json_array()};
    int status = wire_each_file(options, check, &checked);
    if (options->json)
        output_json_print(json_pack("{s:O}", "configurations", checked.items));
    json_decref(checked.items);
    for (size_t i = 0; i < checked.place_count; i++) {
        free(checked.places[i].file);
        free(checked.places[i].path);
    }
    free(checked.places);
    return status;
}
