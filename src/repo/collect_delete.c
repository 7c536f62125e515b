/* The end of what was condemned: packs, index segments, and events that are done with. */
#include "base/log.h"
#include "base/memory.h"
#include "repo/collect_internal.h"

#include <stdlib.h>

struct condemned_list {
    struct collection *c;
    struct id_map *due;     /* packs, older than every live lease as their events are */
    struct id_map *waiting; /* the others */
};

/* When it was written, at the latest: the clock of who wrote it may have been behind those of the stores.
 * What this collection itself wrote came after every lease that was read since. */
static int64_t event_time(const struct collection *c, const struct object_seen *object,
                          const struct event *event)
{
    if (event->created >= c->now)
        return INT64_MAX - 1;
    return event->created > object->store_time ? event->created : object->store_time;
}

static int note_condemned(struct repository *r, const struct object_seen *object, const struct event *event,
                          void *context, struct error *err)
{
    (void)err;
    struct condemned_list *list = context;
    struct collection *c = list->c;
    int64_t grace_ends = object->store_time + r->parameters.condemn_grace;
    if (event->type != EVENT_CONDEMN || !keyring_host_may_prune(&r->chain.keyring, &event->host))
        return 0;
    bool over = r->parameters.condemn_grace == 0 || grace_ends <= c->now;
    bool due = event_time(c, object, event) < c->oldest_lease && over;
    if (!over && event->packs.count && grace_ends > c->waits_until)
        c->waits_until = grace_ends;
    for (size_t i = 0; i < event->packs.count; i++) {
        const struct id *pack = &event->packs.list[i];
        /* One that came after the event was brought from another target, by somebody who will write there
         * what needs it. */
        id_map_put(due && !collect_is_young(c, pack) ? list->due : list->waiting, pack, 1);
    }
    return 0;
}

/* A pack that holds the only copy of something that is needed stays, whatever an event says. */
static bool is_needed(const struct collection *c, const struct catalog_pack *pack)
{
    if (c->fates[pack->number] == FATE_REPACK)
        return false; /* copied in this run */
    return collect_is_live(c, pack);
}

static bool may_go(const struct collection *c, const struct object_seen *object)
{
    struct catalog_pack pack;
    int code = catalog_find_pack(c->r->catalog, &object->sha256, &pack, NULL);
    return code == ERROR_NOT_FOUND || (code == 0 && !is_needed(c, &pack));
}

static int note_deleted(struct collection *c, const struct object_seen *object, struct error *err)
{
    struct repository *r = c->r;
    struct catalog_pack pack;
    c->result->deleted_packs++;
    c->result->deleted_bytes += object->size;
    if (catalog_find_pack(r->catalog, &object->sha256, &pack, NULL) != 0)
        return 0;
    r->packs[pack.number].present &= object->mask;
    return object->mask == 0 && replicas_active_count(r->replicas) == r->parameters.target_count
               ? catalog_remove_pack(r->catalog, pack.number, err)
               : 0;
}

static int delete_packs(struct collection *c, const struct condemned_list *list, struct error *err)
{
    struct repository *r = c->r;
    size_t first, end, count = 0;
    listing_range(r, FOLDER_PACKS, &first, &end);
    struct object_seen **due = memory_alloc_array(end - first, sizeof *due);
    uint32_t *before = memory_alloc_array(end - first, sizeof *before);
    for (size_t i = first; i < end; i++) {
        struct object_seen *object = &r->objects[i];
        if (id_map_has(list->due, &object->sha256) && may_go(c, object)) {
            before[count] = object->mask;
            due[count++] = object;
        } else if (!id_map_has(list->due, &object->sha256) && id_map_has(list->waiting, &object->sha256)) {
            c->result->delayed_packs++;
        }
    }
    int code = collect_remove(c, due, count, err);
    for (size_t i = 0; i < count && code == 0; i++) {
        if (due[i]->mask != before[i])
            code = note_deleted(c, due[i], err);
    }
    free(due);
    free(before);
    if (c->result->delayed_packs)
        c->result->delayed_until = c->leases_end > c->waits_until ? c->leases_end : c->waits_until;
    return code;
}

/* Whether some pack of a replaced segment waits for its end. */
static int segment_waits(const struct collection *c, const struct segment_state *s,
                         const struct condemned_list *list, bool *waits, struct error *err)
{
    const struct repository *r = c->r;
    uint64_t *numbers;
    size_t count;
    int code = catalog_segment_packs(r->catalog, &s->sha256, &numbers, &count, err);
    *waits = false;
    for (size_t k = 0; k < count && code == 0; k++) {
        struct catalog_pack pack;
        code = catalog_pack_by_number(r->catalog, numbers[k], &pack, err);
        if (code == ERROR_NOT_FOUND) {
            code = 0;
            continue;
        }
        if (code != 0)
            break;
        const struct pack_state *state = &r->packs[numbers[k]];
        bool only_here =
            c->fates[numbers[k]] == FATE_KEEP && state->present && !(state->flags & PACK_CURRENT);
        *waits |= only_here || id_map_has(list->waiting, &pack.sha256);
    }
    free(numbers);
    return code;
}

/* A replaced segment goes from a target when the replacement is whole there and none of its packs waits:
 * until then it tells whoever looks what the old packs hold. */
static int delete_segments(struct collection *c, const struct condemned_list *list, struct error *err)
{
    struct repository *r = c->r;
    struct segment_state **replaced = memory_alloc_array(r->segment_count, sizeof *replaced);
    struct object_seen *parts = memory_alloc_array(r->segment_count, sizeof *parts);
    struct object_seen **pointers = memory_alloc_array(r->segment_count, sizeof *pointers);
    size_t count = 0;
    int code = 0;
    for (size_t i = 0; i < r->segment_count && code == 0; i++) {
        struct segment_state *s = &r->segments[i];
        struct object_seen *object = s->obsolete ? listing_find(r, FOLDER_INDEX, &s->sha256) : NULL;
        bool waits = true;
        if (object)
            code = segment_waits(c, s, list, &waits, err);
        if (code != 0 || waits)
            continue;
        parts[count] = *object;
        parts[count].mask &= s->replaced_on;
        pointers[count] = &parts[count];
        replaced[count++] = s;
    }
    if (code == 0)
        code = collect_remove(c, pointers, count, err);
    for (size_t i = 0; i < count && code == 0; i++) {
        struct segment_state *s = replaced[i];
        struct object_seen *object = listing_find(r, FOLDER_INDEX, &s->sha256);
        object->mask &= ~s->replaced_on | parts[i].mask;
        s->mask = object->mask;
        if (object->mask == 0)
            code = catalog_remove_segment(r->catalog, &s->sha256, err);
    }
    free(replaced);
    free(parts);
    free(pointers);
    return code;
}

/* ---- events ---- */

struct finished {
    struct collection *c;
    struct object_seen **list;
    size_t count, capacity;
};

static bool some_exist(struct repository *r, enum object_folder folder, const struct id_list *ids)
{
    for (size_t i = 0; i < ids->count; i++) {
        const struct object_seen *object = listing_find(r, folder, &ids->list[i]);
        if (object && object->mask)
            return true;
    }
    return false;
}

static int note_finished(struct repository *r, const struct object_seen *object, const struct event *event,
                         void *context, struct error *err)
{
    (void)err;
    struct finished *f = context;
    /* Who began before it was written may still copy, to another target, what it says is to go. */
    bool needed = event_time(f->c, object, event) >= f->c->oldest_lease ||
                  some_exist(r, FOLDER_SNAPSHOTS, &event->snapshots) ||
                  some_exist(r, FOLDER_PACKS, &event->packs) || some_exist(r, FOLDER_RUNS, &event->runs) ||
                  event->check_count; /* of which nobody here knows whether they are still shown */
    for (size_t i = 0; i < event->frame_count && !needed; i++) {
        const struct object_seen *pack = listing_find(r, FOLDER_PACKS, &event->frames[i].pack);
        needed = pack && pack->mask;
    }
    if (!needed) {
        memory_reserve_one(f->list, f->count, f->capacity);
        f->list[f->count++] = listing_find(r, FOLDER_EVENTS, &object->sha256);
    }
    return 0;
}

/* Only when every configured target is here: one that is away may still hold what an event speaks of. */
static int delete_events(struct collection *c, struct error *err)
{
    struct repository *r = c->r;
    struct finished f = {.c = c};
    if (replicas_active_count(r->replicas) != r->parameters.target_count)
        return 0;
    int code = events_each(r, note_finished, &f, err);
    if (code == 0)
        code = collect_remove(c, f.list, f.count, err);
    for (size_t i = 0; i < f.count && code == 0; i++) {
        code = catalog_remove_record(r->catalog, OBJECT_EVENT, &f.list[i]->sha256, err);
        c->result->deleted_events++;
    }
    free(f.list);
    return code;
}

int collect_delete(struct collection *c, struct error *err)
{
    struct condemned_list list = {c, id_map_new(), id_map_new()};
    int code = events_each(c->r, note_condemned, &list, err);
    /* The index first: what it lists is there as long as it is. */
    if (code == 0)
        code = delete_segments(c, &list, err);
    if (code == 0)
        code = delete_packs(c, &list, err);
    if (code == 0)
        code = delete_events(c, err);
    id_map_free(list.due);
    id_map_free(list.waiting);
    return code;
}
