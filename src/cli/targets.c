#include "cli/targets.h"

#include "base/log.h"
#include "base/text.h"
#include "policy/residency.h"
#include "source/exclude.h"

#include <stdlib.h>
#include <string.h>

struct s3_parameters targets_s3_parameters(const struct config *config, const struct config_target *t)
{
    static const enum s3_provider providers[] = {[CONFIG_PROVIDER_AWS] = S3_AWS,
                                                 [CONFIG_PROVIDER_DIGITALOCEAN] = S3_DIGITALOCEAN,
                                                 [CONFIG_PROVIDER_HETZNER] = S3_HETZNER,
                                                 [CONFIG_PROVIDER_OTHER] = S3_OTHER};
    static const enum s3_addressing addressings[] = {[CONFIG_ADDRESSING_AUTO] = S3_ADDRESSING_AUTO,
                                                     [CONFIG_ADDRESSING_PATH] = S3_ADDRESSING_PATH,
                                                     [CONFIG_ADDRESSING_VIRTUAL] = S3_ADDRESSING_VIRTUAL};
    static const enum s3_sse sses[] = {[CONFIG_SSE_NONE] = S3_SSE_NONE,
                                       [CONFIG_SSE_AES256] = S3_SSE_AES256,
                                       [CONFIG_SSE_CUSTOMER] = S3_SSE_CUSTOMER};
    static const enum s3_lock locks[] = {[CONFIG_LOCK_NONE] = S3_LOCK_NONE,
                                         [CONFIG_LOCK_GOVERNANCE] = S3_LOCK_GOVERNANCE,
                                         [CONFIG_LOCK_COMPLIANCE] = S3_LOCK_COMPLIANCE};
    return (struct s3_parameters){
        .label = t->name,
        .provider = providers[t->provider],
        .region = t->region,
        .bucket = t->bucket,
        .endpoint = t->endpoint,
        .prefix = t->prefix,
        .addressing = addressings[t->addressing],
        .credentials = {.file = t->credentials_file, .profile = t->profile},
        .ca_file = t->ca_file,
        .allow_insecure_http = t->allow_insecure_http,
        .storage_class = t->storage_class,
        .sse = sses[t->sse],
        .lock = locks[t->object_lock.mode],
        .retain = t->object_lock.retain,
        .connections = (unsigned)t->connections,
        .retry_budget = config->repository.retry_budget,
        .stall = config->repository.stall_timeout,
        .keep_region = config->repository.residency.count > 0,
    };
}

/* The country that follows from the provider's table. An address that was given by hand may be anywhere. */
static const char *known_country(const struct s3_parameters *p)
{
    const struct s3_region *region = p->endpoint ? NULL : s3_region_find(p->provider, p->region);
    return region ? region->country : NULL;
}

/* A folder is on this machine, as the data is that goes into it: it counts as inside unless it is said to be
 * elsewhere (a network mount). */
static int check_residency(const struct config *config, const struct config_target *t, struct error *err)
{
    const struct config_strings *allowed = &config->repository.residency;
    const char *provider = NULL, *known = NULL;
    if (t->type == CONFIG_TARGET_S3) {
        struct s3_parameters p = targets_s3_parameters(config, t);
        provider = s3_provider_name(p.provider);
        known = known_country(&p);
    } else if (!t->jurisdiction) {
        return 0;
    }
    enum residency decision = residency_decide(allowed->list, allowed->count, known, t->jurisdiction);
    if (decision == RESIDENCY_ALLOWED)
        return 0;
    struct buffer list = {0};
    for (size_t i = 0; i < allowed->count; i++)
        buffer_append_format(&list, "%s%s", i ? ", " : "", allowed->list[i]);
    const char *places = buffer_string(&list);
    if (decision == RESIDENCY_UNDECLARED) {
        error_set(err, ERROR_USAGE,
                  "residency allows %.200s, and nothing says which country this target is in", places);
        error_hint(
            err, "set jurisdiction to the country's two capital letters, as the provider's contract has it");
    } else if (decision == RESIDENCY_CONTRADICTION) {
        error_set(err, ERROR_USAGE, "jurisdiction is %s, but %s of provider %s is in %s", t->jurisdiction,
                  t->region, provider, known);
        error_hint(err, "leave jurisdiction out: it follows from the region");
    } else if (known) {
        error_set(err, ERROR_USAGE, "%s of provider %s is in %s, and residency allows %.200s", t->region,
                  provider, known, places);
        error_hint(err, "choose a region inside, or change residency; nothing was sent");
    } else {
        error_set(err, ERROR_USAGE, "jurisdiction is %s, and residency allows %.200s", t->jurisdiction,
                  places);
        error_hint(err, "choose a place inside, or change residency; nothing was sent");
    }
    buffer_free(&list);
    return error_prefix(err, "%s:%u: target \"%s\"", config->path, t->line, t->name);
}

static int check_address(const struct config *config, const struct config_target *t, struct error *err)
{
    struct s3_parameters p = targets_s3_parameters(config, t);
    struct s3_address address;
    if (s3_address_find(&p, &address, err) == 0)
        return 0;
    return error_prefix(err, "%s:%u: target \"%s\"", config->path, t->line, t->name);
}

/* Patterns that match nothing would be found out in the night. */
static int check_excludes(const struct config *config, struct error *err)
{
    int code = 0;
    for (size_t i = 0; i < config->job_count && code == 0; i++) {
        const struct config_job *job = &config->jobs[i];
        struct exclude *exclude = NULL;
        code = exclude_new(job->source.exclude.list, job->source.exclude.count, &exclude, err);
        if (code != 0)
            error_prefix(err, "%s:%u: job \"%s\"", config->path, job->line, job->name);
        exclude_free(exclude);
    }
    return code;
}

int targets_load(const char *file, bool writing, struct config **config, struct error *err)
{
    int code = config_load(file, config, err);
    if (code != 0)
        return code;
    for (size_t i = 0; i < (*config)->target_count && code == 0; i++) {
        const struct config_target *t = &(*config)->targets[i];
        code = t->type == CONFIG_TARGET_S3 ? check_address(*config, t, err) : 0;
        if (code != 0)
            break;
        code = check_residency(*config, t, err);
        if (code != 0 && !writing) {
            log_warning("%s", err->message);
            code = 0;
        }
    }
    if (code == 0 && writing)
        code = check_excludes(*config, err);
    if (code != 0) {
        config_free(*config);
        *config = NULL;
    }
    return code;
}

struct targets_limits targets_limits_new(const struct config *config)
{
    const struct config_repository *c = &config->repository;
    return (struct targets_limits){
        .upload = c->upload_limit ? http_limit_new((uint64_t)c->upload_limit) : NULL,
        .download = c->download_limit ? http_limit_new((uint64_t)c->download_limit) : NULL,
    };
}

void targets_limits_free(struct targets_limits *limits)
{
    http_limit_free(limits->upload);
    http_limit_free(limits->download);
}

/* The bucket may be elsewhere than the configuration says. A store that does not answer gets nothing; one
 * that does not say where the bucket is leaves it to the address. */
static int check_location(const struct s3_parameters *p, struct storage *storage, bool *elsewhere,
                          struct error *err)
{
    struct storage_facts facts;
    int code = storage_describe(storage, &facts, err);
    if (code != 0)
        return code;
    bool listed = s3_region_find(p->provider, facts.location) != NULL;
    bool closed = p->provider == S3_DIGITALOCEAN || p->provider == S3_HETZNER;
    *elsewhere = residency_is_elsewhere(p->region, facts.location, listed, closed);
    if (!*elsewhere)
        return 0;
    char *shown = text_visible(facts.location);
    error_set(err, ERROR_USAGE, "target %s: %s says that it is in %s, not in %s, and residency is set",
              p->label, storage_location(storage), shown, p->region);
    free(shown);
    return error_hint(err,
                      "correct the region, or use a bucket in the region that was meant; nothing was sent");
}

int targets_open(const struct config *config, const struct config_target *t,
                 const struct targets_limits *limits, bool create, bool writing, struct storage **storage,
                 bool *elsewhere, struct error *err)
{
    *elsewhere = false;
    if (t->type == CONFIG_TARGET_LOCAL)
        return storage_open_local(t->name, t->path, create, storage, err);
    struct s3_parameters p = targets_s3_parameters(config, t);
    p.upload_limit = limits->upload;
    p.download_limit = limits->download;
    int code = storage_open_s3(&p, storage, err);
    if (code != 0)
        return error_prefix(err, "target %s", t->name);
    if (writing && config->repository.residency.count > 0)
        code = check_location(&p, *storage, elsewhere, err);
    if (code != 0) {
        storage_free(*storage);
        *storage = NULL;
    }
    return code;
}
