/* Run records: appended to their host's chain, kept waiting where no target takes them, and listed. */
#include "repo/runs.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "repo/internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define WAITING_FOLDER "runs"
#define WAITING_END ".run"
#define DRAFT_END ".draft"
#define LAST_RUN "last-run"
#define RUN_ON_ITS_WAY "run-on-its-way"
/* Of all jobs together, so that no record grows beyond what is accepted. */
#define WARNINGS_TOTAL 1000

/* ---- texts ---- */

static const char *fitting(struct arena *arena, const char *text)
{
    char *printable = text_printable(text ? text : "");
    size_t size = strlen(printable);
    if (size > RUN_TEXT_MAX) {
        size = RUN_TEXT_MAX;
        while (size && (printable[size] & 0xc0) == 0x80) /* never within a character */
            size--;
        printable[size] = '\0';
    }
    const char *copy = arena_copy_string(arena, printable);
    free(printable);
    return copy;
}

/* A copy of an array or a struct. */
static void *copy_of(struct arena *arena, const void *from, size_t count, size_t size)
{
    void *copy = arena_alloc_array(arena, count, size);
    if (count)
        memcpy(copy, from, count * size);
    return copy;
}

/* A clock that was set back meanwhile must not make the record unreadable. */
#define FIT_STEP(arena, step)                                                                                \
    do {                                                                                                     \
        (step)->message = fitting(arena, (step)->message);                                                   \
        (step)->ended = (step)->ended < (step)->started ? (step)->started : (step)->ended;                   \
    } while (0)
#define FIT_IF_THERE(arena, step)                                                                            \
    do {                                                                                                     \
        if (step) {                                                                                          \
            (step) = copy_of(arena, step, 1, sizeof *(step));                                                \
            FIT_STEP(arena, step);                                                                           \
        }                                                                                                    \
    } while (0)

/* A copy that the format takes. */
static struct run_record fitted(struct arena *arena, const struct run_record *from)
{
    struct run_record record = *from;
    size_t warnings_left = WARNINGS_TOTAL;
    FIT_STEP(arena, &record);
    record.jobs = copy_of(arena, from->jobs, from->job_count, sizeof *record.jobs);
    for (size_t i = 0; i < record.job_count; i++) {
        struct run_job *job = &record.jobs[i];
        FIT_STEP(arena, job);
        size_t most = warnings_left < RUN_WARNINGS_MAX ? warnings_left : RUN_WARNINGS_MAX;
        if (job->warning_count > most)
            job->warning_count = most;
        warnings_left -= job->warning_count;
        job->warnings = copy_of(arena, job->warnings, job->warning_count, sizeof *job->warnings);
        for (size_t k = 0; k < job->warning_count; k++)
            job->warnings[k] = fitting(arena, job->warnings[k]);
    }
    FIT_IF_THERE(arena, record.prune);
    FIT_IF_THERE(arena, record.verify);
    FIT_IF_THERE(arena, record.drill);
    record.targets = copy_of(arena, from->targets, from->target_count, sizeof *record.targets);
    for (size_t i = 0; i < record.target_count; i++)
        record.targets[i].message = fitting(arena, record.targets[i].message);
    record.software = "holdfast " HOLDFAST_VERSION;
    return record;
}

/* ---- the chain ---- */

static int drop_file(const char *path, struct error *err)
{
    return path && unlink(path) != 0 && errno != ENOENT
               ? error_set_errno(err, errno, "cannot remove %s", path)
               : 0;
}

typedef void run_callback(const struct object_seen *object, const struct run_record *record, void *context);

/* Every run that can be read; what cannot is warned of, once, and counted. */
static void each_run(struct repository *r, struct arena *arena, run_callback *callback, void *context)
{
    size_t first, end;
    records_prefetch(r, 1u << FOLDER_RUNS);
    listing_range(r, FOLDER_RUNS, &first, &end);
    for (size_t i = first; i < end; i++) {
        struct buffer body = {0};
        struct run_record record;
        struct error why;
        if (r->objects[i].damaged)
            continue;
        int code = record_load(r, OBJECT_RUN, &r->objects[i], &body, &why);
        if (code == 0)
            code = run_decode(buffer_bytes(&body), arena, &record, &why);
        if (code == 0) {
            callback(&r->objects[i], &record, context);
        } else {
            record_warn("a run record", &why);
            record_damage(r, code);
        }
        buffer_free(&body);
    }
}

/* Where a host's chain ends. */
struct chain {
    struct id16 host;
    uint64_t sequence; /* 0: it has no run yet */
    struct id sha256;
};

static void note_newest(const struct object_seen *object, const struct run_record *record, void *context)
{
    struct chain *c = context;
    if (id16_equal(&record->host, &c->host) &&
        (record->sequence > c->sequence ||
         (record->sequence == c->sequence && id_compare(&object->sha256, &c->sha256) > 0)))
        *c = (struct chain){c->host, record->sequence, object->sha256};
}

/* Also one that no target shows today. */
static void find_newest(struct repository *r, struct chain *c)
{
    struct arena arena = {0};
    *c = (struct chain){.host = r->host_key.host};
    each_run(r, &arena, note_newest, c);
    chain_end(r, LAST_RUN, &c->sequence, &c->sha256);
    arena_free(&arena);
}

bool run_newest(struct repository *r, struct id *sha256)
{
    struct chain c;
    find_newest(r, &c);
    *sha256 = c.sha256;
    return c.sequence > 0;
}

/* From its seal until the targets have it. A run that is killed between them must not be sealed again, nor
 * may another one take its number: some target may have it that does not answer the next time. */
struct on_its_way {
    struct id sha256;
    struct buffer object, body;
};

static void free_on_its_way(struct on_its_way *o)
{
    buffer_free(&o->object);
    buffer_free(&o->body);
}

static int keep_on_its_way(struct repository *r, const struct on_its_way *o, struct error *err)
{
    struct buffer kept = {0};
    buffer_lv(&kept, buffer_bytes(&o->object));
    buffer_lv(&kept, buffer_bytes(&o->body));
    int code = catalog_put_value(r->catalog, RUN_ON_ITS_WAY, buffer_bytes(&kept), err);
    buffer_free(&kept);
    return code == 0 ? catalog_commit(r->catalog, err) : code;
}

/* False if there is none. */
static bool load_on_its_way(struct repository *r, struct on_its_way *o)
{
    struct buffer kept = {0};
    bool good = false;
    if (catalog_get_value(r->catalog, RUN_ON_ITS_WAY, &kept, NULL) == 0) {
        struct reader reader = reader_of(buffer_bytes(&kept));
        buffer_append_bytes(&o->object, reader_lv(&reader, FORMAT_RECORD_MAX));
        buffer_append_bytes(&o->body, reader_lv(&reader, FORMAT_RECORD_MAX));
        good = reader_finished(&reader);
        sha256_of(buffer_bytes(&o->object), &o->sha256);
    }
    buffer_free(&kept);
    return good;
}

/* Moves the chain on. */
static int store(struct repository *r, struct on_its_way *o, const struct run_record *record, struct chain *c,
                 struct error *err)
{
    char name[OBJECT_NAME_MAX];
    object_name_timed("runs", record->ended, &o->sha256, name);
    int code = record_put(r, name, &o->object, err);
    if (code == 0)
        code = catalog_put_record(r->catalog, OBJECT_RUN, &o->sha256, buffer_bytes(&o->body), err);
    if (code == 0) {
        *c = (struct chain){c->host, record->sequence, o->sha256};
        code = chain_note_end(r, LAST_RUN, record->sequence, &o->sha256, err);
    }
    if (code == 0)
        code = catalog_remove_value(r->catalog, RUN_ON_ITS_WAY, err);
    return code == 0 ? catalog_commit(r->catalog, err) : code;
}

/* The end of the chain, after what an earlier run could not bring everywhere: the same object, under the same
 * name. */
static int begin_chain(struct repository *r, struct chain *c, struct error *err)
{
    struct arena arena = {0};
    struct on_its_way o = {0};
    struct run_record record;
    int code = 0;
    find_newest(r, c);
    if (load_on_its_way(r, &o) && run_decode(buffer_bytes(&o.body), &arena, &record, NULL) == 0 &&
        id16_equal(&record.host, &c->host) && record.sequence == c->sequence + 1)
        code = store(r, &o, &record, c, err);
    free_on_its_way(&o);
    arena_free(&arena);
    return code;
}

/* Moves the chain on. A file where the record waits gets it as it is stored: so it is known again, should it
 * stay behind. */
static int append(struct repository *r, struct run_record *run, const char *file, struct chain *c,
                  struct error *err)
{
    struct arena arena = {0};
    struct on_its_way o = {0};
    struct error why;
    run->host = r->host_key.host;
    run->sequence = c->sequence + 1;
    run->has_previous = c->sequence > 0;
    run->previous = c->sha256;
    struct run_record record = fitted(&arena, run);
    run_encode(&record, &o.body);
    if (file && file_write_atomic(file, buffer_bytes(&o.body), 0600, &why) != 0)
        log_verbose("%s", why.message); /* targets may have room all the same */
    int code = record_seal(r, OBJECT_RUN, buffer_bytes(&o.body), &o.sha256, &o.object, err);
    if (code == 0)
        code = keep_on_its_way(r, &o, err);
    if (code == 0)
        code = store(r, &o, &record, c, err);
    if (code == 0)
        code = drop_file(file, err);
    free_on_its_way(&o);
    arena_free(&arena);
    return code;
}

/* ---- those that wait ---- */

struct waiting {
    char **paths; /* oldest first */
    size_t count, capacity;
};

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool ends_with(const char *name, const char *end)
{
    size_t size = strlen(name);
    return size > strlen(end) && strcmp(name + size - strlen(end), end) == 0;
}

/* With the lock held a draft is what a killed run left, but for the own one. */
static int list_waiting(const char *state_folder, bool drafts, const char *own, struct waiting *w,
                        struct error *err)
{
    *w = (struct waiting){0};
    if (!state_folder)
        return 0;
    char *path = file_join(state_folder, WAITING_FOLDER);
    DIR *folder = opendir(path);
    int code = !folder && errno != ENOENT ? error_set_errno(err, errno, "cannot list %s", path) : 0;
    for (const struct dirent *e; folder && (e = readdir(folder)) != NULL;) {
        if (e->d_name[0] == '.' ||
            !(ends_with(e->d_name, WAITING_END) || (drafts && ends_with(e->d_name, DRAFT_END))))
            continue;
        char *name = file_join(path, e->d_name);
        if (own && strcmp(name, own) == 0) {
            free(name);
            continue;
        }
        memory_reserve_one(w->paths, w->count, w->capacity);
        w->paths[w->count++] = name;
    }
    if (folder)
        closedir(folder);
    if (w->count)
        qsort(w->paths, w->count, sizeof *w->paths, compare_paths);
    free(path);
    return code;
}

static void free_waiting(struct waiting *w)
{
    for (size_t i = 0; i < w->count; i++)
        free(w->paths[i]);
    free(w->paths);
}

static int read_waiting(const char *path, struct arena *arena, struct run_record *record, struct error *err)
{
    struct buffer text = {0};
    int code = file_read_secret(path, FORMAT_RECORD_MAX, &text, err);
    if (code == 0) {
        code = run_decode(buffer_bytes(&text), arena, record, err);
        if (code != 0)
            error_prefix(err, "%s", path);
    }
    buffer_free(&text);
    return code;
}

/* *name: the file, if that is not NULL, or where a new one was made. */
static int write_waiting(const char *state_folder, const struct run_record *from, const char *end,
                         char **name, struct error *err)
{
    struct arena arena = {0};
    struct buffer text = {0};
    char time[TEXT_TIME_SIZE];
    struct run_record record = fitted(&arena, from);
    run_encode(&record, &text);
    char *folder = file_join(state_folder, WAITING_FOLDER);
    int code = file_make_directories(folder, 0700, err);
    if (code == 0 && *name)
        code = file_write_atomic(*name, buffer_bytes(&text), 0600, err);
    /* A process may leave several within one second. */
    for (unsigned n = 0; code == 0 && !*name; n++) {
        char *fresh = memory_format("%s/%s-%ld-%u%s", folder, text_format_compact_time(record.ended, time),
                                    (long)getpid(), n, end);
        code = file_create_atomic(fresh, buffer_bytes(&text), 0600, err);
        if (code == 0)
            *name = fresh;
        else
            free(fresh);
        code = code == ERROR_EXISTS ? 0 : code;
    }
    free(folder);
    buffer_free(&text);
    arena_free(&arena);
    return code;
}

int runs_draft(const char *state_folder, const struct run_record *record, char **draft, struct error *err)
{
    return write_waiting(state_folder, record, DRAFT_END, draft, err);
}

void runs_drop_draft(const char *draft)
{
    drop_file(draft, NULL);
}

int runs_keep_waiting(const char *state_folder, const struct run_record *record, const char *draft,
                      struct error *err)
{
    char *name = NULL;
    int code = write_waiting(state_folder, record, WAITING_END, &name, err);
    free(name);
    return code == 0 ? drop_file(draft, err) : code;
}

struct looking {
    struct bytes body;
    bool found;
};

static void compare_run(const struct object_seen *object, const struct run_record *record, void *context)
{
    struct looking *l = context;
    struct buffer body = {0};
    (void)object;
    run_encode(record, &body);
    l->found |= bytes_equal(buffer_bytes(&body), l->body);
    buffer_free(&body);
}

/* Whoever was killed, or heard of a failure, before it could remove the file may have stored it all the same.
 */
static bool is_stored(struct repository *r, const struct run_record *record)
{
    struct arena arena = {0};
    struct buffer body = {0};
    run_encode(record, &body);
    struct looking l = {buffer_bytes(&body), false};
    if (record->sequence)
        each_run(r, &arena, compare_run, &l);
    buffer_free(&body);
    arena_free(&arena);
    return l.found;
}

static int append_waiting(struct repository *r, const char *path, struct chain *c, struct error *err)
{
    struct arena arena = {0};
    struct run_record record;
    struct error why;
    int code = 0, got = read_waiting(path, &arena, &record, &why);
    if (got != 0)
        log_warning("a run record that waited for a target cannot be used: %s", why.message);
    if (got == 0 && !is_stored(r, &record))
        code = append(r, &record, path, c, err);
    else if (got == 0 || got == ERROR_INTEGRITY)
        code = drop_file(path, err);
    arena_free(&arena);
    return code;
}

static int append_all_waiting(struct repository *r, const char *own, struct chain *c, struct error *err)
{
    struct waiting w;
    int code = list_waiting(r->parameters.state_folder, true, own, &w, err);
    for (size_t i = 0; i < w.count && code == 0; i++)
        code = append_waiting(r, w.paths[i], c, err);
    free_waiting(&w);
    return code;
}

int runs_append_waiting(struct repository *r, struct error *err)
{
    struct chain c;
    int code = begin_chain(r, &c, err);
    return code == 0 ? append_all_waiting(r, NULL, &c, err) : code;
}

int runs_append(struct repository *r, struct run_record *record, const char *draft, struct error *err)
{
    struct chain c;
    int code = begin_chain(r, &c, err);
    if (code == 0)
        code = append_all_waiting(r, draft, &c, err);
    return code == 0 ? append(r, record, draft, &c, err) : code;
}

/* ---- listing ---- */

struct loading {
    struct run_list *list;
    size_t capacity;
};

static void add_entry(struct loading *l, const struct run_entry *entry)
{
    memory_reserve_one(l->list->list, l->list->count, l->capacity);
    l->list->list[l->list->count++] = *entry;
}

static void add_run(const struct object_seen *object, const struct run_record *record, void *context)
{
    add_entry(context, &(struct run_entry){.sha256 = object->sha256, .record = *record});
}

static int load_waiting(const char *state_folder, bool drafts, struct loading *l, struct error *err)
{
    struct waiting w;
    int code = list_waiting(state_folder, drafts, NULL, &w, err);
    for (size_t i = 0; i < w.count && code == 0; i++) {
        struct run_entry entry = {.waits = true};
        struct error why;
        if (read_waiting(w.paths[i], &l->list->arena, &entry.record, &why) == 0) {
            entry.record.sequence = 0; /* it may get another one */
            add_entry(l, &entry);
        } else { /* who appends those that wait warns of it */
            log_verbose("a run record that waits for a target cannot be used: %s", why.message);
        }
    }
    free_waiting(&w);
    return code;
}

/* Not by their times: a clock that was ahead once would have the last word until that time has come. */
static int compare_entries(const void *a, const void *b)
{
    const struct run_entry *x = a, *y = b;
    int host = memcmp(x->record.host.b, y->record.host.b, sizeof x->record.host.b);
    if (x->waits != y->waits)
        return x->waits - y->waits;
    if (host != 0)
        return host;
    if (x->record.sequence != y->record.sequence)
        return x->record.sequence < y->record.sequence ? -1 : 1;
    if (x->record.ended != y->record.ended)
        return x->record.ended < y->record.ended ? -1 : 1;
    return id_compare(&x->sha256, &y->sha256);
}

int runs_load(struct repository *r, struct run_list *list, struct error *err)
{
    *list = (struct run_list){0};
    struct loading l = {.list = list};
    each_run(r, &list->arena, add_run, &l);
    size_t stored = list->count;
    /* A reader that has the lock has no draft of its own. */
    bool drafts = r->mode == REPOSITORY_READ && r->lock;
    int code = load_waiting(r->parameters.state_folder, drafts, &l, err);
    for (size_t i = stored; i < list->count && r->has_host; i++)
        list->list[i].record.host = r->host_key.host;
    if (list->count)
        qsort(list->list, list->count, sizeof *list->list, compare_entries);
    return code;
}

int runs_load_waiting(const char *state_folder, struct run_list *list, struct error *err)
{
    *list = (struct run_list){0};
    struct loading l = {.list = list};
    return load_waiting(state_folder, false, &l, err);
}

void runs_free(struct run_list *list)
{
    free(list->list);
    arena_free(&list->arena);
    *list = (struct run_list){0};
}
