#include "base/log.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/signals.h"
#include "cli/status.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int (*const handlers[COMMAND_COUNT])(const struct options *) = {
    [COMMAND_INIT] = cmd_init,
    [COMMAND_CHECK_CONFIG] = cmd_check_config,
    [COMMAND_NOTIFY_TEST] = cmd_notify_test,
    [COMMAND_BACKUP] = cmd_backup,
    [COMMAND_RUN] = cmd_run,
    [COMMAND_SNAPSHOTS] = cmd_snapshots,
    [COMMAND_LS] = cmd_ls,
    [COMMAND_FIND] = cmd_find,
    [COMMAND_CAT] = cmd_cat,
    [COMMAND_DIFF] = cmd_diff,
    [COMMAND_RESTORE] = cmd_restore,
    [COMMAND_EXPORT] = cmd_export,
    [COMMAND_FORGET] = cmd_forget,
    [COMMAND_PIN] = cmd_pin,
    [COMMAND_UNPIN] = cmd_unpin,
    [COMMAND_PRUNE] = cmd_prune,
    [COMMAND_VERIFY] = cmd_verify,
    [COMMAND_HEAL] = cmd_heal,
    [COMMAND_HOST_ADD] = cmd_host_add,
    [COMMAND_HOST_LIST] = cmd_host_list,
    [COMMAND_SCHEDULE] = cmd_schedule,
    [COMMAND_SCHEDULE_INSTALL] = cmd_schedule_install,
    [COMMAND_SCHEDULE_UNINSTALL] = cmd_schedule_uninstall,
    [COMMAND_STATUS] = cmd_status,
    [COMMAND_HELP] = cmd_help,
};

/* Keys are in memory: no core dump, no other process of the user may read it. A target's file handles are
 * many, and a closed pipe is an error like others. What one thread frees the next can use: heaps of their own
 * held a tenth more memory and saved no time. Packs and other large blocks stay out of the heap, where they
 * would leave holes: by itself the limit for that grows with the first of them that is freed. */
static void prepare_process(void)
{
    /* Where one of the three is closed, what is opened next would get its number, and messages with it. */
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) < 0)
            _exit(STATUS_FAILED);
    }
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static int dispatch(const struct options *options)
{
    if (options->version)
        return help_print_version();
    if (options->help)
        return help_print(options->command);
    if (options->quiet)
        log_set_level(LOG_LEVEL_QUIET);
    else if (options->verbose)
        log_set_level(LOG_LEVEL_VERBOSE);
    return handlers[options->command](options);
}

int main(int argc, char **argv)
{
    prepare_process();
    struct options options;
    struct error err = {0};
    int status = options_parse(argc, argv, &options, &err) ? status_report(&err) : dispatch(&options);
    options_free(&options);
    /* A full disk behind standard output shows only here. */
    bool failed = fflush(stdout) != 0 || ferror(stdout);
    if (failed && status_worse(status, STATUS_FAILED) != status) {
        error_set(&err, ERROR_FAILED, "cannot write to standard output");
        status = status_report(&err);
    }
    return signals_exit_status(status);
}
