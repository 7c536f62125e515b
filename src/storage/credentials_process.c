#include "base/command.h"
#include "base/memory.h"
#include "storage/credentials_internal.h"

#include <stdlib.h>
#include <string.h>

bool credentials_split(const char *line, char ***argv, char **room)
{
    size_t count = 0, capacity = 0;
    char *to = memory_alloc(strlen(line) + 1), quote = '\0';
    *room = to;
    *argv = NULL;
    for (const char *p = line;;) {
        p += strspn(p, " \t");
        if (!*p)
            break;
        memory_reserve_one(*argv, count, capacity);
        (*argv)[count++] = to;
        for (; *p && (quote || (*p != ' ' && *p != '\t')); p++) {
            if (*p == quote)
                quote = '\0';
            else if (!quote && (*p == '"' || *p == '\''))
                quote = *p;
            else if (*p == '\\' && p[1] && (!quote || (quote == '"' && (p[1] == '"' || p[1] == '\\'))))
                *to++ = *++p;
            else
                *to++ = *p;
        }
        *to++ = '\0';
    }
    memory_reserve_one(*argv, count, capacity);
    (*argv)[count] = NULL;
    return count > 0 && !quote;
}

/* What it prints are secrets: the room is there before the first byte, so that none is left where it grew. */
static int read_all(struct command *command, struct buffer *out, struct error *err)
{
    size_t n = 0;
    int code;
    buffer_reserve(out, CREDENTIALS_JSON_MAX + 1);
    do {
        code = command_read(command, out->data + out->size, CREDENTIALS_JSON_MAX + 1 - out->size, &n, err);
        out->size += n;
        if (out->size > CREDENTIALS_JSON_MAX)
            code = error_set(err, ERROR_FAILED, "it prints more than %u bytes", CREDENTIALS_JSON_MAX);
    } while (code == 0 && n > 0);
    return code;
}

int credentials_run_process(const char *line, unsigned timeout, struct credentials *out, struct error *err)
{
    struct command *command = NULL;
    struct buffer printed = {0};
    char **argv, *room;
    int code = 0;
    if (!credentials_split(line, &argv, &room))
        code = error_set(err, ERROR_DENIED, "its line has a quote that is not closed, or nothing");
    if (code == 0)
        code = command_start((const char *const *)argv, NULL, NULL, &command, err);
    if (code == 0) {
        command_set_timeout(command, timeout);
        code = read_all(command, &printed, err);
    }
    if (code == 0)
        code = command_finish(command, err);
    if (code == 0)
        code = credentials_parse_json(buffer_bytes(&printed), CREDENTIALS_PROCESS, out, err);
    command_free(command);
    buffer_free_secret(&printed);
    free(argv);
    free(room);
    if (code == 0)
        return 0;
    if (err)
        err->code = ERROR_DENIED;
    error_hint(err, "run the program by hand: it must print {\"Version\": 1, \"AccessKeyId\": ..., "
                    "\"SecretAccessKey\": ...}");
    return ERROR_DENIED;
}
