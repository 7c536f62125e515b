/* Reading by hash: what hides or overwrites an object on a store with versions does not keep it from readers.
 */
#include "base/memory.h"
#include "crypto/digest.h"
#include "storage/storage.h"

#include <stdlib.h>
#include <string.h>

/* Whoever may put may also put garbage over an object, as often as they like. The good bytes came first: only
 * so many of the oldest are looked at. */
#define VERSIONS_MAX 10000

struct versions {
    const char *name;
    char **list; /* newest first, from `count % VERSIONS_MAX` on where there were more */
    size_t count, capacity;
};

/* The i-th of the oldest. */
static char **oldest(const struct versions *versions, size_t i)
{
    return &versions->list[(versions->count - 1 - i) % VERSIONS_MAX];
}

static int note_version(const struct storage_version *version, void *context)
{
    struct versions *versions = context;
    if (version->marker || strcmp(version->name, versions->name) != 0)
        return 0;
    if (versions->count < VERSIONS_MAX)
        memory_reserve_one(versions->list, versions->count, versions->capacity);
    else
        free(versions->list[versions->count % VERSIONS_MAX]);
    versions->list[versions->count++ % VERSIONS_MAX] = memory_copy_string(version->version);
    return 0;
}

static bool has_hash(const struct buffer *out, size_t start, const struct id *wanted)
{
    struct id own;
    sha256(bytes_of(out->data + start, out->size - start), &own);
    return id_equal(&own, wanted);
}

int storage_find_version(struct storage *storage, const char *name, const struct id *sha, size_t max,
                         struct buffer *out, char **version, struct error *err)
{
    struct versions versions = {.name = name};
    size_t start = out->size;
    struct error denied = {0};
    *version = NULL;
    int code = storage_list_versions(storage, name, note_version, &versions, err);
    size_t kept = versions.count < VERSIONS_MAX ? versions.count : VERSIONS_MAX;
    for (size_t i = 0; i < kept && code == 0 && !*version; i++) {
        struct error why;
        int got = storage_get_version(storage, name, *oldest(&versions, i), max, out, &why);
        if (got == 0 && has_hash(out, start, sha)) {
            *version = memory_copy_string(*oldest(&versions, i));
        } else {
            out->size = start;
            /* One that is too long, gone, archived or encrypted by a stranger is one that is not good. */
            if (got == ERROR_DENIED) {
                denied = why;
            } else if (got != 0 && got != ERROR_INTEGRITY && got != ERROR_NOT_FOUND) {
                code = got;
                if (err)
                    *err = why;
            }
        }
    }
    for (size_t i = 0; i < kept; i++)
        free(versions.list[i]);
    free(versions.list);
    if (code == 0 && !*version && denied.code) {
        code = denied.code;
        if (err)
            *err = denied;
    }
    if (code == 0 && !*version)
        code = error_set(err, ERROR_NOT_FOUND, "%s: no version of it is good", name);
    return code;
}

/* Whoever hides an object may do so again and again: beyond so many removals it is stored anew. */
#define MARKERS_MAX 100

struct removals {
    const char *name;
    char *list[MARKERS_MAX];
    size_t count, versions;
    bool useless;
};

static int note_removal(const struct storage_version *version, void *context)
{
    struct removals *removals = context;
    if (strcmp(version->name, removals->name) != 0)
        return 0;
    removals->versions += !version->marker;
    if (!version->marker)
        return 0;
    /* "null", of a bucket that keeps versions no longer, is whatever was put last: by now perhaps the object.
     */
    removals->useless |= removals->count == MARKERS_MAX || strcmp(version->version, "null") == 0;
    if (!removals->useless)
        removals->list[removals->count++] = memory_copy_string(version->version);
    return 0;
}

int storage_unhide(struct storage *storage, const char *name, struct error *err)
{
    struct removals *removals = memory_new(struct removals);
    removals->name = name;
    int code = storage_list_versions(storage, name, note_removal, removals, err);
    if (code == 0 && (removals->useless || removals->versions != 1))
        code = error_set(err, ERROR_UNSUPPORTED, "target %s: %s has %zu versions", storage_label(storage),
                         name, removals->versions);
    for (size_t i = 0; i < removals->count; i++) {
        if (code == 0)
            code = storage_remove_version(storage, name, removals->list[i], err);
        free(removals->list[i]);
    }
    free(removals);
    return code;
}

int storage_get_hashed(struct storage *storage, const char *name, const struct id *sha, size_t max,
                       struct buffer *out, bool *good, struct error *err)
{
    size_t start = out->size;
    int code = storage_get(storage, name, max, out, err);
    *good = code == 0 && has_hash(out, start, sha);
    if (code != 0 || *good)
        return code;
    out->size = start;
    code = storage_get(storage, name, max, out, err);
    *good = code == 0 && has_hash(out, start, sha);
    return code;
}

int storage_get_checked(struct storage *storage, const char *name, const struct id *sha, size_t max,
                        struct buffer *out, struct error *err)
{
    size_t start = out->size;
    struct error why;
    char *version = NULL;
    bool good;
    int code = storage_get_hashed(storage, name, sha, max, out, &good, &why);
    if (good)
        return 0;
    out->size = start;
    if (code == 0) {
        code = error_set(&why, ERROR_INTEGRITY,
                         "target %s: %s is damaged: its bytes do not have the hash in its name",
                         storage_label(storage), name);
        error_hint(&why, "run: holdfast heal (repairs it from another target that has a good copy)");
    }
    /* For a removed object some stores say that it may not be read. */
    if ((code == ERROR_INTEGRITY || code == ERROR_NOT_FOUND || code == ERROR_DENIED) &&
        storage_features(storage) & STORAGE_VERSIONS &&
        storage_find_version(storage, name, sha, max, out, &version, NULL) == 0)
        code = 0;
    free(version);
    if (code != 0 && err)
        *err = why;
    return code;
}
