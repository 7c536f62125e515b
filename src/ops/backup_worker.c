/* What the threads do: batches of small files, and chunks of large ones. */
#include "base/memory.h"
#include "ops/backup_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* For files that may have more than they tell. */
#define UNTOLD_ROOM (64u * 1024)

struct worker {
    struct backup *backup;
    struct blob_group *group;
    struct blob_hasher *hasher;
    struct metadata_reader *metadata;
    struct buffer data;
    const char *directory; /* for warnings */
    const char *name;
    bool incomplete; /* a part of the file's metadata could not be read */
};

static void warn_metadata(void *context, const char *message)
{
    struct worker *w = context;
    w->incomplete = true;
    backup_warn(w->backup, "%s/%s: %s", w->directory, w->name, message);
}

/* ---- large files ---- */

struct large_file *large_file_new(struct directory *d, struct node *node)
{
    struct large_file *file = memory_new(struct large_file);
    file->directory = d;
    file->node = node;
    file->owner = node->uid;
    pthread_mutex_init(&file->lock, NULL);
    atomic_init(&file->pending, 1);
    directory_hold(d);
    return file;
}

size_t large_file_add(struct large_file *file, struct extent extent)
{
    pthread_mutex_lock(&file->lock);
    memory_reserve_one(file->extents, file->count, file->capacity);
    file->extents[file->count] = extent;
    size_t index = file->count++;
    pthread_mutex_unlock(&file->lock);
    return index;
}

void large_file_release(struct large_file *file)
{
    if (atomic_fetch_sub(&file->pending, 1) != 1)
        return;
    struct arena arena = {0};
    struct directory *d = file->directory;
    file->node->content.list = arena_alloc_array(&arena, file->count, sizeof *file->extents);
    file->node->content.count = file->count;
    if (file->count)
        memcpy(file->node->content.list, file->extents, file->count * sizeof *file->extents);
    file->node->size = 0;
    for (size_t i = 0; i < file->count; i++)
        file->node->size += file->extents[i].length;
    directory_keep(d, &arena);
    pthread_mutex_destroy(&file->lock);
    free(file->extents);
    free(file);
    directory_release(d);
}

static int store_blob(struct worker *w, uint32_t owner, struct bytes plain, struct id *id, struct error *err)
{
    bool store;
    blob_hasher_run(w->hasher, BLOB_DATA, plain, id);
    int code = blob_writer_claim(w->backup->writer, id, &store, err);
    if (code == 0 && store)
        code = blob_group_add(w->group, owner, id, plain, err);
    /* Whatever code it has: a pack that was lost holds other files, too. */
    if (code != 0)
        backup_fail(w->backup, err);
    return code;
}

static void do_chunk(struct worker *w, struct task *task)
{
    struct large_file *file = task->file;
    struct error why;
    struct id id;
    if (store_blob(w, file->owner, task->chunk, &id, &why) != 0)
        backup_fail(w->backup, &why);
    read_ring_release(&w->backup->ring, task->piece);
    pthread_mutex_lock(&file->lock);
    file->extents[task->extent].blob = id;
    pthread_mutex_unlock(&file->lock);
    large_file_release(file);
}

/* ---- small files ---- */

static void note_change(struct worker *w, struct source_file *file, struct cached_entry *cached)
{
    enum source_change change;
    struct error why;
    if (source_file_changed(file, &change, &why) != 0)
        change = SOURCE_CHANGED;
    cached->trusted &= file->offset == file->stat.size;
    if (change != SOURCE_UNCHANGED) {
        cached->trusted = false;
        backup_warn(w->backup, "%s/%s: %s", w->directory, w->name, source_change_text(change));
    }
}

/* Reads on, up to a hole, the end or a full piece, into w->data. */
static int read_piece(struct worker *w, struct source_file *file, struct source_run *run, struct error *err)
{
    size_t most = repository_chunker_parameters(w->backup->repository).average;
    int code = 0;
    buffer_clear(&w->data);
    do {
        /* Where the end is not known, nothing is known. */
        uint64_t room = file->stat.size >= file->offset ? file->stat.size - file->offset + 1 : most;
        if (room < UNTOLD_ROOM)
            room = UNTOLD_ROOM;
        if (room > most - w->data.size)
            room = most - w->data.size;
        buffer_reserve(&w->data, (size_t)room);
        code = source_file_next(file, w->data.data + w->data.size, (size_t)room, run, err);
        if (code == 0 && !run->hole)
            w->data.size += (size_t)run->length;
    } while (code == 0 && run->length && !run->hole && w->data.size < most);
    return code;
}

/* One piece, nearly always; more of a file with holes, so that they stay, or of one that has grown since it
 * was listed. */
static int store_contents(struct worker *w, struct source_file *file, struct node *node, struct arena *arena,
                          struct error *err)
{
    size_t capacity = 0, count = 0;
    struct extent *list = NULL;
    struct source_run run = {.length = 1};
    int code = 0;
    node->size = 0;
    while (code == 0 && run.length && !backup_stopped(w->backup)) {
        code = read_piece(w, file, &run, err);
        if (code == 0 && w->data.size) {
            struct extent extent = {.length = w->data.size};
            code = store_blob(w, node->uid, buffer_bytes(&w->data), &extent.blob, err);
            memory_reserve_one(list, count, capacity);
            list[count++] = extent;
            node->size += extent.length;
        }
        if (code == 0 && run.hole) {
            memory_reserve_one(list, count, capacity);
            list[count++] = (struct extent){.length = run.length, .hole = true};
            node->size += run.length;
        }
    }
    node->content.list = arena_alloc_array(arena, count, sizeof *list);
    node->content.count = count;
    if (count)
        memcpy(node->content.list, list, count * sizeof *list);
    free(list);
    return code;
}

static int store_opened(struct worker *w, struct directory *d, size_t index, const struct source_entry *e,
                        struct arena *arena, struct error *err)
{
    struct node *node = &d->nodes[index];
    struct source_file file;
    directory_note_entry(d, index, &e->stat);
    int code = source_file_open(e, &file, err);
    if (code == 0)
        code = metadata_read(w->metadata, e, arena, node, err);
    node->name = d->cached[index].name;
    if (w->incomplete)
        d->cached[index].trusted = false; /* it is asked for again next time */
    if (code == 0)
        code = store_contents(w, &file, node, arena, err);
    if (code == 0 && !backup_stopped(w->backup)) {
        note_change(w, &file, &d->cached[index]);
        atomic_fetch_add(&w->backup->files, 1);
        atomic_fetch_add(&w->backup->files_new, 1);
        backup_count_bytes(w->backup, node->size);
    }
    return code;
}

/* What is no file any more, or is gone, goes back to the walker. */
static int do_file(struct worker *w, struct directory *d, size_t index, struct arena *arena,
                   struct error *err)
{
    struct source_entry e;
    w->name = (const char *)d->cached[index].name.data;
    w->incomplete = false;
    int code = source_entry_open(d->fd, w->name, NODE_FILE, &e, err);
    if (code == ERROR_NOT_FOUND || (code == 0 && e.stat.type != NODE_FILE)) {
        directory_leave_out(d, index);
        backup_look_again(w->backup, d, index, 0);
        code = 0;
    } else if (code == 0) {
        code = store_opened(w, d, index, &e, arena, err);
    }
    source_entry_close(&e);
    return code;
}

/* What went wrong with one file is a warning; what went wrong with the repository ends the backup. */
static bool is_about_the_source(int code)
{
    return code == ERROR_NOT_FOUND || code == ERROR_DENIED || code == ERROR_FAILED ||
           code == ERROR_UNSUPPORTED;
}

static void do_batch(struct worker *w, struct task *task)
{
    struct directory *d = task->directory;
    struct arena arena = {0};
    w->directory = d->path;
    for (size_t i = 0; i < task->count && !backup_stopped(w->backup); i++) {
        struct error why;
        size_t index = task->indexes[i];
        int code = do_file(w, d, index, &arena, &why);
        if (code == 0)
            continue;
        directory_leave_out(d, index);
        if (!is_about_the_source(code) || backup_stopped(w->backup)) {
            backup_fail(w->backup, &why);
        } else {
            atomic_fetch_add(&w->backup->unread, 1);
            backup_warn(w->backup, "%s/%s: %s", d->path, w->name, why.message);
        }
    }
    directory_keep(d, &arena);
    directory_release(d);
    pthread_mutex_lock(&w->backup->lock);
    w->backup->batches--;
    pthread_cond_signal(&w->backup->batch_done);
    pthread_mutex_unlock(&w->backup->lock);
}

void *worker_main(void *context)
{
    struct backup *b = context;
    struct worker w = {.backup = b,
                       .group = blob_group_new(b->writer, BLOB_DATA),
                       .hasher = blob_hasher_new(repository_secrets(b->repository))};
    w.metadata = metadata_reader_new(warn_metadata, &w);
    struct task *task;
    while ((task = queue_take(b->tasks))) {
        if (task->is_chunk)
            do_chunk(&w, task);
        else
            do_batch(&w, task);
        free(task);
    }
    struct error why;
    if (!backup_stopped(b) && blob_group_flush(w.group, &why) != 0)
        backup_fail(b, &why);
    blob_group_free(w.group);
    blob_hasher_free(w.hasher);
    metadata_reader_free(w.metadata);
    buffer_free(&w.data);
    return NULL;
}
