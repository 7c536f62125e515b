#include "keys/name.h"

#include <string.h>

bool key_name_is_valid(const char *name)
{
    size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return length > 0 && length < KEY_NAME_SIZE && name[length] == '\0';
}
