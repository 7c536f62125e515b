#include "cli/status.h"

#include "base/log.h"
#include "cli/signals.h"

/* Where nobody who knew more said what to do. */
static const char *general_hint(int code)
{
    switch (code) {
    case ERROR_USAGE:
        return "holdfast help COMMAND explains a command, holdfast.conf(5) the configuration";
    case ERROR_NOT_FOUND:
        return "check the name, and that what it names is there";
    case ERROR_EXISTS:
        return "choose another name, or move away what is there";
    case ERROR_INTEGRITY:
        return "holdfast verify --all says what is damaged, holdfast heal repairs what another target still "
               "holds";
    case ERROR_DENIED:
        return "check which key and which user the command is run with";
    case ERROR_NO_SPACE:
        return "free some space there and run the command again; nothing committed is lost";
    case ERROR_CANCELLED:
        return "run the command again: what is done already is used";
    case ERROR_LOCKED:
        return "wait until the lock ends; prune takes it up again by itself";
    case ERROR_UNSUPPORTED:
        return "use a newer version of holdfast";
    default:
        return "remove the cause and run the command again; with --verbose it says more";
    }
}

int status_report(const struct error *err)
{
    log_error("%s", err->message);
    log_hint("%s", err->hint[0] ? err->hint : general_hint(err->code));
    int status = err->code == ERROR_NONE ? STATUS_FAILED : status_of_error(err->code);
    /* What was cut off by a signal fails in many ways; what was cut off without one has just failed. */
    if (status == STATUS_STOPPED || status == STATUS_FAILED)
        status = *signals_stop() ? STATUS_STOPPED : STATUS_FAILED;
    return status;
}
