/*
 * For LD_PRELOAD: what a local target does when it is written, by the word in the file TARGET.weather beside
 * its folder, which may change at any time: fail      every write fails with EIO full      with ENOSPC slow N
 * N bytes a second, all threads together
 */
#undef _FILE_OFFSET_BITS
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The weather of the target that the file lies in: the first folder above it that has one. */
static int find_weather(int fd, char *word, size_t size)
{
    char link[32], path[4096 + 16];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, 4096);
    if (n <= 0)
        return 0;
    path[n] = '\0';
    for (char *slash; (slash = strrchr(path, '/')) && slash != path;) {
        strcpy(slash, ".weather");
        int file = open(path, O_RDONLY | O_CLOEXEC);
        *slash = '\0';
        if (file < 0)
            continue;
        n = read(file, word, size - 1);
        close(file);
        word[n > 0 ? n : 0] = '\0';
        return n > 0;
    }
    return 0;
}

ssize_t write(int fd, const void *data, size_t size)
{
    static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
    ssize_t (*real)(int, const void *, size_t) =
        (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    char word[64];
    if (fd <= 2 || !find_weather(fd, word, sizeof word))
        return real(fd, data, size);
    if (strncmp(word, "fail", 4) == 0 || strncmp(word, "full", 4) == 0) {
        errno = word[1] == 'a' ? EIO : ENOSPC;
        return -1;
    }
    if (strncmp(word, "slow ", 5) == 0) {
        double rate = atof(word + 5);
        if (size > 5000)
            size = 5000;
        pthread_mutex_lock(&turn);
        usleep((useconds_t)((double)size / rate * 1e6));
        pthread_mutex_unlock(&turn);
    }
    return real(fd, data, size);
}
