#include "ops/verify_note.h"

#include "base/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_NAME "verify"
#define FILE_MAX 4096

/* One line for each check: time, damaged objects, whether all was read; the last line: objects and bytes. */
#define LINE "%" PRId64 " %" PRIu64 " %u\n"
#define READ_LINE "%" SCNd64 " %" SCNu64 " %u "

void verify_note_load(const char *state_folder, struct verify_note *note)
{
    struct buffer text = {0};
    struct verdict_check checks[3] = {{0}};
    unsigned all[3];
    uint64_t objects, bytes;
    char *path = file_join(state_folder, FILE_NAME);
    *note = (struct verify_note){0};
    if (file_read(path, FILE_MAX, &text, NULL) == 0 &&
        sscanf(buffer_string(&text), READ_LINE READ_LINE READ_LINE "%" SCNu64 " %" SCNu64, &checks[0].time,
               &checks[0].damaged, &all[0], &checks[1].time, &checks[1].damaged, &all[1], &checks[2].time,
               &checks[2].damaged, &all[2], &objects, &bytes) == 11) {
        for (size_t i = 0; i < 3; i++)
            checks[i].all = all[i] != 0;
        *note = (struct verify_note){checks[0], checks[1], checks[2], objects, bytes};
    }
    buffer_free(&text);
    free(path);
}

static void append(struct buffer *text, const struct verdict_check *check)
{
    buffer_append_format(text, LINE, check->time, check->damaged, (unsigned)check->all);
}

int verify_note_add(const char *state_folder, const struct verdict_check *check, uint64_t objects,
                    uint64_t bytes, struct error *err)
{
    struct verify_note note;
    struct buffer text = {0};
    char *path = file_join(state_folder, FILE_NAME);
    verify_note_load(state_folder, &note);
    note.last = *check;
    if (check->damaged)
        note.damage = *check;
    else if (check->all)
        note.clean = *check;
    append(&text, &note.last);
    append(&text, &note.damage);
    append(&text, &note.clean);
    buffer_append_format(&text, "%" PRIu64 " %" PRIu64 "\n", objects, bytes);
    int code = file_write_atomic(path, buffer_bytes(&text), 0600, err);
    buffer_free(&text);
    free(path);
    return code;
}
