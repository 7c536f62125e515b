#include "http/url.h"

#include "base/memory.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LETTERS_AND_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define VISIBLE_MIN 0x21
#define VISIBLE_MAX 0x7e

static void classify(struct http_url *url)
{
    struct in_addr v4;
    struct in6_addr v6;
    char inner[sizeof url->host];
    snprintf(inner, sizeof inner, "%s", url->host);
    if (inner[0] == '[') {
        inner[strlen(inner) - 1] = '\0';
        url->literal = inet_pton(AF_INET6, inner + 1, &v6) == 1;
        url->loopback = url->literal && IN6_IS_ADDR_LOOPBACK(&v6);
    } else if (inet_pton(AF_INET, inner, &v4) == 1) {
        url->literal = true;
        url->loopback = ntohl(v4.s_addr) >> 24 == 127;
    } else {
        url->loopback = strcmp(inner, "localhost") == 0;
    }
}

const char *http_url_parse(const char *text, struct http_url *url)
{
    memset(url, 0, sizeof *url);
    url->tls = strncmp(text, "https://", 8) == 0;
    if (!url->tls && strncmp(text, "http://", 7) != 0)
        return "it must begin with https://";
    const char *p = text + (url->tls ? 8 : 7);
    const char *user = memrchr(p, '@', strcspn(p, "/?#"));
    url->has_user = user != NULL;
    if (user)
        p = user + 1;
    size_t n = *p == '[' ? strspn(p + 1, "0123456789abcdefABCDEF:.") + 2 : strspn(p, LETTERS_AND_DIGITS ".-");
    if (n == 0 || n >= sizeof url->host || (*p == '[' && p[n - 1] != ']'))
        return "it names no host";
    for (size_t i = 0; i < n; i++) /* as it goes into signatures; capitals mean the same */
        url->host[i] = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] + 32) : p[i];
    classify(url);
    if (url->host[0] == '[' && !url->literal)
        return "it names no host";
    p += n;
    if (*p == ':') {
        n = strspn(++p, "0123456789");
        unsigned long port = n >= 1 && n <= 5 ? strtoul(p, NULL, 10) : 0;
        if (port == 0 || port > UINT16_MAX)
            return "its port is not a number from 1 to 65535";
        url->port = port == (url->tls ? 443 : 80) ? 0 : (uint16_t)port;
        p += n;
    }
    url->rest = p;
    if (*p && *p != '/' && *p != '?')
        return "there is more behind the host";
    for (p = text; *p; p++) {
        if (*p < VISIBLE_MIN || *p > VISIBLE_MAX || *p == '#' || *p == '\\')
            return "it has a character that no address has";
    }
    return NULL;
}

int http_url_check(const char *text, bool plain, struct error *err)
{
    struct http_url url;
    const char *wrong = http_url_parse(text, &url);
    if (wrong) {
        error_set(err, ERROR_USAGE, "that is not an address: %s", wrong);
        return error_hint(err, "write https://HOST/PATH");
    }
    if (url.tls || url.loopback || plain)
        return 0;
    error_set(err, ERROR_USAGE, "the address is plain http: who is on the way could read and change it all");
    return error_hint(err, "use https://, or set allow_insecure_http = true where the network is trusted");
}

char *http_url_origin(const char *text)
{
    struct http_url url;
    if (http_url_parse(text, &url))
        return memory_copy_string("the server");
    const char *scheme = url.tls ? "https" : "http";
    return url.port ? memory_format("%s://%s:%u", scheme, url.host, url.port)
                    : memory_format("%s://%s", scheme, url.host);
}

char *http_url_without_user(const char *text)
{
    const char *host = strstr(text, "://");
    host = host ? host + 3 : text;
    const char *user = memrchr(host, '@', strcspn(host, "/?#"));
    char *plain = memory_format("%.*s%s", (int)(host - text), text, user ? user + 1 : host);
    char *visible = text_visible(plain);
    free(plain);
    return visible;
}
