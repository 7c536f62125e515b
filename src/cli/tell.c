#include "cli/tell.h"

#include "base/memory.h"
#include "base/text.h"
#include "cli/output.h"
#include "cli/run_json.h"
#include "cli/status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WARNINGS_SHOWN 10 /* of a job, in the text: the document has them all */

enum notify_level tell_level(int exit_status)
{
    return exit_status == STATUS_DONE                                       ? NOTIFY_SUCCESS
           : exit_status == STATUS_WARNINGS || exit_status == STATUS_BEHIND ? NOTIFY_WARNING
                                                                            : NOTIFY_FAILURE;
}

const char *tell_level_name(enum notify_level level)
{
    static const char *const names[] = {[NOTIFY_FAILURE] = "failure",
                                        [NOTIFY_WARNING] = "warning",
                                        [NOTIFY_RECOVERED] = "recovered",
                                        [NOTIFY_SUCCESS] = "success",
                                        [NOTIFY_TEST] = "test"};
    return names[level];
}

static void add_shown(struct buffer *out, const char *text)
{
    char *shown = text_printable(text);
    buffer_append_string(out, shown);
    free(shown);
}

/* "files, database: " of what ended badly, or with warnings; then targets. */
static void add_blame(struct buffer *out, enum notify_level level, const struct run_record *run)
{
    const char *before = ": ";
    for (size_t i = 0; i < run->job_count; i++) {
        if (!run->jobs[i].started || tell_level((int)run->jobs[i].exit_status) != level)
            continue;
        buffer_append_format(out, "%sjob %s", before, run->jobs[i].job);
        before = ", ";
    }
    if (run->prune && tell_level((int)run->prune->exit_status) == level)
        buffer_append_format(out, "%sprune", before), before = ", ";
    if (run->verify && tell_level((int)run->verify->exit_status) == level)
        buffer_append_format(out, "%sverify", before), before = ", ";
    if (run->drill && tell_level((int)run->drill->exit_status) == level)
        buffer_append_format(out, "%sdrill", before), before = ", ";
    for (size_t i = 0; i < run->target_count; i++) {
        if (!run->targets[i].behind || level != NOTIFY_WARNING)
            continue;
        buffer_append_format(out, "%starget %s is behind", before, run->targets[i].name);
        before = ", ";
    }
}

static void add_subject(struct buffer *out, const struct config *config, const char *host,
                        enum notify_level level, const struct run_record *run)
{
    static const char *const words[] = {[NOTIFY_FAILURE] = "FAILED",
                                        [NOTIFY_WARNING] = "done with warnings",
                                        [NOTIFY_RECOVERED] = "good again",
                                        [NOTIFY_SUCCESS] = "done",
                                        [NOTIFY_TEST] = "this is a test"};
    buffer_append_format(out, "Holdfast: %s on %s: %s", config->repository.name, host, words[level]);
    if (level == NOTIFY_FAILURE || level == NOTIFY_WARNING)
        add_blame(out, level, run);
}

static void add_job(struct buffer *out, const struct run_job *job)
{
    char bytes[32], fresh[32], id[OUTPUT_SHORT_ID_SIZE];
    buffer_append_format(out, "job %s: ", job->job);
    if (job->has_snapshot)
        buffer_append_format(out, "snapshot %s, %" PRIu64 " files, %s, %s new",
                             output_short_id(&job->snapshot, id), job->statistics.files,
                             text_format_size(job->statistics.bytes, bytes),
                             text_format_size(job->statistics.bytes_new, fresh));
    else
        buffer_append_string(out, "no snapshot");
    if (*job->message) {
        buffer_append_string(out, job->has_snapshot ? "; " : ": ");
        add_shown(out, job->message);
    }
    if (job->statistics.warnings)
        buffer_append_format(out, "; %" PRIu64 " warnings", job->statistics.warnings);
    buffer_append_string(out, "\n");
    for (size_t i = 0; i < job->warning_count && i < WARNINGS_SHOWN; i++) {
        buffer_append_string(out, "  ");
        add_shown(out, job->warnings[i]);
        buffer_append_string(out, "\n");
    }
    if (job->warning_count > WARNINGS_SHOWN)
        buffer_append_string(out, "  ...\n");
}

static void add_step(struct buffer *out, const char *name, uint32_t exit_status, const char *message)
{
    static const char *const words[] = {
        [NOTIFY_FAILURE] = "FAILED", [NOTIFY_WARNING] = "done with warnings", [NOTIFY_SUCCESS] = "done"};
    buffer_append_format(out, "%s: %s", name, words[tell_level((int)exit_status)]);
    if (*message) {
        buffer_append_string(out, ": ");
        add_shown(out, message);
    }
    buffer_append_string(out, "\n");
}

static void add_run(struct buffer *out, const struct run_record *run)
{
    char when[TEXT_TIME_SIZE], took[32];
    buffer_append_format(out, "Run of %s, %s, exit status %" PRIu32 "%s\n\n",
                         text_format_time(run->started, when),
                         text_format_duration((double)(run->ended - run->started), took), run->exit_status,
                         run->interrupted ? ", stopped by a signal" : "");
    if (*run->message) {
        add_shown(out, run->message);
        buffer_append_string(out, "\n");
    }
    for (size_t i = 0; i < run->job_count; i++)
        add_job(out, &run->jobs[i]);
    if (run->prune)
        add_step(out, "prune", run->prune->exit_status, run->prune->message);
    if (run->verify)
        add_step(out, "verify", run->verify->exit_status, run->verify->message);
    if (run->drill)
        add_step(out, "drill", run->drill->exit_status, run->drill->message);
    for (size_t i = 0; i < run->target_count; i++) {
        if (!run->targets[i].behind)
            continue;
        buffer_append_format(out, "target %s is behind: ", run->targets[i].name);
        add_shown(out, run->targets[i].message);
        buffer_append_string(out, "\n");
    }
    if (tell_level((int)run->exit_status) != NOTIFY_SUCCESS)
        buffer_append_string(out, "\nholdfast status shows how things stand, and what to do.\n");
}

static char *render_json(const struct config *config, const char *host, enum notify_level level,
                         const struct run_record *run, const struct tell *tell)
{
    json_t *o = json_object();
    output_json_number(o, "version", 1);
    json_object_set_new(o, "level", json_string(tell_level_name(level)));
    json_object_set_new(o, "repository", json_string(config->repository.name));
    json_object_set_new(o, "host", json_string(host));
    json_object_set_new(o, "subject", json_string(tell->subject));
    json_object_set_new(o, "text", json_string(tell->text));
    if (run)
        json_object_set_new(o, "run", run_json(config->repository.name, run));
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return text;
}

static char *take_string(struct buffer *b)
{
    char *copy = memory_copy_string(buffer_string(b));
    buffer_free(b);
    return copy;
}

void tell_render(const struct config *config, enum notify_level level, const struct run_record *run,
                 struct tell *tell)
{
    char name[256] = "";
    struct buffer subject = {0}, text = {0};
    gethostname(name, sizeof name - 1);
    char *host = text_visible(name);
    add_subject(&subject, config, host, level, run);
    if (run)
        add_run(&text, run);
    else
        buffer_append_string(&text, "holdfast notify-test sent this message. No run has failed.\n");
    *tell = (struct tell){.subject = take_string(&subject), .text = take_string(&text)};
    tell->json = render_json(config, host, level, run, tell);
    tell->message = (struct notify_message){level, tell->subject, tell->text, tell->json};
    free(host);
}

void tell_free(struct tell *tell)
{
    free(tell->subject);
    free(tell->text);
    free(tell->json);
}
