/* Making a repository, and adding hosts to it. */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "crypto/random.h"
#include "repo/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_PACK_SIZE (16u << 20)
/* As large as an average chunk: what small files have in common is found, and one of them is read as quickly
 * as a part of a large file. */
#define DEFAULT_FRAME_GROUP (1u << 20)

static const struct chunker_parameters default_chunker = {256u << 10, 1u << 20, 4u << 20};

static int fill_config(const struct repository_init *init, struct repository_config *config,
                       struct error *err)
{
    struct chunker_parameters p = init->chunker.average ? init->chunker : default_chunker;
    *config = (struct repository_config){.version = FORMAT_VERSION,
                                         .chunk_min = p.min,
                                         .chunk_average = p.average,
                                         .chunk_max = p.max,
                                         .frame_group = DEFAULT_FRAME_GROUP,
                                         .pack_size = init->pack_size ? init->pack_size : DEFAULT_PACK_SIZE,
                                         .created = (int64_t)time(NULL)};
    random_bytes(config->repository.b, sizeof config->repository.b);
    return chunker_check_parameters(&p, err);
}

static int note_any(const struct storage_object *object, void *context)
{
    snprintf(context, OBJECT_NAME_MAX, "%s", object->name);
    return 1;
}

/* Nothing may be there: neither a repository nor the remains of one. */
static int check_empty(struct storage *storage, struct error *err)
{
    char name[OBJECT_NAME_MAX] = "";
    int code = storage_list(storage, "", note_any, name, err);
    if (code == 1) {
        error_set(err, ERROR_EXISTS, "target %s: %s holds objects already (%s)", storage_label(storage),
                  storage_location(storage), name);
        return error_hint(
            err,
            "to use the repository that is there, keep its key file; to fill a new target of an existing "
            "repository, run: holdfast heal; else choose an empty place");
    }
    return code;
}

int target_check_lock(struct storage *storage, int64_t retain, struct error *err)
{
    struct storage_facts facts;
    int code = storage_describe(storage, &facts, err);
    if (code != 0)
        return code;
    if (facts.default_retention) {
        error_set(
            err, ERROR_USAGE,
            "target %s: %s locks every new object for %lld days by default, keys, leases and events too",
            storage_label(storage), storage_location(storage), (long long)facts.default_retention / 86400);
        return error_hint(err,
                          "remove the bucket's default retention, and set object_lock in the configuration: "
                          "then packs, index and snapshots are locked, and only they");
    }
    if (retain && facts.lock_known && !facts.lock) {
        error_set(err, ERROR_USAGE, "target %s: object_lock is set, but %s was made without object lock",
                  storage_label(storage), storage_location(storage));
        return error_hint(err, "make a bucket with object lock: it is chosen when a bucket is made");
    }
    return 0;
}

static int put_everywhere(const struct repository_parameters *p, const char *name, struct bytes data,
                          struct error *err)
{
    int code = 0;
    for (size_t t = 0; t < p->target_count && code == 0; t++)
        code = storage_put(p->targets[t], name, data, err);
    return code;
}

/* Two inits at the same time: only one of them makes the repository, where the store can tell. */
static int put_config(const struct repository_parameters *p, struct bytes config, struct error *err)
{
    int code = 0;
    for (size_t t = 0; t < p->target_count && code == 0; t++) {
        code = storage_put_new(p->targets[t], "config", config, err);
        if (code == ERROR_UNSUPPORTED)
            code = storage_put(p->targets[t], "config", config, err);
        if (code == ERROR_EXISTS)
            error_hint(
                err,
                "another init made a repository there meanwhile: use that one, or choose an empty place");
    }
    return code;
}

static int write_key_file(const char *path, struct buffer *text, struct error *err)
{
    char *parent = file_parent(path);
    int code = file_make_directories(parent, 0700, err);
    if (code == 0)
        code = file_create_atomic(path, buffer_bytes(text), 0600, err);
    if (code == ERROR_EXISTS)
        error_hint(err, "move the old key file away, or name another one: it may be the key of another "
                        "repository");
    buffer_free_secret(text);
    free(parent);
    return code;
}

/* name has room for OBJECT_NAME_MAX bytes: the object's, empty if it is a file. */
static int write_person_key(const struct repository_parameters *p, const struct repository_init *init,
                            const struct person_key *person, char *name, struct error *err)
{
    struct buffer sealed = {0};
    if (!init->passphrase) {
        person_key_write_text(person, &sealed);
        return write_key_file(init->person_key_file, &sealed, err);
    }
    int code = person_key_seal(person, bytes_of_string(init->passphrase), &sealed, err);
    if (code == 0) {
        struct id id;
        sha256_of(buffer_bytes(&sealed), &id);
        object_name_person(&person->person, &id, name);
        code = put_everywhere(p, name, buffer_bytes(&sealed), err);
    }
    buffer_free(&sealed);
    return code;
}

static int write_host_key(const char *path, const struct host_key *host, struct error *err)
{
    struct buffer text = {0};
    host_key_write_text(host, &text);
    return write_key_file(path, &text, err);
}

static int check_targets(const struct repository_parameters *p, struct error *err)
{
    for (size_t t = 0; t < p->target_count; t++) {
        if (!p->targets[t]) {
            *err = p->target_errors[t];
            return error_prefix(err, "target %s", p->target_labels[t]);
        }
        int code = check_empty(p->targets[t], err);
        if (code == 0)
            code = target_check_lock(p->targets[t], p->retain[t], err);
        if (code != 0)
            return code;
    }
    return 0;
}

/* True if config is there and another one than ours. */
static bool is_of_another(struct storage *storage, struct bytes config)
{
    struct buffer there = {0};
    bool other = storage_get(storage, "config", FORMAT_CONFIG_MAX, &there, NULL) == 0 &&
                 !bytes_equal(buffer_bytes(&there), config);
    buffer_free(&there);
    return other;
}

/* Of a repository that came to nothing nothing stays: the next init finds the place as empty as this one did.
 */
static void take_back(const struct repository_parameters *p, struct bytes config, const char *keyring,
                      const char *person)
{
    const char *const names[] = {"config", person, keyring};
    for (size_t t = 0; t < p->target_count; t++) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            struct error why;
            if (!*names[i] || (i == 0 && is_of_another(p->targets[t], config)) ||
                storage_remove(p->targets[t], names[i], &why) == 0)
                continue;
            log_warning("what is left of this repository cannot be removed: %s", why.message);
            log_hint("before the next init remove what is there by hand");
        }
    }
}

int repository_create(const struct repository_parameters *p, const struct repository_init *init,
                      struct error *err)
{
    struct repository_config config;
    struct buffer config_bytes = {0}, keyring = {0};
    struct person_key person;
    struct host_key host;
    struct id sha;
    char name[OBJECT_NAME_MAX], person_name[OBJECT_NAME_MAX] = "";
    int code = check_targets(p, err);
    if (code == 0 && access(p->host_key_file, F_OK) == 0) {
        error_set(err, ERROR_EXISTS, "%s exists already", p->host_key_file);
        code = error_hint(
            err, "it may be the key of another repository: move it away, or name another one in key_file");
    }
    if (code == 0)
        code = fill_config(init, &config, err);
    if (code != 0)
        return code;
    config_encode(&config, &config_bytes);
    sha256_of(buffer_bytes(&config_bytes), &sha);
    code = keyring_create(&config.repository, &sha, init->person_name, init->host_name, "", config.created,
                          &keyring, &person, &host, err);
    /* The config goes last: a repository exists when it does. The key file follows, for without it nothing
     * can be written. */
    if (code == 0) {
        bool has_file = false;
        sha256_of(buffer_bytes(&keyring), &sha);
        object_name_keyring(1, &sha, name);
        code = put_everywhere(p, name, buffer_bytes(&keyring), err);
        if (code == 0) {
            code = write_person_key(p, init, &person, person_name, err);
            has_file = code == 0 && !init->passphrase;
        }
        if (code == 0)
            code = put_config(p, buffer_bytes(&config_bytes), err);
        if (code == 0)
            code = write_host_key(p->host_key_file, &host, err);
        if (code != 0)
            take_back(p, buffer_bytes(&config_bytes), name, person_name);
        if (code != 0 && has_file)
            unlink(init->person_key_file);
    }
    person_key_cleanse(&person);
    host_key_cleanse(&host);
    buffer_free(&config_bytes);
    buffer_free(&keyring);
    return code;
}

/* True unless every target says that it is not there: and one that gave no answer may take it yet. */
static bool may_be_there(struct repository *r, const char *name)
{
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        struct storage *storage = replicas_storage(r->replicas, t);
        if (storage && (replicas_failure(r->replicas, t)->code == ERROR_FAILED ||
                        storage_head(storage, name, NULL, NULL, NULL) != ERROR_NOT_FOUND))
            return true;
    }
    return false;
}

int repository_add_host(struct repository *r, const char *name, enum role role, const char *dedup_group,
                        const char *key_file, struct error *err)
{
    struct buffer keyring = {0};
    struct host_key host;
    int code = keyring_add_host(&r->chain, &r->secrets, name, role, dedup_group, (int64_t)time(NULL),
                                &keyring, &host, err);
    if (code == 0)
        /* First: a host in the keyring whose key nobody has would be worse than a key file that is not in it.
         */
        code = write_host_key(key_file, &host, err);
    if (code == 0) {
        struct id id;
        char object[OBJECT_NAME_MAX];
        sha256_of(buffer_bytes(&keyring), &id);
        object_name_keyring(r->chain.keyring.version + 1, &id, object);
        code = replicas_put(r->replicas, ~0u, REPLICAS_BARRIER, object, &keyring, err);
        if (code == 0)
            code = replicas_flush(r->replicas, err);
        if (code != 0 && !may_be_there(r, object))
            unlink(key_file);
        else if (code != 0)
            error_hint(err,
                       "look with holdfast host list: if the host is there, %s is its key; if not, remove it",
                       key_file);
    }
    host_key_cleanse(&host);
    buffer_free(&keyring);
    return code;
}
