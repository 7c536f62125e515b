/* schedule install and uninstall: what starts `run`. */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/status.h"
#include "config/config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first line of what we write: by it we know it again. */
#define MARK "# Written by \"holdfast schedule install\"; \"holdfast schedule uninstall\" removes it.\n"
#define TEXT_MAX 65536

static const char cron_path[] = "/etc/cron.d/holdfast";
static const char service_path[] = "/etc/systemd/system/holdfast.service";
static const char timer_path[] = "/etc/systemd/system/holdfast.timer";
/* What `systemctl enable` makes. */
static const char wants_path[] = "/etc/systemd/system/timers.target.wants/holdfast.timer";

static const char cron_text[] =
    MARK "# Every half hour; which snapshots are taken then is up to the schedules in the configuration.\n"
         "SHELL=/bin/sh\n"
         "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
         "0,30 * * * * root %s";
static const char service_text[] = MARK
    "[Unit]\n"
    "Description=Take the backups that are due\n"
    "Documentation=man:holdfast(1)\n"
    "Wants=network-online.target\n"
    "After=network-online.target time-sync.target\n"
    "\n"
    "[Service]\n"
    "Type=oneshot\n"
    "ExecStart=%s"
    "# Done with warnings, and done while a target is behind: no failures of the unit.\n"
    "SuccessExitStatus=3 6\n"
    "KillMode=mixed\n"
    "TimeoutStopSec=2min\n"
    "# It reads every file as it is, and hooks and commands may do what root may: nothing here hides or\n"
    "# forbids what a backup needs.\n"
    "UMask=0077\n"
    "KeyringMode=private\n"
    "LockPersonality=yes\n"
    "ProtectControlGroups=yes\n"
    "ProtectHostname=yes\n"
    "ProtectKernelTunables=yes\n"
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n"
    "RestrictRealtime=yes\n";
static const char timer_text[] =
    MARK "[Unit]\n"
         "Description=Start backups that are due, every half hour\n"
         "Documentation=man:holdfast(1)\n"
         "\n"
         "[Timer]\n"
         "# Which snapshots are taken then is up to the schedules in the configuration.\n"
         "OnCalendar=*:0/30\n"
         "AccuracySec=1min\n"
         "Persistent=yes\n"
         "\n"
         "[Install]\n"
         "WantedBy=timers.target\n";

/* Below --root, which need not end in a slash. */
static char *path_in_root(const struct options *options, const char *path)
{
    return options->root ? file_join(options->root, path + 1) : memory_copy_string(path);
}

/* ---- the command ---- */

/* In single quotes for the shell; cron takes % for the end of the line. */
static void quote_for_cron(struct buffer *out, const char *word)
{
    buffer_append_string(out, " '");
    for (; *word; word++) {
        if (*word == '\'')
            buffer_append_string(out, "'\\''");
        else if (*word == '%')
            buffer_append_string(out, "\\%");
        else
            buffer_append(out, word, 1);
    }
    buffer_append_string(out, "'");
}

/* In double quotes, as systemd reads them, with its specifiers and variables. */
static void quote_for_systemd(struct buffer *out, const char *word)
{
    buffer_append_string(out, " \"");
    for (; *word; word++) {
        if (*word == '"' || *word == '\\')
            buffer_append_string(out, "\\");
        if (*word == '%' || *word == '$')
            buffer_append(out, word, 1);
        buffer_append(out, word, 1);
    }
    buffer_append_string(out, "\"");
}

static void append_word(struct buffer *out, const char *word, bool cron)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/.,:=@";
    if (strspn(word, plain) == strlen(word)) {
        buffer_append_string(out, " ");
        buffer_append_string(out, word);
    } else if (cron) {
        quote_for_cron(out, word);
    } else {
        quote_for_systemd(out, word);
    }
}

static int check_path(const char *path, struct error *err)
{
    for (const unsigned char *p = (const unsigned char *)path; *p; p++) {
        if (*p < ' ' || *p == 127) {
            error_set(err, ERROR_USAGE, "a path with control characters cannot be written there");
            return error_hint(err, "give the folder or file another name");
        }
    }
    return 0;
}

/* This program, and the configuration unless it is the one that is read anyway. The caller frees *command;
 * *arguments are part of it. */
static int make_command(const struct options *options, bool cron, char **command, const char **arguments,
                        struct error *err)
{
    struct buffer out = {0};
    char program[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n < 0)
        return error_set_errno(err, errno, "cannot find out where this program is");
    program[n] = '\0';
    char *config = NULL;
    if (strcmp(options->config, CONFIG_DEFAULT_PATH) != 0) {
        config = realpath(options->config, NULL);
        if (!config) {
            error_set_errno(err, errno, "%s", options->config);
            return error_hint(err, "-c names the configuration, or the folder of configurations, to be run");
        }
    }
    int code = check_path(program, err);
    if (code == 0 && config)
        code = check_path(config, err);
    append_word(&out, program, cron);
    size_t program_size = out.size;
    buffer_append_string(&out, " -q");
    if (config) {
        buffer_append_string(&out, " -c");
        append_word(&out, config, cron);
    }
    buffer_append_string(&out, " run\n");
    *command = memory_copy_string(buffer_string(&out) + 1);
    *arguments = *command + program_size - 1;
    buffer_free(&out);
    free(config);
    return code;
}

/* ---- files ---- */

/* *ours: it is there, and written by us. EXISTS: it is there, and somebody else's, or holds not `arguments`
 * (unless NULL): whoever installs for another configuration must not end the runs of this one unawares. */
static int look(const char *path, const char *arguments, bool *ours, struct error *err)
{
    struct buffer text = {0};
    int code = file_read(path, TEXT_MAX, &text, err);
    *ours = code == 0 && text.size >= strlen(MARK) && memcmp(text.data, MARK, strlen(MARK)) == 0;
    bool other = *ours && arguments && !strstr(buffer_string(&text), arguments);
    buffer_free(&text);
    if (code == ERROR_NOT_FOUND)
        return 0;
    if (other) {
        error_set(err, ERROR_EXISTS, "%s starts runs of another configuration already", path);
        return error_hint(err,
                          "for several keep the files in one folder, and name that: -c DIR; to have this "
                          "one instead, first: holdfast schedule uninstall");
    }
    if (code == 0 && !*ours) {
        error_set(err, ERROR_EXISTS, "%s was not written by holdfast schedule install", path);
        code = error_hint(err, "look at it, and move it away if it is not needed");
    }
    return code;
}

static int write_one(const struct options *options, const char *name, const char *text, const char *arguments,
                     json_t *files, struct error *err)
{
    bool ours;
    char *path = path_in_root(options, name), *folder = file_parent(path);
    int code = look(path, arguments, &ours, err);
    if (code == 0)
        code = file_make_directories(folder, 0755, err);
    if (code == 0)
        code = file_write_atomic(path, bytes_of_string(text), 0644, err);
    if (code == 0) {
        json_array_append_new(files, json_string(path));
        if (!options->json && !options->quiet)
            printf("%s:\n%s\n", path, text);
    }
    free(folder);
    free(path);
    return code;
}

static int remove_one(const struct options *options, const char *name, json_t *files, struct error *err)
{
    bool ours;
    char *path = path_in_root(options, name);
    int code = look(path, NULL, &ours, err);
    if (code == 0 && ours && unlink(path) != 0)
        code = error_set_errno(err, errno, "cannot remove %s", path);
    if (code == 0 && ours) {
        json_array_append_new(files, json_string(path));
        if (!options->json && !options->quiet)
            printf("removed %s\n", path);
        code = file_sync_parent(path, err);
    }
    free(path);
    return code;
}

/* What enables the timer: true if there was one. */
static bool remove_link(const struct options *options)
{
    char to[PATH_MAX], *path = path_in_root(options, wants_path);
    ssize_t n = readlink(path, to, sizeof to);
    bool ours = n == (ssize_t)strlen(timer_path) && memcmp(to, timer_path, (size_t)n) == 0;
    if (ours && unlink(path) != 0)
        log_warning("cannot remove %s: %s", path, strerror(errno));
    free(path);
    return ours;
}

static int enable_timer(const struct options *options, struct error *err)
{
    char *path = path_in_root(options, wants_path), *folder = file_parent(path);
    int code = file_make_directories(folder, 0755, err);
    if (code == 0 && symlink(timer_path, path) != 0 && errno != EEXIST)
        code = error_set_errno(err, errno, "cannot make the link %s", path);
    free(folder);
    free(path);
    return code;
}

static void warn_of_both(const struct options *options, const char *other, const char *kind)
{
    bool ours;
    char *path = path_in_root(options, other);
    if (look(path, NULL, &ours, NULL) == 0 && ours) {
        log_warning("%s is there, too: both start runs", path);
        log_hint("one is enough: holdfast schedule uninstall %s", kind);
    }
    free(path);
}

/* ---- the commands ---- */

static int install_cron(const struct options *options, const char *command, const char *arguments,
                        json_t *files, struct error *err)
{
    char *text = memory_format(cron_text, command);
    int code = write_one(options, cron_path, text, arguments, files, err);
    free(text);
    if (code == 0)
        warn_of_both(options, timer_path, "systemd");
    return code;
}

static int install_systemd(const struct options *options, const char *command, const char *arguments,
                           json_t *files, struct error *err)
{
    char *text = memory_format(service_text, command);
    int code = write_one(options, service_path, text, arguments, files, err);
    free(text);
    if (code == 0)
        code = write_one(options, timer_path, timer_text, NULL, files, err);
    if (code == 0)
        code = enable_timer(options, err);
    if (code == 0)
        warn_of_both(options, cron_path, "cron");
    if (code == 0 && !options->root && !options->json && !options->quiet)
        puts("now: systemctl daemon-reload && systemctl start holdfast.timer");
    return code;
}

/* Which of the two an operand names; reports the error. */
static bool is_kind(const struct options *options, const char *kind)
{
    return options->operand_count == 0 || strcmp(options->operands[0], kind) == 0;
}

static int check_kind(const struct options *options, struct error *err)
{
    if (is_kind(options, "cron") || is_kind(options, "systemd"))
        return 0;
    error_set(err, ERROR_USAGE,
              "runs are started by cron or systemd, and by nothing else that is known here");
    return error_hint(err, "write cron or systemd behind the command");
}

int cmd_schedule_install(const struct options *options)
{
    struct error err = {0};
    char *command = NULL;
    const char *arguments = NULL;
    json_t *files = json_array();
    int code = check_kind(options, &err);
    bool cron = code == 0 && is_kind(options, "cron");
    umask(022); /* nothing here is a secret, and folders of /etc are for all */
    if (code == 0)
        code = make_command(options, cron, &command, &arguments, &err);
    if (code == 0)
        code = cron ? install_cron(options, command, arguments, files, &err)
                    : install_systemd(options, command, arguments, files, &err);
    if (code == 0 && options->json)
        output_json_print(json_pack("{s:O}", "written", files));
    json_decref(files);
    free(command);
    return code == 0 ? STATUS_DONE : status_report(&err);
}

int cmd_schedule_uninstall(const struct options *options)
{
    struct error err = {0};
    json_t *files = json_array();
    int code = check_kind(options, &err);
    if (code == 0 && is_kind(options, "cron"))
        code = remove_one(options, cron_path, files, &err);
    if (code == 0 && is_kind(options, "systemd"))
        code = remove_one(options, timer_path, files, &err);
    if (code == 0 && is_kind(options, "systemd")) {
        bool enabled = remove_link(options);
        code = remove_one(options, service_path, files, &err);
        if (code == 0 && enabled && !options->root && !options->json && !options->quiet)
            puts("now: systemctl daemon-reload && systemctl stop holdfast.timer");
    }
    if (code == 0 && options->json)
        output_json_print(json_pack("{s:O}", "removed", files));
    else if (code == 0 && json_array_size(files) == 0 && !options->quiet)
        puts("nothing is installed");
    json_decref(files);
    return code == 0 ? STATUS_DONE : status_report(&err);
}
