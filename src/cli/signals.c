#include "cli/signals.h"

#include "base/memory.h"
#include "policy/status.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CUT_MILLISECONDS 1000
#define END_SECONDS 2

static volatile int stop;
static volatile sig_atomic_t end_seconds = END_SECONDS;
static int came = -1; /* an eventfd */

static void raise_event(int fd)
{
    /* It fails only where it is raised already. Not write(): the crash harness makes those fail. */
    eventfd_write(fd, 1);
}

static void ask(int number)
{
    int before = errno;
    stop = number;
    if (came >= 0)
        raise_event(came);
    signal(number, SIG_DFL);
    alarm((unsigned)end_seconds);
    errno = before;
}

/* Something does not answer that cannot be cut off, a file system say. */
static void end(int number)
{
    static const char text[] = "holdfast: stopped by a signal, while something did not answer\n"
                               "hint: what was done is kept: run the command again\n";
    (void)number;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        (void)0; /* nobody is left to be told */
    _exit(128 + stop);
}

void signals_install(void)
{
    struct sigaction action;
    if (came < 0)
        came = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    memset(&action, 0, sizeof action);
    action.sa_handler = end;
    sigaction(SIGALRM, &action, NULL);
    action.sa_handler = ask;
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    /* A terminal that goes away; nohup(1) has it ignored. */
    struct sigaction hangup;
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, NULL);
}

void signals_allow(unsigned seconds)
{
    end_seconds = (sig_atomic_t)(END_SECONDS + seconds);
    if (stop)
        alarm((unsigned)end_seconds);
}

const volatile int *signals_stop(void)
{
    return &stop;
}

int signals_exit_status(int status)
{
    return status != STATUS_STOPPED ? status : stop ? 128 + stop : STATUS_FAILED;
}

struct signals_watch {
    pthread_t thread;
    int ended; /* an eventfd */
    void (*cut)(void *context);
    void *context;
    int milliseconds; /* -1: for ever */
};

/* False when the watch ended; true when fd was raised, or the time is over. */
static bool wait_for(struct signals_watch *watch, int fd, int milliseconds)
{
    struct pollfd polls[] = {{.fd = watch->ended, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    while (poll(polls, fd >= 0 ? 2 : 1, milliseconds) < 0 && errno == EINTR)
        ;
    return !(polls[0].revents & POLLIN);
}

static void *watch_signals(void *argument)
{
    struct signals_watch *watch = argument;
    if (wait_for(watch, came, watch->milliseconds) && wait_for(watch, -1, CUT_MILLISECONDS))
        watch->cut(watch->context);
    return NULL;
}

struct signals_watch *signals_watch_start(void (*cut)(void *context), void *context, unsigned seconds)
{
    if (came < 0 && !seconds)
        return NULL;
    struct signals_watch *watch = memory_new(struct signals_watch);
    watch->cut = cut;
    watch->context = context;
    watch->milliseconds = seconds ? (int)seconds * 1000 : -1;
    watch->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    /* Signals are for the main thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = watch->ended >= 0 && pthread_create(&watch->thread, NULL, watch_signals, watch) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started)
        return watch;
    if (watch->ended >= 0)
        close(watch->ended);
    free(watch);
    return NULL;
}

void signals_watch_end(struct signals_watch *watch)
{
    if (!watch)
        return;
    raise_event(watch->ended);
    pthread_join(watch->thread, NULL);
    close(watch->ended);
    free(watch);
}
