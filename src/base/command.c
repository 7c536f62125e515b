#include "base/command.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PIPE_BYTES 65536    /* pipe(7) */
#define SHOWN_IN_ERROR 1000 /* bytes */
#define GRACE_MILLISECONDS 1000
#define TICK_MILLISECONDS 100 /* how often a flag is looked at that may be set at any time */

struct command {
    char *text; /* for messages */
    pid_t pid;
    int process, output, errors, cancel; /* pidfd, pipes, eventfd; -1 where closed */
    bool ended;                          /* and reaped */
    int64_t deadline;                    /* milliseconds of the monotonic clock; 0: none */
    unsigned timeout;                    /* seconds, for the message */
    const volatile int *stop;            /* NULL: none */
    struct buffer said;
};

static char *text_of(const char *const *argv)
{
    struct buffer b = {0};
    for (size_t i = 0; argv[i] && b.size < 200; i++)
        buffer_append_format(&b, "%s%s", i ? " " : "", argv[i]);
    char *text = text_visible_bytes(b.data, b.size < 200 ? b.size : 200);
    buffer_free(&b);
    return text;
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* 0 or an errno. */
static int spawn(struct command *command, const char *const *argv, const char *const *environment,
                 const char *folder, int input, int output, int errors)
{
    extern char **environ;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    if (input >= 0)
        posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    else
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
    if (folder)
        posix_spawn_file_actions_addchdir_np(&actions, folder);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int code = posix_spawnp(&command->pid, argv[0], &actions, &attributes, (char *const *)argv,
                            environment ? (char *const *)environment : environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

/* A file without a name, at its beginning: nobody waits for a command that does not read it, and one that
 * ends early breaks no pipe. -1 with errno. */
static int file_of(struct bytes input)
{
    int fd = memfd_create("input", MFD_CLOEXEC);
    struct error ignored;
    if (fd >= 0 &&
        (file_write_all(fd, input, "standard input", &ignored) != 0 || lseek(fd, 0, SEEK_SET) != 0))
        close_one(&fd);
    return fd;
}

/* input NULL: none; otherwise what is printed goes where standard error goes. */
static int start(const char *const *argv, const char *const *environment, const char *folder,
                 const struct bytes *input, struct command **out, struct error *err)
{
    struct command *command = memory_new(struct command);
    int given = -1, output[2] = {-1, -1}, errors[2] = {-1, -1}, code = 0, errnum;
    command->process = command->output = command->errors = command->cancel = -1;
    command->ended = true;
    command->text = text_of(argv);
    command->cancel = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (command->cancel < 0 || pipe2(errors, O_CLOEXEC) != 0 ||
        (input ? (given = file_of(*input)) < 0 : pipe2(output, O_CLOEXEC) != 0)) {
        code = error_set_errno(err, errno, "cannot make pipes for command %s", command->text);
        goto out;
    }
    command->output = output[0];
    command->errors = errors[0];
    fcntl(command->errors, F_SETFL, O_NONBLOCK);
    errnum = spawn(command, argv, environment, folder, given, input ? errors[1] : output[1], errors[1]);
    if (errnum) {
        code = error_set_errno(err, errnum, "cannot start command %s", command->text);
        if (folder)
            error_prefix(err, "in %s", folder);
        goto out;
    }
    command->ended = false;
    command->process = pidfd_open(command->pid, 0);
    if (command->process < 0)
        code = error_set_errno(err, errno, "cannot watch command %s", command->text);
out:
    close_one(&given);
    close_one(&output[1]);
    close_one(&errors[1]);
    if (code == 0) {
        *out = command;
        return 0;
    }
    command_free(command);
    return code;
}

int command_start(const char *const *argv, const char *const *environment, const char *folder,
                  struct command **command, struct error *err)
{
    return start(argv, environment, folder, NULL, command, err);
}

int command_start_fed(const char *const *argv, const char *const *environment, struct bytes input,
                      struct command **command, struct error *err)
{
    return start(argv, environment, NULL, &input, command, err);
}

/* No more than a pipe holds: one that is filled without end must not keep us from looking at the time. */
static void take_errors(struct command *command)
{
    struct buffer *said = &command->said;
    for (size_t taken = 0; taken < PIPE_BYTES;) {
        buffer_reserve(said, 4096);
        ssize_t n = read(command->errors, said->data + said->size, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            close_one(&command->errors);
            return;
        }
        said->size += (size_t)n;
        taken += (size_t)n;
        if (said->size > 2 * COMMAND_ERRORS_MAX) {
            memmove(said->data, said->data + said->size - COMMAND_ERRORS_MAX, COMMAND_ERRORS_MAX);
            said->size = COMMAND_ERRORS_MAX;
        }
    }
}

static int64_t milliseconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void command_set_timeout(struct command *command, unsigned seconds)
{
    command->timeout = seconds;
    command->deadline = milliseconds_now() + (int64_t)seconds * 1000;
}

void command_set_stop(struct command *command, const volatile int *stop)
{
    command->stop = stop;
}

/* Waits until fd can be read, keeping what the command says meanwhile. */
static int wait_for(struct command *command, int fd, struct error *err)
{
    for (;;) {
        struct pollfd polls[] = {{.fd = command->cancel, .events = POLLIN},
                                 {.fd = fd, .events = POLLIN},
                                 {.fd = command->errors, .events = POLLIN}};
        int64_t left = command->deadline ? command->deadline - milliseconds_now() : -1;
        if (command->deadline && left <= 0)
            return error_set(err, ERROR_FAILED, "command %s took longer than %u seconds", command->text,
                             command->timeout);
        if (command->stop && (left < 0 || left > TICK_MILLISECONDS))
            left = TICK_MILLISECONDS;
        int n = poll(polls, 3, left > INT_MAX ? INT_MAX : (int)left);
        if (n < 0 && errno != EINTR)
            return error_set_errno(err, errno, "cannot wait for command %s", command->text);
        if (command->stop && *command->stop)
            return error_set(err, ERROR_CANCELLED, "command %s was cancelled", command->text);
        if (n <= 0)
            continue;
        if (polls[0].revents)
            return error_set(err, ERROR_CANCELLED, "command %s was cancelled", command->text);
        if (polls[2].revents)
            take_errors(command);
        if (polls[1].revents)
            return 0;
    }
}

int command_read(struct command *command, void *to, size_t size, size_t *done, struct error *err)
{
    *done = 0;
    if (command->output < 0)
        return 0;
    int code = wait_for(command, command->output, err);
    if (code != 0)
        return code;
    ssize_t n = read(command->output, to, size);
    if (n < 0)
        return error_set_errno(err, errno, "cannot read the output of command %s", command->text);
    *done = (size_t)n;
    return 0;
}

struct bytes command_errors(const struct command *command)
{
    struct bytes said = buffer_bytes(&command->said);
    size_t skip = said.size > COMMAND_ERRORS_MAX ? said.size - COMMAND_ERRORS_MAX : 0;
    return bytes_of(said.size ? said.data + skip : NULL, said.size - skip);
}

static struct bytes trim(struct bytes text)
{
    while (text.size && strchr("\r\n\t ", text.data[text.size - 1]))
        text.size--;
    return text;
}

void command_log(const struct command *command, const char *name)
{
    struct bytes said = trim(command_errors(command));
    while (said.size) {
        const uint8_t *end = memchr(said.data, '\n', said.size);
        size_t n = end ? (size_t)(end - said.data) : said.size, skip = n + (end != NULL);
        char *line = text_visible_bytes(said.data, n);
        log_info("%s: %s", name, line);
        free(line);
        said = bytes_of(said.data + skip, said.size - skip);
    }
}

void command_explain(const struct command *command, struct error *err)
{
    struct bytes said = trim(command_errors(command));
    const uint8_t *last = said.size ? memrchr(said.data, '\n', said.size) : NULL;
    if (!last || !err)
        return;
    said = trim(bytes_of(said.data, (size_t)(last - said.data)));
    size_t skip = said.size > SHOWN_IN_ERROR ? said.size - SHOWN_IN_ERROR : 0;
    struct buffer lines = {0};
    for (size_t i = skip; i < said.size; i++) {
        if (said.data[i] == '\n')
            buffer_append_string(&lines, " | ");
        else if (said.data[i] != '\r')
            buffer_u8(&lines, said.data[i]);
    }
    char *shown = text_visible_bytes(lines.data, lines.size);
    size_t used = strlen(err->message);
    snprintf(err->message + used, sizeof err->message - used, " (before that: %s%s)", skip ? "..." : "",
             shown);
    free(shown);
    buffer_free(&lines);
}

/* The last line that is not empty, fit for a terminal. The caller frees it. */
static char *last_line(const struct command *command)
{
    struct bytes said = trim(command_errors(command));
    const uint8_t *start = said.size ? memrchr(said.data, '\n', said.size) : NULL;
    size_t skip = start ? (size_t)(start - said.data) + 1 : 0;
    size_t size = said.size - skip < 500 ? said.size - skip : 500;
    return size ? text_visible_bytes(said.data + skip, size) : memory_copy_string("(it said nothing)");
}

static int check_status(struct command *command, int status, struct error *err)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    char *line = last_line(command);
    int code = WIFSIGNALED(status)
                   ? error_set(err, ERROR_FAILED, "command %s was ended by signal %d (%s): %s", command->text,
                               WTERMSIG(status), strsignal(WTERMSIG(status)), line)
                   : error_set(err, ERROR_FAILED, "command %s ended with status %d: %s", command->text,
                               WEXITSTATUS(status), line);
    free(line);
    return code;
}

static int may_run(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return errno;
    return !S_ISREG(st.st_mode) || access(path, X_OK) != 0 ? EACCES : 0;
}

int command_find(const char *program, struct error *err)
{
    const char *path = getenv("PATH");
    int errnum = strchr(program, '/') ? may_run(program) : ENOENT;
    for (const char *p = path ? path : "/usr/bin:/bin"; errnum != 0 && p && !strchr(program, '/');) {
        size_t n = strcspn(p, ":");
        char *file = memory_format("%.*s/%s", n ? (int)n : 1, n ? p : ".", program);
        int found = may_run(file);
        errnum = found == ENOENT || found == ENOTDIR ? errnum : found;
        free(file);
        p = p[n] ? p + n + 1 : NULL;
    }
    return errnum == 0 ? 0 : error_set_errno(err, errnum, "cannot run %s", program);
}

int command_finish(struct command *command, struct error *err)
{
    close_one(&command->output);
    int code = wait_for(command, command->process, err);
    if (code != 0)
        return code;
    if (command->errors >= 0)
        take_errors(command);
    int status = 0;
    while (waitpid(command->pid, &status, 0) < 0)
        if (errno != EINTR)
            return error_set_errno(err, errno, "cannot wait for command %s", command->text);
    command->ended = true;
    return check_status(command, status, err);
}

void command_cancel(struct command *command)
{
    int saved = errno;
    uint64_t one = 1;
    if (write(command->cancel, &one, sizeof one) < 0)
        (void)0; /* the counter is full: it is cancelled already */
    errno = saved;
}

void command_free(struct command *command)
{
    if (!command)
        return;
    close_one(&command->output);
    close_one(&command->errors);
    if (!command->ended) {
        struct pollfd wait = {.fd = command->process, .events = POLLIN};
        kill(-command->pid, SIGTERM);
        if (command->process >= 0)
            poll(&wait, 1, GRACE_MILLISECONDS);
        /* Not reaped yet, so the number is still the group's. */
        kill(-command->pid, SIGKILL);
        while (waitpid(command->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    close_one(&command->process);
    close_one(&command->cancel);
    buffer_free(&command->said);
    free(command->text);
    free(command);
}
