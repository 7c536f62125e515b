/* Large files and streams are read into blocks and cut there; the workers take the chunks where they lie. */
#include "base/memory.h"
#include "ops/backup_internal.h"

#include <stdlib.h>
#include <string.h>

struct chunk_feeder {
    struct backup *backup;
    struct large_file *file;
    const struct chunker *chunker;
    struct chunker_parameters sizes;
    size_t start, end; /* in the block: what is not cut yet */
};

/* ---- blocks ---- */

/* Room for the largest chunk, and for a good deal to be read behind the rest of the block before. */
static size_t block_size(const struct chunk_feeder *f)
{
    return (size_t)f->sizes.max + f->sizes.max / 4;
}

static struct read_block *block_of(const struct chunk_feeder *f)
{
    return &f->backup->read_blocks[f->backup->read_block];
}

void read_blocks_new(struct backup *b)
{
    for (size_t i = 0; i < 2; i++) {
        pthread_mutex_init(&b->read_blocks[i].lock, NULL);
        pthread_cond_init(&b->read_blocks[i].idle, NULL);
    }
}

void read_blocks_free(struct backup *b)
{
    for (size_t i = 0; i < 2; i++) {
        free(b->read_blocks[i].data);
        pthread_mutex_destroy(&b->read_blocks[i].lock);
        pthread_cond_destroy(&b->read_blocks[i].idle);
    }
}

static void hold(struct read_block *block)
{
    pthread_mutex_lock(&block->lock);
    block->chunks++;
    pthread_mutex_unlock(&block->lock);
}

void read_block_release(struct read_block *block)
{
    pthread_mutex_lock(&block->lock);
    if (--block->chunks == 0)
        pthread_cond_signal(&block->idle);
    pthread_mutex_unlock(&block->lock);
}

/* Goes on in the other block, once the workers are done with what it held. */
static void change_blocks(struct chunk_feeder *f)
{
    struct backup *b = f->backup;
    const uint8_t *rest = block_of(f)->data + f->start;
    b->read_block = !b->read_block;
    struct read_block *block = block_of(f);
    pthread_mutex_lock(&block->lock);
    while (block->chunks)
        pthread_cond_wait(&block->idle, &block->lock);
    pthread_mutex_unlock(&block->lock);
    if (!block->data)
        block->data = memory_alloc_pages(block_size(f));
    if (f->end > f->start)
        memcpy(block->data, rest, f->end - f->start);
    f->end -= f->start;
    f->start = 0;
}

/* ---- cutting ---- */

struct chunk_feeder *chunk_feeder_new(struct backup *b, struct large_file *file)
{
    struct chunk_feeder *f = memory_new(struct chunk_feeder);
    f->backup = b;
    f->file = file;
    f->chunker = repository_chunker(b->repository);
    f->sizes = repository_chunker_parameters(b->repository);
    f->start = f->end = b->read_end;
    if (!block_of(f)->data)
        block_of(f)->data = memory_alloc_pages(block_size(f));
    return f;
}

static void hand_over(struct chunk_feeder *f, size_t size)
{
    struct task *task = memory_new(struct task);
    task->is_chunk = true;
    task->file = f->file;
    task->extent = large_file_add(f->file, (struct extent){.length = size});
    task->block = block_of(f);
    task->chunk = bytes_of(task->block->data + f->start, size);
    f->start += size;
    hold(task->block);
    atomic_fetch_add(&f->file->pending, 1);
    backup_count_bytes(f->backup, size);
    if (!queue_put(f->backup->tasks, task)) {
        read_block_release(task->block);
        large_file_release(f->file);
        free(task);
    }
}

static void cut(struct chunk_feeder *f, bool last)
{
    size_t n;
    while (f->start < f->end &&
           (n = chunker_next(f->chunker, block_of(f)->data + f->start, f->end - f->start, last)))
        hand_over(f, n);
}

void *chunk_feeder_room(struct chunk_feeder *f, size_t *size)
{
    /* Seldom, for what is not cut is looked at again with what comes behind it. */
    bool full = block_size(f) - f->end < f->sizes.max / 16;
    if (full || f->end - f->start >= f->sizes.max)
        cut(f, false);
    if (full)
        change_blocks(f);
    backup_tick(f->backup);
    *size = block_size(f) - f->end;
    return block_of(f)->data + f->end;
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
    f->backup->read_end = f->end;
    free(f);
}
