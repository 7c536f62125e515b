#include "cli/snapshot_choice.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/status.h"

#include <stdlib.h>
#include <string.h>

/* ---- names that nothing has ---- */

struct names {
    const char **list;
    size_t count, capacity;
};

static void add_name(struct names *names, const char *name)
{
    for (size_t i = names->count; i-- > 0;) {
        if (strcmp(names->list[i], name) == 0)
            return;
    }
    memory_reserve_one(names->list, names->count, names->capacity);
    names->list[names->count++] = name;
}

static struct names known_jobs(const struct session *s)
{
    struct names names = {0};
    const struct config *config = s->wire.config;
    for (size_t i = 0; config && i < config->job_count; i++)
        add_name(&names, config->jobs[i].name);
    for (size_t i = 0; i < s->snapshots.count; i++)
        add_name(&names, s->snapshots.list[i].manifest.job);
    return names;
}

static struct names known_hosts(const struct session *s)
{
    struct names names = {0};
    const struct keyring *keyring = repository_keyring(s->wire.repository);
    for (size_t i = 0; i < keyring->host_count; i++)
        add_name(&names, keyring->hosts[i].name);
    for (size_t i = 0; i < s->snapshots.count; i++)
        add_name(&names, s->snapshots.list[i].manifest.host_name);
    return names;
}

/* Frees the names. */
static int check_name(struct names names, const char *name, const char *what, const char *otherwise,
                      struct error *err)
{
    const char *near = text_nearest(name, names.list, names.count);
    int code = 0;
    if (!near || strcmp(near, name) != 0) {
        char *visible = text_visible(name);
        code = error_set(err, ERROR_USAGE, "no %s is named \"%.200s\"", what, visible);
        free(visible);
        if (near)
            error_hint(err, "did you mean \"%s\"?", near);
        else
            error_hint(err, "%s", otherwise);
    }
    free(names.list);
    return code;
}

int snapshot_choice_check_job(const struct session *s, const char *job, struct error *err)
{
    return check_name(known_jobs(s), job, "job", "holdfast snapshots shows the jobs that have some", err);
}

static int check_names(const struct session *s, const struct snapshot_name *name, struct error *err)
{
    int code = 0;
    if (name->host)
        code = check_name(known_hosts(s), name->host, "host",
                          "holdfast snapshots shows the hosts that have some", err);
    if (code == 0 && name->job && !name->is_word)
        code = snapshot_choice_check_job(s, name->job, err);
    if (code != 0 || !name->is_word)
        return code;
    struct names names = known_jobs(s);
    add_name(&names, "latest");
    return check_name(
        names, name->job, "job",
        "SNAPSHOT is an id, latest, JOB:latest, JOB:daily or JOB@2026-11-20, each with HOST/ before "
        "it; holdfast snapshots lists them",
        err);
}

/* ---- choosing ---- */

static int none_at_all(const struct session *s, struct error *err)
{
    if (s->snapshots.unreadable) {
        int missing = error_set(err, repository_missing(s->wire.repository),
                                "none of the repository's snapshots can be read, of %zu that are there",
                                s->snapshots.unreadable);
        return error_hint(err, "%s", error_todo(missing, "holdfast heal repairs what another target holds"));
    }
    error_set(err, ERROR_NOT_FOUND, "the repository holds no snapshots");
    return error_hint(err, "take one with: holdfast backup");
}

static bool is_hexadecimal(const char *text)
{
    return text[strspn(text, "0123456789abcdef")] == '\0';
}

static int choose(const struct session *s, const char *text, const struct snapshot_name *name,
                  struct snapshot_choice *choice, struct error *err)
{
    bool any = s->snapshots.count > 0;
    int code = 0;
    /* Without snapshots the configuration's names are all that is known. */
    if (any ? !(name->is_word && is_hexadecimal(text)) : s->wire.config && !name->is_word)
        code = check_names(s, name, err);
    if (code != 0)
        return code;
    if (!any)
        return none_at_all(s, err);
    choice->count = snapshots_choose(&s->snapshots, s->wire.repository, name, &choice->list);
    choice->suffix = name->suffix;
    if (choice->count)
        return 0;
    error_set(err, ERROR_NOT_FOUND, "no snapshot is called \"%s\"", text);
    return error_hint(err, "holdfast snapshots%s%s lists those that are there",
                      name->job && !name->is_word ? " " : "", name->job && !name->is_word ? name->job : "");
}

int snapshot_choice_make(const struct session *s, const char *text, struct snapshot_choice *choice,
                         struct error *err)
{
    const struct snapshot *by_id;
    struct snapshot_name name;
    *choice = (struct snapshot_choice){0};
    int code = snapshots_find_id(&s->snapshots, text, &by_id, err);
    if (code != 0)
        return code;
    if (by_id) {
        choice->list = memory_copy(&by_id, sizeof(const struct snapshot *));
        choice->count = 1;
        choice->by_id = true;
        return 0;
    }
    code = snapshot_name_parse(text, &name, err);
    if (code != 0)
        return code;
    code = choose(s, text, &name, choice, err);
    snapshot_name_free(&name);
    return code;
}

void snapshot_choice_free(struct snapshot_choice *choice)
{
    free(choice->list);
    *choice = (struct snapshot_choice){0};
}

int snapshot_choice_refuse(const struct snapshot_choice *choice, const char *text, bool all_possible)
{
    struct error err;
    error_set(&err, ERROR_USAGE, "\"%s\" is the snapshot of one of %zu jobs, and which is not said", text,
              choice->count);
    error_hint(&err, "name one of those that follow%s",
               all_possible ? ", or restore all of them with --all" : "");
    int status = status_report(&err);
    for (size_t i = 0; i < choice->count; i++) {
        const struct manifest *m = &choice->list[i]->manifest;
        char time[TEXT_TIME_SIZE];
        log_hint("%s/%s%s  taken %s, %llu files", m->host_name, m->job, choice->suffix,
                 text_format_time(m->ended, time), (unsigned long long)m->statistics.files);
    }
    return status;
}
