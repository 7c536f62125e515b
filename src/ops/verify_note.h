/*
 * What the last verify or heal that somebody started by hand found, kept as a small file of the state folder:
 * not in the catalog, which another process may hold meanwhile. For the commands that verify, and `status`.
 */
#ifndef OPS_VERIFY_NOTE_H
#define OPS_VERIFY_NOTE_H

#include "base/error.h"
#include "policy/verdict.h"

struct verify_note {
    struct verdict_check last;   /* .time 0: none */
    struct verdict_check damage; /* the last that found any */
    struct verdict_check clean;  /* the last that read everything and found none */
    uint64_t objects, bytes;     /* that the last one read */
};

/* All zero where there is none, or none that can be read. */
void verify_note_load(const char *state_folder, struct verify_note *note);
/* Takes a check that came to its end into the note and writes it. */
int verify_note_add(const char *state_folder, const struct verdict_check *check, uint64_t objects,
                    uint64_t bytes, struct error *err);

#endif
