/* A backup from its start to its manifest. */
#include "ops/backup.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "ops/backup_internal.h"
#include "repo/health.h"
#include "repo/lease.h"
#include "repo/snapshot_writer.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TASKS_WAITING_MAX 3
#define PASSES_MAX 3

void backup_tick(struct backup *b)
{
    struct error why;
    if (lease_keep(b->repository, &why) != 0 || blob_writer_checkpoint(b->writer, &why) != 0)
        backup_fail(b, &why);
}

void backup_fail(struct backup *b, const struct error *err)
{
    pthread_mutex_lock(&b->lock);
    if (!atomic_load(&b->failed)) {
        b->error = *err;
        atomic_store(&b->failed, true);
    }
    pthread_mutex_unlock(&b->lock);
}

bool backup_stopped(struct backup *b)
{
    if (b->parameters->cancelled && *b->parameters->cancelled && !atomic_load(&b->failed)) {
        struct error why;
        error_set(&why, ERROR_CANCELLED, "stopped by a signal");
        error_hint(&why, "what was uploaded is kept: the next run goes on from there");
        backup_fail(b, &why);
    }
    return atomic_load(&b->failed);
}

void backup_warn(struct backup *b, const char *format, ...)
{
    char *text = NULL;
    /* What is cut off looks like much else, and there will be no snapshot that lacks anything. */
    if (backup_stopped(b))
        return;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0)
        return;
    log_warning("%s", text);
    pthread_mutex_lock(&b->lock);
    b->result->statistics.warnings++;
    if (b->result->warning_count < BACKUP_WARNINGS_MAX)
        b->result->warnings[b->result->warning_count++] = text_visible(text);
    pthread_mutex_unlock(&b->lock);
    free(text);
}

void backup_wait_root(struct backup *b)
{
    pthread_mutex_lock(&b->lock);
    while (!b->root_is_done)
        pthread_cond_wait(&b->root_done, &b->lock);
    pthread_mutex_unlock(&b->lock);
}

void backup_count_bytes(struct backup *b, uint64_t bytes)
{
    uint64_t done = atomic_fetch_add(&b->bytes, bytes) + bytes;
    if (b->parameters->progress)
        b->parameters->progress(b->parameters->progress_context, done);
}

void backup_result_free(struct backup_result *result)
{
    for (size_t i = 0; i < result->warning_count; i++)
        free(result->warnings[i]);
    result->warning_count = 0;
}

void backup_look_again(struct backup *b, struct directory *d, size_t index, unsigned tries)
{
    directory_hold(d);
    pthread_mutex_lock(&b->lock);
    memory_reserve_one(b->again, b->again_count, b->again_capacity);
    b->again[b->again_count++] = (struct again){d, index, tries};
    pthread_mutex_unlock(&b->lock);
}

static void start_workers(struct backup *b)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t wanted = b->parameters->workers ? b->parameters->workers : processors > 0 ? (size_t)processors : 1;
    if (wanted > WORKERS_MAX)
        wanted = WORKERS_MAX;
    for (size_t i = 0; i < wanted; i++) {
        if (pthread_create(&b->workers[b->worker_count], NULL, worker_main, b) == 0)
            b->worker_count++;
    }
    if (b->worker_count == 0) {
        struct error why;
        error_set(&why, ERROR_FAILED, "no thread can be started");
        backup_fail(b, &why);
        queue_close(b->tasks);
    }
}

/* The source goes through the pipeline; when this returns every blob is in a pack or group that was flushed.
 */
static int run_pipeline(struct backup *b, struct error *err)
{
    int code = 0;
    b->tasks = queue_new(TASKS_WAITING_MAX);
    start_workers(b);
    switch (b->parameters->source) {
    case BACKUP_COMMAND:
        code = read_command(b, err);
        break;
    case BACKUP_TAR:
        code = read_archive(b, err);
        break;
    default:
        walk_files(b);
        break;
    }
    if (code != 0 && !backup_stopped(b))
        backup_fail(b, err);
    queue_close(b->tasks);
    for (size_t i = 0; i < b->worker_count; i++)
        pthread_join(b->workers[i], NULL);
    queue_free(b->tasks);
    backup_stopped(b);
    if (atomic_load(&b->failed) && err)
        *err = b->error;
    return atomic_load(&b->failed) ? b->error.code : 0;
}

static void fill_statistics(struct backup *b)
{
    struct statistics *s = &b->result->statistics;
    s->files = atomic_load(&b->files);
    s->directories = atomic_load(&b->directories);
    s->others = atomic_load(&b->others);
    s->bytes = atomic_load(&b->bytes);
    s->files_new = atomic_load(&b->files_new);
    s->bytes_read = s->bytes - atomic_load(&b->bytes_same);
    blob_writer_totals(b->writer, &s->bytes_new, &s->bytes_stored);
}

static size_t count_sources(const struct backup_parameters *p)
{
    size_t count = p->path_count;
    for (size_t i = 0; p->command && p->command[i]; i++)
        count++;
    return count;
}

static int commit(struct backup *b, int64_t started, struct error *err)
{
    static const char *const types[] = {"files", "command", "tar"};
    const struct backup_parameters *p = b->parameters;
    bool nothing = atomic_load(&b->unread) && !atomic_load(&b->files) && !atomic_load(&b->others);
    if (b->root.count == 0 || nothing) {
        error_set(err, ERROR_FAILED, "nothing could be read: the snapshot would be empty");
        return error_hint(err, "check the paths of job %s", p->job);
    }
    int code = blob_writer_commit(b->writer, err);
    if (code != 0)
        return code;
    fill_statistics(b);
    backup_judge(b);
    struct bytes *sources = arena_alloc_array(&b->root_arena, count_sources(p), sizeof *sources);
    struct manifest m = {.job = p->job,
                         .classes = p->classes,
                         .started = started,
                         .ended = (int64_t)time(NULL),
                         .root = b->root,
                         .statistics = b->result->statistics,
                         .source_type = types[p->source],
                         .keep = p->keep,
                         .configuration = p->configuration,
                         .sources = sources};
    if (m.ended < m.started)
        m.ended = m.started; /* the clock went back */
    for (size_t i = 0; i < p->path_count; i++)
        sources[m.source_count++] = bytes_of_string(p->paths[i]);
    for (size_t i = 0; p->command && p->command[i]; i++)
        sources[m.source_count++] = bytes_of_string(p->command[i]);
    code = snapshot_write(b->repository, &m, &b->result->snapshot, err);
    if (code == 0 && b->use_cache)
        code = cache_stamp(b, &b->result->snapshot, err);
    if (code == 0)
        code = catalog_commit(repository_catalog(b->repository), err);
    return code;
}

static void backup_free(struct backup *b)
{
    links_free(b->links);
    free(b->again);
    free(b->bare);
    blob_writer_free(b->writer);
    exclude_free(b->exclude);
    arena_free(&b->root_arena);
    free(b->own);
    read_ring_free(&b->ring);
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->root_done);
    pthread_cond_destroy(&b->batch_done);
    free(b);
}

/* The program's own folders are recognised wherever the walk comes across them. */
static void note_own_folders(struct backup *b)
{
    const struct backup_parameters *p = b->parameters;
    b->own = memory_alloc_array(p->own_count, sizeof *b->own);
    for (size_t i = 0; i < p->own_count; i++) {
        char *real = realpath(p->own[i], NULL);
        if (real && source_stat(AT_FDCWD, real, &b->own[b->own_count], NULL) == 0)
            b->own_count++;
        free(real);
    }
}

/* Behind a lapsed lease: whether what the snapshot relies on is gone. */
static int check_again(struct backup *b, bool *gone, struct error *err)
{
    struct buffer stamp = {0};
    health_stamp(b->repository, &b->result->snapshot, &stamp);
    int code = repository_sync(b->repository, err);
    *gone = code == 0 && !health_check(b->repository, buffer_bytes(&stamp));
    buffer_free(&stamp);
    return code;
}

/* One pass. *again: it does not count, for the machine slept for so long that a prune elsewhere may have
 * deleted blobs that this pass found or wrote. */
static int run_once(struct backup *b, int64_t started, bool *again, struct error *err)
{
    struct repository *r = b->repository;
    *again = false;
    int code = exclude_new(b->parameters->exclude, b->parameters->exclude_count, &b->exclude, err);
    if (code == 0)
        code = blob_writer_new(r, &b->writer, err);
    if (code == 0) {
        note_own_folders(b);
        code = cache_begin(b, err);
    }
    if (code == 0)
        code = run_pipeline(b, err);
    if (code == 0)
        code = lease_keep(r, err);
    if (code == 0 && lease_lapsed(r)) {
        *again = true;
        return repository_sync(r, err);
    }
    if (code == 0)
        code = commit(b, started, err);
    if (code == 0)
        code = lease_keep(r, err);
    if (code == 0 && lease_lapsed(r))
        code = check_again(b, again, err);
    return code;
}

static struct backup *backup_new(struct repository *r, const struct backup_parameters *p,
                                 struct backup_result *result)
{
    struct backup *b = memory_new(struct backup);
    b->repository = r;
    b->parameters = p;
    b->result = result;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->root_done, NULL);
    pthread_cond_init(&b->batch_done, NULL);
    b->links = links_new();
    b->use_cache = p->source == BACKUP_FILES;
    read_ring_new(&b->ring);
    return b;
}

int backup_run(struct repository *r, const struct backup_parameters *p, struct backup_result *result,
               struct error *err)
{
    int64_t started = (int64_t)time(NULL);
    struct timespec from, to;
    bool again;
    int code, passes = 0;
    clock_gettime(CLOCK_MONOTONIC, &from);
    *result = (struct backup_result){0};
    do {
        backup_result_free(result);
        struct backup *b = backup_new(r, p, result);
        code = run_once(b, started, &again, err);
        if (code == 0 && again && ++passes == PASSES_MAX) {
            error_set(err, ERROR_FAILED, "its lease lapsed in each of %d passes", passes);
            code = error_hint(err, "the source must not stand still for longer than lease_recheck");
        } else if (code == 0 && again) {
            log_warning(
                "job %s: this machine slept, and others may have taken the backup for dead: it is taken "
                "anew, reusing what is still there",
                p->job);
        }
        backup_free(b);
    } while (code == 0 && again);
    if (code == 0)
        result->targets_behind =
            repository_parameters(r)->target_count - replicas_active_count(repository_replicas(r));
    clock_gettime(CLOCK_MONOTONIC, &to);
    result->seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    return code;
}
