/* Bringing the catalog up to date, and lagging targets to what the others hold. */
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "repo/internal.h"
#include "repo/retention.h"

#include <stdlib.h>
#include <time.h>

#define DAY 86400
/* No backup for so long is more likely a clock that jumped. */
#define LONG_PAUSE (400 * (int64_t)DAY)

/* A clock that is wrong gives snapshots wrong times: whoever writes is told. */
static void check_clock(struct repository *r)
{
    char now_text[TEXT_TIME_SIZE], newest_text[TEXT_TIME_SIZE];
    int64_t now = (int64_t)time(NULL), newest = INT64_MIN;
    size_t first, end;
    listing_range(r, FOLDER_SNAPSHOTS, &first, &end);
    for (size_t i = first; i < end; i++)
        newest = r->objects[i].time > newest ? r->objects[i].time : newest;
    if (first == end || (newest <= now + DAY && newest >= now - LONG_PAUSE))
        return;
    log_warning("this machine's clock says %s, but the newest snapshot is of %s",
                text_format_time(now, now_text), text_format_time(newest, newest_text));
    log_hint(newest > now
                 ? "check the clock; snapshots of the future displace no others and are never removed"
                 : "check the clock, if backups ran in between");
}

int repository_sync(struct repository *r, struct error *err)
{
    r->damage = 0;
    retention_begin(r);
    int code = listing_load(r, err);
    if (code == 0)
        code = index_load(r, err);
    if (code == 0)
        code = events_apply(r, err);
    if (code == 0 && r->mode == REPOSITORY_WRITE)
        check_clock(r);
    return code;
}

/* ---- catching up ---- */

struct catch_up {
    struct repository *r;
    size_t target;
    bool dry_run;
    uint64_t copied;
    struct error *err;
};

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

/* Copies one object to the target, if it lacks it. */
static int copy_object(struct catch_up *c, struct object_seen *object, size_t max)
{
    struct repository *r = c->r;
    if (object->damaged || object->mask >> c->target & 1)
        return 0;
    if (!(object->mask & repository_active_mask(r)))
        return 0; /* nobody who could be asked has it: what needs it will say so */
    if (!belongs(r, object))
        return 0;
    c->copied += object->size;
    if (c->dry_run)
        return 0;
    char name[OBJECT_NAME_MAX];
    struct buffer bytes = {0};
    struct error read_error;
    object_seen_name(object, name);
    int code = object_fetch(r, object, max, &bytes, &read_error);
    if (code != 0) {
        /* Not the fault of the target that is to be filled: the others are damaged. */
        log_warning("%s cannot be copied: %s", name, read_error.message);
        r->damage++;
        buffer_free(&bytes);
        return 0;
    }
    code = storage_put(replicas_storage(r->replicas, c->target), name, buffer_bytes(&bytes), c->err);
    buffer_free(&bytes);
    if (code == 0)
        object->mask |= 1u << c->target;
    return code;
}

static int copy_folder(struct catch_up *c, enum object_folder folder, size_t max)
{
    size_t first, end;
    int code = 0;
    listing_range(c->r, folder, &first, &end);
    for (size_t i = first; i < end && code == 0; i++)
        code = copy_object(c, &c->r->objects[i], max);
    return code;
}

/* Packs of one segment, then the segment: in the order of a commit. */
static int copy_segment(struct catch_up *c, struct segment_state *s)
{
    struct repository *r = c->r;
    struct object_seen *object = listing_find(r, FOLDER_INDEX, &s->sha256);
    uint64_t *numbers;
    size_t count;
    int code = catalog_segment_packs(r->catalog, &s->sha256, &numbers, &count, c->err);
    if (code != 0)
        return code;
    for (size_t i = 0; i < count && code == 0; i++) {
        struct catalog_pack pack;
        code = catalog_pack_by_number(r->catalog, numbers[i], &pack, c->err);
        struct pack_state *state = &r->packs[numbers[i]];
        if (code != 0 || (state->flags & PACK_CONDEMNED) || state->present >> c->target & 1)
            continue;
        struct object_seen *pack_object = listing_find(r, FOLDER_PACKS, &pack.sha256);
        if (!pack_object)
            continue;
        struct object_seen found = *pack_object;
        if (found.mask >> c->target & 1)
            found.mask &= ~(1u << c->target); /* listed with another size: put it again */
        code = copy_object(c, &found, FORMAT_PACK_MAX);
        if (code == 0 && !c->dry_run && found.mask >> c->target & 1) {
            pack_object->mask |= 1u << c->target;
            state->present |= 1u << c->target;
        }
    }
    free(numbers);
    if (code == 0 && object)
        code = copy_object(c, object, FORMAT_SEGMENT_MAX);
    if (code == 0 && object)
        s->mask = object->mask;
    return code;
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

static int copy_manifests(struct catch_up *c)
{
    struct id_map *forgotten = id_map_new();
    size_t first, end;
    int code = events_each(c->r, is_forgotten, forgotten, c->err);
    listing_range(c->r, FOLDER_SNAPSHOTS, &first, &end);
    for (size_t i = first; i < end && code == 0; i++) {
        if (!id_map_has(forgotten, &c->r->objects[i].sha256))
            code = copy_object(c, &c->r->objects[i], FORMAT_RECORD_MAX);
    }
    id_map_free(forgotten);
    return code;
}

static int fill_target(struct catch_up *c)
{
    struct repository *r = c->r;
    int code = copy_folder(c, FOLDER_KEYRING, FORMAT_KEYRING_MAX);
    if (code == 0)
        code = copy_folder(c, FOLDER_PERSON, PERSON_KEY_MAX);
    if (code == 0 && !c->dry_run && r->lacks_config >> c->target & 1)
        /* Also over one that is damaged. */
        code = storage_put(replicas_storage(r->replicas, c->target), "config", buffer_bytes(&r->config_bytes),
                           c->err);
    if (code == 0)
        code = copy_folder(c, FOLDER_EVENTS, FORMAT_RECORD_MAX);
    for (size_t i = 0; i < c->r->segment_count && code == 0; i++) {
        if (!c->r->segments[i].obsolete)
            code = copy_segment(c, &c->r->segments[i]);
    }
    if (code == 0)
        code = copy_manifests(c);
    if (code == 0)
        code = copy_folder(c, FOLDER_RUNS, FORMAT_RECORD_MAX);
    return code;
}

int repository_catch_up(struct repository *r, bool dry_run, uint64_t *copied, struct error *err)
{
    struct error why;
    *copied = 0;
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        if (!replicas_is_active(r->replicas, t) || replicas_count(r->replicas) == 1)
            continue;
        struct catch_up c = {.r = r, .target = t, .dry_run = dry_run, .err = &why};
        if (fill_target(&c) != 0) {
            replicas_demote(r->replicas, t, &why);
            log_warning("target %s cannot be brought up to date: %s", r->parameters.target_labels[t],
                        why.message);
            if (*why.hint)
                log_hint("%s", why.hint);
        } else if (c.copied) {
            char size[32];
            log_info("target %s: %s %s", r->parameters.target_labels[t],
                     dry_run ? "lacks" : "was behind and got", text_format_size(c.copied, size));
        }
        *copied += c.copied;
    }
    if (replicas_active_count(r->replicas) == 0) {
        if (err)
            *err = why;
        return why.code;
    }
    if (!dry_run)
        segments_find_obsolete(r);
    return 0;
}
