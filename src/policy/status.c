#include "policy/status.h"

#include "base/error.h"

#include <stddef.h>

int status_of_error(int code)
{
    switch (code) {
    case ERROR_NONE:
        return STATUS_DONE;
    case ERROR_USAGE:
        return STATUS_USAGE;
    case ERROR_BUSY:
        return STATUS_BUSY;
    case ERROR_INTEGRITY:
        return STATUS_INTEGRITY;
    case ERROR_CANCELLED:
        return STATUS_STOPPED;
    default:
        return STATUS_FAILED;
    }
}

int status_worse(int a, int b)
{
    static const int worst_first[] = {STATUS_INTEGRITY, STATUS_STOPPED,  STATUS_FAILED, STATUS_USAGE,
                                      STATUS_BEHIND,    STATUS_WARNINGS, STATUS_BUSY};
    for (size_t i = 0; i < sizeof worst_first / sizeof *worst_first; i++) {
        if (a == worst_first[i] || b == worst_first[i])
            return worst_first[i];
    }
    return STATUS_DONE;
}
