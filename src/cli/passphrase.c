#include "cli/passphrase.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>

#define ATTEMPTS 3

/* NULL where it has to be asked for. */
static const char *file_of(const struct options *options)
{
    const char *path =
        options->passphrase_file ? options->passphrase_file : getenv("HOLDFAST_PASSPHRASE_FILE");
    return path && *path ? path : NULL;
}

static int read_file(const char *path, struct buffer *out, struct error *err)
{
    int code = file_read_secret(path, PASSPHRASE_MAX + strlen("\r\n") + 1, out, err);
    if (code)
        return code;
    if (out->size && out->data[out->size - 1] == '\n') {
        out->data[--out->size] = 0;
        if (out->size && out->data[out->size - 1] == '\r')
            out->data[--out->size] = 0;
    }
    if (out->size == 0)
        return error_set(err, ERROR_USAGE, "%s holds no passphrase", path);
    if (out->size > PASSPHRASE_MAX)
        return error_set(err, ERROR_USAGE, "%s holds more than %d bytes", path, PASSPHRASE_MAX);
    return 0;
}

static char *question_for(const char *lead, const char *who)
{
    char *shown = text_visible(who ? who : "");
    char *question = memory_format(who ? "%s for %s: " : "%s%s: ", lead, shown);
    free(shown);
    return question;
}

int passphrase_get(const struct options *options, const char *who, struct buffer *out, struct error *err)
{
    const char *path = file_of(options);
    if (path)
        return read_file(path, out, err);
    struct terminal terminal;
    int code = terminal_open(&terminal, err);
    if (code)
        return code;
    char *question = question_for("Passphrase", who);
    code = terminal_read_secret(&terminal, question, PASSPHRASE_MAX, out, err);
    if (code == 0 && out->size == 0)
        code = error_set(err, ERROR_USAGE, "the passphrase is empty");
    free(question);
    terminal_close(&terminal);
    return code;
}

/* Shows the words, on the terminal only: not where they would be logged. */
static void offer_words(struct terminal *terminal, struct buffer *suggestion)
{
    terminal_write(terminal, "\nSeven words at random, for a passphrase:\n\n    ");
    terminal_write(terminal, buffer_string(suggestion));
    terminal_write(terminal,
                   "\n\nPress Enter to take them, or type a passphrase of your own. Write it down now and "
                   "keep it away\nfrom this machine: without it nothing can be restored.\n\n");
}

/* One round: ask, check, ask again. *done tells a round whose answers agree. */
static int choose_once(struct terminal *terminal, const char *question, struct buffer *suggestion,
                       struct buffer *out, bool *done, struct error *err)
{
    struct buffer again = {0};
    struct error weak;
    int code = terminal_read_secret(terminal, question, PASSPHRASE_MAX, out, err);
    if (code)
        return code;
    if (out->size == 0)
        buffer_append_bytes(out, buffer_bytes(suggestion));
    if (passphrase_check(buffer_bytes(out), &weak)) {
        terminal_write(terminal, weak.message);
        terminal_write(terminal, "\nhint: ");
        terminal_write(terminal, weak.hint);
        terminal_write(terminal, "\n");
        return 0;
    }
    code = terminal_read_secret(terminal, "Type it once more: ", PASSPHRASE_MAX, &again, err);
    if (code == 0) {
        *done = bytes_equal(buffer_bytes(out), buffer_bytes(&again));
        if (!*done)
            terminal_write(terminal, "They are not the same.\n");
    }
    buffer_free_secret(&again);
    return code;
}

int passphrase_choose(const struct options *options, const char *who, struct buffer *out, struct error *err)
{
    const char *path = file_of(options);
    if (path) {
        int code = read_file(path, out, err);
        return code ? code : passphrase_check(buffer_bytes(out), err);
    }
    struct terminal terminal;
    int code = terminal_open(&terminal, err);
    if (code)
        return code;
    struct buffer suggestion = {0};
    char *question = question_for("Passphrase", who);
    bool done = false;
    code = passphrase_words(&suggestion, err);
    if (code == 0)
        offer_words(&terminal, &suggestion);
    for (int i = 0; i < ATTEMPTS && code == 0 && !done; i++)
        code = choose_once(&terminal, question, &suggestion, out, &done, err);
    if (code == 0 && !done)
        code = error_set(err, ERROR_USAGE, "no passphrase was chosen in %d attempts", ATTEMPTS);
    free(question);
    buffer_free_secret(&suggestion);
    terminal_close(&terminal);
    return code;
}
