/*
 * Jobs whose expired snapshots a prune held back because they were too many at once, kept as a small file of
 * the state folder: what held stays so until somebody looked, however many snapshots come meanwhile. For
 * prune and status.
 */
#ifndef OPS_BRAKE_NOTE_H
#define OPS_BRAKE_NOTE_H

#include "base/error.h"
#include "base/id.h"

#include <stdbool.h>
#include <stddef.h>

#define BRAKE_NOTES_MAX 1024 /* more are not remembered */

struct brake_note {
    struct id job;        /* see brake_note_job() */
    unsigned max_removal; /* per cent, that was too little */
    bool seen;            /* somebody looked: they may go */
    int64_t since;        /* Unix seconds */
};

struct brake_notes {
    struct brake_note list[BRAKE_NOTES_MAX];
    size_t count;
};

/* Names a job of a host. */
struct id brake_note_job(const struct id16 *host, const char *job);
/* Empty where there is no file, or none that can be read; state_folder may be NULL, here and below. The
 * caller frees it. */
struct brake_notes *brake_notes_load(const char *state_folder);
/* The note of a job, or NULL. */
struct brake_note *brake_notes_find(struct brake_notes *notes, const struct id *job);
/* Sets the note of a job, or with NULL takes it away. */
void brake_notes_set(struct brake_notes *notes, const struct id *job, const struct brake_note *note);
/* Somebody looked at all of them. */
int brake_notes_see(const char *state_folder, struct error *err);
int brake_notes_save(const char *state_folder, const struct brake_notes *notes, struct error *err);

#endif
