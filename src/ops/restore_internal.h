/*
 * What the files of the restore share: files in flight, pieces of content, tasks. Nobody else includes it.
 */
#ifndef OPS_RESTORE_INTERNAL_H
#define OPS_RESTORE_INTERNAL_H

#include "base/id_map.h"
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
    int fd;                 /* -1 in a dry run where it is not there */
    bool made;              /* by this restore */
    struct extents subtree; /* what the snapshot has in it; empty where it does not have it */
    const char *path;       /* that it has in the snapshot, if something was selected in it by its path */
    struct restore_names *names;
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
    bool replaces; /* something that is there */
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

#define RESTORE_UNSET_KINDS 16

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
    atomic_uint_fast64_t files, overwritten, bytes, fetched, failed, damaged, warnings, owner_failures;
    pthread_mutex_t lock;
    pthread_cond_t file_closed;
    size_t open_files;
    /* What could not be set of entries, without their paths: the first of each kind are told one by one. */
    struct restore_unset {
        char *what;
        uint64_t count;
    } unset[RESTORE_UNSET_KINDS];
    struct error first;  /* failure that has a hint */
    uint64_t unread;     /* entries of restore_fail_unread() */
    struct id_map *lost; /* hash of the place of what could not be made */

    /* the walker's */
    struct piece *window;
    size_t window_count, window_capacity;
    uint64_t window_bytes;
    struct metadata_writer *metadata;
    struct blob_hasher *hasher;
    /* One descriptor on each that was written to: what fails there from now on is told by syncfs(). */
    struct {
        uint64_t device;
        int fd;
    } * file_systems;
    size_t file_system_count, file_system_capacity;
    struct metadata_writer *pretender;
    struct owner_map *pretended_owners;
    struct buffer compare;
};

/* What is done when all contents are there. */
struct restore_later {
    const char *directory;   /* its place, or that of what holds the entry */
    struct extents siblings; /* of a link: see struct target_directory */
    const char *path;
    struct node node;
};

/* A list of them. */
struct restore_laters {
    struct restore_later *list;
    size_t count, capacity;
};

/* What only the thread that walks the trees knows. */
struct walk {
    struct restore *restore;
    const struct selection *selection;
    struct arena arena;
    struct restore_laters directories, links;
    struct id_map *moved; /* hash of a first name's path: which of moved_places got its contents */
    const char **moved_places;
    size_t moved_count, moved_capacity;
    /* Where what lies at or below a path of the snapshot is, if not at the same path. */
    struct {
        const char *path, *place;
    } * places;
    size_t place_count, place_capacity;
    struct node above;      /* the folder that was asked for last */
    struct id_map *left;    /* hash of the place of what was there already, and is another file */
    struct id_map *renewed; /* likewise of what a dry run would replace or make */
    /* Hard links that could not be made, by reason. */
    struct restore_copies {
        char *path; /* of the first of them */
        char *why;
        uint64_t count;
    } * copies;
    size_t copies_count, copies_capacity;
    /* Entries that got another name, for the file system took theirs for that of another. */
    struct restore_given {
        const char *directory; /* place */
        struct bytes name;
        const char *from, *to; /* places */
    } * given;
    size_t given_count, given_capacity;
    struct level *levels;
    size_t depth, capacity;
};

/* What is at the place of an entry, and what is to become of it. */
enum restore_way {
    RESTORE_FREE,    /* nothing is there */
    RESTORE_LEFT,    /* it stays */
    RESTORE_SAME,    /* it is what it should be */
    RESTORE_SET,     /* likewise, but for its metadata */
    RESTORE_REPLACED /* it is something else */
};

struct restore_found {
    enum restore_way way;
    struct source_stat stat;
    int old;           /* the file that is there, open for reading, or -1 */
    uint64_t to_fetch; /* in a dry run: what is not in the file that is there */
};

bool restore_stopped(struct restore *r);
void restore_warn(struct restore *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Of what a file system cannot keep, such as owners, each entry may lack it. The callback of a
 * metadata_writer. */
void restore_warn_metadata(void *restore, const char *message);
/* Warns that an entry could not be made; what can be done about the first of them is said at the end. */
void restore_fail(struct restore *r, const char *path, const struct error *why);
/* Likewise for what the repository does not give: the cause is told once, however many entries it touches,
 * and those are counted, the first ones named. */
void restore_fail_unread(struct restore *r, const char *path, const struct error *why);
void *restore_worker(void *restore);
/* From `ahead` to `tasks`, the frames fetched. */
void *restore_fetcher(void *restore);
/* Hands the pieces gathered so far to the workers. */
void restore_flush(struct restore *r);
/* Likewise, and waits until every file has its name. */
void restore_wait(struct restore *r);
void target_file_give_up(struct target_file *file, bool unread, const struct error *why);
void target_file_release(struct target_file *file, struct metadata_writer *metadata);
/* The file system of an open directory is to be synced in the end. */
void restore_note_file_system(struct restore *r, int fd);
/* Walks what was selected. */
void restore_walk(struct restore *r, const struct selection *selection);

/* A path: directory + "/" + name. The caller frees it. */
char *restore_join(const char *directory, struct bytes name);
void restore_remember(struct walk *w, struct restore_laters *list, const char *directory,
                      const struct node *node);
/* Puts the hash of the place of an entry into a map. */
void restore_put_place(struct id_map *map, const struct target_directory *d, struct bytes name);
/* No further name of a file is to lead to this one. */
void restore_lose(struct restore *r, const struct target_directory *d, struct bytes name);
/* The walker's way to say that an entry could not be made. */
void restore_failed(struct walk *w, const char *path, const struct error *why);
/* Looks at what is at the place of an entry. Gives it another name, in node, if that is of another entry. The
 * caller closes found->old. */
int restore_find(struct walk *w, struct target_directory *d, const char *path, struct node *node,
                 struct restore_found *found, struct error *err);
/* Something is there, of which st tells: if it is another entry of the snapshot, whose name the file system
 * takes for the same, node gets another name, and st tells of that (NODE_UNKNOWN: nothing is there). */
int restore_part_names(struct walk *w, struct target_directory *d, const char *path, struct node *node,
                       struct source_stat *st, struct error *err);
void restore_names_free(struct restore_names *names);
/* The place where something is, after such changes of names. Takes one, and gives one, to be freed. */
char *restore_given_place(const struct walk *w, char *place);
/* Compares a file with a node; stops at the first difference unless to_fetch is not NULL: then it counts the
 * bytes that are not there. */
bool restore_same_contents(struct restore *r, int fd, uint64_t size, const struct node *node,
                           uint64_t *to_fetch);
/* True if the range of a file has the contents of an extent; then r->compare holds those of a blob. */
bool restore_same_extent(struct restore *r, int fd, const struct extent *e, uint64_t offset);
/* Makes an entry that is no directory; path is for messages. */
void restore_entry(struct walk *w, struct target_directory *d, const char *path, const struct node *node);

/* True if this entry is a further name of a file that is restored under another one. Remembers it. */
bool restore_is_link(struct walk *w, const struct target_directory *d, const char *path,
                     const struct node *node);
/* A hard link whose first name is not restored: the first of its names that is takes its place. Links,
 * FIFOs and devices have all that it takes; a file's contents are with the first name. */
int restore_take_over(struct walk *w, const struct target_directory *d, const struct node *link,
                      struct node *node, struct error *err);
/* Makes those that were remembered. Files must have their names, and workers run. */
void restore_links(struct walk *w);

#endif
