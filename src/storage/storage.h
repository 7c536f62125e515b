/*
 * One place where objects are stored: a small vtable that each driver fills (local folder; S3 later). Used by
 * replicas and repo. It never sees keys or plaintext. Objects are immutable: a put of a name that is there
 * with the same bytes is a success that writes nothing; where the bytes differ the object is damaged (names
 * carry their hash) and is replaced. All functions may be called from several threads.
 */
#ifndef STORAGE_STORAGE_H
#define STORAGE_STORAGE_H

#include "base/bytes.h"
#include "base/error.h"

#include <stdbool.h>

struct storage;

#define STORAGE_NAME_MAX 200 /* bytes of an object's name */

/* True for a name that may be stored: parts of [A-Za-z0-9._-] joined by single slashes, none of which begins
 * with a dot, at most STORAGE_NAME_MAX bytes. */
bool storage_is_name(const char *name);

struct storage_object {
    const char *name; /* valid during the callback */
    uint64_t size;    /* bytes */
    int64_t time;     /* Unix seconds: when the store took it */
};

/* Returns 0 to go on, anything else ends the listing with that code. */
typedef int storage_list_callback(const struct storage_object *object, void *context);

#define STORAGE_INDEPENDENT_TIME 1u /* the store's clock is not this machine's */

struct storage_driver {
    const char *type;
    unsigned features;
    int (*put)(void *driver, const char *name, struct bytes data, struct error *err);
    /* Appends exactly `size` bytes from offset, or the whole object (of at most `size` bytes) when `whole`.
     */
    int (*get)(void *driver, const char *name, uint64_t offset, size_t size, bool whole, struct buffer *out,
               struct error *err);
    int (*head)(void *driver, const char *name, uint64_t *size, int64_t *time, struct error *err);
    /* Every object whose name begins with prefix ("" for all, else ends with '/'), in no order. Only names
     * that storage_is_name() accepts; anything else there is not ours and is passed over. */
    int (*list)(void *driver, const char *prefix, storage_list_callback *callback, void *context,
                struct error *err);
    /* An object that is not there is a success. */
    int (*remove)(void *driver, const char *name, struct error *err);
    void (*free)(void *driver);
};

/* Takes ownership of driver_state. label (the target's name) and location (path or URL) are for messages. */
struct storage *storage_new(const struct storage_driver *driver, void *driver_state, const char *label,
                            const char *location);
void storage_free(struct storage *storage);
const char *storage_label(const struct storage *storage);
const char *storage_location(const struct storage *storage);
unsigned storage_features(const struct storage *storage);

/* All below: USAGE for a name that storage_is_name() refuses. Messages name the target. */

/* Durable when it returns 0. NO_SPACE, DENIED, FAILED otherwise; nothing half-written is ever visible under
 * the name. */
int storage_put(struct storage *storage, const char *name, struct bytes data, struct error *err);
/* Appends the whole object to out; INTEGRITY if it has more than max bytes; NOT_FOUND. */
int storage_get(struct storage *storage, const char *name, size_t max, struct buffer *out, struct error *err);
/* Appends exactly size bytes from offset; INTEGRITY if the object is shorter. */
int storage_get_range(struct storage *storage, const char *name, uint64_t offset, size_t size,
                      struct buffer *out, struct error *err);
/* NOT_FOUND if it is not there. size and time may be NULL. */
int storage_head(struct storage *storage, const char *name, uint64_t *size, int64_t *time, struct error *err);
/* See the driver's list; ends with the callback's code if that is not 0. Objects that come or go meanwhile
 * may be there or not. The callback may remove objects. */
int storage_list(struct storage *storage, const char *prefix, storage_list_callback *callback, void *context,
                 struct error *err);
/* Durable when it returns 0, also if there was no such object. */
int storage_remove(struct storage *storage, const char *name, struct error *err);

/* A folder of this machine. With create, it is made if missing with its parents; without, a missing
 * folder is NOT_FOUND with a hint (a mount that is not there must not be taken for an empty repository). */
int storage_open_local(const char *label, const char *path, bool create, struct storage **storage,
                       struct error *err);

/* A target's URL as `--target` takes it: a path, or file:///path. USAGE for schemes not known. */
int storage_open_url(const char *url, struct storage **storage, struct error *err);

#endif
