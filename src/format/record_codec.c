/* Manifests, events and leases. */
#include "format/codec.h"
#include "record.pb-c.h"

#include <string.h>

static const char *const class_names[] = {"daily", "weekly", "monthly", "yearly", "manual"};
#define SOURCES_MAX 100000

char *codec_mutable_text(const char *text)
{
    return (char *)(uintptr_t)(text ? text : "");
}

void codec_fill_statistics(const struct statistics *from, Holdfast__Statistics *to)
{
    holdfast__statistics__init(to);
    to->files = from->files;
    to->directories = from->directories;
    to->others = from->others;
    to->bytes = from->bytes;
    to->files_new = from->files_new;
    to->bytes_new = from->bytes_new;
    to->bytes_stored = from->bytes_stored;
    to->warnings = from->warnings;
    to->bytes_read = from->bytes_read;
    to->sources_lost = from->sources_lost;
}

struct statistics codec_read_statistics(const Holdfast__Statistics *m)
{
    if (!m)
        return (struct statistics){0};
    return (struct statistics){m->files,     m->directories,  m->others,   m->bytes,      m->files_new,
                               m->bytes_new, m->bytes_stored, m->warnings, m->bytes_read, m->sources_lost};
}

static void fill_keep(const struct keep_record *from, Holdfast__Keep *to)
{
    holdfast__keep__init(to);
    to->daily = from->daily;
    to->weekly = from->weekly;
    to->monthly = from->monthly;
    to->yearly = from->yearly;
    to->manual = from->manual;
    to->within = from->within;
    to->minimum = from->minimum;
    to->manual_set = from->manual_set;
}

static struct keep_record read_keep(const Holdfast__Keep *m)
{
    if (!m)
        return (struct keep_record){0};
    return (struct keep_record){.daily = m->daily,
                                .weekly = m->weekly,
                                .monthly = m->monthly,
                                .yearly = m->yearly,
                                .manual = m->manual,
                                .minimum = m->minimum,
                                .manual_set = m->manual_set,
                                .within = m->within};
}

size_t codec_class_list(uint32_t classes, char *list[CODEC_CLASS_COUNT])
{
    size_t count = 0;
    for (size_t i = 0; i < CODEC_CLASS_COUNT; i++) {
        if (classes >> i & 1)
            list[count++] = codec_mutable_text(class_names[i]);
    }
    return count;
}

bool codec_read_classes(size_t count, char **list, uint32_t *classes)
{
    *classes = 0;
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        while (k < CODEC_CLASS_COUNT && strcmp(list[i], class_names[k]) != 0)
            k++;
        if (k == CODEC_CLASS_COUNT || *classes >> k & 1)
            return false;
        *classes |= 1u << k;
    }
    return *classes != 0;
}

bool codec_optional_id(ProtobufCBinaryData data, bool *has, struct id *id)
{
    *has = data.len > 0;
    return !*has || codec_fixed(data, id->b, 32);
}

void manifest_encode(const struct manifest *manifest, struct buffer *out)
{
    struct arena arena = {0};
    Holdfast__Manifest m = HOLDFAST__MANIFEST__INIT;
    Holdfast__Statistics statistics;
    Holdfast__Keep keep;
    char *classes[CODEC_CLASS_COUNT];
    codec_fill_statistics(&manifest->statistics, &statistics);
    fill_keep(&manifest->keep, &keep);
    m.host = CODEC_BINARY(manifest->host.b);
    m.host_name = codec_mutable_text(manifest->host_name);
    m.job = codec_mutable_text(manifest->job);
    m.n_classes = codec_class_list(manifest->classes, classes);
    m.classes = classes;
    m.started = manifest->started;
    m.ended = manifest->ended;
    m.n_root = manifest->root.count;
    m.root = codec_extent_list(&manifest->root, &arena);
    m.statistics = &statistics;
    m.n_sources = manifest->source_count;
    m.sources = arena_alloc_array(&arena, manifest->source_count, sizeof *m.sources);
    for (size_t i = 0; i < manifest->source_count; i++)
        m.sources[i] = codec_binary(manifest->sources[i]);
    m.source_type = codec_mutable_text(manifest->source_type);
    m.keep = &keep;
    m.configuration = codec_binary(manifest->configuration);
    if (manifest->has_parent)
        m.parent = CODEC_BINARY(manifest->parent.b);
    m.software = codec_mutable_text(manifest->software);
    m.sequence = manifest->sequence;
    if (manifest->has_previous_manifest)
        m.previous_manifest = CODEC_BINARY(manifest->previous_manifest.b);
    if (manifest->has_previous_run)
        m.previous_run = CODEC_BINARY(manifest->previous_run.b);
    m.keyring_version = manifest->keyring_version;
    m.keyring_sha256 = CODEC_BINARY(manifest->keyring_sha256.b);
    m.n_segments = manifest->segments.count;
    m.segments = codec_id_list(&manifest->segments, &arena);
    m.n_seen = manifest->seen_count;
    m.seen = arena_alloc_array(&arena, manifest->seen_count, sizeof *m.seen);
    for (size_t i = 0; i < manifest->seen_count; i++) {
        m.seen[i] = arena_new(&arena, Holdfast__Seen);
        holdfast__seen__init(m.seen[i]);
        m.seen[i]->host = CODEC_BINARY(manifest->seen[i].host.b);
        m.seen[i]->sequence = manifest->seen[i].sequence;
    }
    codec_pack(&m.base, out);
    arena_free(&arena);
}

static const char *read_manifest(const Holdfast__Manifest *m, struct arena *arena, struct manifest *to)
{
    if (!codec_fixed(m->host, to->host.b, 16) || !codec_fixed(m->keyring_sha256, to->keyring_sha256.b, 32) ||
        !codec_optional_id(m->parent, &to->has_parent, &to->parent) ||
        !codec_optional_id(m->previous_manifest, &to->has_previous_manifest, &to->previous_manifest) ||
        !codec_optional_id(m->previous_run, &to->has_previous_run, &to->previous_run))
        return "a field is missing or of the wrong size";
    if (!codec_text(m->host_name, CODEC_NAME_MAX) || !codec_text(m->job, CODEC_NAME_MAX) || !*m->job ||
        !codec_text(m->source_type, CODEC_NAME_MAX) || !codec_text(m->software, CODEC_NAME_MAX))
        return "a name is out of bounds";
    if (!codec_read_classes(m->n_classes, m->classes, &to->classes))
        return "a class is unknown, twice there, or missing";
    if (m->ended < m->started || m->sequence == 0)
        return "its times or its sequence number are out of range";
    if (m->n_root == 0 || !codec_extents(m->n_root, m->root, arena, &to->root) ||
        !codec_ids(m->n_segments, m->segments, arena, &to->segments))
        return "its root or its list of segments is malformed";
    if (m->n_sources > SOURCES_MAX)
        return "it has too many sources";
    to->source_count = m->n_sources;
    to->sources = arena_alloc_array(arena, m->n_sources, sizeof *to->sources);
    for (size_t i = 0; i < m->n_sources; i++)
        to->sources[i] = codec_bytes(m->sources[i]);
    to->seen_count = m->n_seen;
    to->seen = arena_alloc_array(arena, m->n_seen, sizeof *to->seen);
    for (size_t i = 0; i < m->n_seen; i++) {
        to->seen[i].sequence = m->seen[i]->sequence;
        if (!codec_fixed(m->seen[i]->host, to->seen[i].host.b, 16))
            return "a host that it has seen has no id";
    }
    return NULL;
}

int manifest_decode(struct bytes body, struct arena *arena, struct manifest *manifest, struct error *err)
{
    Holdfast__Manifest *m =
        codec_unpack(&holdfast__manifest__descriptor, body, FORMAT_RECORD_MAX, arena, err);
    if (!m)
        return err ? err->code : ERROR_INTEGRITY;
    *manifest = (struct manifest){.host_name = m->host_name,
                                  .job = m->job,
                                  .started = m->started,
                                  .ended = m->ended,
                                  .statistics = codec_read_statistics(m->statistics),
                                  .source_type = m->source_type,
                                  .keep = read_keep(m->keep),
                                  .configuration = codec_bytes(m->configuration),
                                  .software = m->software,
                                  .sequence = m->sequence,
                                  .keyring_version = m->keyring_version};
    const char *why = read_manifest(m, arena, manifest);
    return why ? codec_malformed(err, "a manifest", why) : 0;
}

void event_encode(const struct event *event, struct buffer *out)
{
    struct arena arena = {0};
    Holdfast__Event m = HOLDFAST__EVENT__INIT;
    m.host = CODEC_BINARY(event->host.b);
    m.type = (Holdfast__EventType)event->type;
    m.created = event->created;
    m.reason = codec_mutable_text(event->reason);
    m.n_snapshots = event->snapshots.count;
    m.snapshots = codec_id_list(&event->snapshots, &arena);
    m.n_packs = event->packs.count;
    m.packs = codec_id_list(&event->packs, &arena);
    m.n_events = event->events.count;
    m.events = codec_id_list(&event->events, &arena);
    m.n_runs = event->runs.count;
    m.runs = codec_id_list(&event->runs, &arena);
    m.n_checks = event->check_count;
    m.checks = event->checks;
    m.n_frames = event->frame_count;
    m.frames = arena_alloc_array(&arena, event->frame_count, sizeof *m.frames);
    Holdfast__FrameRef *frames = arena_alloc_array(&arena, event->frame_count, sizeof *frames);
    for (size_t i = 0; i < event->frame_count; i++) {
        holdfast__frame_ref__init(&frames[i]);
        frames[i].pack = CODEC_BINARY(event->frames[i].pack.b);
        frames[i].frame = event->frames[i].frame;
        m.frames[i] = &frames[i];
    }
    codec_pack(&m.base, out);
    arena_free(&arena);
}

int event_decode(struct bytes body, struct arena *arena, struct event *event, struct error *err)
{
    Holdfast__Event *m = codec_unpack(&holdfast__event__descriptor, body, FORMAT_RECORD_MAX, arena, err);
    if (!m)
        return err ? err->code : ERROR_INTEGRITY;
    *event = (struct event){.type = (enum event_type)m->type, .created = m->created, .reason = m->reason};
    if (!codec_fixed(m->host, event->host.b, 16) ||
        !codec_ids(m->n_snapshots, m->snapshots, arena, &event->snapshots) ||
        !codec_ids(m->n_packs, m->packs, arena, &event->packs) ||
        !codec_ids(m->n_events, m->events, arena, &event->events) ||
        !codec_ids(m->n_runs, m->runs, arena, &event->runs))
        return codec_malformed(err, "an event", "a field is missing or of the wrong size");
    if (m->type < HOLDFAST__EVENT_TYPE__EVENT_FORGET || m->type > HOLDFAST__EVENT_TYPE__EVENT_BAD_FRAMES) {
        error_set(err, ERROR_UNSUPPORTED, "an event of unknown type");
        return ERROR_UNSUPPORTED;
    }
    if (!codec_text(m->reason, CODEC_TEXT_MAX))
        return codec_malformed(err, "an event", "its reason is out of bounds");
    event->checks = m->checks;
    event->check_count = m->n_checks;
    event->frame_count = m->n_frames;
    event->frames = arena_alloc_array(arena, m->n_frames, sizeof *event->frames);
    for (size_t i = 0; i < m->n_frames; i++) {
        event->frames[i].frame = m->frames[i]->frame;
        if (!codec_fixed(m->frames[i]->pack, event->frames[i].pack.b, 32))
            return codec_malformed(err, "an event", "a frame names no pack");
    }
    return 0;
}

void lease_encode(const struct lease *lease, struct buffer *out)
{
    Holdfast__Lease m = HOLDFAST__LEASE__INIT;
    m.host = CODEC_BINARY(lease->host.b);
    m.writer = CODEC_BINARY(lease->writer.b);
    m.started = lease->started;
    m.refreshed = lease->refreshed;
    m.purpose = codec_mutable_text(lease->purpose);
    codec_pack(&m.base, out);
}

int lease_decode(struct bytes body, struct arena *arena, struct lease *lease, struct error *err)
{
    Holdfast__Lease *m = codec_unpack(&holdfast__lease__descriptor, body, FORMAT_RECORD_MAX, arena, err);
    if (!m)
        return err ? err->code : ERROR_INTEGRITY;
    *lease = (struct lease){.started = m->started, .refreshed = m->refreshed, .purpose = m->purpose};
    if (!codec_fixed(m->host, lease->host.b, 16) || !codec_fixed(m->writer, lease->writer.b, 16) ||
        !codec_text(m->purpose, CODEC_NAME_MAX))
        return codec_malformed(err, "a lease", "a field is missing or of the wrong size");
    return 0;
}
