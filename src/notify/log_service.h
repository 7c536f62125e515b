/*
 * The system's log: journald or a syslog daemon, whichever listens at /dev/log. Not through syslog(3), which
 * neither says that nobody took a message nor comes back while a daemon hangs.
 */
#ifndef NOTIFY_LOG_SERVICE_H
#define NOTIFY_LOG_SERVICE_H

#include "base/error.h"
#include "notify/message.h"

#define LOG_SERVICE_SOCKET "/dev/log"

/* The message's subject, then its text line by line, as daemon.err, daemon.warning or daemon.notice; at most
 * 100 lines. socket_path: LOG_SERVICE_SOCKET. FAILED if nobody listens, or takes it within `timeout` seconds.
 */
int log_service_send(const char *socket_path, int facility, const struct notify_message *message,
                     unsigned timeout, struct error *err);

#endif
