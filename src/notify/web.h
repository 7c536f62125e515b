/*
 * Telling over HTTP: a webhook gets a JSON document, a ping is an address that is only asked for. Addresses
 * may be secret: messages show their origin at most. Redirects are not followed.
 */
#ifndef NOTIFY_WEB_H
#define NOTIFY_WEB_H

#include "base/bytes.h"
#include "base/error.h"

#include <stdbool.h>

struct web_parameters {
    const char *url;
    const char *url_file; /* holds the address, if url is NULL; for its owner alone to read */
    const char *ca_file;  /* PEM; NULL: the system's */
    bool allow_insecure_http;
    unsigned timeout; /* seconds for everything, tries and waits between them; at least 1 */
};

/* POSTs the document. What may be a passing weakness (no answer, 408, 429, 5xx) is tried again until the time
 * is over; the receiver may get it more than once. USAGE: not an address; DENIED: the file of the address, or
 * a certificate; FAILED: not delivered. */
int web_post(const struct web_parameters *parameters, struct bytes json, struct error *err);
/* GETs the address with `suffix` ("/fail", "?status=down", "") behind its path or in its query. Likewise. */
int web_ping(const struct web_parameters *parameters, const char *suffix, struct error *err);

#endif
