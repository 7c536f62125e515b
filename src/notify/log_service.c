#include "notify/log_service.h"

#include "base/memory.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LINES_MAX 100
#define LINE_BYTES_MAX 900 /* RFC 3164 has 1024 for a whole packet */

static int priority(enum notify_level level)
{
    return level == NOTIFY_FAILURE ? LOG_ERR : level == NOTIFY_WARNING ? LOG_WARNING : LOG_NOTICE;
}

/* Datagrams are what daemons take; an older one may want a stream. -1 with errno. */
static int open_socket(const char *path, unsigned timeout, int *type)
{
    static const int types[] = {SOCK_DGRAM, SOCK_STREAM};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval wait = {.tv_sec = (time_t)timeout};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    for (size_t i = 0; i < 2; i++) {
        int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC, 0);
        if (fd < 0)
            return -1;
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
            *type = types[i];
            return fd;
        }
        int saved = errno;
        close(fd);
        errno = saved;
        if (saved != EPROTOTYPE)
            break;
    }
    return -1;
}

static int64_t seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static int send_line(int fd, int type, int value, const char *text, size_t size)
{
    time_t now = time(NULL);
    struct tm tm;
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    localtime_r(&now, &tm);
    char *shown = text_visible_bytes(text, size);
    char *packet =
        memory_format("<%d>%.3s %2d %02d:%02d:%02d holdfast[%ld]: %.*s", value, months + 3 * tm.tm_mon,
                      tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (long)getpid(), LINE_BYTES_MAX, shown);
    /* A stream's messages end with a NUL. */
    size_t length = strlen(packet) + (type == SOCK_STREAM);
    ssize_t sent = send(fd, packet, length, MSG_NOSIGNAL);
    int errnum = sent < 0 ? errno : (size_t)sent == length ? 0 : EIO;
    free(packet);
    free(shown);
    return errnum;
}

int log_service_send(const char *socket_path, int facility, const struct notify_message *message,
                     unsigned timeout, struct error *err)
{
    int type, fd = open_socket(socket_path, timeout, &type);
    if (fd < 0) {
        error_set_errno(err, errno, "nobody listens at %s", socket_path);
        error_hint(err, "is journald or a syslog daemon running here?");
        return ERROR_FAILED;
    }
    int64_t deadline = seconds_now() + timeout;
    int value = facility | priority(message->level);
    int errnum = send_line(fd, type, value, message->subject, strlen(message->subject));
    const char *line = message->text;
    for (size_t i = 0; *line && i < LINES_MAX && errnum == 0 && seconds_now() <= deadline; i++) {
        size_t n = strcspn(line, "\n");
        if (n)
            errnum = send_line(fd, type, value, line, n);
        line += n + (line[n] == '\n');
    }
    close(fd);
    if (errnum == 0)
        return 0;
    error_set_errno(err, errnum, "the daemon at %s does not take the message", socket_path);
    return ERROR_FAILED;
}
