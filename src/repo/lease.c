/* Leases: put, refreshed, removed. */
#include "repo/lease.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "crypto/random.h"
#include "repo/internal.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LEASE_VALUE "lease"
#define OWNER_VALUE "lease-owner"

struct lease_removal {
    struct repository *r;
    const char *name;
    atomic_bool left;
};

static int remove_from(size_t target, void *context, struct error *err)
{
    struct lease_removal *removal = context;
    struct storage *storage = replicas_storage(removal->r->replicas, target);
    int code = storage ? storage_remove(storage, removal->name, err) : 0;
    if (code == ERROR_LOCKED) {
        log_warning("%s: prune waits for it", err->message);
        log_hint("remove the bucket's default retention: what must be removable is locked by it, too");
    } else if (code != 0) {
        log_verbose("%s", err->message);
    }
    if (code != 0)
        atomic_store(&removal->left, true);
    return 0;
}

/* Also from targets that were left out since: a lease that stays delays prune. False if it may still be on
 * one. */
static bool remove_everywhere(struct repository *r, const char *name)
{
    struct lease_removal removal = {.r = r, .name = name};
    size_t count = replicas_count(r->replicas);
    parallel_run(count, (unsigned)count, remove_from, &removal, NULL);
    return !atomic_load(&removal.left);
}

/* What a copy of the state folder does not have in common with it, nor the clone of a machine. */
static void write_owner(struct repository *r, struct buffer *out)
{
    char *path = file_join(r->state_folder, "catalog.db");
    struct stat st = {0};
    if (stat(path, &st) == 0)
        buffer_append_format(out, "%llu %llu ", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    char boot[36];
    if (fd >= 0) {
        if (file_read_full(fd, boot, sizeof boot) == (ssize_t)sizeof boot)
            buffer_append(out, boot, sizeof boot);
        close(fd);
    }
    free(path);
}

/* A process of this state folder that was killed left its lease; the lock says that it is gone. But it says
 * nothing of the machine that this one, or its state folder, was copied from: that may be at work. */
static void remove_left_over(struct repository *r)
{
    struct buffer name = {0}, owner = {0}, own = {0};
    struct object_name parsed;
    write_owner(r, &own);
    if (catalog_get_value(r->catalog, LEASE_VALUE, &name, NULL) == 0 &&
        catalog_get_value(r->catalog, OWNER_VALUE, &owner, NULL) == 0 &&
        bytes_equal(buffer_bytes(&owner), buffer_bytes(&own)) &&
        object_name_parse(buffer_string(&name), &parsed) && parsed.folder == FOLDER_LEASES)
        remove_everywhere(r, buffer_string(&name));
    buffer_free(&name);
    buffer_free(&owner);
    buffer_free(&own);
}

static int note_lease(struct repository *r, struct error *err)
{
    struct buffer own = {0};
    write_owner(r, &own);
    int code = catalog_put_value(r->catalog, OWNER_VALUE, buffer_bytes(&own), err);
    if (code == 0)
        code = catalog_put_value(r->catalog, LEASE_VALUE, bytes_of_string(r->lease_name), err);
    if (code == 0)
        code = catalog_commit(r->catalog, err);
    buffer_free(&own);
    return code;
}

static int put_lease(struct repository *r, struct error *err)
{
    struct lease lease = {.host = r->host_key.host,
                          .writer = r->writer,
                          .started = r->lease_started,
                          .refreshed = (int64_t)time(NULL),
                          .purpose = r->lease_purpose};
    struct buffer body = {0};
    struct id id;
    size_t size;
    char old[OBJECT_NAME_MAX];
    memcpy(old, r->lease_name, sizeof old);
    lease_encode(&lease, &body);
    /* Not noted in the listing, which others may be reading: nobody looks for leases there. */
    int code = record_queue(r, OBJECT_LEASE, "leases", lease.refreshed, buffer_bytes(&body), &id, &size, err);
    buffer_free(&body);
    if (code == 0)
        code = replicas_flush(r->replicas, err);
    if (code != 0)
        return code;
    object_name_timed("leases", lease.refreshed, &id, r->lease_name);
    r->lease_refreshed = lease.refreshed;
    code = note_lease(r, err);
    if (*old)
        remove_everywhere(r, old);
    return code;
}

int lease_begin(struct repository *r, const char *purpose, struct error *err)
{
    remove_left_over(r);
    random_bytes(r->writer.b, sizeof r->writer.b);
    r->lease_started = (int64_t)time(NULL);
    snprintf(r->lease_purpose, sizeof r->lease_purpose, "%s", purpose);
    return put_lease(r, err);
}

static int keep(struct repository *r, bool at_once, struct error *err)
{
    int64_t age = (int64_t)time(NULL) - r->lease_refreshed;
    /* A clock that went back makes the age negative: refresh then, too. */
    if (!*r->lease_name || (!at_once && age >= 0 && age < r->parameters.lease_refresh))
        return 0;
    if (age < 0 || age >= r->parameters.lease_recheck)
        r->lease_lapsed = true;
    return put_lease(r, err);
}

static int keep_locked(struct repository *r, bool at_once, struct error *err)
{
    pthread_mutex_lock(&r->lease_lock);
    int code = keep(r, at_once, err);
    pthread_mutex_unlock(&r->lease_lock);
    return code;
}

int lease_keep(struct repository *r, struct error *err)
{
    return keep_locked(r, false, err);
}

int lease_renew(struct repository *r, struct error *err)
{
    return keep_locked(r, true, err);
}

bool lease_lapsed(struct repository *r)
{
    bool lapsed = r->lease_lapsed;
    r->lease_lapsed = false;
    return lapsed;
}

void lease_end(struct repository *r)
{
    if (!*r->lease_name)
        return;
    /* Where that failed the next run tries again. */
    if (remove_everywhere(r, r->lease_name))
        catalog_remove_value(r->catalog, LEASE_VALUE, NULL);
    r->lease_name[0] = '\0';
}
