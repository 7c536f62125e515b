#include "notify/hook.h"

#include "base/command.h"
#include "base/log.h"
#include "notify/environment.h"

int hook_run(const struct hook *hook, struct error *err)
{
    struct command *command = NULL;
    char **environment = environment_new(hook->environment);
    log_verbose("%s: running %s", hook->name, hook->argv[0]);
    int code = command_start_fed(hook->argv, (const char *const *)environment, hook->input, &command, err);
    if (code == 0) {
        command_set_timeout(command, hook->timeout);
        command_set_stop(command, hook->stop);
        code = command_finish(command, err);
        command_log(command, hook->name);
        if (code == ERROR_FAILED)
            command_explain(command, err);
    }
    if (code == ERROR_FAILED)
        error_hint(err, "run the command by hand; holdfast.conf(5) says what a hook gets and when it runs");
    command_free(command);
    environment_free(environment);
    return code;
}
