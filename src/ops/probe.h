/*
 * Trying a target for real: what check-config --online shows. It writes one small object and removes it.
 */
#ifndef OPS_PROBE_H
#define OPS_PROBE_H

#include "storage/storage.h"

enum probe_outcome { PROBE_GOOD, PROBE_NOTE, PROBE_WARNING, PROBE_FAILED };

struct probe_check {
    const char *name; /* "answer", "region", "write", ... */
    enum probe_outcome outcome;
    char detail[2048], hint[512];
};

struct probe_parameters {
    const char *region; /* NULL: a target without */
    int64_t retain;     /* seconds; 0: no lock is asked for */
};

#define PROBE_CHECKS_MAX 16

struct probe {
    struct probe_check checks[PROBE_CHECKS_MAX];
    size_t count;
    enum probe_outcome worst;
};

/* The result for a target that could not be opened. */
void probe_unopened(const struct error *why, struct probe *probe);

/* The result for a folder that is still to be made. */
void probe_unmade(const char *path, struct probe *probe);

/* Never fails: what fails is in the result. Once the target does not answer, the rest is left out. */
void probe_run(struct storage *storage, const struct probe_parameters *parameters, struct probe *probe);

#endif
