/*
 * For LD_PRELOAD: something happens at the very moment a program reaches a file, so that tests of files that
 * change while they are read need no luck.
 *   ON_ACCESS_CALL    statx, openat, pread or flistxattr
 *   ON_ACCESS_NAME    the last component of the file's name, with * and the like
 *   ON_ACCESS_OFFSET  pread: the first that reaches beyond this byte
 *   ON_ACCESS_RUN     a command for sh, run once, before the call
 *   ON_ACCESS_ERRNO   or a number: the call fails with it each time
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static bool is_wanted(const char *call, const char *path)
{
    const char *wanted_call = getenv("ON_ACCESS_CALL"), *wanted_name = getenv("ON_ACCESS_NAME");
    const char *slash = strrchr(path, '/');
    return wanted_call && wanted_name && strcmp(call, wanted_call) == 0 &&
           fnmatch(wanted_name, slash ? slash + 1 : path, 0) == 0;
}

/* 0, or the error that the call is to give. Other threads that come this way meanwhile wait. */
static int act(void)
{
    static atomic_int state;
    const char *number = getenv("ON_ACCESS_ERRNO"), *command = getenv("ON_ACCESS_RUN");
    int none = 0;
    if (number)
        return atoi(number);
    if (command && atomic_compare_exchange_strong(&state, &none, 1)) {
        char *whole;
        if (asprintf(&whole, "unset LD_PRELOAD; %s", command) < 0 || system(whole) != 0)
            abort();
        free(whole);
        atomic_store(&state, 2);
    }
    while (command && atomic_load(&state) != 2)
        usleep(1000);
    return 0;
}

static void *next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    return found;
}

int statx(int directory, const char *restrict path, int flags, unsigned mask, struct statx *restrict out)
{
    int (*real)(int, const char *, int, unsigned, struct statx *) =
        (int (*)(int, const char *, int, unsigned, struct statx *))next("statx");
    errno = is_wanted("statx", path) ? act() : 0;
    return errno ? -1 : real(directory, path, flags, mask, out);
}

int openat64(int directory, const char *path, int flags, ...)
{
    int (*real)(int, const char *, int, ...) = (int (*)(int, const char *, int, ...))next("openat64");
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    errno = is_wanted("openat", path) ? act() : 0;
    return errno ? -1 : real(directory, path, flags, mode);
}

/* The path behind a descriptor; path has room for 4096 bytes. */
static const char *path_of(int fd, char *path)
{
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, 4095);
    path[n > 0 ? n : 0] = '\0';
    return path;
}

ssize_t pread64(int fd, void *to, size_t size, off_t offset)
{
    ssize_t (*real)(int, void *, size_t, off_t) = (ssize_t(*)(int, void *, size_t, off_t))next("pread64");
    char path[4096];
    const char *from = getenv("ON_ACCESS_OFFSET");
    bool reaches = offset + (off_t)size > (from ? atoll(from) : 0);
    errno = reaches && is_wanted("pread", path_of(fd, path)) ? act() : 0;
    return errno ? -1 : real(fd, to, size, offset);
}

ssize_t flistxattr(int fd, char *list, size_t size)
{
    ssize_t (*real)(int, char *, size_t) = (ssize_t(*)(int, char *, size_t))next("flistxattr");
    char path[4096];
    errno = is_wanted("flistxattr", path_of(fd, path)) ? act() : 0;
    return errno ? -1 : real(fd, list, size);
}
