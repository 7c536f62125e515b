/*
 * What the files of http share: waiting for a turn under a rate limit. Nobody outside http includes it.
 */
#ifndef HTTP_LIMIT_H
#define HTTP_LIMIT_H

#include "http/http.h"

#include <stdatomic.h>

/* One more reference; NULL is fine. Returns limit. */
struct http_limit *http_limit_share(struct http_limit *limit);
/* How many bytes may pass in one piece: small enough that others get their turn soon. */
size_t http_limit_piece(const struct http_limit *limit);
uint64_t http_limit_rate(const struct http_limit *limit);
/* Waits until `bytes` may pass; false if *cancelled became true meanwhile. A NULL limit never waits. */
bool http_limit_wait(struct http_limit *limit, size_t bytes, const atomic_bool *cancelled);

#endif
