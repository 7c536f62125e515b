#include "notify/hook.h"

#include "base/command.h"
#include "base/log.h"
#include "base/text.h"
#include "notify/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_IN_ERROR 1000 /* bytes */

static struct bytes trim(struct bytes text)
{
    while (text.size && strchr("\r\n\t ", text.data[text.size - 1]))
        text.size--;
    return text;
}

static void log_lines(const struct hook *hook, struct bytes said)
{
    said = trim(said);
    while (said.size) {
        const uint8_t *end = memchr(said.data, '\n', said.size);
        size_t n = end ? (size_t)(end - said.data) : said.size, skip = n + (end != NULL);
        char *line = text_visible_bytes(said.data, n);
        log_info("%s: %s", hook->name, line);
        free(line);
        said = bytes_of(said.data + skip, said.size - skip);
    }
}

/* The last line is in the message already: those before it are put there, too. */
static void add_lines(struct bytes said, struct error *err)
{
    said = trim(said);
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
        log_lines(hook, command_errors(command));
        if (code == ERROR_FAILED)
            add_lines(command_errors(command), err);
    }
    if (code == ERROR_FAILED)
        error_hint(err, "run the command by hand; holdfast.conf(5) says what a hook gets and when it runs");
    command_free(command);
    environment_free(environment);
    return code;
}
