#include "ops/verify_internal.h"

#include "base/log.h"
#include "base/memory.h"
#include "crypto/random.h"
#include "repo/blobs.h"
#include "repo/inspect.h"
#include "tree/tree.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool is_cancelled(const struct verify *v)
{
    return v->parameters->cancelled && *v->parameters->cancelled;
}

static void problem(struct verify *v, const char *target, const char *object, int code, const char *what,
                    bool repaired)
{
    v->result->problems++;
    v->result->repaired += repaired;
    v->outages += error_is_outage(code) && !repaired;
    if (v->parameters->problem)
        v->parameters->problem(v->parameters->problem_context, target, object, what, repaired);
}

/* ---- is everything that snapshots need there? ---- */

static int check_blob(struct verify *v, const struct id *id, const char *path, bool *was_seen,
                      struct error *err)
{
    struct blob_location copies[BLOB_COPIES_MAX];
    size_t count;
    uint64_t seen = 0;
    id_map_get(v->seen, id, &seen);
    uint32_t wanted = v->wanted & ~(uint32_t)seen;
    *was_seen = !wanted;
    if (*was_seen)
        return 0;
    id_map_put(v->seen, id, seen | wanted);
    int code = blobs_locate(v->repository, id, copies, &count, err);
    if (code != 0)
        return code;
    uint32_t present = 0;
    for (size_t i = 0; i < count; i++)
        present |= v->held[copies[i].pack];
    if ((present & wanted) == wanted)
        return 0;
    int missing = repository_missing(v->repository);
    if ((present & repository_active_mask(v->repository)) == 0 && !error_is_outage(missing))
        v->result->missing_files++;
    for (size_t t = 0; t < replicas_count(repository_replicas(v->repository)); t++) {
        if (!(wanted >> t & 1) || present >> t & 1)
            continue;
        problem(v, storage_label(replicas_storage(repository_replicas(v->repository), t)), path, missing,
                "a blob that it needs is not there", false);
    }
    return 0;
}

static int check_extents(struct verify *v, const struct extents *extents, const char *path, bool *all_seen,
                         struct error *err)
{
    int code = 0;
    *all_seen = extents->count > 0;
    for (size_t i = 0; i < extents->count && code == 0; i++) {
        bool seen = true;
        if (!extents->list[i].hole)
            code = check_blob(v, &extents->list[i].blob, path, &seen, err);
        *all_seen &= seen;
    }
    return code;
}

static int check_node(void *context, const char *path, const struct node *node, struct error *err)
{
    struct verify *v = context;
    bool seen;
    if (is_cancelled(v))
        return error_set(err, ERROR_CANCELLED, "stopped by a signal");
    int code = check_extents(v, &node->content, path, &seen, err);
    if (code == 0 && node->type == NODE_DIRECTORY) {
        code = check_extents(v, &node->subtree, path, &seen, err);
        if (code == 0 && seen)
            return TREE_SKIP;
    }
    return code;
}

static int check_snapshot(struct verify *v, const struct snapshot *s, struct error *err)
{
    char hex[ID_HEX_SIZE];
    bool seen;
    struct error why;
    v->result->snapshots++;
    v->wanted = s->targets & repository_active_mask(v->repository);
    id_to_hex(&s->sha256, hex);
    hex[10] = '\0';
    int code = check_extents(v, &s->manifest.root, hex, &seen, &why);
    if (code == 0 && !seen)
        code = tree_walk(&s->manifest.root, blobs_fetch_tree, v->repository, check_node, v, &why);
    if (code == ERROR_INTEGRITY && !is_cancelled(v)) {
        /* A listing that cannot be read: what lies below it cannot be restored. */
        char *name = memory_format("snapshot %s", hex);
        problem(v, "all targets", name, code, why.message, false);
        free(name);
        return 0;
    }
    if (code != 0 && is_cancelled(v))
        return error_set(err, ERROR_CANCELLED, "stopped by a signal");
    if (code != 0)
        *err = why;
    return code;
}

/* ---- are the bytes right? ---- */

static void note_bad(struct verify *v, uint64_t pack, uint32_t targets)
{
    if (pack == 0 || pack >= v->bad_count)
        return;
    v->bad[pack] |= targets;
    v->some_bad = true;
}

static bool is_chosen(const struct verify_parameters *p, const struct inspect_object *object)
{
    uint32_t random;
    if (!object->is_pack || p->sample >= 100)
        return p->sample >= 100;
    if (p->span)
        return (uint32_t)(bytes_load_u32(object->sha256.b) - p->first) < p->span;
    random_bytes(&random, sizeof random);
    return random < p->sample / 100 * 4294967296.0;
}

/* Frames that are fetched together. */
#define LOAD_BYTES (4u << 20)

static int check_content(struct verify *v, const struct inspect_object *object, uint64_t *blobs,
                         struct error *err)
{
    struct pack_reader *reader;
    struct buffer raw = {0};
    int code = pack_reader_open(v->repository, object->pack, &reader, err);
    if (code != 0)
        return code;
    struct blob_hasher *hasher = blob_hasher_new(repository_secrets(v->repository));
    const struct contents *c = &pack_reader_entry(reader)->contents;
    for (uint32_t f = 0, loaded = 0; f < c->frame_count && code == 0; f++) {
        if (f == loaded) {
            while (loaded < c->frame_count &&
                   (loaded == f || c->frames[loaded].offset - c->frames[f].offset < LOAD_BYTES))
                loaded++;
            /* Its failure shows again, frame by frame, below. */
            pack_reader_load(reader, f, loaded - 1, NULL);
        }
        code = pack_reader_frame(reader, f, &raw, err);
        for (uint32_t k = 0; k < c->frames[f].blob_count && code == 0; k++) {
            const struct blob_entry *b = &c->blobs[c->frames[f].first_blob + k];
            ++*blobs;
            if (!blob_hasher_matches(hasher, object->kind, bytes_of(raw.data + b->offset, b->length), &b->id))
                code = error_set(err, ERROR_INTEGRITY, "a blob has other contents than its id says");
        }
    }
    blob_hasher_free(hasher);
    buffer_free_secret(&raw);
    pack_reader_free(reader);
    return code;
}

static int check_object(const struct inspect_object *object, void *context, struct error *err)
{
    struct verify *v = context;
    const struct verify_parameters *p = v->parameters;
    bool content_checked = false;
    if (is_cancelled(v))
        return error_set(err, ERROR_CANCELLED, "stopped by a signal");
    if (!is_chosen(p, object))
        return 0;
    for (size_t t = 0; t < replicas_count(repository_replicas(v->repository)); t++) {
        struct error why, content_why;
        struct inspect_finding found;
        uint64_t blobs = 0;
        if (!(object->targets >> t & 1))
            continue;
        int code = inspect_check(v->repository, object, t, p->repair, &found, &why), content_code = 0;
        if (code == 0 && p->content && object->is_pack && object->pack && !content_checked) {
            content_checked = true;
            content_code = check_content(v, object, &blobs, &content_why);
        }
        /* What is cut off is not damaged, whatever it looks like. */
        if ((code != 0 || content_code != 0) && is_cancelled(v))
            return error_set(err, ERROR_CANCELLED, "stopped by a signal");
        const char *label = storage_label(replicas_storage(repository_replicas(v->repository), t));
        pthread_mutex_lock(&v->lock);
        v->result->objects++;
        v->result->bytes += found.read;
        v->result->blobs += blobs;
        if (code != 0 && found.older && object->hidden >> t & 1)
            v->result->repaired += found.repaired; /* it is counted already */
        else if (code != 0)
            problem(v, label, object->name, code, why.message, found.repaired);
        if (code == ERROR_DENIED && !found.repaired && !v->refusal.code)
            v->refusal = why;
        if (code != 0 && !error_is_outage(code) && !found.repaired && !found.older)
            note_bad(v, object->pack, 1u << t);
        if (content_code != 0)
            problem(v, label, object->name, content_code, content_why.message, false);
        if (content_code != 0 && !error_is_outage(content_code))
            note_bad(v, object->pack, UINT32_MAX);
        if (p->progress)
            p->progress(p->progress_context, v->result->bytes, v->total);
        pthread_mutex_unlock(&v->lock);
    }
    return 0;
}

/* Packs of which no good copy is left: backups must not rely on them any more. */
static int distrust_bad(struct verify *v, struct error *err)
{
    uint64_t *packs = NULL;
    size_t count = 0, capacity = 0;
    uint32_t active = repository_active_mask(v->repository);
    for (uint64_t n = 1; n < v->bad_count; n++) {
        if (!v->bad[n] || inspect_present(v->repository, n) & active & ~v->bad[n])
            continue;
        memory_reserve_one(packs, count, capacity);
        packs[count++] = n;
    }
    int code = count ? inspect_distrust(v->repository, packs, count, err) : 0;
    free(packs);
    return code;
}

static void find_behind(const struct verify *v, const struct snapshot_list *list)
{
    struct replicas *replicas = repository_replicas(v->repository);
    for (size_t t = 0; t < replicas_count(replicas); t++) {
        size_t lacking = 0;
        for (size_t i = 0; i < list->count; i++)
            lacking += !(list->list[i].targets >> t & 1);
        if (!lacking || !replicas_is_active(replicas, t))
            continue;
        v->result->targets_behind++;
        log_warning("target %s lacks %zu snapshots", storage_label(replicas_storage(replicas, t)), lacking);
    }
}

int verify_run(struct repository *r, const struct snapshot_list *list, const struct verify_parameters *p,
               struct verify_result *result, struct error *err)
{
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    *result = (struct verify_result){0};
    if (p->content && !repository_can_read_contents(r))
        return error_set(err, ERROR_DENIED, "checking contents needs a person's key");
    struct verify v = {.repository = r, .parameters = p, .result = result, .seen = id_map_new()};
    pthread_mutex_init(&v.lock, NULL);
    v.bad_count = catalog_pack_limit(repository_catalog(r)) + 1;
    v.bad = memory_alloc_array(v.bad_count, sizeof *v.bad);
    result->hidden = inspect_hidden(r) + (p->repair ? repository_revealed(r) : 0);
    result->repaired = p->repair ? repository_revealed(r) : 0;
    result->problems = repository_damage(r) + repository_damaged_targets(r) + result->hidden;
    v.outages = repository_outages(r);
    int code = inspect_held(r, &v.held, err);
    for (size_t i = 0; i < list->count && code == 0; i++)
        code = check_snapshot(&v, &list->list[i], err);
    find_behind(&v, list);
    if (code == 0 && (p->sample > 0 || p->repair)) {
        v.total = inspect_bytes(r, p->sample);
        code = inspect_each(r, check_object, &v, err);
    }
    if (code == 0 && v.some_bad && p->repair && repository_may_prune(r))
        code = distrust_bad(&v, err);
    if (code == 0 && (v.some_bad || result->missing_files))
        code = verify_report_lost(&v, list, err);
    free(v.bad);
    free(v.held);
    pthread_mutex_destroy(&v.lock);
    id_map_free(v.seen);
    clock_gettime(CLOCK_MONOTONIC, &to);
    result->seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    uint64_t left = result->problems - result->repaired;
    if (code == 0 && left) {
        code = left == v.outages
                   ? error_set(err, ERROR_FAILED, "%llu object%s could not be read, see the warnings above",
                               (unsigned long long)left, left == 1 ? "" : "s")
                   : error_set(err, ERROR_INTEGRITY, "%llu problem%s%s found, see the warnings above",
                               (unsigned long long)left, left == 1 ? "" : "s",
                               p->repair ? " that cannot be healed" : "");
        error_hint(
            err, "%s",
            error_is_outage(code) && *v.refusal.hint
                ? v.refusal.hint
                : error_todo(code, p->repair
                                       ? "for what is damaged no target has a good copy: run a backup, "
                                         "which stores again what the files still hold, and forget the "
                                         "snapshots that cannot be healed; what does not belong to this "
                                         "repository, remove by hand"
                                       : "run: holdfast heal"));
    }
    return code;
}
