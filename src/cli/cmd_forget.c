/* forget, pin and unpin: an event about snapshots. */
#include "base/log.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/status.h"

#include <stdio.h>
#include <stdlib.h>

static int write_event(const struct options *options, struct session *s, const struct id *ids, size_t count,
                       struct error *err)
{
    uint64_t copied;
    int code = repository_catch_up(s->wire.repository, false, 0, &copied, err);
    if (code != 0)
        return code;
    if (options->command == COMMAND_FORGET)
        return snapshots_forget(s->wire.repository, ids, count, "forgotten by hand", err);
    return snapshots_pin(s->wire.repository, ids, count, options->command == COMMAND_PIN, err);
}

static void print(const struct options *options, const struct id *ids, size_t count)
{
    static const char *const verbs[] = {"forgot", "pinned", "unpinned"};
    int verb = options->command == COMMAND_FORGET ? 0 : options->command == COMMAND_PIN ? 1 : 2;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        char hex[ID_HEX_SIZE];
        id_to_hex(&ids[i], hex);
        if (options->json)
            json_array_append_new(list, json_string(hex));
        else if (!options->quiet)
            printf("%s snapshot %.10s\n", verbs[verb], hex);
    }
    if (options->json)
        output_json_print(json_pack("{s:s, s:o}", "event", verbs[verb], "snapshots", list));
    else
        json_decref(list);
    if (options->command == COMMAND_FORGET && !options->json)
        log_hint("its space comes back with: holdfast prune");
}

static int run(const struct options *options, const char *file)
{
    struct session s;
    struct error err = {0};
    int status = session_open(options, file, REPOSITORY_WRITE, WIRE_HOST, "event", &s);
    if (status != STATUS_DONE)
        return status;
    struct id *ids = memory_alloc_array(options->operand_count, sizeof *ids);
    for (size_t i = 0; i < options->operand_count && status == STATUS_DONE; i++) {
        const struct snapshot *snapshot = session_snapshot(&s, options, i, &status);
        if (!snapshot)
            break;
        ids[i] = snapshot->sha256;
        if (options->command == COMMAND_FORGET && snapshot->pinned) {
            error_set(&err, ERROR_USAGE, "snapshot %s is pinned", options->operands[i]);
            error_hint(&err, "unpin it first: holdfast unpin %s", options->operands[i]);
            status = status_report(&err);
        }
    }
    if (status == STATUS_DONE) {
        if (write_event(options, &s, ids, options->operand_count, &err) != 0)
            status = status_report(&err);
        else
            print(options, ids, options->operand_count);
        status = status_worse(status, session_behind(s.wire.repository));
    }
    free(ids);
    session_close(&s);
    return status;
}

int cmd_forget(const struct options *options)
{
    return session_run_single(options, run);
}

int cmd_pin(const struct options *options)
{
    return session_run_single(options, run);
}

int cmd_unpin(const struct options *options)
{
    return session_run_single(options, run);
}
