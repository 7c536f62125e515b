#include "notify/mail.h"

#include "base/command.h"
#include "base/file.h"
#include "base/id.h"
#include "base/memory.h"
#include "base/text.h"
#include "crypto/random.h"
#include "notify/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HOST_MAX 255
#define LINE_MAX 76
#define WORD_BYTES 39 /* of an encoded word: 52 characters of base64 */
#define ADDRESS_CHARACTERS                                                                                   \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-!#$%&'*+/=?^`{|}~@"

/* ---- headers ---- */

/* What mail from here is said to come from: /etc/mailname if it is there (Debian), else the machine's name.
 */
static void host_name(char name[HOST_MAX + 1])
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-";
    struct buffer text = {0};
    struct error ignored;
    memset(name, 0, HOST_MAX + 1);
    if (file_read("/etc/mailname", HOST_MAX, &text, &ignored) == 0)
        snprintf(name, HOST_MAX + 1, "%.*s", (int)strcspn(buffer_string(&text), "\r\n"),
                 buffer_string(&text));
    else
        gethostname(name, HOST_MAX);
    buffer_free(&text);
    if (!*name || strspn(name, allowed) != strlen(name))
        snprintf(name, HOST_MAX + 1, "localhost");
}

static int check_address(const char *address, struct error *err)
{
    size_t n = strlen(address);
    if (n > 0 && n <= 254 && strspn(address, ADDRESS_CHARACTERS) == n)
        return 0;
    char *shown = text_visible(address);
    error_set(err, ERROR_USAGE, "\"%.100s\" cannot be an address of mail", shown);
    free(shown);
    return error_hint(err, "write name@host, without spaces and brackets");
}

static bool is_plain(const char *text)
{
    for (; *text; text++) {
        if (*text < 0x20 || *text > 0x7e)
            return false;
    }
    return true;
}

/* Up to `max` bytes that end with a whole character. */
static size_t whole_characters(const char *text, size_t max)
{
    size_t n = strlen(text);
    if (n <= max)
        return n;
    for (n = max; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80; n--)
        ;
    return n ? n : max;
}

/* On one line, or folded in encoded words where it is not plain, or too long for a line. */
static void add_subject(struct buffer *out, const char *subject)
{
    char *shown = text_printable(subject); /* without line ends, above all */
    size_t size = strlen(shown), n;
    buffer_append_string(out, "Subject:");
    if (is_plain(shown) && strlen("Subject: ") + size <= LINE_MAX && !strstr(shown, "=?")) {
        buffer_append_format(out, " %.*s\n", (int)size, shown);
    } else {
        for (size_t at = 0; at < size; at += n) {
            char word[4 * ((WORD_BYTES + 2) / 3) + 1];
            n = whole_characters(shown + at, WORD_BYTES);
            base64_encode(shown + at, n, word);
            buffer_append_format(out, " =?UTF-8?B?%s?=\n", word);
        }
    }
    free(shown);
}

static void add_date(struct buffer *out, int64_t now)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t t = (time_t)now;
    struct tm tm;
    gmtime_r(&t, &tm);
    buffer_append_format(out, "Date: %s, %d %s %d %02d:%02d:%02d +0000\n", days[tm.tm_wday], tm.tm_mday,
                         months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* ---- the text ---- */

/* RFC 2045, 6.7. A carriage return is no line's end here: it is encoded like other control characters. */
static void add_quoted_printable(struct buffer *out, const char *text)
{
    size_t column = 0;
    for (const char *p = text; *p; p++) {
        unsigned char byte = (unsigned char)*p;
        if (byte == '\n') {
            buffer_u8(out, '\n');
            column = 0;
            continue;
        }
        bool at_end = p[1] == '\n' || p[1] == '\0';
        bool literal = byte >= 0x20 && byte <= 0x7e && byte != '=' && !(byte == ' ' && at_end) &&
                       !(column == 0 && (byte == '.' || strncmp(p, "From ", 5) == 0)); /* they mean more */
        size_t width = literal ? 1 : 3;
        if (column + width > LINE_MAX - 1 && !(at_end && column + width <= LINE_MAX)) {
            buffer_append_string(out, "=\n");
            column = 0;
        }
        if (literal)
            buffer_u8(out, byte);
        else
            buffer_append_format(out, "=%02X", byte);
        column += width;
    }
    if (column)
        buffer_u8(out, '\n');
}

int mail_compose(const struct mail_parameters *p, const struct notify_message *message, int64_t now,
                 struct buffer *out, struct error *err)
{
    char host[HOST_MAX + 1], hex[2 * sizeof(struct id16) + 1];
    struct id16 id;
    int code = p->from ? check_address(p->from, err) : 0;
    for (size_t i = 0; i < p->to_count && code == 0; i++)
        code = check_address(p->to[i], err);
    if (code != 0)
        return code;
    host_name(host);
    random_bytes(id.b, sizeof id.b);
    hex_encode(id.b, sizeof id.b, hex);
    if (p->from)
        buffer_append_format(out, "From: %s\n", p->from);
    else
        buffer_append_format(out, "From: Holdfast <root@%s>\n", host);
    for (size_t i = 0; i < p->to_count; i++)
        buffer_append_format(out, "%s%s%s", i ? " " : "To: ", p->to[i], i + 1 < p->to_count ? ",\n" : "\n");
    add_subject(out, message->subject);
    add_date(out, now);
    buffer_append_format(out,
                         "Message-ID: <%s@%s>\n"
                         "Auto-Submitted: auto-generated\n"
                         "MIME-Version: 1.0\n"
                         "Content-Type: text/plain; charset=UTF-8\n"
                         "Content-Transfer-Encoding: quoted-printable\n\n",
                         hex, host);
    add_quoted_printable(out, message->text);
    return 0;
}

int mail_send(const struct mail_parameters *p, const struct notify_message *message, struct error *err)
{
    static const char *const sendmail[] = {"/usr/sbin/sendmail", "-i", "-t", NULL};
    struct command *command = NULL;
    struct buffer mail = {0};
    char **environment = environment_new(NULL);
    int code = mail_compose(p, message, (int64_t)time(NULL), &mail, err);
    if (code == 0)
        code = command_start_fed(p->command ? p->command : sendmail, (const char *const *)environment,
                                 buffer_bytes(&mail), &command, err);
    if (code == ERROR_NOT_FOUND)
        error_hint(err, "install a mailer that has /usr/sbin/sendmail, or set command");
    if (code == 0) {
        command_set_timeout(command, p->timeout);
        code = command_finish(command, err);
    }
    command_free(command);
    environment_free(environment);
    buffer_free(&mail);
    return code;
}
