/* Command lines: the words stand behind one another, each ended by a NUL. */
#include "cli/options.h"
#include "fuzz.h"

#define WORDS_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static char program[] = "holdfast";
    char *text = malloc(size + 1), *words[WORDS_MAX + 2] = {program};
    int count = 1;
    struct error err = {0};
    struct options options;
    must(text != NULL);
    if (size)
        memcpy(text, input, size);
    text[size] = '\0';
    for (size_t at = 0; at < size && count <= WORDS_MAX; at += strlen(text + at) + 1)
        words[count++] = text + at;
    if (worked(options_parse(count, words, &options, &err), &err)) {
        const struct command_entry *command = options_command(options.command);
        must(command || options.help || options.version);
        must(options.operand_count < (size_t)count);
        must(!options.operands || options.operands[options.operand_count] == NULL);
        must(options.sample >= 0 && options.sample <= 100);
        if (command && !options.help && !options.version) {
            must(options.operand_count >= command->operands_min &&
                 options.operand_count <= command->operands_max);
            must(options.command != COMMAND_RESTORE || options.to);
        }
    } else {
        must(err.code == ERROR_USAGE);
    }
    options_free(&options);
    free(text);
    return 0;
}
