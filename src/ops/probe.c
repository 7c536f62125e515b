#include "ops/probe.h"

#include "base/text.h"
#include "crypto/random.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CLOCK_NOTE 60   /* seconds apart that nobody need care about */
#define CLOCK_LIMIT 900 /* stores refuse what is signed with a clock further off */

struct session {
    struct storage *storage;
    const struct probe_parameters *parameters;
    struct probe *probe;
    struct storage_facts facts;
    char name[64];
    uint8_t content[64];
};

static struct probe_check *add(struct session *s, const char *name, enum probe_outcome outcome,
                               const char *format, ...) __attribute__((format(printf, 4, 5)));

static struct probe_check *add(struct session *s, const char *name, enum probe_outcome outcome,
                               const char *format, ...)
{
    struct probe_check *check = &s->probe->checks[s->probe->count++];
    va_list arguments;
    check->name = name;
    check->outcome = outcome;
    check->hint[0] = '\0';
    va_start(arguments, format);
    vsnprintf(check->detail, sizeof check->detail, format, arguments);
    va_end(arguments);
    if (outcome > s->probe->worst)
        s->probe->worst = outcome;
    return check;
}

static void add_error(struct session *s, const char *name, const struct error *err)
{
    struct probe_check *check = add(s, name, PROBE_FAILED, "%s", err->message);
    snprintf(check->hint, sizeof check->hint, "%s", err->hint);
}

static int stop_at_first(const struct storage_object *object, void *context)
{
    (void)object;
    (void)context;
    return 1;
}

/* Name, connection, certificate, signature and bucket: the message says which of these it is. */
static bool answers(struct session *s)
{
    struct error err;
    int code = storage_list(s->storage, "keys/", stop_at_first, NULL, &err);
    if (code == 0 || code == 1)
        code = storage_describe(s->storage, &s->facts, &err);
    if (code == 0)
        add(s, "answer", PROBE_GOOD, "%s", storage_location(s->storage));
    else
        add_error(s, "answer", &err);
    if (code == 0 && s->facts.keys_from[0])
        add(s, "access keys", PROBE_GOOD, "from %s", s->facts.keys_from);
    return code == 0;
}

static void check_region(struct session *s)
{
    const char *wanted = s->parameters->region, *location = s->facts.location;
    if (!wanted)
        return;
    if (!*location || strcmp(location, "default") == 0)
        add(s, "region", PROBE_NOTE, "the store does not say where the bucket is; the endpoint is of %s",
            wanted);
    else if (strcmp(location, wanted) == 0)
        add(s, "region", PROBE_GOOD, "%s", location);
    else {
        struct probe_check *check =
            add(s, "region", PROBE_WARNING, "the bucket is in %s, and the configuration says %s", location,
                wanted);
        snprintf(check->hint, sizeof check->hint, "set region to where the bucket is");
    }
}

static void check_clock(struct session *s)
{
    int64_t apart = storage_now(s->storage) - (int64_t)time(NULL);
    if (!(storage_features(s->storage) & STORAGE_INDEPENDENT_TIME))
        return;
    int64_t size = apart < 0 ? -apart : apart;
    if (size <= CLOCK_NOTE) {
        add(s, "clock", PROBE_GOOD, "%" PRId64 " s apart", size);
        return;
    }
    struct probe_check *check =
        add(s, "clock", size > CLOCK_LIMIT ? PROBE_FAILED : PROBE_WARNING,
            "this machine is %" PRId64 " s %s the store", size, apart < 0 ? "before" : "behind");
    snprintf(check->hint, sizeof check->hint, "let this machine take its time from the network (NTP)");
}

static bool check_write(struct session *s)
{
    struct error err;
    if (storage_put(s->storage, s->name, bytes_of(s->content, sizeof s->content), &err) != 0) {
        add_error(s, "write", &err);
        return false;
    }
    add(s, "write", PROBE_GOOD, "%s, %zu bytes", s->name, sizeof s->content);
    return true;
}

static void check_read(struct session *s)
{
    struct error err;
    struct buffer out = {0};
    if (storage_get(s->storage, s->name, 4096, &out, &err) != 0)
        add_error(s, "read", &err);
    else if (!bytes_equal(buffer_bytes(&out), bytes_of(s->content, sizeof s->content)))
        add(s, "read", PROBE_FAILED, "other bytes come back than were put");
    else
        add(s, "read", PROBE_GOOD, "what was put comes back");
    buffer_free(&out);
}

static void check_listed(struct session *s)
{
    struct error err;
    uint64_t size;
    if (storage_head(s->storage, s->name, &size, NULL, &err) != 0)
        add_error(s, "head", &err);
    else if (size != sizeof s->content)
        add(s, "head", PROBE_FAILED, "the store says %" PRIu64 " bytes", size);
    else
        add(s, "head", PROBE_GOOD, "its size is right");
}

static void check_conditional(struct session *s)
{
    struct error err;
    int code = storage_put_new(s->storage, s->name, bytes_of(s->content, sizeof s->content), &err);
    if (code == ERROR_EXISTS)
        add(s, "conditional put", PROBE_GOOD, "a name that is taken is refused");
    else if (code == 0 || code == ERROR_UNSUPPORTED)
        add(s, "conditional put", PROBE_NOTE,
            "not supported: two hosts that run init at once are not noticed");
    else
        add_error(s, "conditional put", &err);
}

static void check_delete(struct session *s)
{
    struct error err;
    int code = storage_remove(s->storage, s->name, &err);
    if (code == 0 && storage_head(s->storage, s->name, NULL, NULL, &err) == 0) {
        code = ERROR_FAILED;
        error_set(&err, code, "%s is still there after it was removed", s->name);
    }
    if (code == 0)
        add(s, "delete", PROBE_GOOD, "gone");
    else
        add_error(s, "delete", &err);
}

static void check_versions(struct session *s)
{
    const struct storage_facts *f = &s->facts;
    if (!f->versions_known)
        add(s, "versioning", PROBE_NOTE, "not known: the store does not tell, or the key may not ask");
    else
        add(s, "versioning", PROBE_GOOD, f->versions ? "on" : "off");
}

static void check_lock(struct session *s)
{
    const struct storage_facts *f = &s->facts;
    char retain[32];
    struct probe_check *check;
    if (s->parameters->retain)
        text_format_duration((double)s->parameters->retain, retain);
    if (s->parameters->retain && f->lock_known && !f->lock) {
        check = add(s, "object lock", PROBE_FAILED, "object_lock is set, and the bucket was made without");
        snprintf(check->hint, sizeof check->hint,
                 "make a bucket with object lock: it is chosen when one is made");
    } else if (s->parameters->retain && !f->lock_known) {
        add(s, "object lock", PROBE_WARNING, "not known: the key may not ask");
    } else if (s->parameters->retain) {
        add(s, "object lock", PROBE_GOOD, "on; objects are locked for %s", retain);
    } else {
        add(s, "object lock", f->lock_known ? PROBE_GOOD : PROBE_NOTE,
            !f->lock_known ? "not known"
            : f->lock      ? "possible, and not asked for"
                           : "off");
    }
    if (f->default_retention) {
        check = add(s, "default retention", PROBE_FAILED,
                    "%" PRId64 " days: it locks keys, leases and events, too", f->default_retention / 86400);
        snprintf(check->hint, sizeof check->hint,
                 "remove it from the bucket; object_lock in the configuration locks what should be");
    } else if (f->lock_known) {
        add(s, "default retention", PROBE_GOOD, "none");
    }
}

void probe_unopened(const struct error *why, struct probe *probe)
{
    struct session s = {.probe = probe};
    *probe = (struct probe){0};
    add_error(&s, "answer", why);
}

void probe_unmade(const char *path, struct probe *probe)
{
    struct session s = {.probe = probe};
    *probe = (struct probe){0};
    add(&s, "answer", PROBE_NOTE, "%s is not there yet: init makes it", path);
}

void probe_run(struct storage *storage, const struct probe_parameters *parameters, struct probe *probe)
{
    struct session s = {.storage = storage, .parameters = parameters, .probe = probe};
    uint8_t random[8];
    char hex[17];
    *probe = (struct probe){0};
    random_bytes(random, sizeof random);
    random_bytes(s.content, sizeof s.content);
    hex_encode(random, sizeof random, hex);
    /* A folder in which every host may put and remove, and that no lock covers; no lease has such a name. */
    snprintf(s.name, sizeof s.name, "leases/probe-%s", hex);
    /* Where the store encrypts under keys of its users' any key shows that it can. */
    uint8_t key[1][STORAGE_CUSTOMER_KEY];
    random_bytes(key, sizeof key);
    storage_set_customer_keys(storage, (const uint8_t(*)[STORAGE_CUSTOMER_KEY])key, 1);
    if (!answers(&s))
        return;
    check_region(&s);
    check_clock(&s);
    if (s.facts.default_retention) {
        add(&s, "write", PROBE_NOTE, "not tried: what is put there is locked, and would stay");
    } else if (check_write(&s)) {
        check_read(&s);
        check_listed(&s);
        check_conditional(&s);
        check_delete(&s);
    }
    if (parameters->region) {
        check_versions(&s);
        check_lock(&s);
    }
}
