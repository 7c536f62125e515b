/* Opening and closing: targets, config, the chain of keyrings, secrets, the state folder and its lock. */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "crypto/random.h"
#include "repo/internal.h"
#include "repo/lease.h"
#include "repo/lock.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- the state folder ---- */

static void remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder)
        return;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(folder), entry->d_name, 0) != 0) {
            char *below = file_join(path, entry->d_name);
            remove_folder(below);
            free(below);
        }
    }
    closedir(folder);
    rmdir(path);
}

static int use_temporary_state(struct repository *r, struct error *err)
{
    const char *base = getenv("TMPDIR");
    char *path = file_join(base && *base ? base : "/var/tmp", "holdfast-XXXXXX");
    if (!mkdtemp(path)) {
        int code = error_set_errno(err, errno, "cannot create a temporary folder %s", path);
        free(path);
        return code;
    }
    free(r->state_folder);
    r->state_folder = path;
    r->temporary_state = true;
    return 0;
}

static int open_catalog(struct repository *r, struct error *err)
{
    char *path = file_join(r->state_folder, "catalog.db");
    bool fresh;
    int code = catalog_open(path, &r->config.repository, &r->catalog, &fresh, err);
    free(path);
    return code;
}

/* In the state folder itself, and where it keeps meta packs and runs that wait. */
static void remove_leftovers(const struct repository *r)
{
    static const char *const folders[] = {".", "meta", "runs"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char *path = file_join(r->state_folder, folders[i]);
        file_remove_leftovers(path);
        free(path);
    }
}

static int open_state(struct repository *r, struct error *err)
{
    const struct repository_parameters *p = &r->parameters;
    int code = 0;
    if (p->state_folder) {
        r->state_folder = memory_copy_string(p->state_folder);
        if (!p->lock)
            code = lock_take(r->state_folder, p->command ? p->command : "holdfast", &r->lock, err);
        r->held = code == ERROR_BUSY;
        if (code == 0)
            remove_leftovers(r);
        if (code != 0 && r->mode == REPOSITORY_WRITE)
            return code;
    }
    /* A reader beside a running backup, one that may not use the state folder, or a bare machine: a private
     * catalog. */
    if (!p->state_folder || code != 0)
        code = use_temporary_state(r, err);
    if (code != 0)
        return code;
    char *meta = file_join(r->state_folder, "meta");
    code = file_make_directories(meta, 0700, err);
    if (code == 0)
        code = open_catalog(r, err);
    free(meta);
    return code;
}

/* ---- config and keys ---- */

struct fetched_keys {
    struct keyring_candidate *candidates; /* their bytes are allocated one by one */
    size_t count, capacity, damaged;
    size_t targets, before; /* how many share the bounds; candidates of those that were asked before */
    size_t bytes;           /* of this target */
    struct storage *storage;
    struct error outage;  /* why the target's keyrings cannot be told */
    struct error refusal; /* of the first that was not given out */
};

/* Far more than anybody makes; whoever plants more only makes the real ones fail to be found, and only on
 * that target: each has its share. */
#define KEYRINGS_MAX 4096
#define KEYRINGS_BYTES_MAX ((size_t)128 << 20)

static int fetch_keyring(const struct storage_object *object, void *context)
{
    struct fetched_keys *keys = context;
    struct object_name name;
    if (!object_name_parse(object->name, &name) || name.folder != FOLDER_KEYRING ||
        keys->count - keys->before >= KEYRINGS_MAX / keys->targets ||
        keys->bytes > KEYRINGS_BYTES_MAX / keys->targets)
        return 0;
    struct buffer bytes = {0};
    struct error why;
    int code =
        storage_get_checked(keys->storage, object->name, &name.sha256, FORMAT_KEYRING_MAX, &bytes, &why);
    /* The newest may be the one that does not come: an older one must not take its place. */
    if (code == ERROR_FAILED || code == ERROR_CANCELLED) {
        buffer_free(&bytes);
        keys->outage = why;
        return code;
    }
    if (code != 0) {
        log_warning("%s", why.message);
        keys->damaged += code == ERROR_INTEGRITY;
        if (code == ERROR_DENIED && !keys->refusal.code)
            keys->refusal = why;
    }
    for (size_t i = 0; i < keys->count && code == 0; i++) {
        if (bytes_equal(buffer_bytes(&bytes), keys->candidates[i].object))
            code = ERROR_EXISTS;
    }
    if (code != 0) {
        buffer_free(&bytes);
        return 0;
    }
    keys->bytes += bytes.size;
    memory_reserve_one(keys->candidates, keys->count, keys->capacity);
    keys->candidates[keys->count++] = (struct keyring_candidate){name.version, buffer_bytes(&bytes)};
    return 0;
}

void target_leave_out(struct repository *r, size_t target, const struct error *why)
{
    replicas_demote(r->replicas, target, why);
    if (strncmp(why->message, "target ", 7) == 0)
        log_warning("%s: it is left out", why->message);
    else
        log_warning("target %s is left out: %s", r->parameters.target_labels[target], why->message);
    log_hint("%s", why->hint);
}

static void free_keys(struct fetched_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        free((void *)(uintptr_t)keys->candidates[i].object.data);
    free(keys->candidates);
}

static int open_keyring(struct repository *r, const struct id16 *repository, const struct id *root,
                        struct error *err)
{
    struct fetched_keys keys = {.targets = replicas_count(r->replicas)};
    struct error last = {0};
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        if (!replicas_is_active(r->replicas, t))
            continue;
        struct error why;
        keys.storage = replicas_storage(r->replicas, t);
        keys.before = keys.count;
        keys.bytes = 0;
        keys.outage.code = 0;
        if (storage_list(keys.storage, "keys/", fetch_keyring, &keys, &why) == 0)
            continue;
        if (keys.outage.code)
            why = keys.outage;
        last = why;
        if (replicas_active_count(r->replicas) > 1)
            target_leave_out(r, t, &why);
        else
            replicas_demote(r->replicas, t, &why);
    }
    if (replicas_active_count(r->replicas) == 0) {
        free_keys(&keys);
        *err = last;
        return last.code;
    }
    const struct keyring_pin *pin = r->has_host && r->host_key.pin.version ? &r->host_key.pin : NULL;
    int code = keyring_chain_verify(keys.candidates, keys.count, repository, root, pin, &r->chain, err);
    if (code == ERROR_NOT_FOUND && keys.damaged) {
        code = error_set(err, ERROR_INTEGRITY, "every keyring under keys/ is damaged");
        error_hint(err, "put good copies back: any other target, and any older copy of this one, has them");
    } else if (code == ERROR_NOT_FOUND && keys.refusal.code) {
        code = keys.refusal.code;
        *err = keys.refusal;
    }
    if (code == 0 && r->chain.ignored)
        log_warning("not part of the keyring and ignored (%zu): %s", r->chain.ignored,
                    r->chain.warning.message);
    free_keys(&keys);
    return code;
}

/* True if the target holds the newest keyring: then it is one of this repository's, whatever its config says.
 */
static bool holds_keyring(const struct repository *r, struct storage *storage)
{
    char name[OBJECT_NAME_MAX];
    object_name_keyring(r->chain.keyring.version, &r->chain.sha256, name);
    return storage_head(storage, name, NULL, NULL, NULL) == 0;
}

/* Fetches a target's config, which must be the one that the keyring names. */
static int fetch_config(const struct repository *r, struct storage *storage, struct buffer *bytes,
                        struct error *err)
{
    struct repository_config other;
    int code = storage_get_checked(storage, "config", &r->chain.keyring.config_sha256, FORMAT_CONFIG_MAX,
                                   bytes, err);
    if (code == ERROR_NOT_FOUND) {
        error_set(err, ERROR_NOT_FOUND, "no repository at %s", storage_location(storage));
        return error_hint(
            err,
            "is it mounted, and are path, bucket and prefix right? holdfast heal fills a new "
            "target, with --new-target %s also one that lost all it held; holdfast init makes a "
            "new repository",
            storage_label(storage));
    }
    if (code != ERROR_INTEGRITY)
        return code;
    /* Whose is it? */
    code = storage_get(storage, "config", FORMAT_CONFIG_MAX, bytes, err);
    if (code != 0)
        return code;
    if (config_decode(buffer_bytes(bytes), &other, NULL) == 0 &&
        !id16_equal(&other.repository, &r->chain.keyring.repository) && !holds_keyring(r, storage)) {
        error_set(err, ERROR_INTEGRITY, "%s holds another repository", storage_location(storage));
        return error_hint(err, "check path, bucket and prefix of target %s", storage_label(storage));
    }
    error_set(err, ERROR_INTEGRITY, "config at %s is not the one that the keyring signs",
              storage_location(storage));
    return error_hint(err, "it was damaged or changed; holdfast heal restores it from another target");
}

/* Every target's config must be the one that the keyring names; a target with another is left out, or filled.
 */
static int open_configs(struct repository *r, struct error *err)
{
    struct error first = {0};
    bool found = false;
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        if (!replicas_is_active(r->replicas, t))
            continue;
        struct storage *storage = replicas_storage(r->replicas, t);
        struct buffer bytes = {0};
        struct error why;
        int code = fetch_config(r, storage, &bytes, &why);
        bool ours = code != 0 && r->parameters.fill_empty && holds_keyring(r, storage);
        bool fill =
            r->parameters.fill_empty && (code == ERROR_NOT_FOUND || (code == ERROR_INTEGRITY && ours));
        if (fill && code == ERROR_NOT_FOUND) {
            struct error locks;
            fill = target_check_lock(storage, r->parameters.retain[t], &locks) == 0;
            if (!fill)
                code = (why = locks).code;
        }
        if (code == 0 && !found) {
            code = config_decode(buffer_bytes(&bytes), &r->config, &why);
            found = code == 0;
            if (found)
                buffer_append_bytes(&r->config_bytes, buffer_bytes(&bytes));
        }
        buffer_free(&bytes);
        if (code == 0)
            continue;
        /* A config that the keyring does name, but of a newer version, tells best what is the matter. */
        if (first.code == 0 || code == ERROR_UNSUPPORTED ||
            (code == ERROR_INTEGRITY && first.code != ERROR_UNSUPPORTED))
            first = why;
        if (fill) {
            r->lacks_config |= 1u << t;
            r->empty_targets |= (uint32_t)!ours << t;
            continue;
        }
        r->damaged_targets += code == ERROR_INTEGRITY;
        if (replicas_active_count(r->replicas) > 1)
            target_leave_out(r, t, &why);
        else
            replicas_demote(r->replicas, t, &why);
    }
    if (found)
        return 0;
    if (err && first.code)
        *err = first;
    return first.code ? first.code : error_set(err, ERROR_FAILED, "no target is left");
}

/* The host remembers the newest keyring it has seen, so that nobody can show it an older one again. */
static int update_pin(struct repository *r, struct error *err)
{
    if (!r->has_host || r->chain.keyring.version <= r->host_key.pin.version || !r->parameters.host_key_file)
        return 0;
    r->host_key.pin.version = r->chain.keyring.version;
    r->host_key.pin.sha256 = r->chain.sha256;
    struct buffer text = {0};
    host_key_write_text(&r->host_key, &text);
    int code = file_write_atomic(r->parameters.host_key_file, buffer_bytes(&text), 0600, err);
    buffer_free_secret(&text);
    return code;
}

static int read_host_key(struct repository *r, struct error *err)
{
    const char *path = r->parameters.host_key_file;
    struct buffer text = {0};
    int code = file_read_secret(path, HOST_KEY_MAX, &text, err);
    if (code == ERROR_NOT_FOUND)
        error_hint(
            err,
            "holdfast init makes it; or add this host to an existing repository with: holdfast host add");
    if (code == 0) {
        code = host_key_parse_text(buffer_bytes(&text), &r->host_key, err);
        if (code != 0)
            error_prefix(err, "host key file %s", path);
    }
    buffer_free_secret(&text);
    r->has_host = code == 0;
    return code;
}

/* The greatest number under `limit`, or 0. */
static uint32_t newest_below(const struct secret_list *list, uint32_t limit)
{
    uint32_t newest = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (list->list[i].number < limit && list->list[i].number > newest)
            newest = list->list[i].number;
    }
    return newest;
}

/* For targets that encrypt under keys of their users' as well: one of each generation of id secrets, newest
 * first, for a bucket and prefix. So a bare machine that opens a bucket by its address has them, too. */
static void set_customer_keys(struct repository *r)
{
    const struct secret_list *ids = &r->secrets.bundle.ids;
    uint8_t(*keys)[STORAGE_CUSTOMER_KEY] = memory_alloc_array(ids->count, sizeof *keys);
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        struct storage *storage = replicas_storage(r->replicas, t);
        const char *place = storage ? strstr(storage_location(storage), "://") : NULL;
        size_t count = 0;
        if (!place)
            continue;
        for (uint32_t i = newest_below(ids, UINT32_MAX); i; i = newest_below(ids, i))
            derive_customer_key(&r->secrets, i, place + 3, keys[count++]);
        storage_set_customer_keys(storage, keys, count);
    }
    cleanse(keys, ids->count * sizeof *keys);
    free(keys);
}

static int open_keys(struct repository *r, struct error *err)
{
    const struct person_key *person = r->parameters.person;
    int code = 0;
    if (r->parameters.host_key_file) {
        code = read_host_key(r, err);
        /* A person restores on any machine, the host's own key file lost or not. */
        if (code != 0 && (!person || r->mode == REPOSITORY_WRITE))
            return code;
    }
    if (!person && !r->has_host) {
        error_set(err, ERROR_DENIED, "no key was given: neither a host key file nor a person's key");
        return error_hint(err, "name the host's key in key_file, or use --passphrase-file or --person-key");
    }
    if (person && r->has_host && !id16_equal(&person->repository, &r->host_key.repository)) {
        error_set(err, ERROR_DENIED,
                  "the person's key and the host key file belong to different repositories");
        return error_hint(err, "check key_file in the configuration, and which person's key is used");
    }
    const struct id16 *repository = person ? &person->repository : &r->host_key.repository;
    const struct id *root = person ? &person->root : &r->host_key.root;
    code = open_keyring(r, repository, root, err);
    if (code == ERROR_NOT_FOUND) {
        /* No keyring at all: config's absence tells better what is wrong. */
        struct error why;
        if (open_configs(r, &why) == ERROR_NOT_FOUND)
            *err = why;
        return err ? err->code : code;
    }
    if (code == 0)
        code = open_configs(r, err);
    if (code == 0)
        code = person ? keyring_unlock_person(&r->chain.keyring, person, &r->secrets, err)
                      : keyring_unlock_host(&r->chain.keyring, &r->host_key, &r->secrets, err);
    if (code == 0) {
        set_customer_keys(r);
        code = update_pin(r, err);
    }
    return code;
}

/* Four packs of the usual size on their way, where each connection of a target has one to work on; one where
 * only folders are written, which take one after the other. Together with the one that is being finished and
 * those that are being filled they stay within what a backup may take. */
#define WRITES_BYTES_MAX (64u << 20)
#define WRITES_BYTES_LOCAL (24u << 20)

static struct replicas *take_targets(const struct repository_parameters *p)
{
    struct storage *targets[TARGETS_MAX] = {0};
    uint64_t bytes = WRITES_BYTES_LOCAL;
    memcpy(targets, p->targets, sizeof targets);
    for (size_t t = 0; t < p->target_count; t++) {
        if (targets[t] && storage_connections(targets[t]) > 1)
            bytes = WRITES_BYTES_MAX;
    }
    return replicas_new(targets, p->target_count, bytes, (unsigned)p->stall, p->min_targets);
}

static int check_enough(struct repository *r, struct error *err)
{
    const struct repository_parameters *p = &r->parameters;
    size_t active = replicas_active_count(r->replicas);
    if (r->mode != REPOSITORY_WRITE || active >= p->min_targets)
        return 0;
    error_set(err, ERROR_FAILED, "%zu of %zu targets can be used, min_targets asks for %u", active,
              p->target_count, p->min_targets);
    return error_hint(err, "see the warnings above; lower min_targets to go on without them");
}

int repository_open(const struct repository_parameters *parameters, enum repository_mode mode,
                    struct repository **repository, struct error *err)
{
    struct repository *r = memory_new(struct repository);
    r->parameters = *parameters;
    r->mode = mode;
    pthread_mutex_init(&r->index_lock, NULL);
    pthread_mutex_init(&r->lease_lock, NULL);
    r->replicas = take_targets(parameters);
    replicas_stop_on(r->replicas, parameters->stop);
    for (size_t t = 0; t < parameters->target_count; t++) {
        if (parameters->targets[t])
            continue;
        if (parameters->target_errors[t].code == ERROR_CANCELLED) /* as was asked for */
            replicas_demote(r->replicas, t, &parameters->target_errors[t]);
        else
            target_leave_out(r, t, &parameters->target_errors[t]);
    }
    int code = 0;
    if (replicas_active_count(r->replicas) == 0) {
        if (err)
            *err = parameters->target_errors[0];
        code = parameters->target_errors[0].code;
    }
    if (code == 0)
        code = open_keys(r, err);
    if (code == 0)
        code = check_enough(r, err);
    if (code == 0)
        code = open_state(r, err);
    if (code == 0 && r->empty_targets)
        code = filled_check(r, err);
    if (code == 0)
        code = check_enough(r, err);
    if (code == 0) {
        uint8_t table[2048];
        struct chunker_parameters p = repository_chunker_parameters(r);
        code = chunker_check_parameters(&p, err);
        if (code == 0) {
            derive_gear_table(&r->secrets, r->secrets.id_generation, table);
            r->chunker = chunker_new(&p, table);
        }
    }
    if (code != 0) {
        repository_close(r);
        return code;
    }
    *repository = r;
    return 0;
}

/* Where a new one would be made, nothing is known. */
static int open_known_state(struct repository *r, struct error *err)
{
    char *path = file_join(r->parameters.state_folder, "catalog.db");
    int code = 0;
    r->state_folder = memory_copy_string(r->parameters.state_folder);
    if (access(path, R_OK | W_OK) != 0)
        code = error_set_errno(err, errno, "cannot open %s", path);
    if (code == 0 && !r->parameters.lock)
        code = lock_take(r->state_folder, "status", &r->lock, err);
    if (code == 0)
        code = open_catalog(r, err);
    free(path);
    return code;
}

int repository_open_offline(const struct repository_parameters *parameters, struct repository **repository,
                            int64_t *known, struct error *err)
{
    struct repository *r = memory_new(struct repository);
    r->parameters = *parameters;
    r->mode = REPOSITORY_READ;
    r->offline = true;
    pthread_mutex_init(&r->index_lock, NULL);
    pthread_mutex_init(&r->lease_lock, NULL);
    r->replicas = take_targets(parameters);
    int code = read_host_key(r, err);
    if (code == 0) {
        r->config.repository = r->host_key.repository;
        code = open_known_state(r, err);
    }
    if (code == 0)
        code = listing_of_catalog(r, err);
    if (code != 0) {
        repository_close(r);
        return code;
    }
    *known = sync_time(r);
    *repository = r;
    return 0;
}

void repository_close(struct repository *r)
{
    if (!r)
        return;
    lease_end(r);
    replicas_free(r->replicas);
    index_free(r);
    listing_free(r);
    catalog_close(r->catalog);
    chunker_free(r->chunker);
    keyring_chain_free(&r->chain);
    secrets_free(&r->secrets);
    host_key_cleanse(&r->host_key);
    buffer_free(&r->config_bytes);
    if (r->temporary_state)
        remove_folder(r->state_folder);
    lock_release(r->lock);
    free(r->state_folder);
    pthread_mutex_destroy(&r->index_lock);
    pthread_mutex_destroy(&r->lease_lock);
    free(r);
}

/* ---- persons ---- */

struct person_search {
    struct storage *storage;
    struct bytes passphrase;
    struct person_key *person;
    struct id16 repository; /* that the target's config names */
    bool strangers;         /* try those of other repositories, not those of this one */
    struct error *err;
};

static int open_person(const struct person_search *search, const char *name, const struct id *sha256,
                       struct error *err)
{
    struct buffer sealed = {0};
    struct person_key_header header;
    int code = storage_get_checked(search->storage, name, sha256, PERSON_KEY_MAX, &sealed, err);
    if (code == ERROR_INTEGRITY)
        error_hint(err, "another target or an older copy of this one has a good one: holdfast heal "
                        "restores it; and check the passphrase, which may be wrong as well");
    if (code == 0)
        code = person_key_read_header(buffer_bytes(&sealed), &header, err);
    if (code == 0 && id16_equal(&header.repository, &search->repository) == search->strangers)
        code = error_set(err, ERROR_NOT_FOUND, "%s is not of this repository", name);
    else if (code == 0)
        code = person_key_open(buffer_bytes(&sealed), search->passphrase, search->person, err);
    buffer_free(&sealed);
    return code;
}

static int try_person(const struct storage_object *object, void *context)
{
    struct person_search *search = context;
    struct object_name name;
    struct error why;
    if (!object_name_parse(object->name, &name) || name.folder != FOLDER_PERSON)
        return 0;
    int code = open_person(search, object->name, &name.sha256, &why);
    if (code == 0)
        return 1;
    /* One that cannot be read may be the one: that is the worse news. */
    if (code != ERROR_NOT_FOUND && (search->err->code == 0 || search->err->code == ERROR_DENIED))
        *search->err = why;
    return 0;
}

static void note_repository(struct person_search *search)
{
    struct buffer bytes = {0};
    struct repository_config config;
    search->repository = (struct id16){0};
    if (storage_get(search->storage, "config", FORMAT_CONFIG_MAX, &bytes, NULL) == 0 &&
        config_decode(buffer_bytes(&bytes), &config, NULL) == 0)
        search->repository = config.repository;
    buffer_free(&bytes);
}

int repository_open_person(struct storage *const *targets, size_t count, struct bytes passphrase,
                           struct person_key *person, struct error *err)
{
    struct error why = {0}, listing = {0};
    struct person_search search = {.passphrase = passphrase, .person = person, .err = &why};
    /* Those that name another repository than the config last: somebody put them there, or the config is bad.
     */
    for (size_t i = 0; i < 2 * count; i++) {
        search.storage = targets[i % count];
        search.strangers = i >= count;
        if (!search.storage)
            continue;
        note_repository(&search);
        if (storage_list(search.storage, "keys/", try_person, &search, &listing) == 1)
            return 0;
    }
    if (why.code) {
        if (err)
            *err = why;
        return why.code;
    }
    if (listing.code && err) {
        *err = listing;
        return listing.code;
    }
    error_set(err, ERROR_NOT_FOUND, "no passphrase-protected person key on any target");
    return error_hint(err, "check the target; if the key is kept in a file, name it with --person-key");
}

/* ---- what others ask ---- */

int repository_stopped(const struct repository *r, struct error *err)
{
    if (!r->parameters.stop || !*r->parameters.stop)
        return 0;
    error_set(err, ERROR_CANCELLED, "stopped by a signal");
    return error_hint(err, "run the command again: it goes on from what is done");
}

void repository_set_progress(struct repository *r,
                             void (*progress)(void *context, uint64_t done, uint64_t total), void *context)
{
    r->progress = progress;
    r->progress_context = context;
}

void repository_show_progress(const struct repository *r, uint64_t done, uint64_t total)
{
    if (r->progress)
        r->progress(r->progress_context, done, total);
}

unsigned repository_damage(const struct repository *r)
{
    return r->damage;
}

unsigned repository_outages(const struct repository *r)
{
    return r->outages;
}

unsigned repository_uncopied(const struct repository *r)
{
    return r->uncopied;
}

size_t repository_revealed(const struct repository *r)
{
    return r->revealed;
}

int repository_missing(const struct repository *r)
{
    return r->outages ? ERROR_FAILED : ERROR_INTEGRITY;
}

/* By its own reason, or because nobody wanted it to be asked. */
static bool is_away(const struct repository *r, size_t target)
{
    return !replicas_is_active(r->replicas, target) &&
           replicas_failure(r->replicas, target)->code != ERROR_CANCELLED;
}

int repository_nowhere(const struct repository *r)
{
    bool elsewhere = false;
    for (size_t t = 0; t < r->parameters.target_count && r->damage == 0; t++)
        elsewhere |= is_away(r, t);
    return elsewhere ? ERROR_FAILED : repository_missing(r);
}

char *repository_where(const struct repository *r)
{
    const struct repository_parameters *p = &r->parameters;
    struct buffer asked = {0}, others = {0};
    size_t asked_count = 0, other_count = 0;
    for (size_t t = 0; t < p->target_count; t++) {
        bool active = replicas_is_active(r->replicas, t);
        struct buffer *list = active ? &asked : &others;
        buffer_append_format(list, "%s%s", list->size ? ", " : "", p->target_labels[t]);
        asked_count += active;
        other_count += !active;
    }
    char *where = memory_format("%s %s%s%s%s", asked_count == 1 ? "target" : "targets",
                                asked_count ? buffer_string(&asked) : "", other_count ? " (" : "",
                                other_count ? buffer_string(&others) : "",
                                !other_count       ? ""
                                : other_count == 1 ? " was not asked)"
                                                   : " were not asked)");
    buffer_free(&asked);
    buffer_free(&others);
    return where;
}

const struct repository_config *repository_config(const struct repository *r)
{
    return &r->config;
}

const struct keyring *repository_keyring(const struct repository *r)
{
    return &r->chain.keyring;
}

const struct secrets *repository_secrets(const struct repository *r)
{
    return &r->secrets;
}

struct replicas *repository_replicas(struct repository *r)
{
    return r->replicas;
}

struct catalog *repository_catalog(struct repository *r)
{
    return r->catalog;
}

const struct repository_parameters *repository_parameters(const struct repository *r)
{
    return &r->parameters;
}

const struct host_key *repository_host(const struct repository *r)
{
    return r->has_host ? &r->host_key : NULL;
}

unsigned repository_damaged_targets(const struct repository *r)
{
    return r->damaged_targets;
}

bool repository_may_prune(const struct repository *r)
{
    return r->has_host && keyring_host_may_prune(&r->chain.keyring, &r->host_key.host);
}

bool repository_can_read_contents(const struct repository *r)
{
    return r->secrets.bundle.recovery.count > 0;
}

const struct chunker *repository_chunker(const struct repository *r)
{
    return r->chunker;
}

struct chunker_parameters repository_chunker_parameters(const struct repository *r)
{
    return (struct chunker_parameters){r->config.chunk_min, r->config.chunk_average, r->config.chunk_max};
}

bool repository_is_held(const struct repository *r)
{
    return r->held;
}

int64_t repository_clock_ahead(struct repository *r, size_t *target)
{
    int64_t most = 0;
    *target = replicas_count(r->replicas);
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        if (!replicas_is_active(r->replicas, t))
            continue;
        const struct storage *storage = replicas_storage(r->replicas, t);
        if (!(storage_features(storage) & STORAGE_INDEPENDENT_TIME))
            continue;
        int64_t ahead = storage_now(storage) - (int64_t)time(NULL);
        if (*target < t && llabs(ahead) <= llabs(most))
            continue;
        most = ahead;
        *target = t;
    }
    return most;
}

uint32_t repository_active_mask(const struct repository *r)
{
    uint32_t mask = 0;
    for (size_t t = 0; t < replicas_count(r->replicas); t++)
        mask |= (uint32_t)replicas_is_active(r->replicas, t) << t;
    return mask;
}

unsigned repository_requests(const struct repository *r)
{
    unsigned most = 1;
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        unsigned own =
            replicas_is_active(r->replicas, t) ? storage_connections(replicas_storage(r->replicas, t)) : 1;
        most = own > most ? own : most;
    }
    return most;
}
