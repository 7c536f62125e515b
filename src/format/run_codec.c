/* Run records. */
#include "format/codec.h"
#include "record.pb-c.h"

/* What the parts of a run share. */
#define FILL_STEP(m, from)                                                                                   \
    do {                                                                                                     \
        (m)->started = (from)->started;                                                                      \
        (m)->ended = (from)->ended;                                                                          \
        (m)->exit_status = (from)->exit_status;                                                              \
        (m)->message = codec_mutable_text((from)->message);                                                  \
    } while (0)
#define READ_STEP(m, to)                                                                                     \
    do {                                                                                                     \
        (to)->started = (m)->started;                                                                        \
        (to)->ended = (m)->ended;                                                                            \
        (to)->exit_status = (m)->exit_status;                                                                \
        (to)->message = (m)->message;                                                                        \
    } while (0)
#define STEP_IS_SOUND(m) ((m)->ended >= (m)->started && codec_text((m)->message, RUN_TEXT_MAX))

static void fill_job(const struct run_job *from, struct arena *arena, Holdfast__JobRun *m)
{
    holdfast__job_run__init(m);
    FILL_STEP(m, from);
    m->job = codec_mutable_text(from->job);
    m->classes = arena_alloc_array(arena, CODEC_CLASS_COUNT, sizeof *m->classes);
    m->n_classes = codec_class_list(from->classes, m->classes);
    if (from->has_snapshot)
        m->snapshot = CODEC_BINARY(from->snapshot.b);
    m->statistics = arena_new(arena, Holdfast__Statistics);
    codec_fill_statistics(&from->statistics, m->statistics);
    m->n_warnings = from->warning_count;
    m->warnings = (char **)(uintptr_t)from->warnings;
}

static Holdfast__PruneRun *prune_message(const struct run_prune *from, struct arena *arena)
{
    if (!from)
        return NULL;
    Holdfast__PruneRun *m = arena_new(arena, Holdfast__PruneRun);
    holdfast__prune_run__init(m);
    FILL_STEP(m, from);
    m->expired = from->expired;
    m->held = from->held;
    m->deleted_packs = from->deleted_packs;
    m->deleted_bytes = from->deleted_bytes;
    m->delayed_packs = from->delayed_packs;
    m->locked_objects = from->locked_objects;
    return m;
}

static Holdfast__VerifyRun *verify_message(const struct run_verify *from, struct arena *arena)
{
    if (!from)
        return NULL;
    Holdfast__VerifyRun *m = arena_new(arena, Holdfast__VerifyRun);
    holdfast__verify_run__init(m);
    FILL_STEP(m, from);
    m->objects = from->objects;
    m->bytes = from->bytes;
    m->damaged = from->damaged;
    m->first = from->first;
    m->span = from->span;
    return m;
}

static Holdfast__DrillRun *drill_message(const struct run_drill *from, struct arena *arena)
{
    if (!from)
        return NULL;
    Holdfast__DrillRun *m = arena_new(arena, Holdfast__DrillRun);
    holdfast__drill_run__init(m);
    FILL_STEP(m, from);
    m->job = codec_mutable_text(from->job);
    if (from->has_snapshot)
        m->snapshot = CODEC_BINARY(from->snapshot.b);
    m->files = from->files;
    m->bytes = from->bytes;
    return m;
}

static void fill_target(const struct run_target *from, Holdfast__TargetRun *m)
{
    holdfast__target_run__init(m);
    m->name = codec_mutable_text(from->name);
    m->behind = from->behind;
    m->message = codec_mutable_text(from->message);
    m->stored_bytes = from->stored_bytes;
    m->objects = from->objects;
    m->bytes = from->bytes;
}

void run_encode(const struct run_record *run, struct buffer *out)
{
    struct arena arena = {0};
    Holdfast__Run m = HOLDFAST__RUN__INIT;
    FILL_STEP(&m, run);
    m.host = CODEC_BINARY(run->host.b);
    m.sequence = run->sequence;
    if (run->has_previous)
        m.previous = CODEC_BINARY(run->previous.b);
    m.command = codec_mutable_text(run->command);
    m.software = codec_mutable_text(run->software);
    m.interrupted = run->interrupted;
    m.n_jobs = run->job_count;
    m.jobs = arena_alloc_array(&arena, run->job_count, sizeof *m.jobs);
    for (size_t i = 0; i < run->job_count; i++) {
        m.jobs[i] = arena_new(&arena, Holdfast__JobRun);
        fill_job(&run->jobs[i], &arena, m.jobs[i]);
    }
    m.prune = prune_message(run->prune, &arena);
    m.verify = verify_message(run->verify, &arena);
    m.drill = drill_message(run->drill, &arena);
    m.n_targets = run->target_count;
    m.targets = arena_alloc_array(&arena, run->target_count, sizeof *m.targets);
    for (size_t i = 0; i < run->target_count; i++) {
        m.targets[i] = arena_new(&arena, Holdfast__TargetRun);
        fill_target(&run->targets[i], m.targets[i]);
    }
    codec_pack(&m.base, out);
    arena_free(&arena);
}

/* ---- reading ---- */

static const char *read_job(const Holdfast__JobRun *m, struct run_job *to)
{
    READ_STEP(m, to);
    to->job = m->job;
    to->statistics = codec_read_statistics(m->statistics);
    to->warnings = (const char **)m->warnings;
    to->warning_count = m->n_warnings;
    if (!STEP_IS_SOUND(m) || !codec_text(m->job, CODEC_NAME_MAX) || !*m->job)
        return "the times or texts of a job are out of bounds";
    if (!codec_read_classes(m->n_classes, m->classes, &to->classes))
        return "a class is unknown, twice there, or missing";
    if (!codec_optional_id(m->snapshot, &to->has_snapshot, &to->snapshot))
        return "a job's snapshot has no id";
    if (m->n_warnings > RUN_WARNINGS_MAX)
        return "a job has too many warnings";
    for (size_t i = 0; i < m->n_warnings; i++) {
        if (!codec_text(m->warnings[i], RUN_TEXT_MAX))
            return "a warning is out of bounds";
    }
    return NULL;
}

static const char *read_steps(const Holdfast__Run *m, struct arena *arena, struct run_record *to)
{
    if (m->prune) {
        to->prune = arena_new(arena, struct run_prune);
        *to->prune = (struct run_prune){.expired = m->prune->expired,
                                        .held = m->prune->held,
                                        .deleted_packs = m->prune->deleted_packs,
                                        .deleted_bytes = m->prune->deleted_bytes,
                                        .delayed_packs = m->prune->delayed_packs,
                                        .locked_objects = m->prune->locked_objects};
        READ_STEP(m->prune, to->prune);
        if (!STEP_IS_SOUND(m->prune))
            return "its prune is out of bounds";
    }
    if (m->verify) {
        to->verify = arena_new(arena, struct run_verify);
        *to->verify = (struct run_verify){.objects = m->verify->objects,
                                          .bytes = m->verify->bytes,
                                          .damaged = m->verify->damaged,
                                          .first = m->verify->first,
                                          .span = m->verify->span};
        READ_STEP(m->verify, to->verify);
        if (!STEP_IS_SOUND(m->verify) || m->verify->span > (uint64_t)1 << 32)
            return "its verify is out of bounds";
    }
    if (m->drill) {
        to->drill = arena_new(arena, struct run_drill);
        *to->drill =
            (struct run_drill){.job = m->drill->job, .files = m->drill->files, .bytes = m->drill->bytes};
        READ_STEP(m->drill, to->drill);
        if (!STEP_IS_SOUND(m->drill) || !codec_text(m->drill->job, CODEC_NAME_MAX) ||
            !codec_optional_id(m->drill->snapshot, &to->drill->has_snapshot, &to->drill->snapshot))
            return "its drill is out of bounds";
    }
    return NULL;
}

static const char *read_target(const Holdfast__TargetRun *m, struct run_target *to)
{
    *to = (struct run_target){.name = m->name,
                              .behind = m->behind,
                              .message = m->message,
                              .stored_bytes = m->stored_bytes,
                              .objects = m->objects,
                              .bytes = m->bytes};
    if (!codec_text(m->name, CODEC_NAME_MAX) || !codec_text(m->message, RUN_TEXT_MAX))
        return "the texts of a target are out of bounds";
    return NULL;
}

static const char *read_run(const Holdfast__Run *m, struct arena *arena, struct run_record *to)
{
    if (!codec_fixed(m->host, to->host.b, 16) ||
        !codec_optional_id(m->previous, &to->has_previous, &to->previous))
        return "a field is missing or of the wrong size";
    if (!STEP_IS_SOUND(m) || !codec_text(m->command, CODEC_NAME_MAX) ||
        !codec_text(m->software, CODEC_NAME_MAX))
        return "its times or texts are out of bounds";
    if (m->n_jobs > RUN_JOBS_MAX || m->n_targets > RUN_TARGETS_MAX)
        return "it has too many jobs or targets";
    const char *why = NULL;
    to->job_count = m->n_jobs;
    to->jobs = arena_alloc_array(arena, m->n_jobs, sizeof *to->jobs);
    for (size_t i = 0; i < m->n_jobs && !why; i++)
        why = read_job(m->jobs[i], &to->jobs[i]);
    if (!why)
        why = read_steps(m, arena, to);
    to->target_count = m->n_targets;
    to->targets = arena_alloc_array(arena, m->n_targets, sizeof *to->targets);
    for (size_t i = 0; i < m->n_targets && !why; i++)
        why = read_target(m->targets[i], &to->targets[i]);
    return why;
}

int run_decode(struct bytes body, struct arena *arena, struct run_record *run, struct error *err)
{
    Holdfast__Run *m = codec_unpack(&holdfast__run__descriptor, body, FORMAT_RECORD_MAX, arena, err);
    if (!m)
        return err ? err->code : ERROR_INTEGRITY;
    *run = (struct run_record){.sequence = m->sequence,
                               .command = m->command,
                               .software = m->software,
                               .interrupted = m->interrupted};
    READ_STEP(m, run);
    const char *why = read_run(m, arena, run);
    return why ? codec_malformed(err, "a run record", why) : 0;
}
