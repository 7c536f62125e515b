#include "base/error.h"

#include "base/memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int error_set(struct error *err, int code, const char *format, ...)
{
    if (!err)
        return code;
    err->code = code;
    err->hint[0] = '\0';
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return code;
}

static int code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOENT:
    case ENOTDIR:
        return ERROR_NOT_FOUND;
    case EEXIST:
        return ERROR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERROR_DENIED;
    case ENOSPC:
    case EDQUOT:
        return ERROR_NO_SPACE;
    default:
        return ERROR_FAILED;
    }
}

int error_set_errno(struct error *err, int errnum, const char *format, ...)
{
    int code = code_of_errno(errnum);
    if (!err)
        return code;
    char text[1800];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char reason[128];
    error_set(err, code, "%s: %s", text, strerror_r(errnum, reason, sizeof reason));
    if (code == ERROR_NO_SPACE)
        error_hint(err, "free some space there and run the command again; nothing committed is lost");
    else if (errnum == EACCES || errnum == EPERM)
        error_hint(err, "check owner and mode, or run as the user who may access it");
    else if (errnum == EROFS)
        error_hint(err, "the file system is mounted read-only");
    return code;
}

bool error_is_outage(int code)
{
    return code == ERROR_FAILED || code == ERROR_DENIED || code == ERROR_CANCELLED;
}

int error_prefix(struct error *err, const char *format, ...)
{
    if (!err)
        return ERROR_FAILED;
    char *message = memory_copy_string(err->message);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n + 3 < sizeof err->message) {
        snprintf(err->message + n, sizeof err->message - (size_t)n, ": ");
        size_t room = sizeof err->message - (size_t)n - 3;
        strncat(err->message, message, room);
    }
    free(message);
    return err->code;
}

int error_hint(struct error *err, const char *format, ...)
{
    if (!err)
        return ERROR_FAILED;
    va_list args;
    va_start(args, format);
    vsnprintf(err->hint, sizeof err->hint, format, args);
    va_end(args);
    return err->code;
}

const char *error_todo(int code, const char *otherwise)
{
    return error_is_outage(code) ? "see that the targets answer, and run the command again" : otherwise;
}
