/*
 * What the files of the restore share: files in flight, pieces of content, tasks. Nobody else includes it.
 */
#ifndef OPS_RESTORE_INTERNAL_H
#define OPS_RESTORE_INTERNAL_H

#include "base/queue.h"
#include "ops/restore.h"
#include "repo/blobs.h"
#include "source/metadata_writer.h"
#include "source/writer.h"
#include "tree/tree.h"

#include <pthread.h>
#include <stdatomic.h>

/* Files that have a descriptor at the same time. While the workers fill one half the walker makes the other.
 */
#define RESTORE_OPEN_FILES 4096

/* An open directory of the destination; closed when the last user is done. */
struct target_directory {
    int fd;      /* -1 in a dry run where it is not there */
    char *place; /* its path below the destination: not always the one that the snapshot has */
    atomic_size_t users;
};

/* Takes fd and place. */
struct target_directory *target_directory_new(int fd, char *place);
void target_directory_hold(struct target_directory *d);
void target_directory_release(struct target_directory *d);

/* A file while its contents arrive. */
struct target_file {
    struct restore *restore;
    struct target_directory *directory;
    struct writer_file file;
    struct arena arena;
    struct node node;
    char *path;              /* for messages */
    pthread_mutex_t writing; /* the kernel lets one write to a file at a time, and others spin */
    atomic_size_t pending;
    atomic_bool damaged, failed;
};

#define RESTORE_OPENING 16 /* locks for as many packs */

/* A blob that goes to a place in a file. */
struct piece {
    struct target_file *file;
    struct id blob;
    uint64_t offset; /* in the file */
    struct blob_location copy;
};

/* What one request brings: pieces of one pack, in the order of its frames. */
struct piece_task {
    struct piece *pieces;
    size_t count;
    struct pack_reader *reader; /* where it was fetched ahead */
};

struct restore {
    struct repository *repository;
    const struct restore_parameters *parameters;
    struct restore_result *result;
    struct writer *writer;
    struct queue *tasks;
    pthread_t workers[WORKERS_MAX];
    size_t worker_count;
    struct queue *ahead; /* tasks to be fetched first; NULL where a request costs next to nothing */
    pthread_t fetchers[64];
    size_t fetcher_count;
    /* By number of a pack: whoever opens it first asks for its slots, and the others find them. */
    pthread_mutex_t opening[RESTORE_OPENING];
    atomic_bool stopped;
    uint64_t total;
    atomic_uint_fast64_t files, bytes, fetched, failed, damaged, warnings, owner_failures;
    pthread_mutex_t lock;
    pthread_cond_t file_closed;
    size_t open_files;
    struct error first; /* failure that has a hint */

    /* the walker's */
    struct piece *window;
    size_t window_count, window_capacity;
    uint64_t window_bytes;
    struct metadata_writer *metadata;
    struct blob_hasher *hasher;
    struct buffer compare;
};

bool restore_stopped(struct restore *r);
void restore_warn(struct restore *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Warns that an entry could not be made; what can be done about the first of them is said at the end. */
void restore_fail(struct restore *r, const char *path, const struct error *why);
void *restore_worker(void *restore);
/* From `ahead` to `tasks`, the frames fetched. */
void *restore_fetcher(void *restore);
/* Hands the pieces gathered so far to the workers. */
void restore_flush(struct restore *r);
void target_file_release(struct target_file *file, struct metadata_writer *metadata);
/* Walks what was selected. */
void restore_walk(struct restore *r, const struct selection *selection);

#endif
