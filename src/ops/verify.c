#include "ops/verify_internal.h"

#include "base/log.h"
#include "base/memory.h"
#include "crypto/random.h"
#include "repo/blobs.h"
#include "tree/tree.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool is_cancelled(const struct verify *v)
{
    return v->parameters->cancelled && *v->parameters->cancelled;
}

static int cancelled(struct error *err)
{
    return error_set(err, ERROR_CANCELLED, "stopped by a signal");
}

void verify_tell(struct verify *v, const char *target, const char *object, const char *what, bool repaired)
{
    if (v->parameters->problem)
        v->parameters->problem(v->parameters->problem_context, target, object, what, repaired);
}

void verify_count(struct verify *v, int code, bool repaired)
{
    v->result->problems++;
    v->result->repaired += repaired;
    v->outages += error_is_outage(code) && !repaired;
}

/* ---- is everything that snapshots need there? ---- */

static int check_extents(struct verify *v, const struct extents *extents, bool *all_seen, struct error *err)
{
    int code = 0;
    *all_seen = extents->count > 0;
    for (size_t i = 0; i < extents->count && code == 0; i++) {
        bool seen = true;
        if (!extents->list[i].hole)
            code = verify_check_blob(v, &extents->list[i].blob, &seen, err);
        *all_seen &= seen;
    }
    return code;
}

static int check_node(void *context, const char *path, const struct node *node, struct error *err)
{
    struct verify *v = context;
    bool seen;
    (void)path;
    if (is_cancelled(v))
        return cancelled(err);
    int code = check_extents(v, &node->content, &seen, err);
    if (code == 0 && node->type == NODE_DIRECTORY) {
        code = check_extents(v, &node->subtree, &seen, err);
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
    int code = check_extents(v, &s->manifest.root, &seen, &why);
    if (code == 0 && !seen)
        code = tree_walk(&s->manifest.root, blobs_fetch_tree, v->repository, check_node, v, &why);
    if (code != 0 && is_cancelled(v))
        return cancelled(err);
    if (code == ERROR_INTEGRITY) {
        verify_note_unread(v, hex, &why);
        return 0;
    }
    if (code != 0)
        *err = why;
    return code;
}

/* ---- are the bytes right? ---- */

static void note_bad(struct verify *v, uint64_t pack, uint32_t targets)
{
    if (pack == 0 || pack >= v->pack_count)
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

/* What came of one object on all targets: it is one problem. */
struct tally {
    bool any, left, hidden_repaired;
    int code; /* the worst of those that are left */
};

static void take_finding(struct verify *v, const struct inspect_object *object, size_t t, int code,
                         const struct inspect_finding *found, const struct error *why, struct tally *tally)
{
    const char *label = storage_label(replicas_storage(repository_replicas(v->repository), t));
    v->result->objects++;
    v->result->bytes += found->read;
    if (code == 0)
        return;
    if (found->older && object->hidden >> t & 1) {
        tally->hidden_repaired |= found->repaired; /* it is counted already */
        return;
    }
    verify_tell(v, label, object->name, why->message, found->repaired);
    tally->any = true;
    if (found->repaired)
        return;
    tally->left = true;
    if (tally->code == 0 || !error_is_outage(code))
        tally->code = code;
    if (code == ERROR_DENIED && !v->refusal.code)
        v->refusal = *why;
    if (!error_is_outage(code) && !found->older)
        note_bad(v, object->pack, 1u << t);
}

static void open_contents(struct verify *v, const struct inspect_object *object, size_t t,
                          struct tally *tally)
{
    struct error why;
    uint64_t blobs = 0;
    int code = check_content(v, object, &blobs, &why);
    if (code != 0 && is_cancelled(v))
        return;
    pthread_mutex_lock(&v->lock);
    v->result->blobs += blobs;
    if (code != 0) {
        verify_tell(v, storage_label(replicas_storage(repository_replicas(v->repository), t)), object->name,
                    why.message, false);
        tally->any = tally->left = true;
        tally->code = code;
    }
    if (code != 0 && !error_is_outage(code))
        note_bad(v, object->pack, UINT32_MAX);
    pthread_mutex_unlock(&v->lock);
}

static void count_object(struct verify *v, const struct inspect_object *object, const struct tally *tally)
{
    bool counted = object->pack && object->pack < v->pack_count &&
                   (v->missing[object->pack] | v->unlisted[object->pack]);
    pthread_mutex_lock(&v->lock);
    if (tally->any && !counted)
        verify_count(v, tally->code, !tally->left);
    v->result->repaired += tally->hidden_repaired;
    pthread_mutex_unlock(&v->lock);
}

static int check_object(const struct inspect_object *object, void *context, struct error *err)
{
    struct verify *v = context;
    const struct verify_parameters *p = v->parameters;
    struct tally tally = {0};
    bool opened = !p->content || !object->is_pack || !object->pack;
    if (is_cancelled(v))
        return cancelled(err);
    if (!is_chosen(p, object))
        return 0;
    for (size_t t = 0; t < replicas_count(repository_replicas(v->repository)); t++) {
        struct error why;
        struct inspect_finding found;
        if (!(object->targets >> t & 1))
            continue;
        int code = inspect_check(v->repository, object, t, p->repair, &found, &why);
        /* What is cut off is not damaged, whatever it looks like. */
        if (code != 0 && is_cancelled(v))
            return cancelled(err);
        pthread_mutex_lock(&v->lock);
        take_finding(v, object, t, code, &found, &why, &tally);
        uint64_t bytes = v->result->bytes;
        pthread_mutex_unlock(&v->lock);
        if (code == 0 && !opened) {
            opened = true;
            open_contents(v, object, t, &tally);
        }
        if (p->progress)
            p->progress(p->progress_context, bytes, v->total);
    }
    if (is_cancelled(v))
        return cancelled(err);
    count_object(v, object, &tally);
    return 0;
}

/* Packs of which no good copy is left: backups must not rely on them any more. */
static int distrust_bad(struct verify *v, struct error *err)
{
    uint64_t *packs = NULL;
    size_t count = 0, capacity = 0;
    uint32_t active = repository_active_mask(v->repository);
    for (uint64_t n = 1; n < v->pack_count; n++) {
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

/* The arrays, by number of a pack. */
static int prepare(struct verify *v, struct error *err)
{
    struct repository *r = v->repository;
    pthread_mutex_init(&v->lock, NULL);
    v->seen = id_map_new();
    v->pack_count = catalog_pack_limit(repository_catalog(r)) + 1;
    v->bad = memory_alloc_array(v->pack_count, sizeof *v->bad);
    v->missing = memory_alloc_array(v->pack_count, sizeof *v->missing);
    v->unlisted = memory_alloc_array(v->pack_count, sizeof *v->unlisted);
    return inspect_listed(r, &v->listed, err);
}

static void release(struct verify *v)
{
    uint32_t *const arrays[] = {v->listed, v->missing, v->unlisted, v->bad};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
    pthread_mutex_destroy(&v->lock);
    id_map_free(v->seen);
}

static int judge(const struct verify *v, struct error *err)
{
    const struct verify_result *result = v->result;
    uint64_t left = result->problems - result->repaired;
    bool repair = v->parameters->repair;
    if (!left)
        return 0;
    int code = left == v->outages
                   ? error_set(err, ERROR_FAILED, "%llu object%s could not be read, see the warnings above",
                               (unsigned long long)left, left == 1 ? "" : "s")
                   : error_set(err, ERROR_INTEGRITY, "%llu problem%s%s found, see the warnings above",
                               (unsigned long long)left, left == 1 ? "" : "s",
                               repair ? " that cannot be healed" : "");
    const char *todo = repair ? "for what is damaged no target has a good copy: run a backup, which stores "
                                "again what the files still hold, and forget the snapshots that cannot be "
                                "healed; what does not belong to this repository, remove by hand"
                              : "run: holdfast heal";
    return error_hint(err, "%s",
                      error_is_outage(code) && *v->refusal.hint ? v->refusal.hint : error_todo(code, todo));
}

static int look(struct verify *v, const struct snapshot_list *list, struct error *err)
{
    struct repository *r = v->repository;
    const struct verify_parameters *p = v->parameters;
    int code = prepare(v, err);
    for (size_t i = 0; i < list->count && code == 0; i++)
        code = check_snapshot(v, &list->list[i], err);
    find_behind(v, list);
    if (code == 0)
        code = verify_report_lacking(v, err);
    if (code == 0 && (p->sample > 0 || p->repair)) {
        v->total = inspect_bytes(r, p->sample);
        code = inspect_each(r, check_object, v, err);
    }
    if (code == 0 && v->some_bad && p->repair && repository_may_prune(r))
        code = distrust_bad(v, err);
    bool unread = v->unread_count > 0;
    verify_report_unread(v);
    if (code == 0 && (v->some_bad || v->lacking || unread))
        code = verify_report_lost(v, list, err);
    release(v);
    return code;
}

int verify_run(struct repository *r, const struct snapshot_list *list, const struct verify_parameters *p,
               struct verify_result *result, struct error *err)
{
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    *result = (struct verify_result){0};
    if (p->content && !repository_can_read_contents(r))
        return error_set(err, ERROR_DENIED, "checking contents needs a person's key");
    struct verify v = {.repository = r, .parameters = p, .result = result};
    result->repaired = p->repair ? repository_revealed(r) : 0;
    result->hidden = inspect_hidden(r) + result->repaired;
    result->problems = repository_damage(r) - (p->repair ? repository_uncopied(r) : 0) +
                       repository_damaged_targets(r) + result->hidden;
    v.outages = repository_outages(r);
    int code = look(&v, list, err);
    clock_gettime(CLOCK_MONOTONIC, &to);
    result->seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    return code == 0 ? judge(&v, err) : code;
}
