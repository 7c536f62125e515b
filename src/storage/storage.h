/*
 * One place where objects are stored: a small vtable that each driver fills (local folder, S3). Used by
 * replicas and repo. It never sees keys or plaintext. Objects are immutable: a put of a name that is there
 * with the same bytes is a success that writes nothing; where the bytes differ the object is damaged (names
 * carry their hash) and is replaced. All functions may be called from several threads.
 */
#ifndef STORAGE_STORAGE_H
#define STORAGE_STORAGE_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/id.h"

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
    bool hidden;      /* an older version: a plain get gives something else, or nothing */
};

/* Returns 0 to go on, anything else ends the listing with that code. */
typedef int storage_list_callback(const struct storage_object *object, void *context);

#define STORAGE_INDEPENDENT_TIME 1u /* the store's clock is not this machine's */
#define STORAGE_VERSIONS 2u         /* overwritten and removed objects are kept as versions */
#define STORAGE_RETENTION 4u        /* objects are put with a date before which nobody removes them */

/* One version of an object, or the marker of a removal. */
struct storage_version {
    const char *name, *version; /* valid during the callback */
    uint64_t size;
    int64_t time;
    bool newest; /* what a plain get would give */
    bool marker; /* a removal: no bytes */
};

/* What a store says of itself; for init, check-config and the rule of residency. */
struct storage_facts {
    bool versions_known, versions;
    bool lock_known, lock;     /* objects can be locked */
    int64_t default_retention; /* seconds for which every new object is locked unasked; 0: none */
    char location[65];         /* the bucket's region as the store names it; "": not known */
    char keys_from[256];       /* where the access keys come from; "": there are none */
};

typedef int storage_versions_callback(const struct storage_version *version, void *context);

#define STORAGE_CUSTOMER_KEY 32 /* bytes */

struct storage_driver {
    const char *type;
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
    /* An object that is not there is a success. Where there are versions, all of them go; LOCKED if one may
     * not yet. */
    int (*remove)(void *driver, const char *name, struct error *err);
    void (*free)(void *driver);

    /* What follows may be NULL, together or alone. */
    /* EXISTS if the name is taken, whatever is there. */
    int (*put_new)(void *driver, const char *name, struct bytes data, struct error *err);
    unsigned (*features)(void *driver);    /* NULL: none; asks the store where that is needed */
    unsigned (*connections)(void *driver); /* NULL: 1 */
    int64_t (*now)(void *driver);          /* NULL: this machine's clock */
    int (*describe)(void *driver, struct storage_facts *facts, struct error *err);
    void (*cancel)(void *driver);
    void (*set_customer_keys)(void *driver, const uint8_t (*keys)[STORAGE_CUSTOMER_KEY], size_t count);
    int (*list_versions)(void *driver, const char *prefix, storage_versions_callback *callback, void *context,
                         struct error *err);
    int (*get_version)(void *driver, const char *name, const char *version, size_t max, struct buffer *out,
                       struct error *err);
    int (*remove_version)(void *driver, const char *name, const char *version, struct error *err);
    int (*retention)(void *driver, const char *name, const char *version, int64_t *until, struct error *err);
    int (*retain)(void *driver, const char *name, const char *version, int64_t until, struct error *err);
};

/* Takes ownership of driver_state. label (the target's name) and location (path or URL) are for messages. */
struct storage *storage_new(const struct storage_driver *driver, void *driver_state, const char *label,
                            const char *location);
/* One more reference to the same storage. Returns it. */
struct storage *storage_share(struct storage *storage);
/* Gives up a reference; the storage goes with the last one. NULL is fine. */
void storage_free(struct storage *storage);
const char *storage_label(const struct storage *storage);
const char *storage_location(const struct storage *storage);
/* Of all that was put since it was opened. */
uint64_t storage_stored_bytes(const struct storage *storage);
/* STORAGE_...; may ask the store once, and takes what cannot be asked for as absent. */
unsigned storage_features(const struct storage *storage);
/* How many requests at the same time are worth while: 1 or more. */
unsigned storage_connections(const struct storage *storage);
/* Unix seconds by the store's clock, as far as answers have told it. */
int64_t storage_now(const struct storage *storage);
/* Asks the store; what it does not tell, or may not be asked for, is not known. FAILED, DENIED where it does
 * not answer at all. */
int storage_describe(struct storage *storage, struct storage_facts *facts, struct error *err);
/* Makes calls under way in other threads end soon, and later ones at once, with CANCELLED. */
void storage_cancel(struct storage *storage);
/* Keys that the store encrypts under besides ours, if it is set up so: puts take the first, gets try each.
 * Not used for config and keys/. Before other threads use the storage. */
void storage_set_customer_keys(struct storage *storage, const uint8_t (*keys)[STORAGE_CUSTOMER_KEY],
                               size_t count);

/* All below: USAGE for a name that storage_is_name() refuses. Messages name the target. */

/* Durable when it returns 0. NO_SPACE, DENIED, FAILED otherwise; nothing half-written is ever visible under
 * the name. */
int storage_put(struct storage *storage, const char *name, struct bytes data, struct error *err);
/* EXISTS if the name is taken, decided by the store in one step. UNSUPPORTED where it cannot. */
int storage_put_new(struct storage *storage, const char *name, struct bytes data, struct error *err);
/* Appends the whole object to out; INTEGRITY if it has more than max bytes; NOT_FOUND. */
int storage_get(struct storage *storage, const char *name, size_t max, struct buffer *out, struct error *err);
/* Appends exactly size bytes from offset; INTEGRITY if the object is shorter. */
int storage_get_range(struct storage *storage, const char *name, uint64_t offset, size_t size,
                      struct buffer *out, struct error *err);
/* NOT_FOUND if it is not there. size and time may be NULL. */
int storage_head(struct storage *storage, const char *name, uint64_t *size, int64_t *time, struct error *err);
/* See the driver's list; ends with the callback's code if that is not 0. Objects that come or go meanwhile
 * may be there or not. The callback may remove objects. Where there are versions a name comes once for each
 * that has bytes, also behind a marker: whatever hides or overwrites an object, it is still there. */
int storage_list(struct storage *storage, const char *prefix, storage_list_callback *callback, void *context,
                 struct error *err);
/* Durable when it returns 0, also if there was no such object. */
int storage_remove(struct storage *storage, const char *name, struct error *err);

/* The versions of objects, newest first for each name; prefix as for storage_list, or an object's name. All
 * below are UNSUPPORTED where the target has none. */
int storage_list_versions(struct storage *storage, const char *prefix, storage_versions_callback *callback,
                          void *context, struct error *err);
int storage_get_version(struct storage *storage, const char *name, const char *version, size_t max,
                        struct buffer *out, struct error *err);
/* LOCKED with the date in the message where a lock forbids it. */
int storage_remove_version(struct storage *storage, const char *name, const char *version, struct error *err);
/* *until: Unix seconds by the store's clock, 0 if it is not locked. version NULL: the newest. DENIED where
 * these keys may not ask. */
int storage_retention(struct storage *storage, const char *name, const char *version, int64_t *until,
                      struct error *err);
/* Moves the date on; never back. */
int storage_retain(struct storage *storage, const char *name, const char *version, int64_t until,
                   struct error *err);

/* storage_get of an object whose SHA-256 is known: *good tells whether the bytes have it. If not, they were
 * read twice: not only changed on the way. */
int storage_get_hashed(struct storage *storage, const char *name, const struct id *sha256, size_t max,
                       struct buffer *out, bool *good, struct error *err);
/* storage_get_hashed where nothing else will do. Where versions are kept and the newest is not good, or is
 * hidden, the older ones are tried. INTEGRITY with a hint if the bytes are others. */
int storage_get_checked(struct storage *storage, const char *name, const struct id *sha256, size_t max,
                        struct buffer *out, struct error *err);
/* The oldest version that has the hash: its bytes are appended, *version is the caller's to free. NOT_FOUND.
 */
int storage_find_version(struct storage *storage, const char *name, const struct id *sha256, size_t max,
                         struct buffer *out, char **version, struct error *err);
/* Takes away the removals that hide the one version an object has. UNSUPPORTED where that cannot be done so,
 * or not safely: it has several versions, or none. DENIED where these keys may not. */
int storage_unhide(struct storage *storage, const char *name, struct error *err);

/* A folder of this machine. With create, one that is missing counts as empty, and the first put makes it with
 * its parents; without, it is NOT_FOUND with a hint (a mount that is not there must not be taken for an empty
 * repository). */
int storage_open_local(const char *label, const char *path, bool create, struct storage **storage,
                       struct error *err);

/* A target's URL as `--target` takes it: a path, file:///path, or one of s3.h. USAGE for schemes not known.
 */
int storage_open_url(const char *url, struct storage **storage, struct error *err);

#endif
