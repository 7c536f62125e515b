#include "policy/retention.h"

bool retention_is_due(int64_t now, int64_t until, int64_t retain, uint16_t spread)
{
    if (retain <= 0)
        return false;
    if (until <= now)
        return true;
    return until - now <= retain / 3 + (int64_t)((double)(retain / 6) * spread / 65535);
}
