/* Fetching pieces pack by pack, and finishing files. */
#include "base/log.h"
#include "base/memory.h"
#include "ops/restore_internal.h"

#include <stdlib.h>
#include <unistd.h>

#define READERS_KEPT 2         /* each holds the largest frame of its pack */
#define REQUEST_MAX (4u << 20) /* stored bytes that one request brings from far away, */
#define READ_MAX (1u << 20)    /* and one from a disk: what stays in the processor's cache */
#define GAP_MAX (128u << 10)

struct kept_reader {
    uint64_t pack;
    struct pack_reader *reader;
};

struct restore_worker_state {
    struct restore *restore;
    struct metadata_writer *metadata;
    struct blob_hasher *hasher;
    struct kept_reader readers[READERS_KEPT];
    size_t next_reader;
    struct buffer raw;
};

struct target_directory *target_directory_new(int fd, char *place)
{
    struct target_directory *d = memory_new(struct target_directory);
    d->fd = fd;
    d->place = place;
    atomic_init(&d->users, 1);
    return d;
}

void target_directory_hold(struct target_directory *d)
{
    atomic_fetch_add(&d->users, 1);
}

void target_directory_release(struct target_directory *d)
{
    if (!d || atomic_fetch_sub(&d->users, 1) != 1)
        return;
    if (d->fd >= 0)
        close(d->fd);
    free(d->place);
    restore_names_free(d->names);
    free(d);
}

void target_file_give_up(struct target_file *f, bool unread, const struct error *why)
{
    struct restore *r = f->restore;
    if (atomic_exchange(&f->failed, true))
        return;
    if (unread && !error_is_outage(why->code))
        atomic_store(&f->damaged, true);
    if (!atomic_load(&r->stopped) && unread)
        restore_fail_unread(r, f->path, why);
    else if (!atomic_load(&r->stopped))
        restore_fail(r, f->path, why);
    /* A full disk will not get emptier file by file. */
    if (why->code == ERROR_NO_SPACE)
        atomic_store(&r->stopped, true);
}

static int finish_file(struct target_file *f, struct metadata_writer *metadata, struct error *err)
{
    const struct extents *content = &f->node.content;
    bool sized = !f->file.based && content->count && !content->list[content->count - 1].hole;
    int code = sized ? 0 : writer_file_truncate(&f->file, f->node.size, err);
    metadata_writer_at(metadata, f->path);
    if (code == 0)
        code = metadata_write(metadata, f->directory->fd, f->node.name, f->file.fd, &f->node, err);
    return code == 0 ? writer_file_commit(&f->file, err) : code;
}

void target_file_release(struct target_file *f, struct metadata_writer *metadata)
{
    if (atomic_fetch_sub(&f->pending, 1) != 1)
        return;
    struct restore *r = f->restore;
    struct error why;
    if (!atomic_load(&f->failed) && finish_file(f, metadata, &why) != 0)
        target_file_give_up(f, false, &why);
    if (atomic_load(&f->failed)) {
        writer_file_abort(&f->file);
        restore_lose(r, f->directory, f->node.name);
        atomic_fetch_add(&r->failed, 1);
        if (atomic_load(&f->damaged))
            atomic_fetch_add(&r->damaged, 1);
    } else {
        atomic_fetch_add(&r->files, 1);
        atomic_fetch_add(&r->overwritten, f->replaces);
    }
    target_directory_release(f->directory);
    pthread_mutex_destroy(&f->writing);
    arena_free(&f->arena);
    free(f->path);
    free(f);
    pthread_mutex_lock(&r->lock);
    if (--r->open_files <= RESTORE_OPEN_FILES / 2)
        pthread_cond_signal(&r->file_closed);
    pthread_mutex_unlock(&r->lock);
}

static int get_reader(struct restore_worker_state *w, uint64_t pack, struct pack_reader **reader,
                      struct error *err)
{
    for (size_t i = 0; i < READERS_KEPT; i++) {
        if (w->readers[i].reader && w->readers[i].pack == pack) {
            *reader = w->readers[i].reader;
            return 0;
        }
    }
    int code = pack_reader_open(w->restore->repository, pack, reader, err);
    if (code != 0)
        return code;
    struct kept_reader *place = &w->readers[w->next_reader++ % READERS_KEPT];
    pack_reader_free(place->reader);
    *place = (struct kept_reader){pack, *reader};
    return 0;
}

static void write_piece(struct restore_worker_state *w, const struct piece *p, struct bytes plain)
{
    struct restore *r = w->restore;
    struct error why;
    pthread_mutex_lock(&p->file->writing);
    int code = writer_file_write(&p->file->file, plain.data, plain.size, p->offset, &why);
    pthread_mutex_unlock(&p->file->writing);
    if (code != 0)
        target_file_give_up(p->file, false, &why);
    uint64_t done = atomic_fetch_add(&r->bytes, plain.size) + plain.size;
    atomic_fetch_add(&r->fetched, plain.size);
    if (r->parameters->progress)
        r->parameters->progress(r->parameters->progress_context, done, r->total);
}

/* The copy that was planned is damaged or missing: whatever other copy there is. */
static void fetch_elsewhere(struct restore_worker_state *w, const struct piece *p)
{
    struct buffer plain = {0};
    struct error why;
    int code = blobs_read(w->restore->repository, BLOB_DATA, &p->blob, &plain, &why);
    if (code == 0)
        write_piece(w, p, buffer_bytes(&plain));
    else
        target_file_give_up(p->file, true, &why);
    buffer_free_secret(&plain);
}

/* Its failure shows again, frame by frame, when they are asked for. */
static bool load(struct pack_reader *reader, const struct piece_task *task)
{
    struct error why;
    int code =
        pack_reader_load(reader, task->pieces[0].copy.frame, task->pieces[task->count - 1].copy.frame, &why);
    if (code != 0)
        log_verbose("%s", why.message);
    return code == 0;
}

static void do_pieces(struct restore_worker_state *w, const struct piece_task *task)
{
    struct pack_reader *reader = task->reader;
    struct error why;
    bool opened = reader || get_reader(w, task->pieces[0].copy.pack, &reader, &why) == 0;
    uint32_t frame = 0;
    bool have_frame = false;
    if (opened && !task->reader)
        load(reader, task);
    for (size_t i = 0; i < task->count && !restore_stopped(w->restore); i++) {
        const struct piece *p = &task->pieces[i];
        if (opened && (!have_frame || frame != p->copy.frame)) {
            frame = p->copy.frame;
            have_frame = pack_reader_frame(reader, frame, &w->raw, &why) == 0;
        }
        struct bytes plain = {0};
        if (have_frame && p->copy.offset <= w->raw.size && p->copy.length <= w->raw.size - p->copy.offset)
            plain = bytes_of(w->raw.data + p->copy.offset, p->copy.length);
        if (plain.size && blob_hasher_matches(w->hasher, BLOB_DATA, plain, &p->blob))
            write_piece(w, p, plain);
        else
            fetch_elsewhere(w, p);
    }
}

void *restore_worker(void *context)
{
    struct restore *r = context;
    struct restore_worker_state w = {.restore = r,
                                     .hasher = blob_hasher_new(repository_secrets(r->repository))};
    w.metadata = metadata_writer_new(r->parameters->owners, restore_warn_metadata, r);
    struct error stopped;
    error_set(&stopped, ERROR_CANCELLED, "stopped"); /* which has been said */
    struct piece_task *task;
    while ((task = queue_take(r->tasks))) {
        if (!restore_stopped(r))
            do_pieces(&w, task);
        for (size_t i = 0; i < task->count; i++) {
            if (restore_stopped(r))
                target_file_give_up(task->pieces[i].file, false, &stopped);
            target_file_release(task->pieces[i].file, w.metadata);
        }
        pack_reader_free(task->reader);
        free(task->pieces);
        free(task);
    }
    atomic_fetch_add(&r->owner_failures, metadata_writer_owner_failures(w.metadata));
    for (size_t i = 0; i < READERS_KEPT; i++)
        pack_reader_free(w.readers[i].reader);
    metadata_writer_free(w.metadata);
    blob_hasher_free(w.hasher);
    buffer_free_secret(&w.raw);
    return NULL;
}

void *restore_fetcher(void *context)
{
    struct restore *r = context;
    struct piece_task *task;
    while ((task = queue_take(r->ahead))) {
        uint64_t pack = task->pieces[0].copy.pack;
        struct error why;
        if (!restore_stopped(r)) {
            pthread_mutex_lock(&r->opening[pack % RESTORE_OPENING]);
            int code = pack_reader_open(r->repository, pack, &task->reader, &why);
            pthread_mutex_unlock(&r->opening[pack % RESTORE_OPENING]);
            /* What fails here the worker tries again, and elsewhere. */
            if (code == 0 && !load(task->reader, task)) {
                pack_reader_free(task->reader);
                task->reader = NULL;
            }
        }
        queue_put(r->tasks, task);
    }
    return NULL;
}

/* ---- planning ---- */

static int compare_pieces(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    if (x->copy.pack != y->copy.pack)
        return x->copy.pack < y->copy.pack ? -1 : 1;
    if (x->copy.frame != y->copy.frame)
        return x->copy.frame < y->copy.frame ? -1 : 1;
    return (x->copy.offset > y->copy.offset) - (x->copy.offset < y->copy.offset);
}

/* Where a run of frames that is worth one request ends. */
static size_t end_of_run(const struct piece *pieces, size_t first, size_t count, uint64_t max)
{
    const struct blob_location *start = &pieces[first].copy;
    size_t i = first + 1;
    for (; i < count && pieces[i].copy.pack == start->pack; i++) {
        const struct blob_location *last = &pieces[i - 1].copy, *next = &pieces[i].copy;
        if (next->frame != last->frame &&
            (next->frame_offset > (uint64_t)last->frame_offset + last->frame_stored + GAP_MAX ||
             (uint64_t)next->frame_offset + next->frame_stored > start->frame_offset + max))
            break;
    }
    return i;
}

void restore_flush(struct restore *r)
{
    uint64_t max = r->ahead ? REQUEST_MAX : READ_MAX;
    if (r->window_count)
        qsort(r->window, r->window_count, sizeof *r->window, compare_pieces);
    for (size_t i = 0, end; i < r->window_count; i = end) {
        end = end_of_run(r->window, i, r->window_count, max);
        struct piece_task *task = memory_new(struct piece_task);
        task->count = end - i;
        task->pieces = memory_copy(&r->window[i], task->count * sizeof *task->pieces);
        queue_put(r->ahead ? r->ahead : r->tasks, task);
    }
    r->window_count = 0;
    r->window_bytes = 0;
}
