/*
 * Taking a snapshot: reads a source, stores what is new, commits a manifest. For the commands backup and run.
 */
#ifndef OPS_BACKUP_H
#define OPS_BACKUP_H

#include "repo/repository.h"

enum backup_source { BACKUP_FILES, BACKUP_COMMAND, BACKUP_TAR };

struct backup_parameters {
    const char *job;
    enum backup_source source;
    const char *const *paths; /* files: absolute */
    size_t path_count;
    const char *const *exclude;
    size_t exclude_count;
    bool one_file_system, exclude_caches;
    const char *const *own; /* folders of the program itself: their contents are left out */
    size_t own_count;
    const char *const *command; /* command, tar: ends with NULL; NULL for an archive */
    const char *archive;        /* tar: a file */
    const char *filename;       /* command: the file's name in the snapshot */
    uint32_t classes;           /* CLASS_ bits */
    struct keep_record keep;
    struct bytes configuration; /* kept in the manifest */
    unsigned workers;           /* threads; 0: as many as there are processors */
    /* Called now and then with bytes done; may be NULL. */
    void (*progress)(void *context, uint64_t bytes);
    void *progress_context;
    /* Set by a signal handler: the work stops soon, with CANCELLED. May be NULL. */
    const volatile int *cancelled;
};

#define BACKUP_WARNINGS_MAX 1000

struct backup_result {
    struct id snapshot;
    struct statistics statistics;
    char *warnings[BACKUP_WARNINGS_MAX]; /* the first ones; statistics.warnings counts all */
    size_t warning_count;
    size_t mounts_left_out; /* what is mounted below a source and was not entered */
    size_t targets_behind;  /* configured targets that did not commit this snapshot */
    double seconds;
};

/* The repository must be open for writing, with a lease, synced and caught up. Warnings are printed as they
 * come. On failure nothing is committed; what was uploaded is reused by the next run. Errors: those of the
 * source (a command that fails fails the snapshot), of the targets (too few committed), CANCELLED. */
int backup_run(struct repository *repository, const struct backup_parameters *parameters,
               struct backup_result *result, struct error *err);
void backup_result_free(struct backup_result *result);

#endif
