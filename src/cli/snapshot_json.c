#include "cli/snapshot_json.h"

#include "cli/output.h"

const char *snapshot_class_name(unsigned number)
{
    static const char *const names[SNAPSHOT_CLASSES] = {"daily", "weekly", "monthly", "yearly", "manual"};
    return names[number];
}

json_t *snapshot_json(const struct snapshot *s)
{
    const struct manifest *m = &s->manifest;
    json_t *o = json_object(), *classes = json_array(), *sources = json_array();
    output_json_id(o, "id", &s->sha256);
    json_object_set_new(o, "job", json_string(m->job));
    json_object_set_new(o, "host", json_string(m->host_name));
    output_json_time(o, "time", m->ended);
    output_json_time(o, "started", m->started);
    for (unsigned c = 0; c < SNAPSHOT_CLASSES; c++) {
        if (m->classes >> c & 1)
            json_array_append_new(classes, json_string(snapshot_class_name(c)));
    }
    json_object_set_new(o, "classes", classes);
    json_object_set_new(o, "pinned", json_boolean(s->pinned));
    output_json_number(o, "files", m->statistics.files);
    output_json_number(o, "directories", m->statistics.directories);
    output_json_number(o, "bytes", m->statistics.bytes);
    output_json_number(o, "bytes_new", m->statistics.bytes_new);
    output_json_number(o, "bytes_stored", m->statistics.bytes_stored);
    output_json_number(o, "warning_count", m->statistics.warnings);
    for (size_t i = 0; i < m->source_count; i++)
        json_array_append_new(sources,
                              json_stringn_nocheck((const char *)m->sources[i].data, m->sources[i].size));
    json_object_set_new(o, "sources", sources);
    return o;
}
