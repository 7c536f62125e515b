/*
 * What the files of the backup share: the pipeline's state, directories in flight, tasks. Nobody else
 * includes it.
 */
#ifndef OPS_BACKUP_INTERNAL_H
#define OPS_BACKUP_INTERNAL_H

#include "base/limits.h"
#include "base/queue.h"
#include "ops/backup.h"
#include "ops/backup_links.h"
#include "repo/blob_writer.h"
#include "source/exclude.h"
#include "source/file.h"
#include "source/file_system.h"
#include "source/metadata.h"
#include "tree/tree.h"

#include <pthread.h>
#include <stdatomic.h>

struct backup;
struct command;

/* ---- the stat cache (backup_cache.c) ---- */

/* What one entry of a directory was when it was last read. */
struct cached_entry {
    struct bytes name;
    uint8_t type;
    bool trusted;
    uint64_t size, inode;
    int64_t mtime_seconds, ctime_seconds;
    uint32_t mtime_nanoseconds, ctime_nanoseconds;
    struct id link; /* of the hard link's path, or of a directory's subtree; zero for none */
};

struct cached_directory {
    struct arena arena;
    struct id file_system; /* see source_file_system_examine() */
    struct extents tree;
    struct cached_entry *entries; /* sorted by name */
    size_t count;
};

/* False if there is no row. */
bool cache_read(struct backup *b, const char *path, struct cached_directory *row);
void cache_write(struct backup *b, const char *path, const struct id *file_system, const struct extents *tree,
                 const struct cached_entry *entries, size_t count);
void cached_directory_free(struct cached_directory *row);
const struct cached_entry *cache_find(const struct cached_directory *row, struct bytes name);
/* settled: in seconds; what is younger is not trusted the next time. */
struct cached_entry cache_entry(struct bytes name, const struct source_stat *st, int64_t settled);
bool cache_entry_same(const struct cached_entry *a, const struct cached_entry *b);
/* Sets cache_valid: whether the blobs that the last snapshot of this job needed are all still usable. Makes
 * the cache count for nothing until it is stamped again: from now on it also names listings that are stored
 * only if this backup comes to its end. */
int cache_begin(struct backup *b, struct error *err);
int cache_stamp(struct backup *b, const struct id *manifest, struct error *err);
void extents_hash(const struct extents *extents, struct id *out);

/* ---- directories in flight (backup_directory.c) ---- */

/* What is known of a file system, from when the walk first came to it. */
struct file_system {
    uint64_t device;
    struct source_file_system facts;
    int64_t settled; /* seconds: what changed before had been written back */
};

struct directory {
    struct backup *backup;
    struct directory *parent;
    size_t index_in_parent;
    char *path; /* absolute; "" for the root tree */
    struct file_system file_system;
    int fd;      /* -1 for the root tree */
    int beneath; /* the same, without what is mounted on its entries; -1 where it was not needed */
    pthread_mutex_t lock;
    struct arena *arenas; /* what nodes point to; one for each task that is done */
    size_t arena_count, arena_capacity;
    struct arena arena;          /* of the walker */
    struct node *nodes;          /* type UNKNOWN: left out, or, if all is the same, as in the last listing */
    struct cached_entry *cached; /* type UNKNOWN: left out */
    struct source_stat *stats;   /* of entries, when they were looked at last; the walker's */
    size_t count;
    struct source_stat stat; /* of itself, when it was opened */
    struct tree old;         /* the listing of the last snapshot, when it had to be read */
    struct cached_directory row;
    bool waits;         /* only collects: nothing is stored for it */
    bool has_row, same; /* same: entry for entry as the row says, children not looked at */
    atomic_size_t pending;
};

struct directory *directory_new(struct backup *b, struct directory *parent, size_t index, const char *path,
                                int fd);
void directory_hold(struct directory *d);
/* One part of it is done; the last one stores the listing and passes the result on to the parent. */
void directory_release(struct directory *d);
/* What an entry was found to be when it was opened, for the stat cache. */
void directory_note_entry(struct directory *d, size_t index, const struct source_stat *st);
/* An entry does not come into the listing, unless it is noted again. */
void directory_leave_out(struct directory *d, size_t index);
/* Keeps memory that nodes point to; *arena is emptied. */
void directory_keep(struct directory *d, struct arena *arena);

/* ---- tasks (backup_worker.c) ---- */

#define BATCH_FILES_MAX 64

struct large_file {
    struct directory *directory;
    struct node *node;
    uint32_t owner;
    pthread_mutex_t lock;
    struct extent *extents;
    size_t count, capacity;
    atomic_size_t pending;
};

struct large_file *large_file_new(struct directory *d, struct node *node);
size_t large_file_add(struct large_file *file, struct extent extent);
void large_file_release(struct large_file *file);

struct task {
    bool is_chunk;
    /* a batch of small files */
    struct directory *directory;
    size_t indexes[BATCH_FILES_MAX];
    size_t count;
    uint64_t bytes;
    /* a chunk of a large file */
    struct large_file *file;
    size_t extent;
    struct bytes chunk; /* in the ring */
    struct read_piece *piece;
};

/* ---- cutting (backup_feeder.c) ---- */

/* What the source is read into. Its chunks lie there until the workers are done with them: they are not
 * copied. */
struct read_ring {
    pthread_mutex_t lock; /* the pieces */
    pthread_cond_t freed;
    struct read_piece *oldest, *newest; /* with the workers, as they were read */
    uint8_t *data;
    size_t size, end; /* where the reading thread goes on */
};

void read_ring_new(struct read_ring *ring);
void read_ring_free(struct read_ring *ring);
/* A worker is done with a chunk. */
void read_ring_release(struct read_ring *ring, struct read_piece *piece);

/* ---- the whole ---- */

/* An entry that was not what it had been when its turn came: the walker looks at it again. */
struct again {
    struct directory *directory;
    size_t index;
    unsigned tries;
};

struct bare {
    const char *path;
    bool gone;
};

struct backup {
    struct repository *repository;
    const struct backup_parameters *parameters;
    struct backup_result *result;
    struct blob_writer *writer;
    struct exclude *exclude;
    struct source_stat *own; /* in root_arena */
    size_t own_count;
    struct queue *tasks;
    pthread_t workers[WORKERS_MAX];
    size_t worker_count;
    bool cache_valid;
    bool use_cache;

    atomic_bool failed;
    pthread_mutex_t lock; /* what follows */
    pthread_cond_t root_done;
    pthread_cond_t batch_done;
    size_t batches; /* of small files, with the workers */
    struct again *again;
    size_t again_count, again_capacity;
    struct error error;
    bool root_is_done;
    struct arena root_arena;
    struct extents root;

    atomic_uint_fast64_t files, directories, others, bytes, bytes_same, files_new;
    atomic_uint_fast64_t unread; /* entries that are there and could not be read */

    struct links *links; /* the walker's */
    struct bare *bare;   /* sources that are empty or gone; the walker's */
    size_t bare_count, bare_capacity;
    struct read_ring ring;
};

/* Notes the first failure; everything else stops soon. */
void backup_fail(struct backup *b, const struct error *err);
bool backup_stopped(struct backup *b);
/* Keeps the lease and writes checkpoints when it is time; called now and then by the thread that reads. */
void backup_tick(struct backup *b);
void backup_warn(struct backup *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Until the root directory is done; the workers must run. */
void backup_wait_root(struct backup *b);
void backup_count_bytes(struct backup *b, uint64_t bytes);
/* The walker is to look at an entry again; from any thread that holds the directory. */
void backup_look_again(struct backup *b, struct directory *d, size_t index, unsigned tries);

/* Counts the sources that are lost, and warns if the snapshot has collapsed, see policy/collapse.h. */
void backup_judge(struct backup *b);

void *worker_main(void *backup);
/* Walks the sources; ends when all was handed to the workers. */
void walk_files(struct backup *b);
int read_command(struct backup *b, struct error *err);
/* Waits for the end of the source's command and shows what it said; its failure is the snapshot's. */
int finish_command(struct backup *b, struct command *command, struct error *err);
int read_archive(struct backup *b, struct error *err);
/* Reads and cuts a large file's data through this, from whatever source. One file at a time. */
struct chunk_feeder;
struct chunk_feeder *chunk_feeder_new(struct backup *b, struct large_file *file);
/* Room for data: at most *size bytes. */
void *chunk_feeder_room(struct chunk_feeder *f, size_t *size);
/* What was put there. */
void chunk_feeder_commit(struct chunk_feeder *f, size_t size);
void chunk_feeder_hole(struct chunk_feeder *f, uint64_t length);
/* Hands over the rest. */
void chunk_feeder_end(struct chunk_feeder *f);

#endif
