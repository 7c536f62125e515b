/* Fetching pieces pack by pack, and finishing files. */
#include "base/log.h"
#include "base/memory.h"
#include "ops/restore_internal.h"

#include <stdlib.h>
#include <unistd.h>

#define READERS_KEPT 2 /* each holds the largest frame of its pack */
#define LOAD_MAX (4u << 20)
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
    free(d);
}

static void give_up(struct target_file *f, bool damaged, const char *why)
{
    struct restore *r = f->restore;
    if (atomic_exchange(&f->failed, true))
        return;
    if (damaged)
        atomic_store(&f->damaged, true);
    if (!atomic_load(&r->stopped))
        restore_warn(r, "%s: %s", f->path, why);
}

static int finish_file(struct target_file *f, struct metadata_writer *metadata, struct error *err)
{
    const struct extents *content = &f->node.content;
    bool sized = !f->file.updated && content->count && !content->list[content->count - 1].hole;
    int code = sized ? 0 : writer_file_truncate(&f->file, f->node.size, err);
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
        give_up(f, false, why.message);
    if (atomic_load(&f->failed)) {
        writer_file_abort(&f->file);
        atomic_fetch_add(&r->failed, 1);
        if (atomic_load(&f->damaged))
            atomic_fetch_add(&r->damaged, 1);
    } else {
        atomic_fetch_add(&r->files, 1);
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
    if (code != 0) {
        give_up(p->file, false, why.message);
        /* A full disk will not get emptier file by file. */
        if (why.code == ERROR_NO_SPACE)
            atomic_store(&r->stopped, true);
    }
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
        give_up(p->file, !error_is_outage(code), why.message);
    buffer_free_secret(&plain);
}

/* Where a run of frames that is worth one request ends. */
static size_t end_of_run(const struct pack_entry *entry, const struct piece *pieces, size_t first,
                         size_t count)
{
    const struct frame_entry *frames = entry->contents.frames;
    uint64_t start = frames[pieces[first].copy.frame].offset;
    size_t i = first + 1;
    for (; i < count; i++) {
        const struct frame_entry *last = &frames[pieces[i - 1].copy.frame],
                                 *next = &frames[pieces[i].copy.frame];
        if (next->offset > (uint64_t)last->offset + last->stored_length + GAP_MAX ||
            next->offset + (uint64_t)next->stored_length - start > LOAD_MAX)
            break;
    }
    return i;
}

static void do_pieces(struct restore_worker_state *w, const struct piece_task *task)
{
    const struct piece *pieces = task->pieces;
    size_t count = task->count, loaded_until = task->loaded;
    struct pack_reader *reader = task->reader;
    struct error why;
    bool opened = reader || get_reader(w, pieces[0].copy.pack, &reader, &why) == 0;
    uint32_t frame = 0;
    bool have_frame = false;
    for (size_t i = 0; i < count && !restore_stopped(w->restore); i++) {
        const struct piece *p = &pieces[i];
        if (opened && i >= loaded_until) {
            loaded_until = end_of_run(pack_reader_entry(reader), pieces, i, count);
            /* Its failure shows again, frame by frame, below. */
            if (pack_reader_load(reader, p->copy.frame, pieces[loaded_until - 1].copy.frame, &why) != 0)
                log_verbose("%s", why.message);
        }
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
    if (opened)
        pack_reader_unload(reader);
}

static void warn_metadata(void *context, const char *message)
{
    restore_warn(context, "%s", message);
}

void *restore_worker(void *context)
{
    struct restore *r = context;
    struct restore_worker_state w = {.restore = r,
                                     .hasher = blob_hasher_new(repository_secrets(r->repository))};
    w.metadata = metadata_writer_new(false, warn_metadata, r);
    struct piece_task *task;
    while ((task = queue_take(r->tasks))) {
        if (!restore_stopped(r))
            do_pieces(&w, task);
        for (size_t i = 0; i < task->count; i++) {
            if (restore_stopped(r))
                give_up(task->pieces[i].file, false, "stopped");
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
        struct error why;
        /* What fails here the worker tries again, and elsewhere. */
        if (!restore_stopped(r) &&
            pack_reader_open(r->repository, task->pieces[0].copy.pack, &task->reader, &why) == 0) {
            size_t end = end_of_run(pack_reader_entry(task->reader), task->pieces, 0, task->count);
            if (pack_reader_load(task->reader, task->pieces[0].copy.frame, task->pieces[end - 1].copy.frame,
                                 &why) == 0)
                task->loaded = end;
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

#define TASK_BYTES_MAX (8u << 20)
#define AHEAD_BYTES_MAX LOAD_MAX /* so that what is fetched ahead is all of it */

void restore_flush(struct restore *r)
{
    if (r->window_count)
        qsort(r->window, r->window_count, sizeof *r->window, compare_pieces);
    for (size_t i = 0, end; i < r->window_count; i = end) {
        uint64_t bytes = 0;
        for (end = i; end < r->window_count && r->window[end].copy.pack == r->window[i].copy.pack; end++) {
            bytes += r->window[end].copy.length;
            bool new_frame = end > i && r->window[end].copy.frame != r->window[end - 1].copy.frame;
            if (bytes > (r->ahead ? AHEAD_BYTES_MAX : TASK_BYTES_MAX) && new_frame)
                break;
        }
        struct piece_task *task = memory_new(struct piece_task);
        task->count = end - i;
        task->pieces = memory_copy(&r->window[i], task->count * sizeof *task->pieces);
        queue_put(r->ahead ? r->ahead : r->tasks, task);
    }
    r->window_count = 0;
    r->window_bytes = 0;
}
