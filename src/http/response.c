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
    const char *all = (const char *)response->headers.data;
    for (size_t at = 0; at < response->headers.size;) {
        size_t value = at + strlen(all + at) + 1;
        if (strcmp(all + at, name) == 0)
            return all + value;
        at = value + strlen(all + value) + 1;
    }
    return NULL;
}

int64_t http_parse_date(const char *text)
{
    return strlen(text) > 64 ? -1 : (int64_t)curl_getdate(text, NULL);
}
