#include "cli/run_json.h"

#include "cli/output.h"
#include "cli/snapshot_json.h"

/* What the run and each part of it share. */
#define SET_STEP(o, step)                                                                                    \
    do {                                                                                                     \
        if ((step)->started) {                                                                               \
            output_json_time(o, "started", (step)->started);                                                 \
            output_json_time(o, "ended", (step)->ended);                                                     \
        }                                                                                                    \
        json_object_set_new(o, "exit_status", json_integer((json_int_t)(step)->exit_status));                \
        if (*(step)->message)                                                                                \
            output_json_bytes(o, "message", bytes_of_string((step)->message));                               \
    } while (0)

void run_json_taken(json_t *o, const struct id *snapshot, const struct statistics *s)
{
    output_json_id(o, "id", snapshot);
    output_json_number(o, "files", s->files);
    output_json_number(o, "directories", s->directories);
    output_json_number(o, "others", s->others);
    output_json_number(o, "bytes", s->bytes);
    output_json_number(o, "files_read", s->files_new);
    output_json_number(o, "bytes_read", s->bytes_read);
    output_json_number(o, "bytes_new", s->bytes_new);
    output_json_number(o, "bytes_stored", s->bytes_stored);
}

json_t *run_json_job(const struct run_job *job)
{
    json_t *o = json_object(), *warnings = json_array();
    const struct statistics *s = &job->statistics;
    json_object_set_new(o, "job", json_string(job->job));
    json_object_set_new(o, "classes", snapshot_classes_json(job->classes));
    SET_STEP(o, job);
    if (job->has_snapshot)
        run_json_taken(o, &job->snapshot, s);
    output_json_number(o, "warning_count", s->warnings);
    for (size_t i = 0; i < job->warning_count; i++)
        output_json_append(warnings, bytes_of_string(job->warnings[i]));
    json_object_set_new(o, "warnings", warnings);
    return o;
}

static json_t *prune_json(const struct run_prune *prune)
{
    json_t *o = json_object();
    SET_STEP(o, prune);
    output_json_number(o, "expired", prune->expired);
    output_json_number(o, "held", prune->held);
    output_json_number(o, "deleted_packs", prune->deleted_packs);
    output_json_number(o, "deleted_bytes", prune->deleted_bytes);
    output_json_number(o, "delayed_packs", prune->delayed_packs);
    output_json_number(o, "locked_objects", prune->locked_objects);
    return o;
}

static json_t *verify_json(const struct run_verify *verify)
{
    json_t *o = json_object();
    SET_STEP(o, verify);
    output_json_number(o, "objects", verify->objects);
    output_json_number(o, "bytes", verify->bytes);
    output_json_number(o, "damaged", verify->damaged);
    return o;
}

static json_t *drill_json(const struct run_drill *drill)
{
    json_t *o = json_object();
    SET_STEP(o, drill);
    json_object_set_new(o, "job", json_string(drill->job));
    if (drill->has_snapshot)
        output_json_id(o, "id", &drill->snapshot);
    output_json_number(o, "files", drill->files);
    output_json_number(o, "bytes", drill->bytes);
    return o;
}

static json_t *target_json(const struct run_target *target)
{
    json_t *o = json_object();
    json_object_set_new(o, "target", json_string(target->name));
    json_object_set_new(o, "behind", json_boolean(target->behind));
    if (*target->message)
        output_json_bytes(o, "message", bytes_of_string(target->message));
    output_json_number(o, "bytes_stored", target->stored_bytes);
    output_json_number(o, "objects", target->objects);
    output_json_number(o, "bytes", target->bytes);
    return o;
}

json_t *run_json(const char *repository, const struct run_record *record)
{
    json_t *o = json_object(), *jobs = json_array(), *targets = json_array();
    json_object_set_new(o, "repository", json_string(repository));
    json_object_set_new(o, "command", json_string(record->command));
    SET_STEP(o, record);
    json_object_set_new(o, "interrupted", json_boolean(record->interrupted));
    for (size_t i = 0; i < record->job_count; i++)
        json_array_append_new(jobs, run_json_job(&record->jobs[i]));
    json_object_set_new(o, "jobs", jobs);
    if (record->prune)
        json_object_set_new(o, "prune", prune_json(record->prune));
    if (record->verify)
        json_object_set_new(o, "verify", verify_json(record->verify));
    if (record->drill)
        json_object_set_new(o, "drill", drill_json(record->drill));
    for (size_t i = 0; i < record->target_count; i++)
        json_array_append_new(targets, target_json(&record->targets[i]));
    json_object_set_new(o, "targets", targets);
    return o;
}
