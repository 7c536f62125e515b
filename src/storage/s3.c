/* The S3 driver: its table, and how it is opened. */
#include "storage/s3_internal.h"

#include "base/memory.h"
#include "crypto/random.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static char *copy_or_null(const char *text)
{
    return text ? memory_copy_string(text) : NULL;
}

static void s3_free(void *driver)
{
    struct s3 *s3 = driver;
    http_client_free(s3->http);
    credentials_source_free(s3->credentials);
    pthread_cond_destroy(&s3->wake);
    pthread_mutex_destroy(&s3->lock);
    const char *const copies[] = {s3->p.label,  s3->p.region, s3->p.bucket,       s3->p.endpoint,
                                  s3->p.prefix, s3->location, s3->p.storage_class};
    for (size_t i = 0; i < sizeof copies / sizeof *copies; i++)
        free((char *)copies[i]);
    cleanse(s3, sizeof *s3);
    free(s3);
}

static unsigned s3_connections(void *driver)
{
    const struct s3 *s3 = driver;
    return s3->p.connections;
}

static int64_t s3_driver_now(void *driver)
{
    return s3_now(driver);
}

static void s3_cancel(void *driver)
{
    struct s3 *s3 = driver;
    pthread_mutex_lock(&s3->lock);
    s3->cancelled = true;
    pthread_cond_broadcast(&s3->wake);
    pthread_mutex_unlock(&s3->lock);
    http_client_cancel(s3->http);
}

static void s3_set_customer_keys(void *driver, const uint8_t (*keys)[STORAGE_CUSTOMER_KEY], size_t count)
{
    struct s3 *s3 = driver;
    s3->customer_key_count = count < S3_CUSTOMER_KEYS_MAX ? count : S3_CUSTOMER_KEYS_MAX;
    memcpy(s3->customer_keys, keys, s3->customer_key_count * STORAGE_CUSTOMER_KEY);
}

static const struct storage_driver s3_driver = {
    .type = "s3",
    .put = s3_put,
    .put_new = s3_put_new,
    .get = s3_get,
    .head = s3_head,
    .list = s3_list,
    .remove = s3_remove,
    .free = s3_free,
    .features = s3_features,
    .connections = s3_connections,
    .now = s3_driver_now,
    .describe = s3_describe,
    .cancel = s3_cancel,
    .set_customer_keys = s3_set_customer_keys,
    .list_versions = s3_list_versions,
    .get_version = s3_get_version,
    .remove_version = s3_remove_version,
    .retention = s3_retention,
    .retain = s3_retain,
};

static char *normal_prefix(const char *prefix)
{
    size_t n = prefix ? strlen(prefix) : 0;
    if (n == 0 || prefix[n - 1] == '/')
        return memory_copy_string(prefix ? prefix : "");
    return memory_format("%s/", prefix);
}

int storage_open_s3(const struct s3_parameters *parameters, struct storage **storage, struct error *err)
{
    struct s3_address address;
    struct http_client *http = NULL;
    int code = s3_address_find(parameters, &address, err);
    if (code != 0)
        return code;
    struct http_options options = {
        .connections = parameters->connections ? parameters->connections : 1,
        .ca_file = parameters->ca_file,
        .no_proxy = !address.tls && !parameters->allow_insecure_http, /* loopback */
        .stall_seconds = (unsigned)parameters->stall,
        .upload_limit = parameters->upload_limit,
        .download_limit = parameters->download_limit,
    };
    code = http_client_new(&options, &http, err);
    if (code != 0)
        return code;
    struct s3 *s3 = memory_new(struct s3);
    s3->p = *parameters;
    s3->p.connections = options.connections;
    s3->p.label = memory_copy_string(parameters->label);
    s3->p.region = memory_copy_string(parameters->region);
    s3->p.bucket = memory_copy_string(parameters->bucket);
    s3->p.endpoint = copy_or_null(parameters->endpoint);
    s3->p.prefix = normal_prefix(parameters->prefix);
    s3->p.storage_class = copy_or_null(parameters->storage_class);
    s3->location = memory_format("s3://%s/%s", s3->p.bucket, s3->p.prefix);
    s3->address = address;
    s3->http = http;
    s3->keys_may_be_sent = address.tls || parameters->sse == S3_SSE_CUSTOMER;
    s3->credentials = credentials_source_new(&parameters->credentials);
    pthread_mutex_init(&s3->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&s3->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    *storage = storage_new(&s3_driver, s3, s3->p.label, s3->location);
    return 0;
}
