#include "http/http.h"

#include <curl/curl.h>
#include <string.h>

void http_response_free(struct http_response *response)
{
    buffer_free(&response->body);
    buffer_free(&response->headers);
}

const char *http_response_header(const struct http_response *response, const char *name)
{
    const char *at = (const char *)response->headers.data;
    const char *end = at + response->headers.size;
    while (at < end) {
        const char *value = at + strlen(at) + 1;
        if (strcmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

int64_t http_parse_date(const char *text)
{
    return strlen(text) > 64 ? -1 : (int64_t)curl_getdate(text, NULL);
}
