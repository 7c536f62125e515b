/* The keys of the role that an EC2 instance has, from the metadata service of the machine (version 2 of its
 * protocol: every request carries a token that a plain GET cannot get). */
#include "base/memory.h"
#include "http/http.h"
#include "storage/credentials_internal.h"

#include <stdlib.h>
#include <string.h>

#define TOKEN_MAX 1024
#define SECONDS 3 /* a machine that has the service answers within milliseconds */

/* *answer is the body of a 200; NOT_FOUND for another status and where nobody answers. */
static int ask(struct http_client *client, const char *method, const char *endpoint, const char *path,
               const char *header, size_t max, struct buffer *answer, struct error *err)
{
    char *url = memory_format("%s%s", endpoint, path);
    struct http_request request = {
        .method = method, .url = url, .headers = &header, .header_count = 1, .max_response = max};
    struct http_response response = {0};
    int code = http_perform(client, &request, &response, NULL, err);
    if (code == 0 && response.status != 200)
        code = error_set(err, ERROR_NOT_FOUND, "%s is answered with status %d", path, response.status);
    else if (code != 0)
        code = error_set(err, ERROR_NOT_FOUND, "nobody answers at %s", endpoint);
    if (code == 0) {
        *answer = response.body;
        response.body = (struct buffer){0};
    }
    buffer_free_secret(&response.body);
    http_response_free(&response);
    free(url);
    return code;
}

/* Whether a name can go into the path as it is. */
static bool is_role(const char *name, size_t length)
{
    return length > 0 && length < CREDENTIALS_ROLE_MAX &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+=,.@-") >= length;
}

static int get_token(struct http_client *client, const char *endpoint, struct buffer *header,
                     struct error *err)
{
    struct buffer token = {0};
    char value[TOKEN_MAX];
    int code = ask(client, "PUT", endpoint, "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 300",
                   sizeof value - 1, &token, err);
    if (code == 0 && !credentials_copy(value, sizeof value, (const char *)token.data, token.size))
        code = error_set(err, ERROR_NOT_FOUND, "the token it gives is malformed");
    if (code == 0) {
        buffer_reserve(header, TOKEN_MAX + 32);
        buffer_append_format(header, "X-aws-ec2-metadata-token: %s", value);
    }
    buffer_free_secret(&token);
    return code;
}

int credentials_ask_imds(const char *endpoint, char role[CREDENTIALS_ROLE_MAX], struct credentials *out,
                         struct error *err)
{
    static const char folder[] = "/latest/meta-data/iam/security-credentials/";
    struct http_options options = {.connections = 1,
                                   .no_proxy = true,
                                   .connect_timeout = 1,
                                   .stall_seconds = SECONDS,
                                   .total_timeout = SECONDS};
    struct http_client *client;
    struct buffer header = {0}, roles = {0}, keys = {0};
    char path[sizeof folder + CREDENTIALS_ROLE_MAX];
    int code = http_client_new(&options, &client, err);
    if (code != 0)
        return code;
    code = get_token(client, endpoint, &header, err);
    if (code == 0)
        code = ask(client, "GET", endpoint, folder, buffer_string(&header), 4096, &roles, err);
    if (code == 0) {
        const char *name = buffer_string(&roles);
        size_t length = strcspn(name, "\r\n");
        if (is_role(name, length)) {
            memcpy(role, name, length);
            role[length] = '\0';
            memcpy(path, folder, sizeof folder);
            memcpy(path + sizeof folder - 1, role, length + 1);
        } else {
            code = error_set(err, ERROR_NOT_FOUND, "this instance has no role");
        }
    }
    if (code == 0)
        code = ask(client, "GET", endpoint, path, buffer_string(&header), CREDENTIALS_JSON_MAX, &keys, err);
    if (code == 0) {
        code = credentials_parse_json(buffer_bytes(&keys), CREDENTIALS_IMDS, out, err);
        if (code != 0)
            error_prefix(err, "role %s", role);
    }
    buffer_free_secret(&header);
    buffer_free(&roles);
    buffer_free_secret(&keys);
    http_client_free(client);
    return code;
}
