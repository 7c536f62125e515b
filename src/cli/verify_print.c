#include "cli/verify_print.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "cli/status.h"
#include "ops/verify_note.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIST_MAX 1000 /* of a list in the document */
#define PROBLEMS_SHOWN 50
#define LOST_SHOWN 5

struct notes {
    json_t *problems, *lost;
    size_t problem_count, lost_count;
};

/* The first ones are warnings; the others are only shown to who wants to see all. */
__attribute__((format(printf, 3, 4))) static void warn_of(size_t count, size_t shown, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int n = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (n < 0)
        return;
    if (count <= shown)
        log_warning("%s", text);
    else
        log_verbose("%s", text);
    free(text);
}

static void warn_of_rest(size_t count, size_t shown, const char *what)
{
    if (count > shown && log_get_level() < LOG_LEVEL_VERBOSE)
        log_warning("and %zu more %s: -v lists them", count - shown, what);
}

static void note_problem(void *context, const char *target, const char *object, const char *what,
                         bool repaired)
{
    struct notes *notes = context;
    /* What storage says begins with the target, too. */
    char *prefix = memory_format("target %s: ", target);
    size_t again = strncmp(what, prefix, strlen(prefix)) == 0 ? strlen(prefix) : 0;
    warn_of(++notes->problem_count, PROBLEMS_SHOWN, "%s%s: %s%s", prefix, object, what + again,
            repaired ? "; repaired from a good copy" : "");
    free(prefix);
    if (json_array_size(notes->problems) >= LIST_MAX)
        return;
    json_t *item = json_object();
    json_object_set_new(item, "target", json_string(target));
    output_json_bytes(item, "object", bytes_of_string(object));
    json_object_set_new(item, "problem", json_string(what));
    json_object_set_new(item, "repaired", json_boolean(repaired));
    json_array_append_new(notes->problems, item);
}

static void note_lost(void *context, const struct snapshot *snapshot, const char *path)
{
    struct notes *notes = context;
    char id[OUTPUT_SHORT_ID_SIZE];
    char *visible = text_visible(path);
    output_short_id(&snapshot->sha256, id);
    warn_of(++notes->lost_count, LOST_SHOWN, "snapshot %s of %s: %s cannot be restored", id,
            snapshot->manifest.job, strcmp(path, "/") == 0 ? "what is not named here" : visible);
    free(visible);
    if (json_array_size(notes->lost) >= LIST_MAX)
        return;
    json_t *item = json_object();
    output_json_id(item, "snapshot", &snapshot->sha256);
    output_json_bytes(item, "path", bytes_of_string(path));
    json_array_append_new(notes->lost, item);
}

static void print(const struct options *options, const struct verify_result *r, const struct notes *notes,
                  int status)
{
    if (options->json) {
        json_t *o = json_object();
        json_object_set_new(o, "exit_status", json_integer(signals_exit_status(status)));
        output_json_number(o, "snapshots", r->snapshots);
        output_json_number(o, "objects", r->objects);
        output_json_number(o, "bytes", r->bytes);
        output_json_number(o, "blobs", r->blobs);
        output_json_number(o, "targets_behind", r->targets_behind);
        output_json_number(o, "problem_count", r->problems);
        output_json_number(o, "repaired", r->repaired);
        output_json_number(o, "hidden", r->hidden);
        json_object_set(o, "problems", notes->problems);
        output_json_number(o, "lost_count", r->lost_files);
        output_json_number(o, "lost_snapshots", r->lost_snapshots);
        output_json_number(o, "incomplete_count", r->incomplete_files);
        output_json_number(o, "incomplete_snapshots", r->incomplete_snapshots);
        json_object_set(o, "lost", notes->lost);
        json_object_set_new(o, "seconds", json_real(r->seconds));
        output_json_print(o);
    } else if (!options->quiet) {
        char bytes[32], seconds[32];
        printf("%llu snapshots checked; %llu objects read (%s)", (unsigned long long)r->snapshots,
               (unsigned long long)r->objects, text_format_size(r->bytes, bytes));
        if (r->blobs)
            printf(", %llu blobs opened", (unsigned long long)r->blobs);
        printf("; %llu problems", (unsigned long long)r->problems);
        if (r->hidden)
            printf(", %llu of them hidden objects", (unsigned long long)r->hidden);
        if (r->repaired)
            printf(", %llu repaired", (unsigned long long)r->repaired);
        if (r->lost_files)
            printf("; %llu files of snapshots cannot be restored", (unsigned long long)r->lost_files);
        printf("; %s\n", text_format_duration(r->seconds, seconds));
    }
}

/* What the problems, which were told of one by one, come to. */
static void sum_up(const struct notes *notes, const struct verify_result *r)
{
    const char *files = r->lost_files == 1 ? "file" : "files";
    warn_of_rest(notes->lost_count, LOST_SHOWN, "that cannot be restored");
    warn_of_rest(notes->problem_count, PROBLEMS_SHOWN, "problems of single objects");
    if (r->lost_files)
        log_warning("%llu %s of %llu snapshot%s cannot be restored", (unsigned long long)r->lost_files, files,
                    (unsigned long long)r->lost_snapshots, r->lost_snapshots == 1 ? "" : "s");
    if (r->incomplete_files)
        log_warning("%llu file%s of %llu snapshot%s can be restored from one target and not from another",
                    (unsigned long long)r->incomplete_files, r->incomplete_files == 1 ? "" : "s",
                    (unsigned long long)r->incomplete_snapshots, r->incomplete_snapshots == 1 ? "" : "s");
}

/* For `status`, which does without it where it cannot be kept. */
static void take_note(const struct session *s, const struct verify_result *r, bool all)
{
    const char *folder = s->wire.config ? s->wire.config->repository.state_dir : NULL;
    struct verdict_check check = {(int64_t)time(NULL), r->problems - r->repaired, all};
    struct error why;
    if (folder && verify_note_add(folder, &check, r->objects, r->bytes, &why) != 0)
        log_verbose("%s", why.message);
}

int verify_and_print(const struct options *options, struct session *s, struct verify_parameters *p,
                     const char *what)
{
    struct verify_result result;
    struct error err = {0};
    struct notes notes = {.problems = json_array(), .lost = json_array()};
    struct progress *progress = progress_new(options, what);
    p->problem = note_problem;
    p->lost = note_lost;
    p->problem_context = &notes;
    p->progress = progress_update;
    p->progress_context = progress;
    p->cancelled = signals_stop();
    int code = verify_run(s->wire.repository, &s->snapshots, p, &result, &err);
    progress_free(progress);
    sum_up(&notes, &result);
    int status = code == 0 ? STATUS_DONE : status_report(&err);
    if (result.targets_behind)
        log_hint("the next backup, or holdfast heal, brings them");
    status = status_worse(status, result.targets_behind ? STATUS_BEHIND : session_behind(s->wire.repository));
    print(options, &result, &notes, status);
    if (code == 0 || code == ERROR_INTEGRITY)
        take_note(s, &result, p->sample >= 100);
    json_decref(notes.problems);
    json_decref(notes.lost);
    return status;
}
