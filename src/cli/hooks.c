#include "cli/hooks.h"

#include "base/log.h"
#include "base/memory.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "cli/snapshot_json.h"
#include "cli/tell.h"
#include "notify/hook.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What cannot be stopped at once gets this time, where `after` waits to put something back. */
#define STOP_SECONDS 30
#define FACTS_MAX 16

static const char *outcome(int exit_status)
{
    return tell_level_name(tell_level(exit_status));
}

/* NAME=VALUE for each fact; every name is there, empty where nothing is known. */
static void fill_environment(const struct hooks_facts *f, const char *event, bool ended,
                             char *list[FACTS_MAX + 1])
{
    char id[ID_HEX_SIZE] = "";
    struct buffer classes = {0};
    size_t n = 0;
    snapshot_append_classes(f->classes, &classes);
    if (ended && f->snapshot)
        id_to_hex(f->snapshot, id);
    list[n++] = memory_format("HOLDFAST_EVENT=%s", event);
    list[n++] = memory_format("HOLDFAST_REPOSITORY=%s", f->config->repository.name);
    list[n++] = memory_format("HOLDFAST_CONFIG=%s", f->config->path);
    list[n++] = memory_format("HOLDFAST_JOB=%s", f->job ? f->job : "");
    list[n++] = memory_format("HOLDFAST_CLASSES=%s", buffer_string(&classes));
    list[n++] = memory_format("HOLDFAST_STATUS=%s", ended ? outcome(f->exit_status) : "");
    list[n++] = ended ? memory_format("HOLDFAST_EXIT_STATUS=%d", f->exit_status)
                      : memory_copy_string("HOLDFAST_EXIT_STATUS=");
    list[n++] = memory_format("HOLDFAST_SNAPSHOT=%s", id);
    list[n++] = memory_format("HOLDFAST_WARNINGS=%" PRIu64, ended ? f->warnings : 0);
    list[n++] = memory_format("HOLDFAST_ERROR=%s", ended && f->error ? f->error : "");
    list[n] = NULL;
    buffer_free(&classes);
}

static char *make_input(const struct hooks_facts *f, const char *event, bool ended)
{
    json_t *o = json_object();
    output_json_number(o, "version", 1);
    json_object_set_new(o, "event", json_string(event));
    json_object_set_new(o, "repository", json_string(f->config->repository.name));
    if (ended)
        json_object_set_new(o, "status", json_string(outcome(f->exit_status)));
    if (f->result)
        json_object_set(o, f->job ? "job" : "run", f->result);
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return text;
}

/* All commands of one event; stops at the first failure if `strict`. *failed counts them. */
static int run_commands(const struct hooks_facts *f, const struct config_commands *commands,
                        const char *event, bool before, unsigned *failed, struct error *err)
{
    char *environment[FACTS_MAX + 1];
    int code = 0;
    if (commands->count == 0)
        return 0;
    fill_environment(f, event, !before, environment);
    char *input = make_input(f, event, !before);
    char *name =
        f->job ? memory_format("%s of job %s", event, f->job) : memory_format("%s of the run", event);
    for (size_t i = 0; i < commands->count && (code == 0 || !before); i++) {
        const char **argv = config_argv(&commands->list[i]);
        struct hook hook = {.name = name,
                            .argv = argv,
                            .environment = (const char *const *)environment,
                            .input = bytes_of_string(input),
                            .timeout = (unsigned)f->hooks->timeout,
                            .stop = before ? signals_stop() : NULL};
        if (!before)
            signals_allow(hook.timeout);
        code = hook_run(&hook, err);
        *failed += code != 0;
        if (code != 0) /* the job that one before it has failed is named by who tells of that */
            error_prefix(err, "hook %s", before && f->job ? event : name);
        if (code != 0 && !before) {
            log_warning("%s", err->message);
            log_hint("%s", err->hint);
        }
        free(argv);
    }
    for (char **entry = environment; *entry; entry++)
        free(*entry);
    free(name);
    free(input);
    return code;
}

int hooks_before(const struct hooks_facts *facts, struct error *err)
{
    unsigned failed = 0;
    int code = run_commands(facts, &facts->hooks->before, "before", true, &failed, err);
    if (facts->hooks->after.count)
        signals_allow(STOP_SECONDS);
    return code;
}

unsigned hooks_after(const struct hooks_facts *facts, struct error *err)
{
    const struct config_hooks *h = facts->hooks;
    unsigned failed = 0;
    enum notify_level level = tell_level(facts->exit_status);
    bool good = level == NOTIFY_SUCCESS, bad = level == NOTIFY_FAILURE;
    if (facts->begun)
        run_commands(facts, &h->after, "after", false, &failed, err);
    run_commands(facts,
                 good  ? &h->on_success
                 : bad ? &h->on_failure
                       : &h->on_warning,
                 good  ? "on_success"
                 : bad ? "on_failure"
                       : "on_warning",
                 false, &failed, err);
    signals_allow(0);
    return failed;
}
