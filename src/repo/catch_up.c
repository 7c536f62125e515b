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
    struct id_map *forgotten; /* snapshots */
    uint32_t *rescued;        /* by pack: targets that get it although no segment in force lists it */
    uint32_t *has;            /* by pack: targets that hold it and a segment that lists it */
    uint32_t wanting;         /* targets that lack snapshots */
    pthread_mutex_t lock;     /* what follows */
    uint64_t copied[TARGETS_MAX];
    uint64_t seen_bytes, all_bytes; /* of the jobs at hand */
};

static time_t monotonic_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

bool object_belongs(struct repository *r, struct object_seen *object)
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
    if (!job->to || !object_belongs(r, job->object))
        return 0;
    pthread_mutex_lock(&c->lock);
    for (size_t t = 0; t < TARGETS_MAX; t++)
        c->copied[t] += job->to >> t & 1 ? job->object->size : 0;
    uint64_t seen = c->seen_bytes += job->object->size;
    pthread_mutex_unlock(&c->lock);
    if (job->pack)
        repository_show_progress(r, seen, c->all_bytes);
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
        r->uncopied += !error_is_outage(code);
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
    c->seen_bytes = c->all_bytes = 0;
    for (size_t i = 0; i < c->count; i++)
        c->all_bytes += c->jobs[i].object->size;
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

static void note_listed(void *context, const struct segment_state *segment, uint64_t pack)
{
    struct catch_up *c = context;
    (void)segment;
    c->has[pack] = 1;
}

static int add_listed_packs(struct catch_up *c, struct error *err)
{
    struct repository *r = c->r;
    int code = segments_each_pack(r, false, note_listed, c, err);
    for (uint64_t n = 0; n < r->pack_capacity && code == 0; n++) {
        struct catalog_pack pack;
        if (!c->has[n] || !(repository_active_mask(r) & ~r->packs[n].present))
            continue;
        code = catalog_pack_by_number(r->catalog, n, &pack, err);
        if (code == 0)
            add_pack(c, &pack);
    }
    return code == 0 ? catalog_each_pack(r->catalog, note_pending, c, err) : code;
}

/* ---- what prune condemned, and a snapshot needs ---- */

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

/* The active targets that lack a snapshot which they should have. */
static uint32_t lacking(const struct catch_up *c, const struct object_seen *manifest)
{
    if (manifest->damaged || id_map_has(c->forgotten, &manifest->sha256))
        return 0;
    return repository_active_mask(c->r) & ~manifest->mask;
}

static int find_wanting(struct catch_up *c, struct error *err)
{
    size_t first, end;
    int code = events_each(c->r, is_forgotten, c->forgotten, err);
    listing_range(c->r, FOLDER_SNAPSHOTS, &first, &end);
    for (size_t i = first; i < end && code == 0; i++)
        c->wanting |= lacking(c, &c->r->objects[i]);
    return code;
}

/* Packs that go stay until every writer has ended who may rely on them: what such a writer committed is
 * needed until prune copies it. The targets that lack one of them. */
static uint32_t exposed_targets(const struct repository *r)
{
    uint32_t active = repository_active_mask(r), exposed = 0;
    for (uint64_t n = 0; n < r->pack_capacity; n++) {
        const struct pack_state *p = &r->packs[n];
        if (p->known && (p->present & active) && (p->flags & (PACK_CONDEMNED | PACK_CURRENT)) != PACK_CURRENT)
            exposed |= active & ~p->present;
    }
    return exposed;
}

struct rescue {
    struct catch_up *c;
    size_t target;
};

static void note_lack(void *context, const struct blob_location *copy)
{
    const struct rescue *rescue = context;
    const struct pack_state *p = &rescue->c->r->packs[copy->pack];
    if ((p->flags & (PACK_CONDEMNED | PACK_CURRENT)) != PACK_CURRENT)
        rescue->c->rescued[copy->pack] |= 1u << rescue->target;
}

static void find_rescued(struct catch_up *c, size_t target)
{
    struct repository *r = c->r;
    struct rescue rescue = {c, target};
    struct closure *closure = closure_new(r, target, c->has, note_lack, &rescue);
    size_t first, end;
    listing_range(r, FOLDER_SNAPSHOTS, &first, &end);
    for (size_t i = first; i < end; i++) {
        if (lacking(c, &r->objects[i]) >> target & 1)
            closure_holds(closure, &r->objects[i]);
    }
    closure_free(closure);
}

static int rescue_packs(struct catch_up *c, struct error *err)
{
    struct repository *r = c->r;
    uint32_t exposed = exposed_targets(r) & c->wanting;
    int code = 0;
    for (uint64_t n = 0; n < r->pack_capacity; n++)
        c->has[n] = r->packs[n].present;
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        if (exposed >> t & 1)
            find_rescued(c, t);
    }
    for (uint64_t n = 0; n < r->pack_capacity && code == 0; n++) {
        struct catalog_pack pack;
        struct object_seen *object;
        if (!c->rescued[n])
            continue;
        code = catalog_pack_by_number(r->catalog, n, &pack, err);
        object = code == 0 ? listing_find(r, FOLDER_PACKS, &pack.sha256) : NULL;
        if (object)
            add_job(c, object, n, c->rescued[n] & repository_active_mask(r));
    }
    return code == 0 ? run_jobs(c, r->config.pack_size, err) : code;
}

/* ---- the index, and what it makes whole ---- */

/* Calls come segment by segment. */
static void add_obsolete(void *context, const struct segment_state *segment, uint64_t pack)
{
    struct catch_up *c = context;
    uint32_t to = c->rescued[pack] & repository_active_mask(c->r) & ~segment->mask;
    struct object_seen *object =
        segment->obsolete && to ? listing_find(c->r, FOLDER_INDEX, &segment->sha256) : NULL;
    if (object && c->count && c->jobs[c->count - 1].object == object)
        c->jobs[c->count - 1].to |= to;
    else if (object)
        add_job(c, object, 0, to);
}

static int copy_segments(struct catch_up *c, struct error *err)
{
    struct repository *r = c->r;
    for (size_t i = 0; i < r->segment_count; i++) {
        struct object_seen *object = listing_find(r, FOLDER_INDEX, &r->segments[i].sha256);
        if (object && !r->segments[i].obsolete)
            add_object(c, object);
    }
    int code = segments_each_pack(r, true, add_obsolete, c, err);
    return code == 0 ? run_jobs(c, FORMAT_SEGMENT_MAX, err) : code;
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

static bool index_is_whole(const struct repository *r)
{
    uint32_t active = repository_active_mask(r);
    for (size_t i = 0; i < r->segment_count; i++) {
        if (!r->segments[i].obsolete && (r->segments[i].mask & active) != active)
            return false;
    }
    return true;
}

/* A pack counts as absent where nothing lists it: what is written next must not rely on it there. */
static void drop_unlisted(void *context, const struct segment_state *segment, uint64_t pack)
{
    struct catch_up *c = context;
    (void)segment;
    c->r->packs[pack].present &= c->has[pack] | ~repository_active_mask(c->r);
}

/* A snapshot must not exist on a target that lacks what it needs. */
static bool may_have(struct catch_up *c, struct closure **closure, size_t target,
                     struct object_seen *manifest)
{
    if (!*closure)
        *closure = closure_new(c->r, target, c->has, NULL, NULL);
    if (closure_holds(*closure, manifest))
        return true;
    if (repository_stopped(c->r, NULL) != 0)
        return false;
    char hex[ID_HEX_SIZE];
    id_to_hex(&manifest->sha256, hex);
    log_warning("snapshot %.10s is not copied to target %s: what it needs is damaged or missing elsewhere",
                hex, c->r->parameters.target_labels[target]);
    return false;
}

static void add_manifests(struct catch_up *c)
{
    struct closure *closures[TARGETS_MAX] = {0};
    size_t first, end;
    listing_range(c->r, FOLDER_SNAPSHOTS, &first, &end);
    for (size_t i = first; i < end; i++) {
        struct object_seen *manifest = &c->r->objects[i];
        uint32_t to = lacking(c, manifest);
        for (size_t t = 0; t < TARGETS_MAX && !c->dry_run; t++) {
            if (to >> t & 1 && !may_have(c, &closures[t], t, manifest))
                to &= ~(1u << t);
        }
        add_job(c, manifest, 0, to);
    }
    for (size_t t = 0; t < TARGETS_MAX; t++)
        closure_free(closures[t]);
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
        code = find_wanting(c, err);
    if (code == 0)
        code = add_listed_packs(c, err);
    if (code == 0)
        code = run_jobs(c, r->config.pack_size, err);
    if (code == 0)
        code = rescue_packs(c, err);
    if (code == 0)
        code = copy_segments(c, err);
    if (code == 0 && !c->dry_run)
        update_segment_masks(r);
    bool whole = c->dry_run || index_is_whole(r);
    if (code == 0 && (c->wanting || !whole))
        code = index_held(r, c->has, err);
    if (code == 0 && !whole)
        code = segments_each_pack(r, false, drop_unlisted, c, err);
    if (code == 0 && c->wanting)
        add_manifests(c);
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
    int code = dry_run ? 0 : reveal_hidden(r, c.deadline, err);
    if (code != 0 || replicas_count(r->replicas) == 1)
        return code;
    pthread_mutex_init(&c.lock, NULL);
    c.forgotten = id_map_new();
    c.rescued = memory_alloc_array(r->pack_capacity + 1, sizeof *c.rescued);
    c.has = memory_alloc_array(r->pack_capacity + 1, sizeof *c.has);
    replicas_be_patient(r->replicas, seconds ? seconds : UINT_MAX);
    code = fill_targets(&c, err);
    if (code == 0 && !dry_run) {
        r->lacks_config &= ~repository_active_mask(r);
        code = filled_note(r, err);
    }
    replicas_be_patient(r->replicas, 0);
    for (size_t t = 0; t < TARGETS_MAX; t++) {
        char size[32];
        *copied += c.copied[t];
        if (c.copied[t] && replicas_is_active(r->replicas, t))
            log_info("target %s: %s %s", r->parameters.target_labels[t],
                     dry_run ? "lacks" : "was behind and got", text_format_size(c.copied[t], size));
    }
    pthread_mutex_destroy(&c.lock);
    id_map_free(c.forgotten);
    free(c.rescued);
    free(c.has);
    free(c.jobs);
    return code;
}

int repository_recover(struct repository *r, struct error *err)
{
    uint64_t copied;
    if (!replicas_reinstate(r->replicas, (unsigned)r->parameters.stall))
        return 0;
    int code = lease_renew(r, err);
    if (code == 0)
        code = repository_sync(r, err);
    return code == 0 ? repository_catch_up(r, false, RECOVER_SECONDS, &copied, err) : code;
}
