/* Bringing the catalog up to date with what the targets hold. */
#include "base/log.h"
#include "base/text.h"
#include "repo/internal.h"
#include "repo/retention.h"

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

/* Whoever removed them has no right to what they hold, or does not know of it. */
static void warn_of_hidden(struct repository *r)
{
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        size_t count = replicas_is_active(r->replicas, t) ? listing_hidden(r, t) : 0;
        if (!count)
            continue;
        log_warning(
            "target %s: %zu object%s hidden: removed or overwritten by somebody, and still there as older "
            "versions until a rule of the bucket lets them go",
            r->parameters.target_labels[t], count, count == 1 ? " is" : "s are");
        log_hint("holdfast heal makes them visible again; find out who may remove objects there");
    }
}

#define SYNC_KEY "sync"

int64_t sync_time(struct repository *r)
{
    return catalog_get_number(r->catalog, SYNC_KEY);
}

static int sync_with(struct repository *r, bool index, struct error *err)
{
    r->damage = r->outages = r->uncopied = 0;
    /* What is still on its way would be taken for lost. */
    int code = r->mode == REPOSITORY_WRITE ? replicas_flush(r->replicas, err) : 0;
    if (code == 0)
        code = listing_load(r, err);
    if (code == 0)
        retention_begin(r);
    if (code == 0 && index)
        code = index_load(r, err);
    if (code == 0)
        warn_of_hidden(r);
    if (code == 0)
        records_prefetch(r, 1u << FOLDER_SNAPSHOTS | 1u << FOLDER_EVENTS);
    if (code == 0)
        code = filled_note(r, err);
    if (code == 0)
        code = catalog_put_number(r->catalog, SYNC_KEY, (int64_t)time(NULL), err);
    return code;
}

int repository_sync_records(struct repository *r, struct error *err)
{
    return sync_with(r, false, err);
}

int repository_sync(struct repository *r, struct error *err)
{
    int code = sync_with(r, true, err);
    if (code == 0)
        code = events_apply(r, err);
    if (code == 0 && r->mode == REPOSITORY_WRITE)
        check_clock(r);
    return code;
}
