#include "storage/credentials.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "crypto/random.h"
#include "storage/credentials_internal.h"

#include <pthread.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define RENEW_SECONDS (5 * 60)
#define RETRY_SECONDS 60 /* between attempts to renew keys that still hold */
#define PROCESS_SECONDS 60
#define IMDS_ENDPOINT "http://169.254.169.254"

struct credentials_source {
    char *file, *profile, *imds_endpoint;
    unsigned process_timeout;
    pthread_mutex_t lock; /* of what follows */
    bool have;
    struct credentials keys;
    int64_t next_try;      /* Unix seconds */
    char description[600]; /* set once */
};

/* One look-up along the chain. */
struct search {
    struct credentials_source *source;
    struct credentials *out;
    char description[600];
    struct buffer tried; /* for the message: what was not there */
};

static char *copy_or_null(const char *text)
{
    return text ? memory_copy_string(text) : NULL;
}

struct credentials_source *credentials_source_new(const struct credentials_options *options)
{
    struct credentials_source *source = memory_new(struct credentials_source);
    source->file = copy_or_null(options->file);
    source->profile = copy_or_null(options->profile);
    source->imds_endpoint = copy_or_null(options->imds_endpoint);
    source->process_timeout = options->process_timeout ? options->process_timeout : PROCESS_SECONDS;
    pthread_mutex_init(&source->lock, NULL);
    credentials_prepare_json();
    return source;
}

void credentials_source_free(struct credentials_source *source)
{
    if (!source)
        return;
    pthread_mutex_destroy(&source->lock);
    free(source->file);
    free(source->profile);
    free(source->imds_endpoint);
    cleanse(source, sizeof *source);
    free(source);
}

void credentials_cleanse(struct credentials *credentials)
{
    cleanse(credentials, sizeof *credentials);
}

/* Not set and empty are the same. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* ---- the links: 0 with keys, NOT_FOUND to go on (having noted why), or the end ---- */

__attribute__((format(printf, 2, 3))) static int not_here(struct search *s, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buffer_append_format(&s->tried, "%s%s", s->tried.size ? "; " : "", text);
    return ERROR_NOT_FOUND;
}

static int from_environment(struct search *s, struct error *err)
{
    const char *id = variable("AWS_ACCESS_KEY_ID"), *secret = variable("AWS_SECRET_ACCESS_KEY");
    const char *token = variable("AWS_SESSION_TOKEN");
    if (!id && !secret)
        return not_here(s, "the environment has no AWS_ACCESS_KEY_ID");
    if (!id || !secret) {
        error_set(err, ERROR_DENIED,
                  "the environment has only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
        return error_hint(err, "set both, or none");
    }
    struct credentials *out = s->out;
    memset(out, 0, sizeof *out);
    if (!credentials_copy(out->id, sizeof out->id, id, strlen(id)) ||
        !credentials_copy(out->secret, sizeof out->secret, secret, strlen(secret)) ||
        (token && !credentials_copy(out->token, sizeof out->token, token, strlen(token)))) {
        error_set(err, ERROR_DENIED, "the access keys in the environment are too long or hold blanks");
        return error_hint(err, "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN");
    }
    snprintf(s->description, sizeof s->description, "the environment");
    return 0;
}

/* Keys of a profile that was read, or those that its program gives. */
static int from_profile(struct search *s, struct credentials_profile *p, const char *path, const char *name,
                        struct error *err)
{
    if (p->has_keys) {
        *s->out = p->keys;
        snprintf(s->description, sizeof s->description, "profile %s of %s", name, path);
        return 0;
    }
    if (p->process.size) {
        if (credentials_run_process(buffer_string(&p->process), s->source->process_timeout, s->out, err) != 0)
            return error_prefix(err, "credential_process of profile %s of %s", name, path);
        snprintf(s->description, sizeof s->description, "the credential_process of profile %s of %s", name,
                 path);
        return 0;
    }
    if (p->refused) {
        error_set(err, ERROR_DENIED, "profile %s of %s gets its keys by %s, which is not supported", name,
                  path, p->refused);
        return error_hint(err, "give it the line: credential_process = aws configure export-credentials "
                               "--profile PROFILE, with another profile's name");
    }
    return not_here(s, p->found ? "profile %s of %s holds no keys" : "there is no profile %s in %s", name,
                    path);
}

static int from_file(struct search *s, const char *path, const char *name, bool config, struct error *err)
{
    struct credentials_profile p;
    int code = credentials_read_profile(path, name, config, &p, err);
    if (code != 0)
        return code;
    code = from_profile(s, &p, path, name, err);
    credentials_profile_free(&p);
    return code;
}

/* A file under the home folder, unless a variable names another. The caller frees it; NULL if there is none.
 */
static char *aws_file(const char *name_variable, const char *name)
{
    const char *path = variable(name_variable), *home = variable("HOME");
    struct passwd entry, *found = NULL;
    char room[4096];
    if (path)
        return memory_copy_string(path);
    if (!home && getpwuid_r(geteuid(), &entry, room, sizeof room, &found) == 0 && found)
        home = found->pw_dir; /* systemd sets no HOME for root */
    return home ? file_join(home, name) : NULL;
}

static int from_aws_files(struct search *s, struct error *err)
{
    static const struct {
        const char *variable, *path;
        bool config;
    } files[] = {{"AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", false},
                 {"AWS_CONFIG_FILE", ".aws/config", true}};
    const char *name = s->source->profile ? s->source->profile : variable("AWS_PROFILE");
    int code = ERROR_NOT_FOUND;
    for (size_t i = 0; i < 2 && code == ERROR_NOT_FOUND; i++) {
        char *path = aws_file(files[i].variable, files[i].path);
        if (path)
            code = from_file(s, path, name ? name : "default", files[i].config, err);
        free(path);
    }
    if (code != ERROR_NOT_FOUND || !name)
        return code;
    /* Named, but not there: other keys than those that were meant must not take their place. */
    error_set(err, ERROR_DENIED, "%s", buffer_string(&s->tried));
    return error_hint(err, "add the profile, or do not name one (%s)",
                      s->source->profile ? "the target's profile" : "AWS_PROFILE");
}

static int from_imds(struct search *s, struct error *err)
{
    const char *disabled = variable("AWS_EC2_METADATA_DISABLED");
    const char *given = s->source->imds_endpoint;
    char role[CREDENTIALS_ROLE_MAX] = "";
    struct error why = {0};
    if (disabled && strcasecmp(disabled, "true") == 0)
        return not_here(s, "AWS_EC2_METADATA_DISABLED is set");
    if (!given)
        given = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    char *endpoint = memory_copy_string(given ? given : IMDS_ENDPOINT);
    for (size_t n = strlen(endpoint); n > 0 && endpoint[n - 1] == '/'; n--)
        endpoint[n - 1] = '\0';
    int code = credentials_ask_imds(endpoint, role, s->out, &why);
    free(endpoint);
    if (code == ERROR_NOT_FOUND)
        return not_here(s, "the instance's metadata service: %s", why.message);
    if (code != 0) {
        if (err)
            *err = why;
        return error_prefix(err, "the instance's metadata service");
    }
    snprintf(s->description, sizeof s->description, "role %s of this instance (IMDSv2)", role);
    return 0;
}

static int look_up(struct search *s, struct error *err)
{
    const struct credentials_source *source = s->source;
    int code;
    if (source->file) /* its word is final: no other keys take the place of those that were meant */
        code = from_file(s, source->file, source->profile ? source->profile : "default", false, err);
    else {
        code = source->profile ? ERROR_NOT_FOUND : from_environment(s, err);
        if (code == ERROR_NOT_FOUND)
            code = from_aws_files(s, err);
        if (code == ERROR_NOT_FOUND)
            code = from_imds(s, err);
    }
    if (code == ERROR_NOT_FOUND) {
        code = error_set(err, ERROR_DENIED, "there are no access keys: %s", buffer_string(&s->tried));
        error_hint(err, "set credentials_file of the target, or one of the other places of holdfast-s3(7)");
    }
    buffer_free(&s->tried);
    return code;
}

/* ---- renewal ---- */

static bool same_keys(const struct credentials *a, const struct credentials *b)
{
    return strcmp(a->id, b->id) == 0 && strcmp(a->secret, b->secret) == 0 && strcmp(a->token, b->token) == 0;
}

/* `must`: those at hand are of no use, or there are none. */
static int renew(struct credentials_source *source, int64_t now, bool must, struct error *err)
{
    char until[TEXT_TIME_SIZE];
    struct credentials fresh = {0};
    struct error why = {0};
    struct search search = {.source = source, .out = &fresh};
    int code = look_up(&search, &why);
    source->next_try = now + RETRY_SECONDS;
    if (code == 0 && fresh.expires && fresh.expires <= now) {
        code = error_set(&why, ERROR_DENIED, "%s: its access keys expired at %s", search.description,
                         text_format_time(fresh.expires, until));
        error_hint(&why, "see that it gives new ones, and that this machine's clock is right");
    }
    if (code == 0) {
        bool same = source->have && same_keys(&fresh, &source->keys);
        fresh.generation = source->keys.generation + !same;
        source->keys = fresh;
        source->have = true;
        if (!source->description[0])
            memcpy(source->description, search.description, sizeof source->description);
    } else if (must) {
        if (err)
            *err = why;
    } else {
        log_warning("access keys cannot be renewed; those at hand are good until %s: %s",
                    text_format_time(source->keys.expires, until), why.message);
        code = 0;
    }
    credentials_cleanse(&fresh);
    return code;
}

int credentials_get(struct credentials_source *source, uint64_t refused, struct credentials *out,
                    struct error *err)
{
    int code = 0;
    pthread_mutex_lock(&source->lock);
    const struct credentials *keys = &source->keys;
    int64_t now = (int64_t)time(NULL);
    bool ends = source->have && keys->expires != 0;
    bool must = !source->have || (refused && refused == keys->generation) || (ends && keys->expires <= now);
    if (must || (ends && keys->expires - now < RENEW_SECONDS && now >= source->next_try))
        code = renew(source, now, must, err);
    if (code == 0)
        *out = source->keys;
    pthread_mutex_unlock(&source->lock);
    return code;
}

const char *credentials_source_describe(const struct credentials_source *source)
{
    return source->description;
}
