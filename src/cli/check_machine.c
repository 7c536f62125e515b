/* Whether this machine has what the configuration names. */
#include "base/command.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "cli/check_findings.h"
#include "source/directory.h"
#include "source/exclude.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_MAX (1u << 20)

void finding(struct findings *f, unsigned line, const char *hint, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *whole =
        line ? memory_format("%s:%u: %s", f->file, line, text) : memory_format("%s: %s", f->file, text);
    log_warning("%s", whole);
    log_hint("%s", hint);
    if (f->list)
        output_json_append(f->list, bytes_of_string(whole));
    f->count++;
    free(whole);
}

/* ---- programs ---- */

static void check_program(struct findings *f, unsigned line, const char *what, const char *program)
{
    struct error why;
    if (command_find(program, &why) == 0)
        return;
    if (strchr(program, ' '))
        finding(f, line, "write each word on its own, or [ \"sh\", \"-c\", \"...\" ] for a shell", "%s: %s",
                what, why.message);
    else
        finding(f, line, "install it, or correct the path; cron knows few folders, so a full path is best",
                "%s: %s", what, why.message);
}

static void check_commands(struct findings *f, unsigned line, const char *who, const char *hook,
                           const struct config_commands *commands)
{
    char *what = memory_format("%shook %s", who, hook);
    for (size_t i = 0; i < commands->count; i++)
        check_program(f, line, what, commands->list[i].list[0]);
    free(what);
}

static void check_hooks(struct findings *f, unsigned line, const char *who, const struct config_hooks *hooks)
{
    check_commands(f, line, who, "before", &hooks->before);
    check_commands(f, line, who, "after", &hooks->after);
    check_commands(f, line, who, "on_success", &hooks->on_success);
    check_commands(f, line, who, "on_warning", &hooks->on_warning);
    check_commands(f, line, who, "on_failure", &hooks->on_failure);
}

/* ---- sources ---- */

/* As a path without links in it, or as it stands where that is not to be had. The caller frees it. */
static char *real_path(const char *path)
{
    char *real = realpath(path, NULL);
    return real ? real : memory_copy_string(path);
}

static void check_own(struct findings *f, const struct config_job *job, const char *path, const char *own,
                      const char *what)
{
    char *inner = real_path(path), *outer = real_path(own);
    if (file_lies_in(bytes_of_string(inner), outer))
        finding(f, job->line,
                "a backup leaves out the folders that belong to it; choose another place for one of them",
                "job \"%s\": source %s lies in %s, and is left out", job->name, path, what);
    free(inner);
    free(outer);
}

/* A link is kept as one: what it leads to must be a source, too. */
static void check_link(struct findings *f, const struct config_job *job, const char *path)
{
    struct stat st;
    char *real = realpath(path, NULL);
    bool kept = false;
    for (size_t i = 0; real && i < job->source.paths.count; i++)
        kept |= file_lies_in(bytes_of_string(real), job->source.paths.list[i]);
    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && !kept)
        finding(f, job->line, "name what it leads to among the paths, too",
                "job \"%s\": source %s is a symbolic link, and it alone is kept", job->name, path);
    free(real);
}

/* A name that nobody has stands for all. */
static void check_exclude(struct findings *f, const struct config_job *job, const char *path)
{
    const struct config_strings *patterns = &job->source.exclude;
    struct exclude *exclude;
    for (size_t i = 0; i < patterns->count; i++)
        if (patterns->list[i][0] == '!')
            return;
    if (exclude_new(patterns->list, patterns->count, &exclude, NULL) != 0)
        return;
    char *any = file_join(path, ".holdfast-any-name-at-all");
    if (exclude_match(exclude, bytes_of_string(any), false))
        finding(f, job->line, "look at the patterns that match every name",
                "job \"%s\": exclude leaves out all of source %s", job->name, path);
    free(any);
    exclude_free(exclude);
}

static void check_source_path(const struct config *config, const struct config_job *job, const char *path,
                              struct findings *f)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        finding(f, job->line,
                strpbrk(path, "*?[")
                    ? "paths are no patterns: name the folder above, and what to leave out in exclude"
                    : "correct the path; or is something not mounted there?",
                "job \"%s\": source %s: %s", job->name, path, strerror(errno));
        return;
    }
    struct error why;
    if (source_check_kind(path, &why) != 0)
        finding(f, job->line, why.hint, "job \"%s\": %s", job->name, why.message);
    else if (access(path, S_ISDIR(st.st_mode) ? R_OK | X_OK : R_OK) != 0)
        finding(f, job->line, "run holdfast as a user who may read it: root, for most",
                "job \"%s\": source %s cannot be read: %s", job->name, path, strerror(errno));
    for (size_t i = 0; i < config->target_count; i++) {
        if (config->targets[i].type == CONFIG_TARGET_LOCAL)
            check_own(f, job, path, config->targets[i].path, "the folder of a target");
    }
    check_own(f, job, path, config->repository.state_dir, "the state folder");
    check_link(f, job, path);
    if (S_ISDIR(st.st_mode))
        check_exclude(f, job, path);
}

static void check_job(const struct config *config, const struct config_job *job, struct findings *f)
{
    const struct config_source *source = &job->source;
    struct stat st;
    char *who = memory_format("job \"%s\": ", job->name);
    for (size_t i = 0; i < source->paths.count; i++)
        check_source_path(config, job, source->paths.list[i], f);
    if (source->command.count) {
        char *what = memory_format("%scommand", who);
        check_program(f, job->line, what, source->command.list[0]);
        free(what);
    }
    if (source->archive && (stat(source->archive, &st) != 0 || access(source->archive, R_OK) != 0))
        finding(f, job->line, "correct the path; or is the archive made later?", "%sarchive %s: %s", who,
                source->archive, strerror(errno));
    else if (source->archive && S_ISDIR(st.st_mode))
        finding(f, job->line, "name the file; a folder is a source of the type \"files\"",
                "%sarchive %s is a folder", who, source->archive);
    check_hooks(f, job->line, who, &job->hooks);
    free(who);
}

/* ---- files of keys ---- */

static void check_secret(struct findings *f, unsigned line, const char *setting, const char *path)
{
    struct buffer secret = {0};
    struct error why;
    if (path && file_read_secret(path, SECRET_MAX, &secret, &why) != 0)
        finding(f, line, *why.hint ? why.hint : "correct the path", "%s: %s", setting, why.message);
    buffer_free_secret(&secret);
}

static void check_readable(struct findings *f, unsigned line, const char *setting, const char *path)
{
    if (path && access(path, R_OK) != 0)
        finding(f, line, "correct the path, or make the file readable", "%s: %s: %s", setting, path,
                strerror(errno));
}

static void check_notify(const struct config_notify *notify, struct findings *f)
{
    check_secret(f, notify->line, "url_file", notify->url_file);
    check_readable(f, notify->line, "ca_file", notify->ca_file);
    if (notify->type == CONFIG_NOTIFY_MAIL)
        check_program(f, notify->line, "mail",
                      notify->command.count ? notify->command.list[0] : "/usr/sbin/sendmail");
}

/* ---- places ---- */

/* True if init has been there. */
static bool holds_repository(const struct config_target *target)
{
    char *path = target->type == CONFIG_TARGET_LOCAL ? file_join(target->path, "config") : NULL;
    bool holds = path && access(path, F_OK) == 0;
    free(path);
    return holds;
}

static void check_folder(struct findings *f, unsigned line, const char *what, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
        finding(f, line, "choose another path", "%s: %s is not a folder", what, path);
    else if (access(path, R_OK | W_OK | X_OK) != 0 && errno != ENOENT) /* init makes what is not there */
        finding(f, line, "choose another path, or run holdfast as a user who may write there", "%s: %s: %s",
                what, path, strerror(errno));
}

static void check_target(const struct config *config, size_t which, struct findings *f)
{
    const struct config_target *t = &config->targets[which], *other;
    struct stat a, b;
    check_readable(f, t->line, "ca_file", t->ca_file);
    check_secret(f, t->line, "credentials_file", t->credentials_file);
    if (t->type != CONFIG_TARGET_LOCAL)
        return;
    char *what = memory_format("target \"%s\"", t->name);
    check_folder(f, t->line, what, t->path);
    for (size_t i = 0; i < which && stat(t->path, &a) == 0; i++) {
        other = &config->targets[i];
        if (other->type == CONFIG_TARGET_LOCAL && stat(other->path, &b) == 0 && a.st_dev == b.st_dev &&
            a.st_ino == b.st_ino)
            finding(f, t->line, "two copies in one place are one copy",
                    "%s: %s is the same folder as that of target \"%s\"", what, t->path, other->name);
    }
    free(what);
}

static void check_key_file(const struct config *config, struct findings *f)
{
    const char *path = config->repository.key_file;
    bool made = false;
    for (size_t i = 0; i < config->target_count; i++)
        made |= holds_repository(&config->targets[i]);
    if (access(path, F_OK) == 0)
        check_secret(f, 0, "key_file", path);
    else if (made || errno != ENOENT)
        finding(f, 0, "holdfast host add makes one for another host, from a person's key", "key_file: %s: %s",
                path, strerror(errno));
}

void check_machine(const struct config *config, struct findings *f)
{
    check_key_file(config, f);
    check_folder(f, 0, "state_dir", config->repository.state_dir);
    if (config->metrics.textfile) {
        char *folder = file_parent(config->metrics.textfile);
        if (access(folder, W_OK | X_OK) != 0)
            finding(f, 0, "make the folder; the collector of node_exporter reads one",
                    "metrics.textfile: %s: %s", folder, strerror(errno));
        free(folder);
    }
    for (size_t i = 0; i < config->target_count; i++)
        check_target(config, i, f);
    for (size_t i = 0; i < config->job_count; i++)
        check_job(config, &config->jobs[i], f);
    check_hooks(f, 0, "", &config->hooks);
    for (size_t i = 0; i < config->notify_count; i++)
        check_notify(&config->notify[i], f);
}
