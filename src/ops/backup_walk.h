/*
 * The walk over files: its state, and what its parts do. backup_look.c finds out what is there, backup_read.c
 * takes entries, backup_walk.c goes from folder to folder. For these three only; all of it is the walker's
 * thread.
 */
#ifndef OPS_BACKUP_WALK_H
#define OPS_BACKUP_WALK_H

#include "ops/backup_internal.h"
#include "source/mounts.h"

/* One path of the configuration. */
struct source {
    const char *path;
    bool walked; /* within another one that it lies in */
};

struct level {
    struct directory *directory;
    size_t next;
};

struct walk {
    struct backup *backup;
    struct source *sources; /* sorted by path: an outer one comes before what lies in it */
    size_t source_count;
    const char *source; /* which is walked */
    char *real;         /* where it is, without symbolic links on the way */
    struct mounts *mounts;
    struct file_system *file_systems;
    size_t file_system_count, file_system_capacity;
    struct metadata_reader *metadata;
    struct buffer scratch;
    const char *warn_path;
    bool incomplete; /* a part of the entry's metadata could not be read */
    struct level *levels;
    size_t depth, capacity;
    struct task *batch;
    uint64_t batch_bytes_max;
};

/* Path and name, joined by a slash. The caller frees it. */
char *walk_join(const char *directory, const char *name);
/* The source of this path, or NULL. */
struct source *walk_find_source(struct walk *w, const char *path);
/* The walk has come to a path: if it is a source of its own, it need not be walked again. */
void walk_note(struct walk *w, const char *path);

/* ---- backup_look.c ---- */

/* The file system on which a folder lies. One that was not seen yet is looked at, and what is dirty in it is
 * written back first: a file that was written through a mapping may have changed again since, and its times
 * have not. */
struct file_system look_file_system(struct walk *w, int folder, uint64_t device);
/* Lists a directory, leaves out what is excluded, and notes what each entry is; UNKNOWN: it was gone. before:
 * the directory, when it was looked at last before it was opened. */
int look_list(struct walk *w, struct directory *d, const struct source_stat *before, struct error *err);
/* True for an entry that is left out for what it turned out to be when it was opened. */
bool look_leaves_out(struct backup *b, const char *path, const struct source_stat *st);
/* Of an entry that is the same as in the last listing. */
bool look_is_same(struct walk *w, struct directory *d, size_t i);
void look_count_same(struct walk *w, const struct directory *d, size_t i);
/* Takes such an entry from the last listing, which is fetched when the first one needs it. False if it must
 * be read all the same. */
bool look_take_old(struct walk *w, struct directory *d, size_t i, bool *fetched);
/* The hash by which the stat cache knows the first name of a file; zeros for NULL. */
void look_link_hash(const char *link, struct id *out);

/* ---- backup_read.c ---- */

/* Takes an entry that must be read: now, or a small file with others of its directory by a worker. */
void read_entry(struct walk *w, struct directory *d, size_t i);
/* Hands the small files that were collected to a worker. */
void read_flush(struct walk *w);
/* Opens an entry and takes it, whatever it is; of a directory all but what it holds. */
int read_store(struct walk *w, struct directory *d, size_t index, const char *path, struct error *err);
/* The same for one that is open. */
int read_store_opened(struct walk *w, struct directory *d, size_t index, const struct source_entry *e,
                      const char *path, struct error *err);
/* An entry could not be taken. One that is gone is looked for again: it may be on its way from one name to
 * another. tries: how often it was. */
void read_miss(struct walk *w, struct directory *d, size_t index, const char *path, unsigned tries, int code,
               const struct error *why);

#endif
