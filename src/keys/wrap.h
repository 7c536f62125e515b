/*
 * How bundles are bound to their keyring and owner (WRAP of holdfast-format(5)). Only for keys.
 */
#ifndef KEYS_WRAP_H
#define KEYS_WRAP_H

#include "format/messages.h"

void wrap_info_person(const struct keyring *keyring, const struct person *person, struct buffer *out);
void wrap_info_host(const struct keyring *keyring, const struct host *host, struct buffer *out);

#endif
