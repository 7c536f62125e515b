#include "repo/lock.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

/* Some only look something up. */
#define TRIES 10
#define TRY_NS 25000000

struct lock {
    int fd;
};

static char *lock_path(const char *state_folder)
{
    return file_join(state_folder, "lock");
}

bool lock_read_holder(const char *state_folder, struct lock_holder *holder)
{
    char text[128] = "", time_text[TEXT_TIME_SIZE];
    char *path = lock_path(state_folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    free(path);
    if (fd < 0)
        return false;
    ssize_t size = file_read_full(fd, text, sizeof text - 1);
    close(fd);
    *holder = (struct lock_holder){0};
    return size > 0 &&
           sscanf(text, "%31[a-z -]: process %ld since %31s", holder->command, &holder->process, time_text) ==
               3 &&
           text_parse_time(time_text, &holder->since);
}

static int is_busy(const char *state_folder, struct error *err)
{
    struct lock_holder holder;
    char time_text[TEXT_TIME_SIZE];
    if (lock_read_holder(state_folder, &holder))
        error_set(err, ERROR_BUSY,
                  "another holdfast works on this repository (%s, process %ld since %s; state folder %s)",
                  holder.command, holder.process, text_format_time(holder.since, time_text), state_folder);
    else
        error_set(err, ERROR_BUSY, "another holdfast works on this repository (state folder %s)",
                  state_folder);
    return error_hint(err, "wait until it is done and run the command again");
}

/* Only a courtesy to whoever meets the lock. */
static void name_holder(int fd, const char *command, const char *path)
{
    char time_text[TEXT_TIME_SIZE];
    char *holder = memory_format("%s: process %ld since %s\n", command, (long)getpid(),
                                 text_format_time((int64_t)time(NULL), time_text));
    if (ftruncate(fd, 0) != 0 || pwrite(fd, holder, strlen(holder), 0) < 0)
        log_verbose("%s cannot be written", path);
    free(holder);
}

int lock_take(const char *state_folder, const char *command, struct lock **lock, struct error *err)
{
    char *path = lock_path(state_folder);
    int fd = -1, code = file_make_directories(state_folder, 0700, err);
    if (code == 0 && (fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0)
        code = error_set_errno(err, errno, "cannot open %s", path);
    for (int tries = 1; code == 0 && flock(fd, LOCK_EX | LOCK_NB) != 0; tries++) {
        if (errno != EWOULDBLOCK)
            code = error_set_errno(err, errno, "cannot lock %s", path);
        else if (tries == TRIES)
            code = is_busy(state_folder, err);
        else
            nanosleep(&(struct timespec){0, TRY_NS}, NULL);
    }
    if (code == 0) {
        name_holder(fd, command, path);
        *lock = memory_new(struct lock);
        (*lock)->fd = fd;
    } else if (fd >= 0) {
        close(fd);
    }
    free(path);
    return code;
}

void lock_release(struct lock *lock)
{
    if (lock)
        close(lock->fd);
    free(lock);
}
