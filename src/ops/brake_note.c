#include "ops/brake_note.h"

#include "base/file.h"
#include "base/memory.h"
#include "crypto/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "brakes"
#define LINE_MAX_SIZE 128

struct id brake_note_job(const struct id16 *host, const char *job)
{
    struct buffer text = {0};
    struct id id;
    buffer_append(&text, host->b, sizeof host->b);
    buffer_append_string(&text, job);
    sha256(buffer_bytes(&text), &id);
    buffer_free(&text);
    return id;
}

struct brake_notes *brake_notes_load(const char *state_folder)
{
    struct brake_notes *notes = memory_new(struct brake_notes);
    struct buffer text = {0};
    if (!state_folder)
        return notes;
    char *path = file_join(state_folder, FILE_NAME);
    const char *line =
        file_read(path, BRAKE_NOTES_MAX * LINE_MAX_SIZE, &text, NULL) == 0 ? buffer_string(&text) : "";
    while (*line && notes->count < BRAKE_NOTES_MAX) {
        char hex[65];
        unsigned max_removal, seen;
        int64_t since;
        struct brake_note *n = &notes->list[notes->count];
        if (sscanf(line, "%64[0-9a-f] %u %u %" SCNd64, hex, &max_removal, &seen, &since) == 4 &&
            strlen(hex) == 64 && hex_decode(hex, 64, n->job.b, sizeof n->job.b)) {
            n->max_removal = max_removal;
            n->seen = seen != 0;
            n->since = since;
            notes->count++;
        }
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    buffer_free(&text);
    free(path);
    return notes;
}

struct brake_note *brake_notes_find(struct brake_notes *notes, const struct id *job)
{
    for (size_t i = 0; i < notes->count; i++) {
        if (id_equal(&notes->list[i].job, job))
            return &notes->list[i];
    }
    return NULL;
}

void brake_notes_set(struct brake_notes *notes, const struct id *job, const struct brake_note *note)
{
    struct brake_note *old = brake_notes_find(notes, job);
    if (note && !old && notes->count < BRAKE_NOTES_MAX)
        old = &notes->list[notes->count++];
    if (note && old)
        *old = *note;
    else if (old)
        *old = notes->list[--notes->count];
}

int brake_notes_save(const char *state_folder, const struct brake_notes *notes, struct error *err)
{
    struct buffer text = {0};
    char hex[ID_HEX_SIZE];
    if (!state_folder)
        return 0;
    for (size_t i = 0; i < notes->count; i++) {
        const struct brake_note *n = &notes->list[i];
        id_to_hex(&n->job, hex);
        buffer_append_format(&text, "%s %u %u %" PRId64 "\n", hex, n->max_removal, (unsigned)n->seen,
                             n->since);
    }
    char *path = file_join(state_folder, FILE_NAME);
    int code = file_write_atomic(path, buffer_bytes(&text), 0600, err);
    buffer_free(&text);
    free(path);
    return code;
}

int brake_notes_see(const char *state_folder, struct error *err)
{
    struct brake_notes *notes = brake_notes_load(state_folder);
    for (size_t i = 0; i < notes->count; i++)
        notes->list[i].seen = true;
    int code = brake_notes_save(state_folder, notes, err);
    free(notes);
    return code;
}
