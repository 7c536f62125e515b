#include "cli/signals.h"

#include <signal.h>
#include <string.h>

static volatile int stop;

static void handle(int number)
{
    stop = 1;
    signal(number, SIG_DFL);
}

void signals_install(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handle;
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

const volatile int *signals_stop(void)
{
    return &stop;
}
