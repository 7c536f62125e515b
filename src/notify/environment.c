#include "notify/environment.h"

#include "base/memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static bool is_passed(const char *entry)
{
    static const char *const names[] = {"PATH", "HOME",     "USER", "LOGNAME", "SHELL",
                                        "LANG", "LANGUAGE", "TZ",   "TMPDIR"};
    size_t n = strcspn(entry, "=");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i]) == n && memcmp(entry, names[i], n) == 0)
            return true;
    }
    return strncmp(entry, "LC_", 3) == 0;
}

char **environment_new(const char *const *more)
{
    extern char **environ;
    char **list = NULL;
    size_t count = 0, capacity = 0;
    for (char **entry = environ; entry && *entry; entry++) {
        if (!is_passed(*entry))
            continue;
        memory_reserve_one(list, count, capacity);
        list[count++] = memory_copy_string(*entry);
    }
    if (!getenv("PATH")) {
        memory_reserve_one(list, count, capacity);
        list[count++] = memory_copy_string(DEFAULT_PATH);
    }
    for (; more && *more; more++) {
        memory_reserve_one(list, count, capacity);
        list[count++] = memory_copy_string(*more);
    }
    memory_reserve_one(list, count, capacity);
    list[count] = NULL;
    return list;
}

void environment_free(char **environment)
{
    for (char **entry = environment; entry && *entry; entry++)
        free(*entry);
    free(environment);
}
