/*
 * Errors: a code for the caller, a message and a hint for the person.
 * The message is set where the failure is detected; callers add context with error_prefix().
 * Every function of the project that can fail returns 0 or one of these codes (all negative).
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>

enum error_code {
    ERROR_NONE = 0,
    ERROR_FAILED = -1,       /* did not work; nothing more specific is known */
    ERROR_USAGE = -2,        /* the command line or the configuration is wrong */
    ERROR_NOT_FOUND = -3,    /* what was asked for is not there */
    ERROR_EXISTS = -4,       /* it is there already */
    ERROR_INTEGRITY = -5,    /* damage or tampering: bytes are not what they must be */
    ERROR_BUSY = -6,         /* another process holds it */
    ERROR_DENIED = -7,       /* a key, passphrase or permission is missing or wrong */
    ERROR_NO_SPACE = -8,     /* the disk or the quota is full */
    ERROR_CANCELLED = -9,    /* a signal or another part of the pipeline asked to stop */
    ERROR_UNSUPPORTED = -10, /* a newer format, or an object this platform cannot hold */
    ERROR_LOCKED = -11       /* an object lock forbids it until a later date */
};

struct error {
    int code;
    char message[2048];
    char hint[512];
};

/* Sets code and message, clears the hint. err may be NULL. Returns code. */
int error_set(struct error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Like error_set, with ": " and the text of errnum behind the message; the code is derived from errnum
 * (ENOENT: NOT_FOUND, EEXIST: EXISTS, EACCES/EPERM: DENIED, ENOSPC/EDQUOT: NO_SPACE, else FAILED), and common
 * causes get a hint. Returns the code. */
int error_set_errno(struct error *err, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "<text>: " before the message that is there. Returns err's code (ERROR_FAILED if err is NULL). */
int error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sets what the person can do about it. Returns err's code (ERROR_FAILED if err is NULL). */
int error_hint(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* True where a store did not answer, or would not: what was asked for may be there, and good. */
bool error_is_outage(int code);
/* What to do about something that could not be had: what the person can do about an outage, else `otherwise`.
 */
const char *error_todo(int code, const char *otherwise);

#endif
