#include "storage/credentials.h"

#include "base/memory.h"
#include "crypto/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct credentials_source {
    struct credentials_options options;
};

struct credentials_source *credentials_source_new(const struct credentials_options *options)
{
    struct credentials_source *source = memory_new(struct credentials_source);
    source->options = *options;
    return source;
}

void credentials_source_free(struct credentials_source *source)
{
    free(source);
}

int credentials_get(struct credentials_source *source, uint64_t refused, struct credentials *out,
                    struct error *err)
{
    (void)source;
    (void)refused;
    const char *id = getenv("AWS_ACCESS_KEY_ID"), *secret = getenv("AWS_SECRET_ACCESS_KEY");
    const char *token = getenv("AWS_SESSION_TOKEN");
    memset(out, 0, sizeof *out);
    if (!id || !secret) {
        error_set(err, ERROR_DENIED, "there are no access keys in the environment");
        return error_hint(err, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    }
    snprintf(out->id, sizeof out->id, "%s", id);
    snprintf(out->secret, sizeof out->secret, "%s", secret);
    snprintf(out->token, sizeof out->token, "%s", token ? token : "");
    out->generation = 1;
    return 0;
}

void credentials_cleanse(struct credentials *credentials)
{
    cleanse(credentials, sizeof *credentials);
}

const char *credentials_source_describe(const struct credentials_source *source)
{
    (void)source;
    return "environment";
}
