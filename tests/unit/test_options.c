#include "cli/options.h"
#include "cli/status.h"
#include "config/config.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static struct options options;
static struct error err;

/* Splits the line at spaces ('_' stands for an empty word) and parses it. The words live until the next. */
static int parse(const char *line)
{
    static char text[512];
    static char *words[64];
    int count = 1;
    options_free(&options);
    err = (struct error){0};
    static char program[] = "holdfast";
    words[0] = program;
    snprintf(text, sizeof text, "%s", line);
    char *rest = NULL;
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        words[count++] = strcmp(word, "_") == 0 ? word + 1 : word;
    words[count] = NULL;
    return options_parse(count, words, &options, &err);
}

static void expect(const char *line)
{
    int code = parse(line);
    ck_assert_msg(code == 0, "\"%s\": %s", line, err.message);
}

static void refuse(const char *line, const char *message, const char *hint)
{
    int code = parse(line);
    ck_assert_msg(code == ERROR_USAGE, "\"%s\" gave %d", line, code);
    ck_assert_int_eq(status_of_error(code), 2);
    ck_assert_msg(strstr(err.message, message) != NULL, "\"%s\" lacks \"%s\"", err.message, message);
    ck_assert_msg(!hint || strstr(err.hint, hint) != NULL, "\"%s\" lacks \"%s\"", err.hint, hint);
}

START_TEST(defaults_hold_without_options)
{
    expect("backup");
    ck_assert_int_eq(options.command, COMMAND_BACKUP);
    ck_assert_str_eq(options.config, CONFIG_DEFAULT_PATH);
    ck_assert_int_eq(options.class, OPTION_CLASS_MANUAL);
    ck_assert_uint_eq(options.operand_count, 0);
    ck_assert_ptr_null(options.operands[0]);
    ck_assert(!options.json && !options.quiet && !options.dry_run);
    expect("restore latest --to /x");
    ck_assert_int_eq(options.overwrite, OVERWRITE_NEVER);
}
END_TEST

START_TEST(options_stand_anywhere_and_in_both_forms)
{
    static const char *const same[] = {
        "-c f -v restore latest /etc --to /x --overwrite changed",
        "restore --to=/x latest --overwrite=changed /etc -cf -v",
        "--config=f --verbose --to /x --overwrite changed restore latest /etc",
        "restore -vc f --to /x --overwrite=changed -- latest /etc",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        expect(same[i]);
        ck_assert_int_eq(options.command, COMMAND_RESTORE);
        ck_assert_str_eq(options.config, "f");
        ck_assert(options.verbose);
        ck_assert_str_eq(options.to, "/x");
        ck_assert_int_eq(options.overwrite, OVERWRITE_CHANGED);
        ck_assert_uint_eq(options.operand_count, 2);
        ck_assert_str_eq(options.operands[0], "latest");
        ck_assert_str_eq(options.operands[1], "/etc");
    }
}
END_TEST

START_TEST(double_dash_ends_options)
{
    expect("cat latest -- -v");
    ck_assert_str_eq(options.operands[1], "-v");
    ck_assert(!options.verbose);
    expect("cat latest -- --");
    ck_assert_str_eq(options.operands[1], "--");
    expect("find -");
    ck_assert_str_eq(options.operands[0], "-");
}
END_TEST

START_TEST(commands_of_two_words)
{
    expect("host --out k add web2 --role prune");
    ck_assert_int_eq(options.command, COMMAND_HOST_ADD);
    ck_assert_str_eq(options.operands[0], "web2");
    ck_assert_uint_eq(options.operand_count, 1);
    ck_assert_int_eq(options.role, OPTION_ROLE_PRUNE);
    expect("host list");
    ck_assert_int_eq(options.command, COMMAND_HOST_LIST);
    refuse("host", "unknown command \"host\"", "host list");
    refuse("host remove x", "unknown command \"host\"", "host list");
    refuse("add web2", "unknown command \"add\"", NULL);
}
END_TEST

START_TEST(unknown_names_hint_at_the_nearest)
{
    refuse("bakcup", "unknown command \"bakcup\"", "\"backup\"");
    refuse("frobnicate", "unknown command", "holdfast help");
    refuse("restore x --too /y", "unknown option \"--too\"", "--to");
    refuse("prune --dryrun", "unknown option \"--dryrun\"", "--dry-run");
    refuse("prune --zzzzzzzzz=1", "unknown option \"--zzzzzzzzz\"", "holdfast help");
    refuse("prune -x", "unknown option \"-x\"", NULL);
    refuse("prune -qx", "unknown option \"-x\"", NULL);
    refuse("", "no command", "holdfast help");
    refuse("_", "unknown command \"\"", NULL);
    refuse("pr\x1b[2Jne", "\\x1b", NULL);
}
END_TEST

START_TEST(values_are_checked)
{
    refuse("backup --class hourly", "cannot be \"hourly\"", "daily, weekly");
    refuse("backup --class", "needs a value: CLASS", NULL);
    refuse("backup -c", "-c needs a value", NULL);
    refuse("backup --class=", "cannot be \"\"", NULL);
    refuse("backup -c _", "--config is empty", NULL);
    refuse("backup --json=yes", "takes no value", NULL);
    refuse("-c a -c b backup", "given twice", NULL);
    expect("-q -q backup");
    static const char *const wrong[] = {"0", "101", "-1",  "x",   "5x",    "5%%",
                                        "",  "nan", "inf", "1e1", "1.2.3", "."};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char line[64];
        snprintf(line, sizeof line, "verify --sample=%s", wrong[i]);
        refuse(line, "percentage", "--sample 5");
    }
    expect("verify --sample 2.5");
    ck_assert_double_eq(options.sample, 2.5);
    expect("verify --sample=100%");
    ck_assert_double_eq(options.sample, 100);
}
END_TEST

START_TEST(options_and_operands_belong_to_their_command)
{
    refuse("backup --to /x", "--to does not go with backup", "holdfast help backup");
    refuse("backup --passphrase-file f", "does not go with backup", NULL);
    refuse("restore latest", "restore needs --to DIR", NULL);
    refuse("host add web2", "host add needs --out FILE", NULL);
    refuse("restore --to /x", "needs more: SNAPSHOT", NULL);
    refuse("cat latest", "needs more", NULL);
    refuse("forget a b", "takes only SNAPSHOT", NULL);
    refuse("init now", "takes nothing", NULL);
    refuse("-q -v backup", "exclude each other", NULL);
    refuse("restore x --to /x --from a --target b", "exclude each other", NULL);
    refuse("verify --all --sample 3", "exclude each other", NULL);
    refuse("cat x y --passphrase-file f --person-key k", "exclude each other", NULL);
}
END_TEST

START_TEST(help_and_version_need_nothing_else)
{
    expect("--version");
    ck_assert(options.version && options.command == COMMAND_NONE);
    expect("restore --help");
    ck_assert(options.help && options.command == COMMAND_RESTORE);
    expect("-h");
    expect("help restore");
    refuse("--help bakcup", "unknown command", NULL);
}
END_TEST

START_TEST(the_tables_are_sound)
{
    size_t command_count, option_count;
    const struct command_entry *commands = options_commands(&command_count);
    const struct option_entry *table = options_table(&option_count);
    ck_assert_uint_eq(command_count, COMMAND_COUNT - 1);
    for (int c = 1; c < COMMAND_COUNT; c++)
        ck_assert_ptr_nonnull(options_command((enum command)c));
    for (size_t i = 0; i < option_count; i++) {
        ck_assert_msg((table[i].argument == NULL) == (table[i].type == OPTION_FLAG), "%s", table[i].name);
        ck_assert_msg((table[i].choices != NULL) == (table[i].type == OPTION_CHOICE), "%s", table[i].name);
        ck_assert_msg((table[i].required & ~table[i].commands) == 0, "%s", table[i].name);
        for (size_t j = 0; j < i; j++) {
            ck_assert_str_ne(table[i].name, table[j].name);
            ck_assert(!table[i].letter || table[i].letter != table[j].letter);
            ck_assert_msg(table[i].offset != table[j].offset, "%s", table[i].name);
        }
    }
    for (size_t i = 0; i < command_count; i++)
        ck_assert(commands[i].operands_min <= commands[i].operands_max);
}
END_TEST

START_TEST(exit_statuses_follow_the_design)
{
    ck_assert_int_eq(status_of_error(0), 0);
    ck_assert_int_eq(status_of_error(ERROR_USAGE), 2);
    ck_assert_int_eq(status_of_error(ERROR_BUSY), 4);
    ck_assert_int_eq(status_of_error(ERROR_INTEGRITY), 5);
    ck_assert_int_eq(status_of_error(ERROR_CANCELLED), 130);
    for (int code = ERROR_UNSUPPORTED; code < 0; code++) {
        if (code != ERROR_USAGE && code != ERROR_BUSY && code != ERROR_INTEGRITY && code != ERROR_CANCELLED)
            ck_assert_int_eq(status_of_error(code), 1);
    }
    static const int worst_first[] = {5, 130, 1, 2, 6, 3, 4, 0};
    for (size_t i = 0; i < 8; i++) {
        for (size_t j = i; j < 8; j++) {
            ck_assert_int_eq(status_worse(worst_first[i], worst_first[j]), worst_first[i]);
            ck_assert_int_eq(status_worse(worst_first[j], worst_first[i]), worst_first[i]);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *tests = tcase_create("options");
    tcase_add_test(tests, defaults_hold_without_options);
    tcase_add_test(tests, options_stand_anywhere_and_in_both_forms);
    tcase_add_test(tests, double_dash_ends_options);
    tcase_add_test(tests, commands_of_two_words);
    tcase_add_test(tests, unknown_names_hint_at_the_nearest);
    tcase_add_test(tests, values_are_checked);
    tcase_add_test(tests, options_and_operands_belong_to_their_command);
    tcase_add_test(tests, help_and_version_need_nothing_else);
    tcase_add_test(tests, the_tables_are_sound);
    tcase_add_test(tests, exit_statuses_follow_the_design);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    options_free(&options);
    return failed ? 1 : 0;
}
