#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/owners_print.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "cli/snapshot_choice.h"
#include "cli/status.h"
#include "ops/collapsed.h"
#include "ops/restore_owners.h"
#include "ops/restore_together.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One snapshot of those that are restored. */
struct part {
    const struct snapshot *snapshot;
    char *destination;
    struct restore_result result;
    struct owner_map *owners;
    int status;
};

static json_t *result_json(const struct restore_result *r)
{
    json_t *o = json_object();
    output_json_number(o, "files", r->files);
    output_json_number(o, "directories", r->directories);
    output_json_number(o, "others", r->others);
    output_json_number(o, "bytes", r->bytes);
    output_json_number(o, "bytes_fetched", r->fetched_bytes);
    output_json_number(o, "overwritten", r->overwritten);
    output_json_number(o, "unchanged", r->unchanged);
    output_json_number(o, "skipped", r->skipped);
    output_json_number(o, "copies", r->copies);
    output_json_number(o, "conflicts", r->conflicts);
    output_json_number(o, "failed", r->failed);
    output_json_number(o, "damaged", r->damaged);
    output_json_number(o, "owner_failures", r->owner_failures);
    output_json_number(o, "warning_count", r->warnings);
    json_t *causes = json_array();
    for (size_t i = 0; i < r->cause_count; i++)
        output_json_append(causes, bytes_of_string(r->causes[i]));
    json_object_set_new(o, "causes", causes);
    json_object_set_new(o, "seconds", json_real(r->seconds));
    return o;
}

static json_t *part_json(const struct options *options, const struct part *part)
{
    const struct manifest *m = &part->snapshot->manifest;
    json_t *o = result_json(&part->result);
    json_object_set_new(o, "exit_status", json_integer(signals_exit_status(part->status)));
    json_object_set_new(o, "dry_run", json_boolean(options->dry_run));
    output_json_id(o, "snapshot", &part->snapshot->sha256);
    json_object_set_new(o, "job", json_string(m->job));
    json_object_set_new(o, "host", json_string(m->host_name));
    output_json_time(o, "time", m->ended);
    owners_add_json(o, part->owners);
    output_json_bytes(o, "destination", bytes_of_string(part->destination));
    return o;
}

static void print_json(const struct options *options, const struct part *parts, size_t count, int status)
{
    if (!options->all) {
        json_t *o = part_json(options, parts);
        json_object_set_new(o, "exit_status", json_integer(signals_exit_status(status)));
        output_json_print(o);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, part_json(options, &parts[i]));
    output_json_print(json_pack("{s:i, s:b, s:o}", "exit_status", signals_exit_status(status), "dry_run",
                                options->dry_run, "restores", list));
}

static void print_begin(const struct options *options, const struct part *part, const char *by_number)
{
    const struct manifest *m = &part->snapshot->manifest;
    char id[OUTPUT_SHORT_ID_SIZE], time[TEXT_TIME_SIZE];
    if (options->json || options->quiet)
        return;
    char *to = text_visible(part->destination);
    printf("snapshot %s of %s/%s, taken %s, to %s\n", output_short_id(&part->snapshot->sha256, id),
           m->host_name, m->job, text_format_time(m->ended, time), to);
    if (geteuid() == 0)
        printf("owners go by %s%s%s\n", owner_map_is_by_name(part->owners) ? "name" : "number",
               by_number ? ": " : "", by_number ? by_number : "");
    fflush(stdout);
    free(to);
}

static void print_end(const struct options *options, const struct restore_result *r)
{
    if (options->json || options->quiet)
        return;
    char bytes[32], seconds[32];
    printf("%s %llu files, %llu directories, %llu other entries, %s, in %s\n",
           options->dry_run ? "would restore" : "restored", (unsigned long long)r->files,
           (unsigned long long)r->directories, (unsigned long long)r->others,
           text_format_size(r->bytes, bytes), text_format_duration(r->seconds, seconds));
    if (r->overwritten)
        printf("%llu of them %s the place of something else\n", (unsigned long long)r->overwritten,
               options->dry_run ? "would take" : "took");
    if (r->unchanged)
        printf("%llu were there already and are the same\n", (unsigned long long)r->unchanged);
    if (r->skipped)
        printf("%llu were there already and were left alone\n", (unsigned long long)r->skipped);
    if (r->owner_failures)
        printf("%llu belong to you instead of their owners: only root can set those\n",
               (unsigned long long)r->owner_failures);
}

static void restore_part(const struct options *options, struct wire *wire, struct part *part)
{
    struct error err;
    struct restore_parameters p = {.snapshot = part->snapshot,
                                   .paths = (const char *const *)(options->operands + 1),
                                   .path_count = options->operand_count - 1,
                                   .destination = part->destination,
                                   .overwrite = (enum restore_overwrite)options->overwrite,
                                   .dry_run = options->dry_run,
                                   .workers = wire->config ? (unsigned)wire->config->repository.workers : 0,
                                   .cancelled = signals_stop()};
    const char *by_number =
        options->owners == OWNERS_AUTO ? restore_owners_reason(wire->repository, &p) : NULL;
    part->owners =
        owner_map_new(options->owners == OWNERS_NAMES || (options->owners == OWNERS_AUTO && !by_number));
    p.owners = part->owners;
    print_begin(options, part, by_number);
    struct progress *progress = progress_new(options, "restore");
    p.progress = progress_update;
    p.progress_context = progress;
    int code = restore_run(wire->repository, &p, &part->result, &err);
    progress_free(progress);
    if (geteuid() == 0)
        part->result.warnings += owners_print(options, part->owners);
    part->status = code != 0 ? status_report(&err) : part->result.warnings ? STATUS_WARNINGS : STATUS_DONE;
    print_end(options, &part->result);
}

/* With the jobs of several hosts, each host gets a folder of its own. */
static int make_parts(const struct options *options, struct repository *repository,
                      const struct snapshot_choice *choice, struct part *parts, struct error *err)
{
    size_t last = choice->count - 1;
    /* They are sorted by host. */
    bool hosts = strcmp(choice->list[0]->manifest.host_name, choice->list[last]->manifest.host_name) != 0;
    size_t first = 0;
    int code = 0;
    for (size_t i = 0; i <= last; i++) {
        const char *host = choice->list[i]->manifest.host_name;
        parts[i].snapshot = choice->list[i];
        parts[i].destination = hosts ? file_join(options->to, host) : memory_copy_string(options->to);
        if (hosts && (!key_name_is_valid(host) || host[0] == '.'))
            return error_set(err, ERROR_USAGE, "\"%s\" is a host's name that makes no folder", host);
    }
    for (size_t i = 1; i <= last + 1 && code == 0; i++) {
        if (i <= last && strcmp(parts[i].destination, parts[first].destination) == 0)
            continue;
        code = restore_check_together(repository, choice->list + first, i - first, err);
        first = i;
    }
    return code;
}

/* Who restores the newest snapshot may not know that it lacks most of what there was. */
static void tell_of_collapse(const struct session *s, const struct snapshot *snapshot)
{
    struct acknowledged *acknowledged = NULL;
    struct collapse_history history;
    const struct snapshot *good;
    const struct manifest *m = &snapshot->manifest;
    char id[OUTPUT_SHORT_ID_SIZE], better[OUTPUT_SHORT_ID_SIZE], time[TEXT_TIME_SIZE];
    struct error why;
    if (acknowledged_load(s->wire.repository, &acknowledged, &why) != 0)
        return;
    struct collapsed *collapsed = collapsed_judge(&s->snapshots, acknowledged);
    collapsed_history(&s->snapshots, acknowledged, &m->host, m->job, &history, &good);
    if (collapsed[snapshot - s->snapshots.list].verdict.collapsed && good)
        log_info(
            "snapshot %s has collapsed: it holds far less than those before it; the newest good one is %s, "
            "taken %s",
            output_short_id(&snapshot->sha256, id), output_short_id(&good->sha256, better),
            text_format_time(good->manifest.ended, time));
    free(collapsed);
    acknowledged_free(acknowledged);
}

static int restore(const struct options *options, struct session *s, const struct snapshot_choice *choice)
{
    struct part *parts = memory_alloc_array(choice->count, sizeof *parts);
    struct error err;
    size_t done = 0;
    int status = STATUS_DONE;
    if (make_parts(options, s->wire.repository, choice, parts, &err) == 0) {
        while (done < choice->count && (done == 0 || !*signals_stop())) {
            tell_of_collapse(s, parts[done].snapshot);
            restore_part(options, &s->wire, &parts[done]);
            status = status_worse(status, parts[done++].status);
        }
        status = status_worse(status, session_damage(s->wire.repository));
        if (options->json)
            print_json(options, parts, done, status);
    } else {
        status = status_report(&err);
    }
    for (size_t i = 0; i < choice->count; i++) {
        owner_map_free(parts[i].owners);
        free(parts[i].destination);
    }
    free(parts);
    return status;
}

static int run(const struct options *options, const char *file)
{
    struct session s;
    struct snapshot_choice choice;
    struct error err;
    signals_install();
    int status = session_open(options, file, REPOSITORY_READ, WIRE_PERSON, NULL, &s);
    if (status != STATUS_DONE)
        return status;
    if (snapshot_choice_make(&s, options->operands[0], &choice, &err) != 0)
        status = status_worse(status_report(&err), session_damage(s.wire.repository));
    else if (choice.count > 1 && !options->all)
        status = snapshot_choice_refuse(&choice, options->operands[0], true);
    else
        status = restore(options, &s, &choice);
    snapshot_choice_free(&choice);
    session_close(&s);
    return status;
}

int cmd_restore(const struct options *options)
{
    return session_run_single(options, run);
}
