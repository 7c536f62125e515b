/* Bringing lagging targets to what the others hold. */
#include "base/log.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/text.h"
#include "repo/internal.h"
#include "repo/lease.h"

#include <limits.h>
#include <stdlib.h>
#include <time.h>

#define REQUESTS_MAX 8
/* What is read from the sources at a time; what is queued for the targets comes on top. */
#define READ_BYTES_MAX (32u << 20)
/* Nothing else waits for it then, but the next run will. */
#define RECOVER_SECONDS (4 * 3600)

/* An object that some targets lack. */
struct copy_job {
    struct object_seen *object;
    uint64_t pack; /* its number, if it is one */
    uint32_t from, to;
    bool done;
};

struct catch_up {
    struct repository *r;
    bool dry_run;
    time_t deadline; /* monotonic seconds; 0: none */
    struct copy_job *jobs;
    size_t count, capacity;
    uint32_t lossy;       /* targets that will not have every pack that they should */
    pthread_mutex_t lock; /* what follows */
    uint64_t copied[TARGETS_MAX];
};

static time_t monotonic_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* False for what somebody put there: it must not spread. Segments were checked when they were read, and packs
 * are named by them. */
static bool belongs(struct repository *r, struct object_seen *object)
{
    static const enum object_type types[] = {
        [FOLDER_SNAPSHOTS] = OBJECT_MANIFEST, [FOLDER_RUNS] = OBJECT_RUN, [FOLDER_EVENTS] = OBJECT_EVENT};
    struct buffer body = {0};
    struct error why;
    int code = 0;
    if (object->folder == FOLDER_KEYRING || object->folder == FOLDER_PERSON) {
        char name[OBJECT_NAME_MAX];
        object_seen_name(object, name);
        code = key_object_check(r, object, &why);
        if (code != 0)
            error_prefix(&why, "%s", name);
    } else if (object->folder == FOLDER_SNAPSHOTS || object->folder == FOLDER_RUNS ||
               object->folder == FOLDER_EVENTS)
        code = record_load(r, types[object->folder], object, &body, &why);
    buffer_free(&body);
    if (code != 0)
        log_warning("it is not copied to other targets: %s", why.message);
    return code == 0;
}

/* ---- one object ---- */

static void leave_behind(struct catch_up *c, uint32_t mask)
{
    struct replicas *replicas = c->r->replicas;
    for (size_t t = 0; t < replicas_count(replicas); t++) {
        struct error why;
        if (!(mask >> t & 1) || !replicas_is_active(replicas, t))
            continue;
        error_set(&why, ERROR_FAILED, "target %s is behind, and copying takes too long",
                  c->r->parameters.target_labels[t]);
        error_hint(&why, "the rest is copied when the others are done, or by the next run");
        replicas_leave_behind(replicas, t, &why);
        if (!replicas_is_active(replicas, t)) {
            log_warning("%s", why.message);
            log_hint("%s", why.hint);
        }
    }
}

static int run_job(size_t index, void *context, struct error *err)
{
    struct catch_up *c = context;
    struct copy_job *job = &c->jobs[index];
    struct repository *r = c->r;
    int code = repository_stopped(r, err);
    if (code == 0)
        code = lease_keep(r, err); /* it may take days */
    if (code != 0)
        return code;
    if (c->deadline && monotonic_seconds() >= c->deadline)
        leave_behind(c, job->to);
    job->to &= repository_active_mask(r);
    if (!job->to || !belongs(r, job->object))
        return 0;
    pthread_mutex_lock(&c->lock);
    for (size_t t = 0; t < TARGETS_MAX; t++)
        c->copied[t] += job->to >> t & 1 ? job->object->size : 0;
    pthread_mutex_unlock(&c->lock);
    if (c->dry_run)
        return 0;
    static const size_t maxima[] = {
        [FOLDER_KEYRING] = FORMAT_KEYRING_MAX,  [FOLDER_PERSON] = PERSON_KEY_MAX,
        [FOLDER_PACKS] = FORMAT_PACK_MAX,       [FOLDER_INDEX] = FORMAT_SEGMENT_MAX,
        [FOLDER_SNAPSHOTS] = FORMAT_RECORD_MAX, [FOLDER_RUNS] = FORMAT_RECORD_MAX,
        [FOLDER_EVENTS] = FORMAT_RECORD_MAX};
    struct object_seen source = *job->object;
    char name[OBJECT_NAME_MAX];
    struct buffer bytes = {0};
    source.mask = job->from;
    object_seen_name(job->object, name);
    code = object_fetch(r, &source, maxima[source.folder], &bytes, err);
    if (code == ERROR_CANCELLED) {
        buffer_free(&bytes);
        return code;
    }
    if (code != 0) {
        /* Not the fault of the target that is to be filled: the others are damaged, or do not answer. */
        log_warning("%s cannot be copied: %s", name, err->message);
        pthread_mutex_lock(&c->lock);
        record_damage(r, code);
        pthread_mutex_unlock(&c->lock);
        buffer_free(&bytes);
        return 0;
    }
    code = replicas_put(r->replicas, job->to, REPLICAS_ANY_ORDER, name, &bytes, err);
    job->done = code == 0;
    return code;
}

static void add_job(struct catch_up *c, struct object_seen *object, uint64_t pack, uint32_t to)
{
    uint32_t from = object->mask & repository_active_mask(c->r);
    /* Where nobody who could be asked has it, what needs it will say so. */
    if (object->damaged || !from || !to)
        return;
    memory_reserve_one(c->jobs, c->count, c->capacity);
    c->jobs[c->count++] = (struct copy_job){.object = object, .pack = pack, .from = from, .to = to};
}

/* Copies what was gathered, several objects at a time, and waits until it is durable. */
static int run_jobs(struct catch_up *c, uint64_t object_bytes, struct error *err)
{
    struct repository *r = c->r;
    uint64_t requests = object_bytes ? READ_BYTES_MAX / object_bytes : REQUESTS_MAX;
    requests = requests < 2 ? 2 : requests > REQUESTS_MAX ? REQUESTS_MAX : requests;
    int code = c->count ? parallel_run(c->count, (unsigned)requests, run_job, c, err) : 0;
    if (code == 0)
        code = replicas_flush(r->replicas, err);
    uint32_t active = repository_active_mask(r);
    for (size_t i = 0; i < c->count && code == 0; i++) {
        const struct copy_job *job = &c->jobs[i];
        if (!job->done)
            continue;
        job->object->mask |= job->to & active;
        if (job->pack)
            r->packs[job->pack].present |= job->to & active;
    }
    c->count = 0;
    return code;
}

/* ---- what is lacking ---- */

static void add_object(struct catch_up *c, struct object_seen *object)
{
    add_job(c, object, 0, repository_active_mask(c->r) & ~object->mask);
}

static void add_folder(struct catch_up *c, enum object_folder folder)
{
    size_t first, end;
    listing_range(c->r, folder, &first, &end);
    for (size_t i = first; i < end; i++)
        add_object(c, &c->r->objects[i]);
}

/* Where it is listed with another size it counts as absent, too. */
static void add_pack(struct catch_up *c, const struct catalog_pack *pack)
{
    struct repository *r = c->r;
    const struct pack_state *state = &r->packs[pack->number];
    uint32_t to = repository_active_mask(r) & ~state->present;
    if (!state->known || (state->flags & PACK_CONDEMNED) || !to)
        return;
    struct object_seen *object = listing_find(r, FOLDER_PACKS, &pack->sha256);
    if (object)
        add_job(c, object, pack->number, to);
}

static int note_pending(const struct catalog_pack *pack, void *context)
{
    if (pack->pending)
        add_pack(context, pack);
    return 0;
}

/* Calls back once with each pack that segments in force list. */
static int each_listed_pack(struct catch_up *c,
                            void (*callback)(struct catch_up *c, const struct catalog_pack *pack),
                            struct error *err)
{
    struct repository *r = c->r;
    bool *seen = memory_alloc_array(r->pack_capacity + 1, sizeof *seen);
    int code = 0;
    for (size_t i = 0; i < r->segment_count && code == 0; i++) {
        uint64_t *numbers;
        size_t count;
        if (r->segments[i].obsolete)
            continue;
        code = catalog_segment_packs(r->catalog, &r->segments[i].sha256, &numbers, &count, err);
        if (code != 0)
            break;
        for (size_t k = 0; k < count && code == 0; k++) {
            struct catalog_pack pack;
            if (numbers[k] >= r->pack_capacity || seen[numbers[k]])
                continue;
            seen[numbers[k]] = true;
            code = catalog_pack_by_number(r->catalog, numbers[k], &pack, err);
            if (code == 0)
                callback(c, &pack);
        }
        free(numbers);
    }
    free(seen);
    return code;
}

static void note_lost(struct catch_up *c, const struct catalog_pack *pack)
{
    const struct pack_state *state = &c->r->packs[pack->number];
    if (!(state->flags & PACK_CONDEMNED))
        c->lossy |= repository_active_mask(c->r) & ~state->present;
}

static void add_segments(struct catch_up *c)
{
    for (size_t i = 0; i < c->r->segment_count; i++) {
        struct object_seen *object = listing_find(c->r, FOLDER_INDEX, &c->r->segments[i].sha256);
        if (object && !c->r->segments[i].obsolete)
            add_object(c, object);
    }
}

static void update_segment_masks(struct repository *r)
{
    for (size_t i = 0; i < r->segment_count; i++) {
        const struct object_seen *object = listing_find(r, FOLDER_INDEX, &r->segments[i].sha256);
        if (object)
            r->segments[i].mask = object->mask;
    }
    segments_find_obsolete(r);
}

static int is_forgotten(struct repository *r, const struct object_seen *object, const struct event *event,
                        void *context, struct error *err)
{
    (void)object;
    (void)err;
    if (event->type != EVENT_FORGET || !keyring_host_may_prune(&r->chain.keyring, &event->host))
        return 0;
    for (size_t i = 0; i < event->snapshots.count; i++)
        id_map_put(context, &event->snapshots.list[i], 1);
    return 0;
}

/* A snapshot must not exist on a target that lacks what it needs: the targets of mask that have it. */
static uint32_t complete_on(struct repository *r, struct object_seen *object, uint32_t mask)
{
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        if (!(mask >> t & 1) || closure_is_on(r, object, t))
            continue;
        char hex[ID_HEX_SIZE];
        id_to_hex(&object->sha256, hex);
        log_warning(
            "snapshot %.10s is not copied to target %s: what it needs is damaged or missing elsewhere", hex,
            r->parameters.target_labels[t]);
        mask &= ~(1u << t);
    }
    return mask;
}

static int add_manifests(struct catch_up *c, struct error *err)
{
    struct id_map *forgotten = id_map_new();
    size_t first, end;
    int code = events_each(c->r, is_forgotten, forgotten, err);
    listing_range(c->r, FOLDER_SNAPSHOTS, &first, &end);
    for (size_t i = first; i < end && code == 0; i++) {
        struct object_seen *object = &c->r->objects[i];
        uint32_t to = repository_active_mask(c->r) & ~object->mask;
        if (object->damaged || !to || id_map_has(forgotten, &object->sha256))
            continue;
        if (to & c->lossy)
            to = (to & ~c->lossy) | complete_on(c->r, object, to & c->lossy);
        add_job(c, object, 0, to);
    }
    id_map_free(forgotten);
    return code;
}

/* Also over one that is damaged. */
static int give_config(struct repository *r, struct error *err)
{
    struct buffer bytes = {0};
    if (!r->lacks_config)
        return 0;
    buffer_append_bytes(&bytes, buffer_bytes(&r->config_bytes));
    return replicas_put(r->replicas, r->lacks_config, REPLICAS_BARRIER, "config", &bytes, err);
}

/* In the order of a commit: each step is durable before the next begins. */
static int fill_targets(struct catch_up *c, struct error *err)
{
    struct repository *r = c->r;
    add_folder(c, FOLDER_KEYRING);
    add_folder(c, FOLDER_PERSON);
    int code = run_jobs(c, 0, err);
    if (code == 0 && !c->dry_run)
        code = give_config(r, err);
    add_folder(c, FOLDER_EVENTS);
    if (code == 0)
        code = run_jobs(c, 0, err);
    if (code == 0)
        code = each_listed_pack(c, add_pack, err);
    if (code == 0)
        code = catalog_each_pack(r->catalog, note_pending, c, err);
    if (code == 0)
        code = run_jobs(c, r->config.pack_size, err);
    add_segments(c);
    if (code == 0)
        code = run_jobs(c, FORMAT_SEGMENT_MAX, err);
    if (code == 0 && !c->dry_run) {
        update_segment_masks(r);
        code = each_listed_pack(c, note_lost, err);
    }
    if (code == 0)
        code = add_manifests(c, err);
    if (code == 0)
        code = run_jobs(c, 0, err);
    add_folder(c, FOLDER_RUNS);
    return code == 0 ? run_jobs(c, 0, err) : code;
}

int repository_catch_up(struct repository *r, bool dry_run, unsigned seconds, uint64_t *copied,
                        struct error *err)
{
    struct catch_up c = {.r = r, .dry_run = dry_run, .deadline = seconds ? monotonic_seconds() + seconds : 0};
    *copied = 0;
    if (replicas_count(r->replicas) == 1)
        return 0;
    pthread_mutex_init(&c.lock, NULL);
    replicas_be_patient(r->replicas, seconds ? seconds : UINT_MAX);
    int code = fill_targets(&c, err);
    replicas_be_patient(r->replicas, 0);
    for (size_t t = 0; t < TARGETS_MAX; t++) {
        char size[32];
        *copied += c.copied[t];
        if (c.copied[t] && replicas_is_active(r->replicas, t))
            log_info("target %s: %s %s", r->parameters.target_labels[t],
                     dry_run ? "lacks" : "was behind and got", text_format_size(c.copied[t], size));
    }
    pthread_mutex_destroy(&c.lock);
    free(c.jobs);
    return code;
}

int repository_recover(struct repository *r, struct error *err)
{
    uint64_t copied;
    if (!replicas_reinstate(r->replicas, (unsigned)r->parameters.stall))
        return 0;
    int code = repository_sync(r, err);
    return code == 0 ? repository_catch_up(r, false, RECOVER_SECONDS, &copied, err) : code;
}
