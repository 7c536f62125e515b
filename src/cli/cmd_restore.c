#include "base/text.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "cli/status.h"
#include "cli/wire.h"
#include "ops/restore.h"

#include <stdio.h>

static void print_result(const struct options *options, const struct restore_result *r, int status)
{
    if (options->json) {
        json_t *o = json_object();
        json_object_set_new(o, "exit_status", json_integer(status));
        json_object_set_new(o, "dry_run", json_boolean(options->dry_run));
        output_json_number(o, "files", r->files);
        output_json_number(o, "directories", r->directories);
        output_json_number(o, "others", r->others);
        output_json_number(o, "bytes", r->bytes);
        output_json_number(o, "bytes_fetched", r->fetched_bytes);
        output_json_number(o, "skipped", r->skipped);
        output_json_number(o, "failed", r->failed);
        output_json_number(o, "damaged", r->damaged);
        output_json_number(o, "owner_failures", r->owner_failures);
        output_json_number(o, "warning_count", r->warnings);
        json_object_set_new(o, "seconds", json_real(r->seconds));
        output_json_print(o);
        return;
    }
    if (options->quiet)
        return;
    char bytes[32], seconds[32];
    printf("%s %llu files, %llu directories, %llu other entries, %s, in %s\n",
           options->dry_run ? "would restore" : "restored", (unsigned long long)r->files,
           (unsigned long long)r->directories, (unsigned long long)r->others,
           text_format_size(r->bytes, bytes), text_format_duration(r->seconds, seconds));
    if (r->skipped)
        printf("%llu were there already and were left alone\n", (unsigned long long)r->skipped);
    if (r->owner_failures)
        printf("%llu belong to you instead of their owners: only root can set those\n",
               (unsigned long long)r->owner_failures);
}

static int restore(const struct options *options, struct wire *wire, struct error *err)
{
    struct snapshot_list list = {0};
    struct restore_result result = {0};
    struct restore_parameters p = {.paths = (const char *const *)(options->operands + 1),
                                   .path_count = options->operand_count - 1,
                                   .destination = options->to,
                                   .overwrite = (enum restore_overwrite)options->overwrite,
                                   .dry_run = options->dry_run,
                                   .workers = wire->config ? (unsigned)wire->config->repository.workers : 0,
                                   .cancelled = signals_stop()};
    int code = repository_sync(wire->repository, err);
    if (code == 0)
        code = snapshots_load(wire->repository, &list, err);
    if (code == 0)
        code = snapshots_resolve(&list, wire->repository, options->operands[0], &p.snapshot, NULL, err);
    if (code != 0) {
        snapshots_free(&list);
        return status_worse(status_report(err), session_damage(wire->repository));
    }
    struct progress *progress = progress_new(options, "restore");
    p.progress = progress_update;
    p.progress_context = progress;
    code = restore_run(wire->repository, &p, &result, err);
    progress_free(progress);
    snapshots_free(&list);
    int status = code != 0 ? status_report(err) : result.warnings ? STATUS_WARNINGS : STATUS_DONE;
    status = status_worse(status, session_damage(wire->repository));
    print_result(options, &result, status);
    return status;
}

int cmd_restore(const struct options *options)
{
    struct wire wire;
    struct error err = {0};
    signals_install();
    if (wire_open(options, options->config, REPOSITORY_READ, WIRE_PERSON, &wire, &err) != 0)
        return status_report(&err);
    int status = restore(options, &wire, &err);
    wire_close(&wire);
    return status;
}
