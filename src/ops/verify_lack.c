/* What snapshots need and targets lack: told pack by pack, however many files need each. */
#include "base/memory.h"
#include "ops/verify_internal.h"
#include "repo/blobs.h"

#include <stdlib.h>
#include <string.h>

static size_t target_count(const struct verify *v)
{
    return replicas_count(repository_replicas(v->repository));
}

static int blame(struct verify *v, const struct id *id, uint32_t lacking, struct error *err)
{
    int code = 0;
    for (size_t t = 0; t < target_count(v) && code == 0; t++) {
        uint64_t pack;
        bool unlisted;
        if (!(lacking >> t & 1))
            continue;
        code = inspect_blame(v->repository, v->listed, id, t, &pack, &unlisted, err);
        if (code != 0)
            break;
        if (pack && pack < v->pack_count)
            (unlisted ? v->unlisted : v->missing)[pack] |= 1u << t;
        else
            v->unknown[t]++;
    }
    v->lacking = true;
    return code;
}

int verify_check_blob(struct verify *v, const struct id *id, bool *was_seen, struct error *err)
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
    uint32_t held = 0;
    for (size_t i = 0; i < count; i++)
        held |= verify_held(v, copies[i].pack);
    return wanted & ~held ? blame(v, id, wanted & ~held, err) : 0;
}

static void tell(struct verify *v, const char *object, uint32_t targets, const char *what)
{
    for (size_t t = 0; t < target_count(v); t++) {
        if (targets >> t & 1)
            verify_tell(v, storage_label(replicas_storage(repository_replicas(v->repository), t)), object,
                        what, false);
    }
    verify_count(v, repository_missing(v->repository), false);
}

static void tell_segment(void *context, const char *name, uint32_t targets)
{
    tell(context, name, targets, "this part of the index is missing");
}

static int tell_pack(struct verify *v, uint64_t pack, struct error *err)
{
    char name[OBJECT_NAME_MAX];
    uint32_t cut, missing = v->missing[pack], unlisted = v->unlisted[pack];
    int code = inspect_pack_name(v->repository, pack, name, &cut, err);
    if (code != 0)
        return code;
    if (missing & cut)
        tell(v, name, missing & cut, "it has another size than the index says");
    if (missing & ~cut)
        tell(v, name, missing & ~cut, "it is missing, and snapshots need it");
    if (unlisted)
        tell(v, name, unlisted, "no part of the index lists it there, and snapshots need it");
    return 0;
}

int verify_report_lacking(struct verify *v, struct error *err)
{
    int code = v->lacking ? inspect_unlisted(v->repository, v->unlisted, tell_segment, v, err) : 0;
    for (uint64_t n = 1; n < v->pack_count && code == 0 && v->lacking; n++) {
        if (v->missing[n] | v->unlisted[n])
            code = tell_pack(v, n, err);
    }
    uint32_t targets = 0;
    uint64_t most = 0;
    for (size_t t = 0; t < target_count(v); t++) {
        targets |= (uint32_t)(v->unknown[t] > 0) << t;
        most = v->unknown[t] > most ? v->unknown[t] : most;
    }
    if (!targets || code != 0)
        return code;
    char *what = memory_format("a part of it is missing: nothing lists %llu blob%s that snapshots need",
                               (unsigned long long)most, most == 1 ? "" : "s");
    tell(v, "index", targets, what);
    free(what);
    return 0;
}

void verify_note_unread(struct verify *v, const char *snapshot, const struct error *why)
{
    for (size_t i = 0; i < v->unread_count; i++) {
        if (strcmp(v->unread[i].what, why->message) == 0)
            return;
    }
    if (v->unread_count == VERIFY_UNREAD_MAX)
        return;
    struct verify_unread *u = &v->unread[v->unread_count++];
    u->snapshot = memory_format("snapshot %s", snapshot);
    u->what = memory_copy_string(why->message);
}

void verify_report_unread(struct verify *v)
{
    /* A pack that is known to be bad or missing is the reason, and told of. */
    bool explained = v->lacking || v->some_bad;
    for (size_t i = 0; i < v->unread_count; i++) {
        if (!explained) {
            verify_tell(v, "all targets", v->unread[i].snapshot, v->unread[i].what, false);
            verify_count(v, ERROR_INTEGRITY, false);
        }
        free(v->unread[i].snapshot);
        free(v->unread[i].what);
    }
}
