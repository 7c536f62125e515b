/* Records: signed, sealed, and read back with every check. */
#include "repo/internal.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/parallel.h"

#include <stdlib.h>
#include <time.h>

#define REMOVE_HINT "if it does not belong to this repository, remove it from the target by hand"

static size_t object_max(enum object_type type)
{
    return type == OBJECT_INDEX ? FORMAT_SEGMENT_MAX : FORMAT_RECORD_MAX;
}

/* What readers would refuse is never written: a snapshot that nobody can read would be missed too late. What
 * an index segment lists was looked at when its packs were made. */
static int check_readable(enum object_type type, struct bytes body, size_t size, struct error *err)
{
    union {
        struct manifest manifest;
        struct run_record run;
        struct event event;
        struct lease lease;
    } read;
    struct arena arena = {0};
    struct error why;
    int code = 0;
    if (size > object_max(type))
        code = error_set(&why, ERROR_UNSUPPORTED, "%zu bytes are too many", size);
    else if (type == OBJECT_MANIFEST)
        code = manifest_decode(body, &arena, &read.manifest, &why);
    else if (type == OBJECT_RUN)
        code = run_decode(body, &arena, &read.run, &why);
    else if (type == OBJECT_EVENT)
        code = event_decode(body, &arena, &read.event, &why);
    else if (type == OBJECT_LEASE)
        code = lease_decode(body, &arena, &read.lease, &why);
    arena_free(&arena);
    return code == 0 ? 0 : error_set(err, ERROR_FAILED, "nobody could read this record: %s", why.message);
}

int record_seal(struct repository *r, enum object_type type, struct bytes body, struct id *sha256,
                struct buffer *object, struct error *err)
{
    *sha256 = (struct id){0};
    if (!r->has_host) {
        error_set(err, ERROR_DENIED, "no host key: this machine cannot write to the repository");
        return error_hint(err, "name the host's key in key_file, or add this host with: holdfast host add");
    }
    struct buffer plain = {0};
    struct signature signature;
    sign_body(&r->config.repository, type, &r->host_key.host, r->host_key.signing_seed, body, &signature);
    signed_encode(&(struct signed_message){body, &signature, 1}, &plain);
    size_t start = object->size;
    int code = seal_object(&r->secrets, type, NULL, buffer_bytes(&plain), object, err);
    if (code == 0)
        code = check_readable(type, body, object->size - start, err);
    if (code == 0)
        sha256_of(buffer_bytes(object), sha256);
    buffer_free(&plain);
    return code;
}

int record_queue(struct repository *r, enum object_type type, const char *prefix, int64_t time,
                 struct bytes body, struct id *sha256, size_t *size, struct error *err)
{
    char name[OBJECT_NAME_MAX];
    struct buffer object = {0};
    int code = record_seal(r, type, body, sha256, &object, err);
    *size = object.size;
    if (type == OBJECT_INDEX)
        object_name_index(sha256, name);
    else
        object_name_timed(prefix, time, sha256, name);
    if (code == 0)
        code = replicas_put(r->replicas, ~0u, REPLICAS_BARRIER, name, &object, err);
    buffer_free(&object);
    return code;
}

int record_put(struct repository *r, const char *name, struct buffer *object, struct error *err)
{
    size_t size = object->size;
    int code = replicas_put(r->replicas, ~0u, REPLICAS_BARRIER, name, object, err);
    if (code == 0)
        code = replicas_flush(r->replicas, err);
    if (code == 0)
        listing_add(r, name, repository_active_mask(r), size);
    return code;
}

int record_write(struct repository *r, enum object_type type, const char *prefix, int64_t time,
                 struct bytes body, struct id *sha256, struct error *err)
{
    char name[OBJECT_NAME_MAX];
    struct buffer object = {0};
    int code = record_seal(r, type, body, sha256, &object, err);
    object_name_timed(prefix, time, sha256, name);
    if (code == 0)
        code = record_put(r, name, &object, err);
    buffer_free(&object);
    return code;
}

int object_fetch(struct repository *r, const struct object_seen *object, size_t max, struct buffer *out,
                 struct error *err)
{
    char name[OBJECT_NAME_MAX];
    object_seen_name(object, name);
    /* Where those that hold it went away meanwhile nobody was asked: an outage, not a loss. */
    char *where = repository_where(r);
    int code =
        error_set(err, object->mask ? ERROR_FAILED : ERROR_NOT_FOUND, "%s is missing on %s", name, where);
    free(where);
    size_t start = out->size;
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        if (!(object->mask >> t & 1) || !replicas_is_active(r->replicas, t))
            continue;
        struct storage *storage = replicas_storage(r->replicas, t);
        struct error why;
        int got = storage_get_checked(storage, name, &object->sha256, max, out, &why);
        if (got == 0)
            return 0;
        out->size = start;
        log_verbose("%s", why.message);
        /* Damage is the worse news: it stays in the message. */
        if (code != ERROR_INTEGRITY) {
            code = got;
            if (err)
                *err = why;
        }
    }
    return code;
}

/* What a removed host signed counts only up to what its entry says. */
static bool host_entitled(const struct host *host, enum object_type type, struct bytes body)
{
    if (!host->removed)
        return true;
    if (type == OBJECT_LEASE || type == OBJECT_EVENT)
        return false;
    if (type != OBJECT_MANIFEST)
        return true;
    struct arena arena = {0};
    struct manifest manifest;
    bool counts =
        manifest_decode(body, &arena, &manifest, NULL) == 0 && manifest.sequence <= host->last_sequence;
    arena_free(&arena);
    return counts;
}

int record_fetch(struct repository *r, enum object_type type, const struct object_seen *object,
                 struct buffer *body, struct id16 *signer, struct error *err)
{
    char name[OBJECT_NAME_MAX];
    object_seen_name(object, name);
    struct buffer sealed = {0}, plain = {0};
    struct arena arena = {0};
    struct signed_message message;
    int code = object_fetch(r, object, object_max(type), &sealed, err);
    if (code == 0)
        code = unseal_object(&r->secrets, type, NULL, buffer_bytes(&sealed), &plain, err);
    if (code == 0)
        code = signed_decode(buffer_bytes(&plain), &arena, &message, err);
    if (code == 0) {
        const struct host *host = keyring_find_host(&r->chain.keyring, &message.signatures[0].signer);
        if (!host)
            code = error_set(err, ERROR_INTEGRITY, "it is signed by a host that the keyring does not list");
        else if (message.signature_count != 1 ||
                 !verify_body(&r->config.repository, type, &message.signatures[0], host->signing_key,
                              message.body))
            code = error_set(err, ERROR_INTEGRITY, "its signature is wrong");
        else if (!host_entitled(host, type, message.body))
            code = error_set(err, ERROR_INTEGRITY, "it is signed by host %s, which was removed", host->name);
    }
    if (code == 0) {
        buffer_append_bytes(body, message.body);
        *signer = message.signatures[0].signer;
    } else {
        error_prefix(err, "%s", name);
        if (code == ERROR_INTEGRITY && err && !*err->hint)
            error_hint(err, REMOVE_HINT);
    }
    arena_free(&arena);
    buffer_free(&sealed);
    buffer_free(&plain);
    return code;
}

/* ---- first sight ---- */

static char *seen_key(const struct id *sha256)
{
    char hex[ID_HEX_SIZE];
    id_to_hex(sha256, hex);
    return memory_format("seen/%s", hex);
}

int64_t manifest_first_seen(struct repository *r, const struct id *sha256)
{
    char *key = seen_key(sha256);
    int64_t seen = catalog_get_number(r->catalog, key);
    free(key);
    return seen;
}

int manifest_note_seen(struct repository *r, const struct id *sha256, struct error *err)
{
    if (manifest_first_seen(r, sha256))
        return 0;
    char *key = seen_key(sha256);
    int code = catalog_put_number(r->catalog, key, (int64_t)time(NULL), err);
    free(key);
    return code;
}

void manifest_forget_seen(struct repository *r, const struct id *sha256)
{
    char *key = seen_key(sha256);
    catalog_remove_value(r->catalog, key, NULL);
    free(key);
}

void record_warn(const char *what, const struct error *why)
{
    log_warning("%s cannot be used: %s", what, why->message);
    log_hint("%s", why->hint);
}

void record_damage(struct repository *r, int code)
{
    r->damage++;
    r->outages += error_is_outage(code);
}

/* The first field that all records share: who speaks. It must be who signed. */
static int check_record(enum object_type type, struct bytes body, const struct id16 *signer,
                        struct error *err)
{
    struct arena arena = {0};
    struct id16 host = {0};
    int code = 0;
    if (type == OBJECT_MANIFEST) {
        struct manifest m;
        code = manifest_decode(body, &arena, &m, err);
        host = m.host;
    } else if (type == OBJECT_EVENT) {
        struct event e;
        code = event_decode(body, &arena, &e, err);
        host = e.host;
    } else if (type == OBJECT_RUN) {
        struct run_record run;
        code = run_decode(body, &arena, &run, err);
        host = run.host;
    } else if (type == OBJECT_LEASE) {
        struct lease l;
        code = lease_decode(body, &arena, &l, err);
        host = l.host;
    }
    if (code == 0 && !id16_equal(&host, signer))
        code = error_set(err, ERROR_INTEGRITY, "it speaks for another host than the one that signed it");
    arena_free(&arena);
    return code;
}

/* Appends the body; leaves it and the catalog as they are if the object is not what it must be. */
static int load_record(struct repository *r, enum object_type type, const struct object_seen *object,
                       struct buffer *body, struct error *err)
{
    size_t start = body->size;
    if (catalog_get_record(r->catalog, (uint8_t)type, &object->sha256, body, NULL) == 0)
        return 0;
    struct id16 signer;
    int code = record_fetch(r, type, object, body, &signer, err);
    struct bytes fetched = {0};
    if (code == 0) {
        fetched = bytes_of(body->data + start, body->size - start);
        code = check_record(type, fetched, &signer, err);
        if (code != 0) {
            char name[OBJECT_NAME_MAX];
            object_seen_name(object, name);
            error_prefix(err, "%s", name);
            error_hint(err, REMOVE_HINT);
        }
    }
    if (code == 0)
        code = catalog_put_record(r->catalog, (uint8_t)type, &object->sha256, fetched, err);
    if (code == 0 && type == OBJECT_MANIFEST)
        code = manifest_note_seen(r, &object->sha256, err);
    if (code != 0)
        body->size = start;
    return code;
}

int record_load(struct repository *r, enum object_type type, struct object_seen *object, struct buffer *body,
                struct error *err)
{
    int code = load_record(r, type, object, body, err);
    if (code != 0)
        object->damaged = true;
    return code;
}

/* ---- chains ---- */

void chain_end(struct repository *r, const char *key, uint64_t *sequence, struct id *sha256)
{
    struct buffer kept = {0};
    if (catalog_get_value(r->catalog, key, &kept, NULL) == 0 && kept.size == 40 &&
        bytes_load_u64(kept.data) > *sequence) {
        *sequence = bytes_load_u64(kept.data);
        memcpy(sha256->b, kept.data + 8, 32);
    }
    buffer_free(&kept);
}

int chain_note_end(struct repository *r, const char *key, uint64_t sequence, const struct id *sha256,
                   struct error *err)
{
    uint8_t kept[40];
    bytes_store_u64(kept, sequence);
    memcpy(kept + 8, sha256->b, 32);
    return catalog_put_value(r->catalog, key, bytes_of(kept, sizeof kept), err);
}

/* ---- many at a time ---- */

/* Records of the usual kind have a few kilobytes. */
#define PREFETCH_MAX (256u << 10)

struct prefetch {
    struct repository *r;
    unsigned folders;
};

static enum object_type record_type(uint8_t folder)
{
    switch (folder) {
    case FOLDER_SNAPSHOTS:
        return OBJECT_MANIFEST;
    case FOLDER_RUNS:
        return OBJECT_RUN;
    default:
        return OBJECT_EVENT;
    }
}

static int prefetch_one(size_t index, void *context, struct error *err)
{
    const struct prefetch *p = context;
    const struct object_seen *object = &p->r->objects[index];
    struct buffer body = {0};
    (void)err;
    /* What fails is met again, and spoken of, when somebody needs it. */
    if (object->size && object->size <= PREFETCH_MAX && (p->folders >> object->folder & 1))
        load_record(p->r, record_type(object->folder), object, &body, NULL);
    buffer_free(&body);
    return 0;
}

void records_prefetch(struct repository *r, unsigned folders)
{
    struct prefetch p = {r, folders};
    unsigned requests = repository_requests(r);
    if (requests > 1)
        parallel_run(r->object_count, requests, prefetch_one, &p, NULL);
}

int key_object_check(struct repository *r, const struct object_seen *object, struct error *err)
{
    struct buffer sealed = {0};
    struct person_key_header header;
    int code = 0;
    if (object->folder == FOLDER_KEYRING) {
        if (!keyring_chain_has(&r->chain, &object->sha256))
            code = error_set(err, ERROR_INTEGRITY,
                             "it is not part of the keyring: nobody who may has signed it");
    } else {
        code = object_fetch(r, object, PERSON_KEY_MAX, &sealed, err);
        if (code == 0)
            code = person_key_read_header(buffer_bytes(&sealed), &header, err);
        if (code == 0) {
            const struct person *person = keyring_find_person(&r->chain.keyring, &object->person);
            if (!person || !id16_equal(&header.person, &object->person) ||
                !id16_equal(&header.repository, &r->config.repository) ||
                !bytes_equal(person->public_key, bytes_of(header.public_key, sizeof header.public_key)))
                code = error_set(err, ERROR_INTEGRITY, "it is the key of nobody whom the keyring lists");
        }
    }
    buffer_free(&sealed);
    if (code != 0 && err && !*err->hint)
        error_hint(err, REMOVE_HINT);
    return code;
}
