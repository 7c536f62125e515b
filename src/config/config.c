#include "config/config.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "config/reader.h"
#include "http/url.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SUFFIX ".conf"
#define DAY (24 * 3600)
#define FILES_MAX 10000

/* ---- rules that involve more than one setting ---- */

static bool name_is_safe(const char *name)
{
    return name && name[0] != '.' && name[0] != '-';
}

static int check_name(const struct config *config, unsigned line, const char *name, struct error *err)
{
    if (name_is_safe(name))
        return 0;
    return reader_fail(config, line, err, "the name \"%s\" begins with a dot or a dash", name);
}

/* "web1" from "/etc/holdfast/web1.conf"; NULL where that gives no proper name. */
static const char *name_from_path(struct config *config)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const char *slash = strrchr(config->path, '/');
    const char *base = slash ? slash + 1 : config->path;
    size_t n = strlen(base), suffix = strlen(SUFFIX);
    if (n > suffix && strcmp(base + n - suffix, SUFFIX) == 0)
        n -= suffix;
    if (n == 0 || n > 64 || strspn(base, allowed) < n || !name_is_safe(base))
        return NULL;
    return (const char *)arena_copy(&config->arena, bytes_of(base, n)).data;
}

/* True if a and b are one location, or one lies inside the other. */
static bool paths_overlap(const char *a, const char *b)
{
    return file_lies_in(bytes_of_string(a), b) || file_lies_in(bytes_of_string(b), a);
}

static int check_repository(struct config *config, struct error *err)
{
    struct config_repository *r = &config->repository;
    if (!r->name)
        r->name = name_from_path(config);
    if (!r->name) {
        reader_fail(config, 0, err, "the file's name makes no name for the repository");
        return error_hint(err, "set repository.name, with letters, digits, \".\", \"_\" and \"-\"");
    }
    int code = check_name(config, 0, r->name, err);
    if (code)
        return code;
    if (!r->state_dir) {
        char *path = file_join("/var/lib/holdfast", r->name);
        r->state_dir = arena_copy_string(&config->arena, path);
        free(path);
    }
    for (size_t i = 0; i < config->target_count; i++) {
        const struct config_target *t = &config->targets[i];
        if (t->type == CONFIG_TARGET_LOCAL &&
            (paths_overlap(t->path, r->state_dir) || file_lies_in(bytes_of_string(r->key_file), t->path)))
            return reader_fail(config, t->line, err,
                               "target \"%s\" shares its folder with the state folder or the key file",
                               t->name);
    }
    if ((size_t)r->min_targets > config->target_count)
        return reader_fail(config, 0, err, "repository.min_targets is %d, but there are %zu targets",
                           (int)r->min_targets, config->target_count);
    if (r->chunk_average & (r->chunk_average - 1))
        return reader_fail(config, 0, err, "repository.chunk_average is not a power of two");
    if (r->pack_size < r->chunk_average)
        return reader_fail(config, 0, err, "repository.pack_size is smaller than chunk_average");
    if (r->lease_refresh >= r->lease_recheck || r->lease_recheck >= r->lease_live) {
        reader_fail(config, 0, err, "repository: lease_refresh < lease_recheck < lease_live does not hold");
        return error_hint(err, "a writer must be able to refresh its lease before others take it for dead");
    }
    for (size_t i = 0; i < r->residency.count; i++) {
        const char *place = r->residency.list[i];
        if (strlen(place) != 2 || strspn(place, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 2)
            return reader_fail(config, 0, err,
                               "repository.residency: \"%.32s\" is not \"EU\" or a country's "
                               "two capital letters",
                               place);
    }
    return 0;
}

/* Of prefixes and addresses. */
static bool same_but_for_slash(const char *a, const char *b)
{
    size_t m = strlen(a), n = strlen(b);
    m -= m > 0 && a[m - 1] == '/';
    n -= n > 0 && b[n - 1] == '/';
    return m == n && strncmp(a, b, n) == 0;
}

static bool same_place(const struct config_target *a, const struct config_target *b)
{
    if (a->type != b->type)
        return false;
    if (a->type == CONFIG_TARGET_LOCAL)
        return paths_overlap(a->path, b->path);
    return a->provider == b->provider && strcmp(a->region, b->region) == 0 &&
           strcmp(a->bucket, b->bucket) == 0 && same_but_for_slash(a->prefix, b->prefix) &&
           same_but_for_slash(a->endpoint ? a->endpoint : "", b->endpoint ? b->endpoint : "");
}

/* What the provider would take without doing it, or do with a result that breaks a restore. */
static int check_offer(const struct config *config, const struct config_target *t, struct error *err)
{
    static const char *const names[] = {"aws", "digitalocean", "hetzner", "other"};
    const char *class = t->storage_class;
    bool aws = t->provider == CONFIG_PROVIDER_AWS, other = t->provider == CONFIG_PROVIDER_OTHER;
    if (t->sse == CONFIG_SSE_AES256 && !aws && !other) {
        reader_fail(config, t->line, err,
                    "target \"%s\": provider %s takes sse = \"AES256\" and encrypts nothing by it", t->name,
                    names[t->provider]);
        return error_hint(err,
                          "leave sse out: contents are encrypted before they leave; or set \"customer\"");
    }
    if (class && (strcmp(class, "GLACIER") == 0 || strcmp(class, "DEEP_ARCHIVE") == 0)) {
        reader_fail(config, t->line, err, "target \"%s\": objects of storage class %s cannot be read at once",
                    t->name, class);
        return error_hint(err, "prune, verify and restore read objects; GLACIER_IR can be read at once");
    }
    if (class && !aws && !other && strcmp(class, "STANDARD") != 0) {
        reader_fail(config, t->line, err, "target \"%s\": provider %s has no storage class %s", t->name,
                    names[t->provider], class);
        return error_hint(err, "leave storage_class out");
    }
    return 0;
}

static int check_lock(const struct config *config, const struct config_target *t, struct error *err)
{
    const struct config_object_lock *lock = &t->object_lock;
    /* Short locks are for trials, on a store that one runs oneself. */
    if (lock->mode != CONFIG_LOCK_NONE && lock->retain < DAY && t->provider != CONFIG_PROVIDER_OTHER) {
        reader_fail(config, t->line, err, "target \"%s\": a lock of less than a day protects nothing",
                    t->name);
        return error_hint(err, "retain is a duration like \"30d\": long enough to notice an attack");
    }
    if (lock->mode == CONFIG_LOCK_COMPLIANCE && lock->retain > 10 * 366 * DAY) {
        reader_fail(
            config, t->line, err,
            "target \"%s\": nobody, the provider included, can shorten a lock in compliance mode, and "
            "this one lasts over 10 years",
            t->name);
        return error_hint(err, "locks are extended as long as snapshots need them: retain can be short");
    }
    return 0;
}

static int check_target(const struct config *config, struct config_target *t, struct error *err)
{
    int code = check_name(config, t->line, t->name, err);
    if (code || t->type == CONFIG_TARGET_LOCAL)
        return code;
    if (t->provider == CONFIG_PROVIDER_OTHER && !t->endpoint)
        return reader_fail(config, t->line, err, "target \"%s\": provider \"other\" needs an endpoint",
                           t->name);
    if (!t->region && t->provider == CONFIG_PROVIDER_OTHER)
        t->region = "us-east-1"; /* what such stores take who have no regions */
    if (!t->region) {
        reader_fail(config, t->line, err, "target \"%s\": \"region\" is missing", t->name);
        return error_hint(err, "it is in the provider's console, and in the bucket's address");
    }
    if (t->prefix[0] == '/' || strstr(t->prefix, "//"))
        return reader_fail(config, t->line, err, "target \"%s\": the prefix has an empty part", t->name);
    code = check_offer(config, t, err);
    return code ? code : check_lock(config, t, err);
}

static int check_targets(const struct config *config, struct error *err)
{
    for (size_t i = 0; i < config->target_count; i++) {
        struct config_target *t = &config->targets[i];
        int code = check_target(config, t, err);
        if (code)
            return code;
        for (size_t j = 0; j < i; j++) {
            const struct config_target *other = &config->targets[j];
            if (strcmp(t->name, other->name) == 0)
                return reader_fail(config, t->line, err, "target \"%s\" is there already, on line %u",
                                   t->name, other->line);
            if (same_place(t, other)) {
                reader_fail(config, t->line, err, "targets \"%s\" and \"%s\" are in the same place",
                            other->name, t->name);
                return error_hint(err, "two copies in one place are one copy");
            }
        }
    }
    return 0;
}

static int check_source(struct config *config, struct config_job *job, struct error *err)
{
    struct config_source *source = &job->source;
    if (source->type == CONFIG_SOURCE_TAR && (source->command.count > 0) == (source->archive != NULL)) {
        reader_fail(config, job->line, err, "job \"%s\": a tar source takes either command or archive",
                    job->name);
        return error_hint(err, "command writes the archive to its standard output; archive is a file's path");
    }
    if (source->type != CONFIG_SOURCE_COMMAND)
        return 0;
    if (source->command.count == 0)
        return reader_fail(config, job->line, err, "job \"%s\": \"command\" is missing in source", job->name);
    if (!source->filename)
        source->filename = job->name;
    if (strchr(source->filename, '/') || strcmp(source->filename, ".") == 0 ||
        strcmp(source->filename, "..") == 0)
        return reader_fail(config, job->line, err, "job \"%s\": filename is not the name of a file",
                           job->name);
    return 0;
}

static int check_jobs(struct config *config, struct error *err)
{
    for (size_t i = 0; i < config->job_count; i++) {
        struct config_job *job = &config->jobs[i];
        int code = check_name(config, job->line, job->name, err);
        if (code == 0)
            code = check_source(config, job, err);
        if (code)
            return code;
        for (size_t j = 0; j < i; j++) {
            if (strcmp(job->name, config->jobs[j].name) == 0)
                return reader_fail(config, job->line, err, "job \"%s\" is there already, on line %u",
                                   job->name, config->jobs[j].line);
        }
    }
    return 0;
}

/* Messages must not show an address: it may be secret. */
static int check_notify(const struct config *config, struct error *err)
{
    for (size_t i = 0; i < config->notify_count; i++) {
        const struct config_notify *n = &config->notify[i];
        bool web = n->type == CONFIG_NOTIFY_WEBHOOK || n->type == CONFIG_NOTIFY_PING;
        if (web && (n->url != NULL) == (n->url_file != NULL)) {
            reader_fail(config, n->line, err, "notify: it takes either url or url_file");
            return error_hint(err, "an address that is a secret belongs in a file of its own: url_file");
        }
        if (n->url && http_url_check(n->url, n->allow_insecure_http, err) != 0)
            return error_prefix(err, "%s:%u: \"url\"", config->path, n->line);
    }
    return 0;
}

/* ---- reading ---- */

int config_parse(const char *path, struct bytes text, struct config **config, struct error *err)
{
    struct config *c = memory_new(struct config);
    c->path = arena_copy_string(&c->arena, path);
    c->text = arena_copy(&c->arena, text);
    int code = reader_parse(c, err);
    if (code == 0)
        code = check_targets(c, err);
    if (code == 0)
        code = check_jobs(c, err);
    if (code == 0)
        code = check_repository(c, err);
    if (code == 0)
        code = check_notify(c, err);
    if (code == 0)
        *config = c;
    else
        config_free(c);
    return code;
}

/* A configuration that is not there is a wrong configuration: exit status 2. */
static int no_configuration(struct error *err)
{
    if (err)
        err->code = ERROR_USAGE;
    error_hint(err, "holdfast.conf(5) has an example to start from; -c FILE names another place");
    return ERROR_USAGE;
}

int config_load(const char *path, struct config **config, struct error *err)
{
    struct buffer text = {0};
    int code = file_read(path, CONFIG_TEXT_MAX, &text, err);
    struct stat st;
    if (code == ERROR_NOT_FOUND)
        code = no_configuration(err);
    if (code == 0 && stat(path, &st) == 0 && (st.st_mode & S_IWOTH)) {
        error_set(err, ERROR_USAGE, "%s can be written by every user, and it names commands to run", path);
        code = error_hint(err, "chmod o-w %s", path);
    }
    if (code == 0)
        code = config_parse(path, buffer_bytes(&text), config, err);
    buffer_free(&text);
    return code;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    arena_free(&config->arena);
    free(config);
}

/* ---- folders of files ---- */

static int is_configuration(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name), suffix = strlen(SUFFIX);
    return n > suffix && entry->d_name[0] != '.' && strcmp(entry->d_name + n - suffix, SUFFIX) == 0;
}

/* Not alphasort: the order must not depend on the locale. */
static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int config_list_directory(const char *path, char ***files, size_t *count, struct error *err)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        int code = error_set_errno(err, errno, "cannot open %s", path);
        return code == ERROR_NOT_FOUND ? no_configuration(err) : code;
    }
    if (!S_ISDIR(st.st_mode)) {
        *files = memory_alloc_array(1, sizeof **files);
        (*files)[0] = memory_copy_string(path);
        *count = 1;
        return 0;
    }
    struct dirent **entries;
    int found = scandir(path, &entries, is_configuration, compare_names);
    if (found < 0)
        return error_set_errno(err, errno, "cannot read folder %s", path);
    *count = (size_t)found;
    *files = memory_alloc_array(*count, sizeof **files);
    for (int i = 0; i < found; i++) {
        (*files)[i] = file_join(path, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    if (found > 0 && found <= FILES_MAX)
        return 0;
    config_free_list(*files, *count);
    return error_set(err, ERROR_USAGE,
                     found ? "%s holds more than %d files that end in " SUFFIX
                           : "%s holds no file that ends in " SUFFIX,
                     path, FILES_MAX);
}

void config_free_list(char **files, size_t count)
{
    if (!files)
        return;
    for (size_t i = 0; i < count; i++)
        free(files[i]);
    free(files);
}

const struct config_job *config_find_job(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->job_count; i++) {
        if (strcmp(config->jobs[i].name, name) == 0)
            return &config->jobs[i];
    }
    return NULL;
}

const struct config_target *config_find_target(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->target_count; i++) {
        if (strcmp(config->targets[i].name, name) == 0)
            return &config->targets[i];
    }
    return NULL;
}

const char **config_argv(const struct config_strings *words)
{
    const char **argv = memory_alloc_array(words->count + 1, sizeof *argv);
    if (words->count)
        memcpy(argv, words->list, words->count * sizeof *argv);
    return argv;
}
