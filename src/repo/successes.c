#include "repo/successes.h"

#include "base/file.h"
#include "base/memory.h"
#include "repo/internal.h"
#include "repo/lock.h"
#include "repo/runs.h"
#include "repo/snapshots.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct reading {
    const struct id16 *host;
    struct success_list *list;
};

static void add(struct success_list *l, const char *job, uint32_t classes, int64_t started)
{
    memory_reserve_one(l->list, l->count, l->capacity);
    l->list[l->count++] =
        (struct job_success){arena_copy_string(&l->arena, job), {.classes = classes, .started = started}};
}

/* What does not decode is no success: it was verified before it was kept, but by another version. */
static int note_manifest(const struct id *sha256, struct bytes body, void *context)
{
    struct reading *reading = context;
    struct arena arena = {0};
    struct manifest m;
    (void)sha256;
    if (manifest_decode(body, &arena, &m, NULL) == 0 && id16_equal(&m.host, reading->host))
        add(reading->list, m.job, m.classes, m.started);
    arena_free(&arena);
    return 0;
}

static int note_run(const struct id *sha256, struct bytes body, void *context)
{
    struct reading *reading = context;
    struct arena arena = {0};
    struct run_record run;
    (void)sha256;
    if (run_decode(body, &arena, &run, NULL) == 0 && id16_equal(&run.host, reading->host)) {
        for (size_t i = 0; i < run.job_count; i++) {
            if (run.jobs[i].has_snapshot)
                add(reading->list, run.jobs[i].job, run.jobs[i].classes, run.jobs[i].started);
        }
    }
    arena_free(&arena);
    return 0;
}

static int read_catalog(struct catalog *catalog, const struct id16 *host, struct success_list *list,
                        struct error *err)
{
    struct reading reading = {host, list};
    int code = catalog_each_record(catalog, OBJECT_MANIFEST, note_manifest, &reading, err);
    return code == 0 ? catalog_each_record(catalog, OBJECT_RUN, note_run, &reading, err) : code;
}

/* The catalog gets what is new to this state folder when it is loaded. */
int successes_load(struct repository *r, struct success_list *list, struct error *err)
{
    struct snapshot_list snapshots = {0};
    struct run_list runs = {0};
    *list = (struct success_list){0};
    int code = snapshots_load(r, &snapshots, err);
    if (code == 0)
        code = runs_load(r, &runs, err);
    if (code == 0 && r->has_host)
        code = read_catalog(r->catalog, &r->host_key.host, list, err);
    runs_free(&runs);
    snapshots_free(&snapshots);
    return code;
}

int successes_read_local(const char *state_folder, const char *host_key_file, const char *command,
                         struct success_list *list, struct error *err)
{
    struct buffer text = {0};
    struct host_key key = {0};
    struct catalog *catalog = NULL;
    struct lock *lock = NULL;
    *list = (struct success_list){0};
    char *path = file_join(state_folder, "catalog.db");
    int code = 0;
    if (access(state_folder, F_OK) != 0)
        goto out;
    code = lock_take(state_folder, command, &lock, err);
    if (code != 0 || access(path, F_OK) != 0)
        goto out;
    code = file_read_secret(host_key_file, HOST_KEY_MAX, &text, err);
    if (code == 0)
        code = host_key_parse_text(buffer_bytes(&text), &key, err);
    if (code == 0)
        code = catalog_open(path, &key.repository, &catalog, NULL, err);
    if (code == 0)
        code = read_catalog(catalog, &key.host, list, err);
out:
    catalog_close(catalog);
    host_key_cleanse(&key);
    buffer_free_secret(&text);
    lock_release(lock);
    free(path);
    return code;
}

void successes_free(struct success_list *list)
{
    free(list->list);
    arena_free(&list->arena);
    *list = (struct success_list){0};
}

struct due_success *successes_of_job(const struct success_list *list, const char *job, size_t *count)
{
    struct due_success *of_job = memory_alloc_array(list->count, sizeof *of_job);
    *count = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->list[i].job, job) == 0)
            of_job[(*count)++] = list->list[i].success;
    }
    return of_job;
}
