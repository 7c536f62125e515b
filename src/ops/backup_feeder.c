/* Large files and streams are read into a ring and cut there; the workers take the chunks where they lie. */
#include "base/memory.h"
#include "ops/backup_internal.h"

#include <stdlib.h>
#include <string.h>

/* What the workers have of the ring. */
struct read_piece {
    struct read_piece *next;
    size_t start;
    bool done;
};

struct chunk_feeder {
    struct backup *backup;
    struct read_ring *ring;
    struct large_file *file;
    const struct chunker *chunker;
    struct chunker_parameters sizes;
    size_t start, end; /* in the ring: what is not cut yet */
    size_t seen;       /* of it, where no cut is */
};

/* ---- the ring ---- */

void read_ring_new(struct read_ring *ring)
{
    pthread_mutex_init(&ring->lock, NULL);
    pthread_cond_init(&ring->freed, NULL);
}

void read_ring_free(struct read_ring *ring)
{
    free(ring->data);
    pthread_mutex_destroy(&ring->lock);
    pthread_cond_destroy(&ring->freed);
}

static struct read_piece *hold(struct read_ring *ring, size_t start)
{
    struct read_piece *piece = memory_new(struct read_piece);
    piece->start = start;
    pthread_mutex_lock(&ring->lock);
    *(ring->oldest ? &ring->newest->next : &ring->oldest) = piece;
    ring->newest = piece;
    pthread_mutex_unlock(&ring->lock);
    return piece;
}

void read_ring_release(struct read_ring *ring, struct read_piece *piece)
{
    pthread_mutex_lock(&ring->lock);
    piece->done = true;
    while (ring->oldest && ring->oldest->done) {
        struct read_piece *done = ring->oldest;
        ring->oldest = done->next;
        free(done);
        pthread_cond_signal(&ring->freed);
    }
    pthread_mutex_unlock(&ring->lock);
}

/* Room behind f->end: up to what the workers have had the longest, or to the end of the ring where that lies
 * before. The lock is held. */
static size_t room_of(const struct chunk_feeder *f)
{
    const struct read_piece *oldest = f->ring->oldest;
    return (oldest && oldest->start >= f->end ? oldest->start : f->ring->size) - f->end;
}

/* Waits until there is this much, going on at the ring's beginning when its end is reached. The lock is held.
 */
static void wait_for_room(struct chunk_feeder *f, size_t least)
{
    struct read_ring *ring = f->ring;
    size_t rest = f->end - f->start;
    while (room_of(f) < least) {
        bool at_end = !ring->oldest || ring->oldest->start < f->end;
        if (at_end && (!ring->oldest || ring->oldest->start >= rest + least)) {
            memmove(ring->data, ring->data + f->start, rest);
            f->start = 0;
            f->end = rest;
        } else {
            pthread_cond_wait(&ring->freed, &ring->lock);
        }
    }
}

/* ---- cutting ---- */

struct chunk_feeder *chunk_feeder_new(struct backup *b, struct large_file *file)
{
    struct chunk_feeder *f = memory_new(struct chunk_feeder);
    f->backup = b;
    f->file = file;
    f->chunker = repository_chunker(b->repository);
    f->sizes = repository_chunker_parameters(b->repository);
    f->ring = &b->ring;
    f->start = f->end = b->ring.end;
    if (!b->ring.data) {
        /* The longest chunk may be with a worker while the next one is read, and more. */
        b->ring.size = 5 * (size_t)f->sizes.max / 2;
        b->ring.data = memory_alloc_pages(b->ring.size);
    }
    return f;
}

static void hand_over(struct chunk_feeder *f, size_t size)
{
    struct task *task = memory_new(struct task);
    task->is_chunk = true;
    task->file = f->file;
    task->extent = large_file_add(f->file, (struct extent){.length = size});
    task->chunk = bytes_of(f->ring->data + f->start, size);
    task->piece = hold(f->ring, f->start);
    f->start += size;
    atomic_fetch_add(&f->file->pending, 1);
    backup_count_bytes(f->backup, size);
    if (!queue_put(f->backup->tasks, task)) {
        read_ring_release(f->ring, task->piece);
        large_file_release(f->file);
        free(task);
    }
}

static void cut(struct chunk_feeder *f, bool last)
{
    size_t n;
    while (f->start < f->end &&
           (n = chunker_resume(f->chunker, f->ring->data + f->start, f->end - f->start, last, &f->seen)))
        hand_over(f, n);
}

void *chunk_feeder_room(struct chunk_feeder *f, size_t *size)
{
    /* Much at once, but not so much that the workers would wait for it. */
    size_t most = f->sizes.max / 2;
    cut(f, false);
    pthread_mutex_lock(&f->ring->lock);
    wait_for_room(f, f->sizes.max / 4);
    *size = room_of(f);
    pthread_mutex_unlock(&f->ring->lock);
    if (*size > most)
        *size = most;
    backup_tick(f->backup);
    return f->ring->data + f->end;
}

void chunk_feeder_commit(struct chunk_feeder *f, size_t size)
{
    f->end += size;
}

void chunk_feeder_hole(struct chunk_feeder *f, uint64_t length)
{
    cut(f, true);
    large_file_add(f->file, (struct extent){.length = length, .hole = true});
}

void chunk_feeder_end(struct chunk_feeder *f)
{
    cut(f, true);
    f->ring->end = f->end;
    free(f);
}
