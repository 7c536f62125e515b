/*
 * Addresses: taken apart, and shown without what is secret in them. Used by storage (endpoints), notify and
 * the messages of http.
 */
#ifndef HTTP_URL_H
#define HTTP_URL_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define HTTP_URL_MAX 4096 /* bytes of an address from a configuration or a file it names */

struct http_url {
    bool tls;
    bool literal;     /* an IP address */
    bool loopback;    /* this machine */
    bool has_user;    /* user information before the host */
    char host[256];   /* in small letters; IPv6 in brackets */
    uint16_t port;    /* 0: the scheme's own */
    const char *rest; /* behind the host: empty, or from "/" or "?" on; points into the text */
};

/* NULL, or what is wrong, as the end of a sentence that names the address: it shows nothing of it. */
const char *http_url_parse(const char *text, struct http_url *url);
/* USAGE, with nothing of it in the message, if it is no address, or one of another machine in plain http
 * where `plain` does not allow that. */
int http_url_check(const char *text, bool plain, struct error *err);
/* "https://HOST:PORT": neither user nor path nor query, which may be secret. The caller frees it. */
char *http_url_origin(const char *text);

/* For messages: without a name and a password before the host, and made visible. Whatever scheme it has. The
 * caller frees it. */
char *http_url_without_user(const char *text);

#endif
