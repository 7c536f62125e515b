#include "policy/residency.h"

#include <string.h>

bool residency_is_eu(const char *country)
{
    static const char members[] =
        " AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE "
        "SI SK ";
    const char word[] = {' ', country[0], country[0] ? country[1] : '\0', ' ', '\0'};
    return strlen(country) == 2 && strstr(members, word);
}

static bool allows(const char *allowed, const char *country)
{
    return strcmp(allowed, country) == 0 || (strcmp(allowed, "EU") == 0 && residency_is_eu(country));
}

enum residency residency_decide(const char *const *allowed, size_t count, const char *known,
                                const char *declared)
{
    const char *country = known ? known : declared;
    if (count == 0)
        return RESIDENCY_ALLOWED;
    if (!country)
        return RESIDENCY_UNDECLARED;
    if (known && declared && strcmp(known, declared) != 0)
        return RESIDENCY_CONTRADICTION;
    for (size_t i = 0; i < count; i++) {
        if (allows(allowed[i], country))
            return RESIDENCY_ALLOWED;
    }
    return RESIDENCY_OUTSIDE;
}

bool residency_is_elsewhere(const char *region, const char *location, bool listed, bool closed)
{
    bool elsewhere = *location && strcmp(location, region) != 0;
    return elsewhere && (listed || !closed);
}
