#include "storage/storage.h"

#include "base/memory.h"
#include "storage/s3.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct storage {
    atomic_uint references;
    const struct storage_driver *driver;
    void *state;
    char *label;
    char *location;
    atomic_ullong stored; /* bytes put */
};

struct storage *storage_new(const struct storage_driver *driver, void *driver_state, const char *label,
                            const char *location)
{
    struct storage *storage = memory_new(struct storage);
    atomic_init(&storage->references, 1);
    storage->driver = driver;
    storage->state = driver_state;
    storage->label = memory_copy_string(label);
    storage->location = memory_copy_string(location);
    return storage;
}

struct storage *storage_share(struct storage *storage)
{
    atomic_fetch_add(&storage->references, 1);
    return storage;
}

void storage_free(struct storage *storage)
{
    if (!storage || atomic_fetch_sub(&storage->references, 1) != 1)
        return;
    storage->driver->free(storage->state);
    free(storage->label);
    free(storage->location);
    free(storage);
}

const char *storage_label(const struct storage *storage)
{
    return storage->label;
}

const char *storage_location(const struct storage *storage)
{
    return storage->location;
}

static int check_name(const struct storage *storage, const char *name, struct error *err)
{
    if (storage_is_name(name))
        return 0;
    return error_set(err, ERROR_USAGE, "target %s: not an object name (%zu bytes)", storage->label,
                     strlen(name));
}

/* The driver's error, with the target's name before it. */
static int named(const struct storage *storage, int code, struct error *err)
{
    if (code != 0)
        error_prefix(err, "target %s", storage->label);
    return code;
}

uint64_t storage_stored_bytes(const struct storage *storage)
{
    return atomic_load(&storage->stored);
}

unsigned storage_features(const struct storage *storage)
{
    return storage->driver->features ? storage->driver->features(storage->state) : 0;
}

unsigned storage_connections(const struct storage *storage)
{
    unsigned connections = storage->driver->connections ? storage->driver->connections(storage->state) : 1;
    return connections ? connections : 1;
}

int64_t storage_now(const struct storage *storage)
{
    return storage->driver->now ? storage->driver->now(storage->state) : (int64_t)time(NULL);
}

int storage_describe(struct storage *storage, struct storage_facts *facts, struct error *err)
{
    *facts = (struct storage_facts){0};
    return storage->driver->describe
               ? named(storage, storage->driver->describe(storage->state, facts, err), err)
               : 0;
}

void storage_cancel(struct storage *storage)
{
    if (storage->driver->cancel)
        storage->driver->cancel(storage->state);
}

void storage_set_customer_keys(struct storage *storage, const uint8_t (*keys)[STORAGE_CUSTOMER_KEY],
                               size_t count)
{
    if (storage->driver->set_customer_keys)
        storage->driver->set_customer_keys(storage->state, keys, count);
}

static bool is_name_character(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool storage_is_name(const char *name)
{
    bool starts_part = true;
    size_t n = 0;
    for (; name[n]; n++) {
        if (n == STORAGE_NAME_MAX)
            return false;
        if (starts_part && (name[n] == '.' || name[n] == '/'))
            return false;
        if (name[n] != '/' && !is_name_character(name[n]))
            return false;
        starts_part = name[n] == '/';
    }
    return !starts_part;
}

static int was_put(struct storage *storage, struct bytes data, int code, struct error *err)
{
    if (code == 0)
        atomic_fetch_add(&storage->stored, data.size);
    return named(storage, code, err);
}

int storage_put(struct storage *storage, const char *name, struct bytes data, struct error *err)
{
    int code = check_name(storage, name, err);
    if (code != 0)
        return code;
    return was_put(storage, data, storage->driver->put(storage->state, name, data, err), err);
}

int storage_put_new(struct storage *storage, const char *name, struct bytes data, struct error *err)
{
    int code = check_name(storage, name, err);
    if (code == 0 && !storage->driver->put_new)
        code = error_set(err, ERROR_UNSUPPORTED, "target %s has no conditional put", storage->label);
    return code ? code
                : was_put(storage, data, storage->driver->put_new(storage->state, name, data, err), err);
}

int storage_get(struct storage *storage, const char *name, size_t max, struct buffer *out, struct error *err)
{
    int code = check_name(storage, name, err);
    if (code != 0)
        return code;
    return named(storage, storage->driver->get(storage->state, name, 0, max, true, out, err), err);
}

int storage_get_range(struct storage *storage, const char *name, uint64_t offset, size_t size,
                      struct buffer *out, struct error *err)
{
    int code = check_name(storage, name, err);
    if (code != 0)
        return code;
    return named(storage, storage->driver->get(storage->state, name, offset, size, false, out, err), err);
}

int storage_head(struct storage *storage, const char *name, uint64_t *size, int64_t *time, struct error *err)
{
    int code = check_name(storage, name, err);
    if (code != 0)
        return code;
    return named(storage, storage->driver->head(storage->state, name, size, time, err), err);
}

/* Of "folder/" or "": USAGE if no object can have that prefix. */
static int check_prefix(const struct storage *storage, const char *prefix, struct error *err)
{
    size_t n = strlen(prefix);
    if (n == 0)
        return 0;
    char folder[STORAGE_NAME_MAX + 1] = "";
    if (n <= STORAGE_NAME_MAX && prefix[n - 1] == '/')
        memcpy(folder, prefix, n - 1);
    return check_name(storage, folder, err);
}

struct listing {
    storage_list_callback *callback;
    void *context;
    bool stopped;
};

static int list_one(const struct storage_object *object, void *context)
{
    struct listing *listing = context;
    int code = listing->callback(object, listing->context);
    listing->stopped = code != 0;
    return code;
}

int storage_list(struct storage *storage, const char *prefix, storage_list_callback *callback, void *context,
                 struct error *err)
{
    int code = check_prefix(storage, prefix, err);
    if (code != 0)
        return code;
    struct listing listing = {callback, context, false};
    code = storage->driver->list(storage->state, prefix, list_one, &listing, err);
    /* A code of the callback's own comes with the callback's own message, or with none. */
    return listing.stopped ? code : named(storage, code, err);
}

int storage_remove(struct storage *storage, const char *name, struct error *err)
{
    int code = check_name(storage, name, err);
    if (code != 0)
        return code;
    return named(storage, storage->driver->remove(storage->state, name, err), err);
}

/* ---- versions and retention ---- */

static int unsupported(const struct storage *storage, struct error *err)
{
    return error_set(err, ERROR_UNSUPPORTED, "target %s keeps no versions of objects", storage->label);
}

struct version_listing {
    storage_versions_callback *callback;
    void *context;
    bool stopped;
};

static int list_version(const struct storage_version *version, void *context)
{
    struct version_listing *listing = context;
    int code = listing->callback(version, listing->context);
    listing->stopped = code != 0;
    return code;
}

int storage_list_versions(struct storage *storage, const char *prefix, storage_versions_callback *callback,
                          void *context, struct error *err)
{
    if (!storage->driver->list_versions)
        return unsupported(storage, err);
    int code = storage_is_name(prefix) ? 0 : check_prefix(storage, prefix, err);
    if (code != 0)
        return code;
    struct version_listing listing = {callback, context, false};
    code = storage->driver->list_versions(storage->state, prefix, list_version, &listing, err);
    return listing.stopped ? code : named(storage, code, err);
}

int storage_get_version(struct storage *storage, const char *name, const char *version, size_t max,
                        struct buffer *out, struct error *err)
{
    if (!storage->driver->get_version)
        return unsupported(storage, err);
    int code = check_name(storage, name, err);
    return code ? code
                : named(storage, storage->driver->get_version(storage->state, name, version, max, out, err),
                        err);
}

int storage_remove_version(struct storage *storage, const char *name, const char *version, struct error *err)
{
    if (!storage->driver->remove_version)
        return unsupported(storage, err);
    int code = check_name(storage, name, err);
    return code ? code
                : named(storage, storage->driver->remove_version(storage->state, name, version, err), err);
}

int storage_retention(struct storage *storage, const char *name, const char *version, int64_t *until,
                      struct error *err)
{
    if (!storage->driver->retention)
        return unsupported(storage, err);
    int code = check_name(storage, name, err);
    return code ? code
                : named(storage, storage->driver->retention(storage->state, name, version, until, err), err);
}

int storage_retain(struct storage *storage, const char *name, const char *version, int64_t until,
                   struct error *err)
{
    if (!storage->driver->retain)
        return unsupported(storage, err);
    int code = check_name(storage, name, err);
    return code ? code
                : named(storage, storage->driver->retain(storage->state, name, version, until, err), err);
}

int storage_open_url(const char *url, struct storage **storage, struct error *err)
{
    const char *path = url;
    if (s3_is_url(url))
        return storage_open_s3_url(url, storage, err);
    if (strncmp(url, "file://", 7) == 0)
        path = url + 7;
    bool absolute_file = path != url && *path == '/';
    if ((strstr(url, "://") && !absolute_file) || !*path) {
        error_set(err, ERROR_USAGE, "%s is not the address of a target", url);
        error_hint(
            err, "give the path of a folder, file:///PATH, or s3://BUCKET/PREFIX?provider=NAME&region=NAME");
        return ERROR_USAGE;
    }
    return storage_open_local(path, path, false, storage, err);
}
