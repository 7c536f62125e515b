#include "cli/snapshot_json.h"

#include "cli/output.h"

json_t *snapshot_classes_json(uint32_t classes)
{
    json_t *list = json_array();
    for (unsigned c = 0; c < KEEP_CLASS_COUNT; c++) {
        if (classes >> c & 1)
            json_array_append_new(list, json_string(keep_class_name((enum keep_class)c)));
    }
    return list;
}

void snapshot_append_classes(uint32_t classes, struct buffer *out)
{
    const char *before = "";
    for (unsigned c = 0; c < KEEP_CLASS_COUNT; c++) {
        if (!(classes >> c & 1))
            continue;
        buffer_append_format(out, "%s%s", before, keep_class_name((enum keep_class)c));
        before = " ";
    }
}

json_t *snapshot_json(const struct snapshot *s, const struct repository *repository)
{
    const struct manifest *m = &s->manifest;
    const struct repository_parameters *p = repository_parameters(repository);
    json_t *o = json_object(), *targets = json_array();
    output_json_id(o, "id", &s->sha256);
    json_object_set_new(o, "job", json_string(m->job));
    json_object_set_new(o, "host", json_string(m->host_name));
    output_json_time(o, "time", m->ended);
    output_json_time(o, "started", m->started);
    json_object_set_new(o, "classes", snapshot_classes_json(m->classes));
    json_object_set_new(o, "pinned", json_boolean(s->pinned));
    output_json_number(o, "files", m->statistics.files);
    output_json_number(o, "directories", m->statistics.directories);
    output_json_number(o, "bytes", m->statistics.bytes);
    output_json_number(o, "bytes_new", m->statistics.bytes_new);
    output_json_number(o, "bytes_stored", m->statistics.bytes_stored);
    output_json_number(o, "warning_count", m->statistics.warnings);
    json_object_set_new(o, "incomplete", json_boolean(m->statistics.warnings != 0));
    output_json_bytes_list(o, "sources", m->sources, m->source_count);
    for (size_t t = 0; t < p->target_count; t++) {
        if (s->targets >> t & 1)
            output_json_append(targets, bytes_of_string(p->target_labels[t]));
    }
    json_object_set_new(o, "targets", targets);
    return o;
}
