#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

int terminal_open(struct terminal *terminal, struct error *err)
{
    terminal->fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (terminal->fd >= 0)
        return 0;
    error_set(err, ERROR_DENIED, "a passphrase is needed, and there is no terminal to ask on");
    return error_hint(err, "--passphrase-file FILE or HOLDFAST_PASSPHRASE_FILE names a file that holds it");
}

void terminal_close(struct terminal *terminal)
{
    close(terminal->fd);
}

void terminal_write(struct terminal *terminal, const char *text)
{
    for (size_t n = strlen(text); n > 0;) {
        ssize_t written = write(terminal->fd, text, n);
        if (written < 0 && errno != EINTR)
            return;
        if (written > 0) {
            text += written;
            n -= (size_t)written;
        }
    }
}

/* Waits for input; the number of the signal that came instead, or 0. */
static int wait_for_input(int fd, int signals)
{
    struct pollfd polled[2] = {{.fd = fd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    while (poll(polled, 2, -1) < 0 && errno == EINTR) {
    }
    struct signalfd_siginfo info;
    if ((polled[1].revents & POLLIN) && read(signals, &info, sizeof info) == (ssize_t)sizeof info)
        return (int)info.ssi_signo;
    return 0;
}

/* One line, the newline not kept: 1 when it is whole, 0 at the end of input, else minus a signal's number. */
static int read_line(struct terminal *terminal, int signals, size_t max, struct buffer *out, bool *too_long)
{
    for (;;) {
        int signal_number = wait_for_input(terminal->fd, signals);
        if (signal_number)
            return -signal_number;
        uint8_t byte;
        ssize_t n = read(terminal->fd, &byte, 1);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return 0;
        if (byte == '\n')
            return 1;
        if (out->size < max)
            buffer_u8(out, byte);
        else
            *too_long = true;
        explicit_bzero(&byte, 1);
    }
}

/* Asks once. Signals that would stop the process or suspend it wait until the echo is on again. */
static int ask(struct terminal *terminal, const char *question, size_t max, struct buffer *out,
               bool *too_long)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU};
    sigset_t set, before;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction action;
        if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(&set, numbers[i]);
    }
    pthread_sigmask(SIG_BLOCK, &set, &before);
    int signals = signalfd(-1, &set, SFD_CLOEXEC);
    struct termios saved;
    bool is_terminal = tcgetattr(terminal->fd, &saved) == 0;
    if (is_terminal) {
        struct termios silent = saved;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(terminal->fd, TCSAFLUSH, &silent);
    }
    terminal_write(terminal, question);
    int result = read_line(terminal, signals, max, out, too_long);
    if (is_terminal)
        tcsetattr(terminal->fd, TCSAFLUSH, &saved);
    terminal_write(terminal, "\n");
    if (signals >= 0)
        close(signals);
    if (result < 0)
        raise(-result); /* pending until the mask is back */
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

int terminal_read_secret(struct terminal *terminal, const char *question, size_t max, struct buffer *out,
                         struct error *err)
{
    int result;
    bool too_long = false;
    buffer_reserve(out, max + 1); /* a buffer that grows leaves copies behind */
    do {
        explicit_bzero(out->data, out->capacity);
        buffer_clear(out);
        result = ask(terminal, question, max, out, &too_long);
    } while (result == -SIGTSTP || result == -SIGTTIN || result == -SIGTTOU); /* continued */
    if (result <= 0)
        return error_set(err, ERROR_CANCELLED, "no passphrase was given");
    if (too_long)
        return error_set(err, ERROR_USAGE, "the passphrase is longer than %zu bytes", max);
    return 0;
}
