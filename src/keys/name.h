/*
 * Names of hosts, persons and dedup groups, as keyrings and key files hold them. Used by keys and above.
 */
#ifndef KEYS_NAME_H
#define KEYS_NAME_H

#include <stdbool.h>

#define KEY_NAME_SIZE 65 /* with the NUL */

/* True for 1 to 64 of A-Z a-z 0-9 . _ - */
bool key_name_is_valid(const char *name);

#endif
