/* Which targets held the repository before: one that was filled and is empty now is more likely a disk that
 * is not mounted, or a path or prefix that was mistyped, than a new one. */
#include "base/memory.h"
#include "repo/internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A target is known by its name and by its place: either may be changed in the configuration. */
enum { KEY_NAME, KEY_PLACE, KEY_COUNT };

/* In the catalog: when it was first seen filled, or that a state folder which began without it cannot tell.
 */
#define PERHAPS 1

/* NULL for the place of one that could not be opened. */
static char *key_of(const struct repository *r, size_t target, unsigned key)
{
    const struct storage *storage = replicas_storage(r->replicas, target);
    if (key == KEY_NAME)
        return memory_format("filled/%s", r->parameters.target_labels[target]);
    return storage ? memory_format("filled-at/%s", storage_location(storage)) : NULL;
}

static int64_t noted(struct repository *r, const char *key)
{
    return key ? catalog_get_number(r->catalog, key) : 0;
}

static int note(struct repository *r, size_t target, int64_t value, struct error *err)
{
    int code = 0;
    for (unsigned k = 0; k < KEY_COUNT && code == 0; k++) {
        char *key = key_of(r, target, k);
        if (key && noted(r, key) < (value > PERHAPS ? PERHAPS + 1 : PERHAPS))
            code = catalog_put_number(r->catalog, key, value, err);
        free(key);
    }
    return code;
}

int filled_note(struct repository *r, struct error *err)
{
    uint32_t holding = repository_active_mask(r) & ~r->lacks_config;
    size_t first, end;
    int code = 0;
    listing_range(r, FOLDER_SNAPSHOTS, &first, &end);
    bool begins = sync_time(r) == 0 && end > first;
    for (size_t t = 0; t < replicas_count(r->replicas) && code == 0; t++) {
        if (holding >> t & 1)
            code = note(r, t, (int64_t)time(NULL), err);
        else if (begins && !(r->lacks_config >> t & 1))
            code = note(r, t, PERHAPS, err);
    }
    return code;
}

/* What runs of this host and of others say in their signed records. */
struct search {
    const char *name;
    bool found;
};

static int look_at_run(const struct id *sha256, struct bytes body, void *context)
{
    struct search *search = context;
    struct arena arena = {0};
    struct run_record run;
    (void)sha256;
    if (run_decode(body, &arena, &run, NULL) == 0) {
        for (size_t i = 0; i < run.target_count; i++)
            search->found |= run.targets[i].objects > 0 && strcmp(run.targets[i].name, search->name) == 0;
    }
    arena_free(&arena);
    return 0;
}

/* *when: 0 if it was not, PERHAPS, or more. */
static int was_filled(struct repository *r, size_t target, int64_t *when, struct error *err)
{
    struct search search = {r->parameters.target_labels[target], false};
    *when = 0;
    for (unsigned k = 0; k < KEY_COUNT; k++) {
        char *key = key_of(r, target, k);
        int64_t found = noted(r, key);
        *when = found > *when ? found : *when;
        free(key);
    }
    int code = *when > PERHAPS ? 0 : catalog_each_record(r->catalog, OBJECT_RUN, look_at_run, &search, err);
    *when = search.found ? PERHAPS + 1 : *when;
    return code;
}

static int note_any(const struct storage_object *object, void *context)
{
    (void)object;
    *(bool *)context = true;
    return 1;
}

/* True unless every target that can be asked says that there is none. */
static bool has_snapshots(struct repository *r)
{
    uint32_t asked = repository_active_mask(r) & ~r->lacks_config;
    bool any = false;
    for (size_t t = 0; t < replicas_count(r->replicas) && !any; t++) {
        if (asked >> t & 1)
            any |= storage_list(replicas_storage(r->replicas, t), "snapshots/", note_any, &any, NULL) != 0;
    }
    return any;
}

static bool is_meant(const struct repository *r, size_t target)
{
    const char *name = r->parameters.new_target;
    return name && strcmp(name, r->parameters.target_labels[target]) == 0;
}

static int refuse(const struct repository *r, size_t target, bool filled, struct error *why)
{
    const char *name = r->parameters.target_labels[target];
    const char *place = storage_location(replicas_storage(r->replicas, target));
    error_set(why, ERROR_NOT_FOUND,
              filled
                  ? "target %s held this repository before, and there is none at %s now"
                  : "target %s: there is no repository at %s, and whether there ever was this state folder "
                    "does not know",
              name, place);
    return error_hint(
        why,
        "is it mounted, and are path, bucket and prefix right? if it is to be filled anew: holdfast heal "
        "--new-target %s",
        name);
}

int filled_check(struct repository *r, struct error *err)
{
    bool knows = sync_time(r) != 0 || !r->empty_targets || !has_snapshots(r);
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        int64_t filled;
        struct error why;
        if (!(r->empty_targets >> t & 1) || is_meant(r, t))
            continue;
        int code = was_filled(r, t, &filled, err);
        if (code != 0)
            return code;
        if (knows && !filled)
            continue;
        refuse(r, t, filled > PERHAPS, &why);
        r->lacks_config &= ~(1u << t);
        target_leave_out(r, t, &why);
    }
    return 0;
}
