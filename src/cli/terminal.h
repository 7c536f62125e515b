/*
 * Questions on the controlling terminal, with the echo off. Only passphrase.c uses it.
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include "base/bytes.h"
#include "base/error.h"

#include <termios.h>

struct terminal {
    int fd;
};

/* Opens /dev/tty. DENIED where there is none. */
int terminal_open(struct terminal *terminal, struct error *err);
void terminal_close(struct terminal *terminal);
void terminal_write(struct terminal *terminal, const char *text);
/* Asks and reads a line of at most max bytes without echo, appended to out without its newline. The terminal
 * is set back before a signal takes its effect. CANCELLED at the end of input or after a signal, USAGE if the
 * line is longer. */
int terminal_read_secret(struct terminal *terminal, const char *question, size_t max, struct buffer *out,
                         struct error *err);

#endif
