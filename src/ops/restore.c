#include "ops/restore.h"

#include "base/log.h"
#include "base/memory.h"
#include "ops/restore_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define UNSET_TOLD 10
#define TASKS_WAITING_MAX 64 /* of a few hundred bytes a piece: the walker goes on while they wait */

static bool is_cancelled(const struct restore *r)
{
    return r->parameters->cancelled && *r->parameters->cancelled;
}

bool restore_stopped(struct restore *r)
{
    if (is_cancelled(r))
        atomic_store(&r->stopped, true);
    return atomic_load(&r->stopped);
}

/* What is cut off looks like much else, and is said once. */
void restore_warn(struct restore *r, const char *format, ...)
{
    char *text = NULL;
    if (is_cancelled(r))
        return;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n >= 0)
        log_warning("%s", text);
    free(n >= 0 ? text : NULL);
    atomic_fetch_add(&r->warnings, 1);
}

void restore_fail(struct restore *r, const char *path, const struct error *why)
{
    restore_warn(r, "%s: %s", path, why->message);
    pthread_mutex_lock(&r->lock);
    if (!*r->first.hint)
        r->first = *why;
    pthread_mutex_unlock(&r->lock);
}

#define UNREAD_SHOWN 5

/* Under the lock. True if it is to be told of. */
static bool note_cause(struct restore_result *result, const char *message)
{
    char cause[RESTORE_CAUSE_SIZE];
    snprintf(cause, sizeof cause, "%.*s", RESTORE_CAUSE_SIZE - 1, message);
    for (size_t i = 0; i < result->cause_count; i++) {
        if (strcmp(result->causes[i], cause) == 0)
            return false;
    }
    if (result->cause_count == RESTORE_CAUSES_MAX)
        return false;
    memcpy(result->causes[result->cause_count++], cause, sizeof cause);
    return true;
}

void restore_fail_unread(struct restore *r, const char *path, const struct error *why)
{
    if (is_cancelled(r))
        return;
    pthread_mutex_lock(&r->lock);
    bool fresh = note_cause(r->result, why->message);
    uint64_t count = ++r->unread;
    if (!*r->first.hint)
        r->first = *why;
    pthread_mutex_unlock(&r->lock);
    if (fresh)
        restore_warn(r, "%s", why->message);
    if (count <= UNREAD_SHOWN)
        log_warning("%s cannot be restored", path);
    else
        log_verbose("%s cannot be restored: %s", path, why->message);
}

static void warn_of_rest(const struct restore *r)
{
    if (r->unread > UNREAD_SHOWN && log_get_level() < LOG_LEVEL_VERBOSE)
        log_warning("and %llu more that cannot be restored: -v lists them",
                    (unsigned long long)(r->unread - UNREAD_SHOWN));
}

void restore_lose(struct restore *r, const struct target_directory *d, struct bytes name)
{
    pthread_mutex_lock(&r->lock);
    restore_put_place(r->lost, d, name);
    pthread_mutex_unlock(&r->lock);
}

/* How many there were of a kind, with this one; 1 for one that there is no room to count. */
static uint64_t count_unset(struct restore *r, const char *what)
{
    uint64_t count = 1;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < RESTORE_UNSET_KINDS; i++) {
        if (!r->unset[i].what)
            r->unset[i].what = memory_copy_string(what);
        if (strcmp(r->unset[i].what, what) == 0) {
            count = ++r->unset[i].count;
            break;
        }
    }
    pthread_mutex_unlock(&r->lock);
    return count;
}

void restore_warn_metadata(void *context, const char *message)
{
    struct restore *r = context;
    const char *what = NULL;
    for (const char *at = message; (at = strstr(at, ": cannot ")); at++)
        what = at + 2;
    if (!what || count_unset(r, what) <= UNSET_TOLD) {
        restore_warn(r, "%s", message);
        return;
    }
    log_verbose("%s", message);
    atomic_fetch_add(&r->warnings, 1);
}

static void warn_of_the_others(struct restore *r)
{
    for (size_t i = 0; i < RESTORE_UNSET_KINDS && r->unset[i].what; i++) {
        if (r->unset[i].count > UNSET_TOLD)
            log_warning("%s: of %llu entries more, which -v lists", r->unset[i].what,
                        (unsigned long long)(r->unset[i].count - UNSET_TOLD));
        free(r->unset[i].what);
    }
}

static void start_workers(struct restore *r)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t wanted = r->parameters->workers ? r->parameters->workers : processors > 0 ? (size_t)processors : 1;
    for (size_t i = 0; i < wanted && i < WORKERS_MAX; i++) {
        if (pthread_create(&r->workers[r->worker_count], NULL, restore_worker, r) == 0)
            r->worker_count++;
    }
}

/* From a store that is far away more is asked for at a time than there are workers. */
static void start_fetchers(struct restore *r)
{
    unsigned requests = repository_requests(r->repository);
    if (requests == 1)
        return;
    r->ahead = queue_new(2 * (size_t)requests);
    for (size_t i = 0; i < requests && i < 64; i++) {
        if (pthread_create(&r->fetchers[r->fetcher_count], NULL, restore_fetcher, r) == 0)
            r->fetcher_count++;
    }
    if (r->fetcher_count == 0) {
        queue_free(r->ahead);
        r->ahead = NULL;
    }
}

void restore_note_file_system(struct restore *r, int fd)
{
    struct source_stat st;
    if (r->parameters->dry_run || source_stat(fd, "", &st, NULL) != 0)
        return;
    for (size_t i = 0; i < r->file_system_count; i++) {
        if (r->file_systems[i].device == st.device)
            return;
    }
    memory_reserve_one(r->file_systems, r->file_system_count, r->file_system_capacity);
    r->file_systems[r->file_system_count].device = st.device;
    r->file_systems[r->file_system_count++].fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* Also what was there already: a restore that was killed may just have made it. */
static int sync_all(struct restore *r, struct error *err)
{
    int code = 0;
    for (size_t i = 0; i < r->file_system_count; i++) {
        int fd = r->file_systems[i].fd;
        if (code == 0 && !is_cancelled(r) && (fd < 0 || syncfs(fd) != 0)) {
            code = error_set_errno(err, errno, "what was restored may not be on the disk");
            error_hint(err, "look after the disk, then restore again, with --overwrite changed");
        }
        if (fd >= 0)
            close(fd);
    }
    free(r->file_systems);
    return code;
}

static void collect(struct restore *r)
{
    struct restore_result *result = r->result;
    result->files = atomic_load(&r->files);
    result->overwritten += atomic_load(&r->overwritten);
    result->bytes = atomic_load(&r->bytes);
    result->fetched_bytes = atomic_load(&r->fetched);
    result->failed = is_cancelled(r) ? 0 : atomic_load(&r->failed);
    result->damaged = is_cancelled(r) ? 0 : atomic_load(&r->damaged);
    result->warnings = atomic_load(&r->warnings);
    result->owner_failures = atomic_load(&r->owner_failures) + metadata_writer_owner_failures(r->metadata);
}

static int judge(const struct restore *r, struct error *err)
{
    const struct restore_result *result = r->result;
    if (is_cancelled(r)) {
        error_set(err, ERROR_CANCELLED, "stopped by a signal; what was restored so far stays");
        return error_hint(err, "the same command goes on from there");
    }
    if (atomic_load(&r->stopped)) {
        error_set(err, ERROR_NO_SPACE,
                  "the destination is full: what was restored so far stays, and the rest was not begun");
        return error_hint(err, "make room there; the same command goes on from there");
    }
    if (result->damaged) {
        error_set(err, ERROR_INTEGRITY,
                  "%llu entries could not be restored because of damage in the repository; "
                  "everything else was",
                  (unsigned long long)result->damaged);
        return error_hint(
            err, "run holdfast verify, then holdfast heal; or restore these files from an older snapshot");
    }
    if (result->failed) {
        error_set(err, ERROR_FAILED, "%llu entries could not be made; everything else was restored",
                  (unsigned long long)result->failed);
        return error_hint(err, "see the warnings above%s%s", *r->first.hint ? "; " : "", r->first.hint);
    }
    if (result->files + result->directories + result->others + result->skipped + result->unchanged == 0) {
        error_set(err, ERROR_FAILED, "nothing was restored: the snapshot holds nothing at these paths");
        return error_hint(err, "holdfast ls SNAPSHOT lists what it holds");
    }
    return 0;
}

/* Where a restore would fail at once, a dry run says so. */
static void warn_of_read_only(struct restore *r)
{
    struct statvfs fs;
    if (r->parameters->dry_run && r->writer && (atomic_load(&r->files) || r->result->others) &&
        fstatvfs(writer_root(r->writer), &fs) == 0 && (fs.f_flag & ST_RDONLY))
        restore_warn(r, "%s is mounted read-only: nothing can be restored there", r->parameters->destination);
}

static int run(struct restore *r, const struct selection *selection, struct error *err)
{
    const struct restore_parameters *p = r->parameters;
    int code = writer_open(p->destination, !p->dry_run, &r->writer, err);
    if (code == ERROR_NOT_FOUND && p->dry_run && access(p->destination, F_OK) != 0)
        code = 0; /* it would be made */
    if (code != 0)
        return code;
    if (r->writer)
        restore_note_file_system(r, writer_root(r->writer));
    r->metadata = metadata_writer_new(p->owners, restore_warn_metadata, r);
    /* It counts owners only where nothing else does. */
    if (p->owners && !p->dry_run)
        r->pretended_owners = owner_map_new(owner_map_is_by_name(p->owners));
    r->pretender = metadata_writer_new(p->dry_run ? p->owners : r->pretended_owners, NULL, NULL);
    metadata_writer_pretend(r->pretender);
    r->lost = id_map_new();
    r->hasher = blob_hasher_new(repository_secrets(r->repository));
    start_fetchers(r);
    /* What was fetched waits there. */
    r->tasks = queue_new(r->fetcher_count ? 2 : TASKS_WAITING_MAX);
    start_workers(r);
    restore_walk(r, selection);
    warn_of_read_only(r);
    warn_of_the_others(r);
    collect(r);
    warn_of_rest(r);
    queue_free(r->ahead);
    queue_free(r->tasks);
    metadata_writer_free(r->metadata);
    metadata_writer_free(r->pretender);
    owner_map_free(r->pretended_owners);
    id_map_free(r->lost);
    blob_hasher_free(r->hasher);
    buffer_free_secret(&r->compare);
    free(r->window);
    writer_close(r->writer);
    struct error unsynced;
    int synced = sync_all(r, &unsynced);
    code = judge(r, err);
    if (code != 0 || synced == 0)
        return code;
    *err = unsynced;
    return synced;
}

int restore_run(struct repository *repository, const struct restore_parameters *p,
                struct restore_result *result, struct error *err)
{
    struct restore *r = memory_new(struct restore);
    struct selection selection;
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    *result = (struct restore_result){0};
    r->repository = repository;
    r->parameters = p;
    r->result = result;
    r->total = p->path_count ? 0 : p->snapshot->manifest.statistics.bytes;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->file_closed, NULL);
    for (size_t i = 0; i < RESTORE_OPENING; i++)
        pthread_mutex_init(&r->opening[i], NULL);
    int code =
        selection_make(repository, &p->snapshot->manifest.root, p->paths, p->path_count, &selection, err);
    if (code == 0) {
        code = run(r, &selection, err);
        selection_free(&selection);
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    result->seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->file_closed);
    for (size_t i = 0; i < RESTORE_OPENING; i++)
        pthread_mutex_destroy(&r->opening[i]);
    free(r);
    return code;
}
