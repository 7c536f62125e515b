#include "cli/wire.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/passphrase.h"
#include "cli/signals.h"
#include "cli/status.h"
#include "cli/targets.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* On real trees 7 % less is stored than at level 1, for a fifth more processor time. */
#define DEFAULT_COMPRESSION 3

static void close_targets(struct repository_parameters *p)
{
    for (size_t i = 0; i < p->target_count; i++)
        storage_free(p->targets[i]);
}

int wire_parameters(const struct config *config, bool create, bool writing, struct repository_parameters *p,
                    struct error *err)
{
    const struct config_repository *c = &config->repository;
    memset(p, 0, sizeof *p);
    p->min_targets = (unsigned)c->min_targets;
    p->state_folder = c->state_dir;
    p->host_key_file = c->key_file;
    p->compression = c->compression ? (int)c->compression : DEFAULT_COMPRESSION;
    p->lease_refresh = c->lease_refresh;
    p->lease_recheck = c->lease_recheck;
    p->lease_live = c->lease_live;
    p->condemn_grace = c->condemn_grace;
    p->checkpoint = c->checkpoint_interval;
    p->stall = c->target_lag;
    p->meta_cache_bytes = (uint64_t)c->meta_cache;
    struct targets_limits limits = targets_limits_new(config);
    int code = 0;
    for (size_t i = 0; i < config->target_count && code == 0; i++) {
        bool elsewhere;
        const struct config_target *t = &config->targets[i];
        p->target_labels[i] = t->name;
        p->retain[i] = t->object_lock.mode == CONFIG_LOCK_NONE ? 0 : t->object_lock.retain;
        int opened = targets_open(config, t, &limits, create, writing, &p->targets[i], &elsewhere,
                                  &p->target_errors[i]);
        if (opened != 0)
            p->targets[i] = NULL;
        p->target_count++;
        if (elsewhere) {
            if (err)
                *err = p->target_errors[i];
            close_targets(p);
            code = opened;
        }
    }
    targets_limits_free(&limits);
    return code;
}

/* --target URL: everything there is to know lies at the target. */
static int url_parameters(const char *url, struct repository_parameters *p, struct error *err)
{
    memset(p, 0, sizeof *p);
    p->min_targets = 1;
    p->compression = DEFAULT_COMPRESSION;
    p->stall = 600;
    p->meta_cache_bytes = 1u << 30;
    p->target_labels[0] = url;
    p->target_count = 1;
    return storage_open_url(url, &p->targets[0], err);
}

/* What is wrong with a passphrase that opens nothing may be what nobody sees. */
static int open_person(const struct repository_parameters *p, struct bytes given, struct person_key *person,
                       struct error *err)
{
    struct buffer spelling = {0};
    struct error why;
    int code = ERROR_DENIED;
    for (unsigned i = 0; i < PASSPHRASE_SPELLINGS && (code == ERROR_DENIED || code == ERROR_INTEGRITY); i++) {
        passphrase_spell(given, i, &spelling);
        if (spelling.size)
            code = repository_open_person(p->targets, p->target_count, buffer_bytes(&spelling), person, err);
    }
    buffer_free_secret(&spelling);
    if (code == ERROR_DENIED && passphrase_check_text(given, &why) != 0)
        error_hint(err, "what was given may not be what was meant: %s", why.message);
    return code;
}

static int get_person(const struct options *options, const struct repository_parameters *p, struct wire *wire,
                      struct error *err)
{
    struct buffer secret = {0};
    int code;
    if (options->person_key) {
        code = file_read_secret(options->person_key, PERSON_KEY_MAX, &secret, err);
        if (code == 0)
            code = person_key_parse_text(buffer_bytes(&secret), &wire->person, err);
        if (code != 0)
            error_prefix(err, "person key %s", options->person_key);
    } else {
        code = passphrase_get(options, NULL, &secret, err);
        if (code == 0)
            code = open_person(p, buffer_bytes(&secret), &wire->person, err);
    }
    buffer_free_secret(&secret);
    wire->has_person = code == 0;
    return code;
}

static int check_target_name(const char *name, const struct repository_parameters *p, struct error *err)
{
    for (size_t i = 0; i < p->target_count; i++) {
        if (strcmp(p->target_labels[i], name) == 0)
            return 0;
    }
    error_set(err, ERROR_USAGE, "no target is named \"%s\"", name);
    const char *near = text_nearest(name, p->target_labels, p->target_count);
    return near ? error_hint(err, "did you mean \"%s\"?", near)
                : error_hint(err, "holdfast check-config shows them");
}

/* --from NAME: the others are left out. */
static int choose_target(const char *name, struct repository_parameters *p, struct error *err)
{
    int code = check_target_name(name, p, err);
    for (size_t i = 0; i < p->target_count && code == 0; i++) {
        if (strcmp(p->target_labels[i], name) == 0)
            continue;
        storage_free(p->targets[i]);
        p->targets[i] = NULL;
        error_set(&p->target_errors[i], ERROR_CANCELLED, "left out by --from %s", name);
    }
    return code;
}

/* ---- signals ---- */

struct wire_cut {
    struct signals_watch *watch;
    struct storage *targets[TARGETS_MAX];
    size_t count;
    _Atomic(struct replicas *) replicas; /* once the repository is open */
};

static void cut(void *context)
{
    struct wire_cut *c = context;
    struct replicas *replicas = atomic_load(&c->replicas);
    if (replicas)
        replicas_cancel(replicas);
    for (size_t i = 0; i < c->count; i++)
        storage_cancel(c->targets[i]);
}

static struct wire_cut *watch_signals(const struct repository_parameters *p, unsigned seconds)
{
    struct wire_cut *c = memory_new(struct wire_cut);
    for (size_t i = 0; i < p->target_count; i++) {
        if (p->targets[i])
            c->targets[c->count++] = storage_share(p->targets[i]);
    }
    c->watch = signals_watch_start(cut, c, seconds);
    return c;
}

static void end_watch(struct wire_cut *c)
{
    if (!c)
        return;
    signals_watch_end(c->watch);
    for (size_t i = 0; i < c->count; i++)
        storage_free(c->targets[i]);
    free(c);
}

/* Who asks how things stand wants an answer, also where that is: no answer. Seconds for one request, and for
 * all: fewer than a run waits for whoever only looks (run.lock_wait). */
#define STATUS_REQUEST 10
#define STATUS_PATIENCE 45

static void be_impatient(struct config *config)
{
    struct config_repository *c = &config->repository;
    c->retry_budget = c->retry_budget < STATUS_REQUEST ? c->retry_budget : STATUS_REQUEST;
    c->stall_timeout = c->stall_timeout < STATUS_REQUEST ? c->stall_timeout : STATUS_REQUEST;
}

int wire_open(const struct options *options, const char *config_file, enum repository_mode mode,
              enum wire_key key, struct wire *wire, struct error *err)
{
    struct config *config = NULL;
    int code = options->target ? 0 : targets_load(config_file, mode == REPOSITORY_WRITE, &config, err);
    memset(wire, 0, sizeof *wire);
    if (code == 0)
        code = wire_open_config(options, config, NULL, mode, key, wire, err);
    if (code == 0)
        wire->owns_config = true;
    else
        config_free(config);
    return code;
}

int wire_open_config(const struct options *options, struct config *config, struct lock *lock,
                     enum repository_mode mode, enum wire_key key, struct wire *wire, struct error *err)
{
    struct repository_parameters p;
    *wire = (struct wire){.config = config};
    if (options->command == COMMAND_STATUS)
        be_impatient(config);
    int code = options->target ? url_parameters(options->target, &p, err)
                               : wire_parameters(config, options->command == COMMAND_HEAL,
                                                 mode == REPOSITORY_WRITE, &p, err);
    if (code != 0) {
        wire_close(wire);
        return code;
    }
    if (options->from)
        code = choose_target(options->from, &p, err);
    else if (options->new_target)
        code = check_target_name(options->new_target, &p, err);
    wire->cut = watch_signals(&p, options->command == COMMAND_STATUS ? STATUS_PATIENCE : 0);
    if (code == 0 && (key == WIRE_PERSON || options->target))
        code = get_person(options, &p, wire, err);
    if (code != 0) {
        close_targets(&p);
        wire_close(wire);
        return code;
    }
    p.stop = signals_stop();
    p.lock = lock;
    p.command = options_command(options->command)->name;
    p.fill_empty = options->command == COMMAND_HEAL;
    p.new_target = options->new_target;
    p.person = wire->has_person ? &wire->person : NULL;
    code = repository_open(&p, mode, &wire->repository, err);
    if (code == 0)
        atomic_store(&wire->cut->replicas, repository_replicas(wire->repository));
    else
        wire_close(wire);
    return code;
}

int wire_open_offline(struct config *config, struct lock *lock, struct wire *wire, int64_t *known,
                      struct error *err)
{
    const struct repository_parameters p = {.state_folder = config->repository.state_dir,
                                            .host_key_file = config->repository.key_file,
                                            .lock = lock,
                                            .min_targets = 1};
    *wire = (struct wire){.config = config};
    int code = repository_open_offline(&p, &wire->repository, known, err);
    if (code != 0)
        wire_close(wire);
    return code;
}

void wire_close(struct wire *wire)
{
    end_watch(wire->cut);
    repository_close(wire->repository);
    if (wire->owns_config)
        config_free(wire->config);
    person_key_cleanse(&wire->person);
    memset(wire, 0, sizeof *wire);
}

int wire_each_file(const struct options *options,
                   int (*command)(const struct options *options, const char *file, void *context),
                   void *context)
{
    struct error err;
    char **files;
    size_t count;
    int status = STATUS_DONE;
    if (config_list_directory(options->config, &files, &count, &err) != 0)
        return status_report(&err);
    for (size_t i = 0; i < count; i++)
        status = status_worse(status, *signals_stop() ? STATUS_STOPPED : command(options, files[i], context));
    config_free_list(files, count);
    return status;
}

static int announce(const struct options *options, const char *file, void *context)
{
    wire_command *const *command = context;
    if (strcmp(file, options->config) != 0)
        log_info("%s:", file);
    return (*command)(options, file);
}

int wire_each_config(const struct options *options, wire_command *command)
{
    return options->target ? command(options, NULL) : wire_each_file(options, announce, &command);
}
