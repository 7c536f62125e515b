/*
 * Preloaded into the program: counts the calls that change files, and at the one numbered STOP_AT does what
 * STOP_HOW says:
 *   kill    the process dies before the call
 *   half    it dies after half of a write, or right after any other call: what the next one's kill shows, too
 *   short   half of a write is done, and the program goes on
 *   EIO     this call fails
 *   ENOSPC  this call and all later ones that need room fail
 * STOP_COUNT names a file that gets a letter for each call when the program ends: w(rite), r (needs room),
 * o(ther).
 */
/* Both names of each call, and neither in place of the other. */
#undef _FILE_OFFSET_BITS
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { OTHER, ROOM, WRITING };

static atomic_long calls;
static char kinds[1 << 16];
static long stop_at;
static const char *how = "";

__attribute__((constructor)) static void begin(void)
{
    const char *at = getenv("STOP_AT");
    stop_at = at ? atol(at) : 0;
    how = getenv("STOP_HOW") ? getenv("STOP_HOW") : "";
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("STOP_COUNT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file)
        return;
    fwrite(kinds, 1, (size_t)atomic_load(&calls), file);
    fclose(file);
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

enum action { GO, FAIL, HALF, DIE_AFTER };

/* What to do at this call. */
static enum action next(enum kind kind)
{
    long n = atomic_fetch_add(&calls, 1) + 1;
    if (n > (long)sizeof kinds)
        abort();
    kinds[n - 1] = "orw"[kind];
    if (!stop_at || n < stop_at)
        return GO;
    if (strcmp(how, "ENOSPC") == 0) {
        errno = ENOSPC;
        return kind == OTHER ? GO : FAIL;
    }
    if (n > stop_at)
        return GO;
    if (strcmp(how, "kill") == 0)
        die();
    if (strcmp(how, "half") == 0)
        return DIE_AFTER;
    if (strcmp(how, "short") == 0)
        return HALF;
    errno = EIO;
    return FAIL;
}

#define REAL(type, name) ((type)dlsym(RTLD_NEXT, name))

/* Anything but a write. */
#define CALL(result_type, name, kind, parameters, arguments)                                                 \
    result_type name parameters;                                                                             \
    result_type name parameters                                                                              \
    {                                                                                                        \
        static result_type(*real) parameters;                                                                \
        if (!real)                                                                                           \
            real = REAL(result_type(*) parameters, #name);                                                   \
        enum action action = next(kind);                                                                     \
        if (action == FAIL)                                                                                  \
            return -1;                                                                                       \
        result_type result = real arguments;                                                                 \
        if (action == DIE_AFTER)                                                                             \
            die();                                                                                           \
        return result;                                                                                       \
    }

#define WRITE(name, parameters, half, whole)                                                                 \
    ssize_t name parameters;                                                                                 \
    ssize_t name parameters                                                                                  \
    {                                                                                                        \
        static ssize_t(*real) parameters;                                                                    \
        if (!real)                                                                                           \
            real = REAL(ssize_t(*) parameters, #name);                                                       \
        if (fd == STDOUT_FILENO || fd == STDERR_FILENO)                                                      \
            return real whole;                                                                               \
        enum action action = next(WRITING);                                                                  \
        if (action == FAIL)                                                                                  \
            return -1;                                                                                       \
        if (action == GO || size < 2)                                                                        \
            return real whole;                                                                               \
        ssize_t result = real half;                                                                          \
        if (action == DIE_AFTER)                                                                             \
            die();                                                                                           \
        return result;                                                                                       \
    }

WRITE(write, (int fd, const void *data, size_t size), (fd, data, size / 2), (fd, data, size))
WRITE(pwrite, (int fd, const void *data, size_t size, off_t offset), (fd, data, size / 2, offset),
      (fd, data, size, offset))
WRITE(pwrite64, (int fd, const void *data, size_t size, off64_t offset), (fd, data, size / 2, offset),
      (fd, data, size, offset))

CALL(int, fsync, OTHER, (int fd), (fd))
CALL(int, fdatasync, OTHER, (int fd), (fd))
CALL(int, syncfs, OTHER, (int fd), (fd))
CALL(int, ftruncate, ROOM, (int fd, off_t size), (fd, size))
CALL(int, ftruncate64, ROOM, (int fd, off64_t size), (fd, size))
CALL(int, rename, OTHER, (const char *from, const char *to), (from, to))
CALL(int, renameat, OTHER, (int a, const char *from, int b, const char *to), (a, from, b, to))
CALL(int, link, ROOM, (const char *from, const char *to), (from, to))
CALL(int, linkat, ROOM, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags))
CALL(int, unlink, OTHER, (const char *path), (path))
CALL(int, unlinkat, OTHER, (int folder, const char *path, int flags), (folder, path, flags))
CALL(int, mkdir, ROOM, (const char *path, mode_t mode), (path, mode))
CALL(int, mkdirat, ROOM, (int folder, const char *path, mode_t mode), (folder, path, mode))

#define OPEN(name, before_types, before)                                                                     \
    int name(before_types const char *path, int flags, ...);                                                 \
    int name(before_types const char *path, int flags, ...)                                                  \
    {                                                                                                        \
        static int (*real)(before_types const char *path, int flags, ...);                                   \
        if (!real)                                                                                           \
            real = REAL(int (*)(before_types const char *, int, ...), #name);                                \
        va_list list;                                                                                        \
        va_start(list, flags);                                                                               \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;                              \
        va_end(list);                                                                                        \
        enum action action = flags & O_CREAT ? next(ROOM) : GO;                                              \
        if (action == FAIL)                                                                                  \
            return -1;                                                                                       \
        int fd = real(before path, flags, mode);                                                             \
        if (action == DIE_AFTER)                                                                             \
            die();                                                                                           \
        return fd;                                                                                           \
    }
#define NOTHING
#define FOLDER_TYPE int folder,
#define FOLDER folder,
OPEN(open, NOTHING, NOTHING)
OPEN(open64, NOTHING, NOTHING)
OPEN(openat, FOLDER_TYPE, FOLDER)
OPEN(openat64, FOLDER_TYPE, FOLDER)
