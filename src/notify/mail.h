/*
 * Mail through sendmail, or a command that takes a message on its standard input likewise.
 */
#ifndef NOTIFY_MAIL_H
#define NOTIFY_MAIL_H

#include "base/bytes.h"
#include "base/error.h"
#include "notify/message.h"

#include <stddef.h>
#include <stdint.h>

struct mail_parameters {
    const char *const *to; /* addresses */
    size_t to_count;
    const char *from;           /* NULL: root at this machine */
    const char *const *command; /* ends with NULL; NULL: /usr/sbin/sendmail -i -t */
    unsigned timeout;           /* seconds */
};

/* The message as RFC 5322 has it, lines ended as on this system: headers in ASCII, the subject encoded where
 * it must be (RFC 2047), the text quoted-printable UTF-8. USAGE for what cannot be an address. */
int mail_compose(const struct mail_parameters *parameters, const struct notify_message *message, int64_t now,
                 struct buffer *out, struct error *err);
/* Hands it to the command. FAILED with what that said, also when its time is over. */
int mail_send(const struct mail_parameters *parameters, const struct notify_message *message,
              struct error *err);

#endif
