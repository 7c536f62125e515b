/*
 * Restoring: files of a snapshot below a destination, in parallel. For the command restore (and drills).
 */
#ifndef OPS_RESTORE_H
#define OPS_RESTORE_H

#include "repo/snapshots.h"
#include "source/owner_map.h"

enum restore_overwrite {
    RESTORE_NEVER,   /* what is there stays */
    RESTORE_CHANGED, /* what is there is compared; what differs is replaced, and only blobs that differ are
                        fetched */
    RESTORE_ALWAYS   /* what is there is replaced */
};

struct restore_parameters {
    const struct snapshot *snapshot;
    const char *const *paths; /* none: everything */
    size_t path_count;
    const char *destination; /* made if it is missing */
    enum restore_overwrite overwrite;
    struct owner_map *owners; /* NULL: by number */
    bool dry_run;
    unsigned workers; /* 0: as many as there are processors */
    void (*progress)(void *context, uint64_t bytes, uint64_t total);
    void *progress_context;
    const volatile int *cancelled;
};

#define RESTORE_CAUSES_MAX 32
#define RESTORE_CAUSE_SIZE 256

struct restore_result {
    uint64_t files, directories, others, bytes; /* made, or changed; all directories */
    uint64_t overwritten;                       /* of the files and others: were there, and were not so */
    uint64_t skipped;                           /* were there already, and were left alone */
    uint64_t unchanged;                         /* were there already, and are what they should be */
    uint64_t copies;                            /* hard links that could not be made, see the warnings */
    uint64_t fetched_bytes;                     /* plaintext read from the repository */
    uint64_t conflicts; /* names that the file system takes for others': they are others, see the warnings */
    uint64_t failed;    /* entries that could not be made, each with a warning */
    uint64_t damaged;   /* of these: because of damage in the repository */
    uint64_t owner_failures; /* owners that only root can set */
    uint64_t warnings;
    double seconds;
    /* Why entries could not be read from the repository: each pack that is missing or damaged once. */
    char causes[RESTORE_CAUSES_MAX][RESTORE_CAUSE_SIZE];
    size_t cause_count;
};

/* A dry run looks at what is there and counts the same. The repository must be synced and opened with a
 * person's key. NOT_FOUND for a path that the snapshot has not; FAILED if the result would be empty;
 * INTEGRITY if something could not be restored because of damage (everything else was); FAILED if something
 * could not be made. */
int restore_run(struct repository *repository, const struct restore_parameters *parameters,
                struct restore_result *result, struct error *err);

/* The nodes that paths name, each with its whole path, the outer before the inner: entries at or below a
 * source, and every source below a path. */
struct selection {
    struct arena arena;
    struct selected {
        const char *path;
        bool named; /* by a path of its own; else it is a source below one, or all are meant */
        struct node node;
    } * list;
    size_t count;
};

int selection_make(struct repository *repository, const struct extents *root, const char *const *paths,
                   size_t path_count, struct selection *selection, struct error *err);
/* True if path is one of the selected ones, or lies below one. */
bool selection_has(const struct selection *selection, struct bytes path);
void selection_free(struct selection *selection);

#endif
