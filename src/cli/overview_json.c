#include "base/text.h"
#include "cli/overview_print.h"
#include "cli/snapshot_json.h"

static void set_text(json_t *o, const char *key, const char *value)
{
    output_json_bytes(o, key, bytes_of_string(value));
}

static void set_time(json_t *o, const char *key, int64_t time)
{
    if (time)
        output_json_time(o, key, time);
}

json_t *overview_problems_json(const struct overview *o, bool past)
{
    json_t *list = json_array();
    for (size_t i = 0; i < o->problem_count; i++) {
        const struct overview_problem *p = &o->problems[i];
        if (past && !p->past)
            continue;
        json_t *item = json_object();
        json_object_set_new(item, "severity", json_string(overview_level_name(p->level)));
        set_text(item, "what", p->what);
        set_text(item, "todo", p->todo);
        set_time(item, "since", p->since);
        json_object_set_new(item, "past", json_boolean(p->past));
        json_array_append_new(list, item);
    }
    return list;
}

static json_t *class_json(const struct overview_job *job, unsigned c)
{
    const struct due_decision *d = c < DUE_CLASS_COUNT && job->decisions[c].set ? &job->decisions[c] : NULL;
    json_t *item = json_object();
    json_object_set_new(item, "class", json_string(keep_class_name((enum keep_class)c)));
    set_time(item, "last_success", job->last_success[c]);
    if (d) {
        json_object_set_new(item, "due", json_boolean(d->due));
        json_object_set_new(item, "overdue", json_boolean(d->overdue));
        if (d->due)
            set_time(item, "due_since", d->since);
        set_time(item, "next", d->next);
    }
    return item;
}

static json_t *run_job_json(const struct run_job *run)
{
    json_t *o = json_object();
    output_json_time(o, "started", run->started);
    output_json_time(o, "ended", run->ended);
    json_object_set_new(o, "exit_status", json_integer(run->exit_status));
    set_text(o, "message", run->message);
    json_object_set_new(o, "classes", snapshot_classes_json(run->classes));
    if (run->has_snapshot)
        output_json_id(o, "snapshot", &run->snapshot);
    return o;
}

static json_t *job_json(const struct overview_job *job)
{
    json_t *o = json_object(), *classes = json_array();
    json_object_set_new(o, "job", json_string(job->name));
    json_object_set_new(o, "health", json_string(verdict_name(job->health)));
    output_json_number(o, "snapshots", job->snapshots);
    if (job->newest) {
        const struct manifest *m = &job->newest->manifest;
        output_json_id(o, "id", &job->newest->sha256);
        output_json_time(o, "last_success", m->started);
        output_json_number(o, "seconds", (uint64_t)(m->ended - m->started));
        output_json_number(o, "files", m->statistics.files);
        output_json_number(o, "bytes", m->statistics.bytes);
        output_json_number(o, "bytes_new", m->statistics.bytes_new);
        output_json_number(o, "bytes_stored", m->statistics.bytes_stored);
        output_json_number(o, "warning_count", m->statistics.warnings);
    }
    set_time(o, "next", job->next);
    json_object_set_new(o, "next_classes", snapshot_classes_json(job->next_classes));
    for (unsigned c = 0; c < KEEP_CLASS_COUNT; c++) {
        if (job->last_success[c] || (c < DUE_CLASS_COUNT && job->decisions[c].set))
            json_array_append_new(classes, class_json(job, c));
    }
    json_object_set_new(o, "by_class", classes);
    if (job->run_job)
        json_object_set_new(o, "last_run", run_job_json(job->run_job));
    return o;
}

static json_t *ids_of(const struct snapshot *const *list, size_t count)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < count; i++) {
        char hex[ID_HEX_SIZE];
        id_to_hex(&list[i]->sha256, hex);
        json_array_append_new(ids, json_string(hex));
    }
    return ids;
}

static json_t *target_json(const struct overview_target *target)
{
    json_t *o = json_object();
    json_object_set_new(o, "target", json_string(target->name));
    json_object_set_new(o, "answers", json_boolean(target->answers));
    if (target->why)
        set_text(o, "error", target->why->message);
    if (target->answers)
        json_object_set_new(o, "missing_snapshots", ids_of(target->missing, target->missing_count));
    if (target->answers)
        output_json_number(o, "hidden_objects", target->hidden);
    set_time(o, "behind_since", target->behind_since);
    set_time(o, "newest", target->newest);
    set_time(o, "locks_end", target->locks.ends);
    if (target->locks.ends || target->locks.unknown) {
        output_json_number(o, "locks_asked", target->locks.asked);
        output_json_number(o, "locks_unknown", target->locks.unknown);
    }
    if (target->used_known)
        output_json_number(o, "bytes", target->used);
    return o;
}

static json_t *orphan_json(const struct overview_orphan *orphan)
{
    json_t *o = json_object();
    set_text(o, "job", orphan->name);
    output_json_number(o, "snapshots", orphan->snapshots);
    output_json_number(o, "pinned", orphan->pinned);
    output_json_time(o, "last_success", orphan->newest);
    return o;
}

static json_t *run_json(const struct run_record *run)
{
    json_t *o = json_object();
    output_json_time(o, "started", run->started);
    output_json_time(o, "ended", run->ended);
    json_object_set_new(o, "exit_status", json_integer(run->exit_status));
    set_text(o, "message", run->message);
    return o;
}

static json_t *verify_json(const struct overview *o)
{
    json_t *item = json_object();
    output_json_time(item, "ended", o->verify.time);
    json_object_set_new(item, "all", json_boolean(o->verify.all));
    output_json_number(item, "objects", o->verify_objects);
    output_json_number(item, "bytes", o->verify_bytes);
    output_json_number(item, "damaged", o->verify.damaged);
    return item;
}

static json_t *drill_json(const struct run_drill *drill)
{
    json_t *o = json_object();
    output_json_time(o, "ended", drill->ended);
    json_object_set_new(o, "exit_status", json_integer(drill->exit_status));
    set_text(o, "job", drill->job);
    set_text(o, "message", drill->message);
    return o;
}

static json_t *holder_json(const struct lock_holder *holder)
{
    json_t *o = json_object();
    set_text(o, "command", holder->command);
    json_object_set_new(o, "process", json_integer(holder->process));
    output_json_time(o, "since", holder->since);
    return o;
}

json_t *overview_json(const struct overview *o, const char *repository, int exit_status)
{
    json_t *item = json_object(), *jobs = json_array(), *targets = json_array(), *orphans = json_array();
    json_object_set_new(item, "repository", json_string(repository));
    json_object_set_new(item, "exit_status", json_integer(exit_status));
    output_json_time(item, "time", o->now);
    set_time(item, "known", o->known);
    if (o->holder)
        json_object_set_new(item, "at_work", holder_json(o->holder));
    json_object_set_new(item, "problems", overview_problems_json(o, false));
    for (size_t i = 0; i < o->job_count; i++)
        json_array_append_new(jobs, job_json(&o->jobs[i]));
    for (size_t t = 0; t < o->target_count; t++)
        json_array_append_new(targets, target_json(&o->targets[t]));
    for (size_t i = 0; i < o->orphan_count; i++)
        json_array_append_new(orphans, orphan_json(&o->orphans[i]));
    json_object_set_new(item, "jobs", jobs);
    json_object_set_new(item, "targets", targets);
    json_object_set_new(item, "unconfigured_jobs", orphans);
    json_object_set_new(item, "last_run", o->last_run ? run_json(o->last_run) : json_null());
    json_object_set_new(item, "last_verify", o->verify.time ? verify_json(o) : json_null());
    json_object_set_new(item, "last_drill", o->drill ? drill_json(o->drill->drill) : json_null());
    output_json_number(item, "waiting_records", o->waiting);
    return item;
}
