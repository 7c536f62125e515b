#include "repo/snapshot_name.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static uint32_t class_of_name(const char *name)
{
    static const char *const names[] = {"daily", "weekly", "monthly", "yearly", "manual"};
    for (uint32_t i = 0; i < 5; i++) {
        if (strcmp(name, names[i]) == 0)
            return 1u << i;
    }
    return 0;
}

/* A date alone means the whole day: the latest snapshot at or before its end. */
static bool parse_at(const char *text, int64_t *time)
{
    if (!text_parse_time(text, time))
        return false;
    if (!strchr(text, 'T'))
        *time += 86399;
    else if (strlen(text) == strlen("2026-11-20T03:00"))
        *time += 59;
    return true;
}

static int parse_time(char *at, struct snapshot_name *name, struct error *err)
{
    name->has_time = true;
    if (parse_at(at + 1, &name->time))
        return 0;
    error_set(err, ERROR_USAGE, "\"%s\" is not a time", at + 1);
    return error_hint(err, "times are written 2026-11-20 or 2026-11-20T03:00, in UTC");
}

static int parse_class(const char *colon, struct snapshot_name *name, struct error *err)
{
    static const char *const known[] = {"latest", "daily", "weekly", "monthly", "yearly", "manual"};
    if (strcmp(colon + 1, "latest") == 0)
        return 0;
    name->class_bit = class_of_name(colon + 1);
    if (name->class_bit)
        return 0;
    const char *near = text_nearest(colon + 1, known, sizeof known / sizeof *known);
    error_set(err, ERROR_USAGE, "\"%s\" is neither \"latest\" nor a class", colon + 1);
    return near ? error_hint(err, "did you mean \"%s\"?", near)
                : error_hint(err, "classes are daily, weekly, monthly, yearly and manual");
}

int snapshot_name_parse(const char *text, struct snapshot_name *name, struct error *err)
{
    *name = (struct snapshot_name){.text = memory_copy_string(text), .suffix = ":latest"};
    char *job = name->text, *slash = strchr(job, '/');
    if (slash) {
        *slash = '\0';
        name->host = job;
        job = slash + 1;
    }
    if (strcmp(job, "latest") == 0)
        return 0;
    char *mark = strpbrk(job, ":@");
    int code = 0;
    if (mark && *mark == '@')
        code = parse_time(mark, name, err);
    else if (mark)
        code = parse_class(mark, name, err);
    if (mark) {
        name->suffix = text + (mark - name->text);
        *mark = '\0';
    }
    name->is_word = !mark && !slash;
    name->job = *job ? job : NULL;
    if (code != 0)
        snapshot_name_free(name);
    return code;
}

void snapshot_name_free(struct snapshot_name *name)
{
    free(name->text);
    *name = (struct snapshot_name){0};
}

static bool matches(const struct snapshot_name *name, const struct snapshot *s, const struct id16 *only_host)
{
    const struct manifest *m = &s->manifest;
    return (!name->host || strcmp(name->host, m->host_name) == 0) &&
           (!only_host || id16_equal(only_host, &m->host)) &&
           (!name->job || strcmp(name->job, m->job) == 0) &&
           (!name->class_bit || (m->classes & name->class_bit)) &&
           (!name->has_time || m->ended <= name->time);
}

/* The number of a host's snapshots goes up whatever its clock says: what was taken while the clock was ahead
 * is not the newest for as long. */
static const struct snapshot *taken_later(const struct snapshot_list *list, const struct snapshot_name *name,
                                          const struct snapshot *latest)
{
    const struct snapshot *last = latest;
    for (size_t i = 0; i < list->count; i++) {
        const struct snapshot *s = &list->list[i];
        if (s->manifest.sequence > last->manifest.sequence && matches(name, s, &latest->manifest.host))
            last = s;
    }
    if (last != latest) {
        char time[TEXT_TIME_SIZE], hex[ID_HEX_SIZE];
        id_to_hex(&latest->sha256, hex);
        log_warning("snapshot %.10s says that it is of %s, but what is taken here came after it", hex,
                    text_format_time(latest->manifest.ended, time));
        log_hint("a clock was wrong, see holdfast snapshots; if you mean that one, name it by its id");
    }
    return last;
}

static const struct snapshot *newest(const struct snapshot_list *list, const struct snapshot_name *name,
                                     const struct id16 *only_host)
{
    for (size_t i = list->count; i-- > 0;) {
        if (matches(name, &list->list[i], only_host))
            return name->has_time ? &list->list[i] : taken_later(list, name, &list->list[i]);
    }
    return NULL;
}

int snapshots_find_id(const struct snapshot_list *list, const char *text, const struct snapshot **snapshot,
                      struct error *err)
{
    size_t length = strlen(text);
    *snapshot = NULL;
    if (length < 4 || length > 64 || strspn(text, "0123456789abcdef") != length)
        return 0;
    for (size_t i = 0; i < list->count; i++) {
        char hex[ID_HEX_SIZE];
        id_to_hex(&list->list[i].sha256, hex);
        if (strncmp(hex, text, length) != 0)
            continue;
        if (*snapshot) {
            error_set(err, ERROR_USAGE, "several snapshots begin with %s", text);
            return error_hint(err, "give more digits of the id: holdfast --json snapshots shows them all");
        }
        *snapshot = &list->list[i];
    }
    return 0;
}

static int compare_choices(const void *a, const void *b)
{
    const struct manifest *x = &(*(const struct snapshot *const *)a)->manifest;
    const struct manifest *y = &(*(const struct snapshot *const *)b)->manifest;
    int order = strcmp(x->host_name, y->host_name);
    return order ? order : strcmp(x->job, y->job);
}

static bool has_choice(const struct snapshot **choices, size_t count, const struct snapshot *s)
{
    for (size_t i = 0; i < count; i++) {
        if (compare_choices(&choices[i], &s) == 0)
            return true;
    }
    return false;
}

static size_t choose(const struct snapshot_list *list, const struct snapshot_name *name,
                     const struct id16 *only_host, const struct snapshot ***choices)
{
    size_t count = 0, capacity = 0;
    *choices = NULL;
    for (size_t i = list->count; i-- > 0;) {
        const struct snapshot *s = &list->list[i];
        if (!matches(name, s, only_host) || has_choice(*choices, count, s))
            continue;
        struct snapshot_name one = *name;
        one.host = s->manifest.host_name;
        one.job = s->manifest.job;
        memory_reserve_one(*choices, count, capacity);
        (*choices)[count++] = newest(list, &one, only_host);
    }
    if (count)
        qsort(*choices, count, sizeof **choices, compare_choices);
    return count;
}

size_t snapshots_choose(const struct snapshot_list *list, const struct repository *r,
                        const struct snapshot_name *name, const struct snapshot ***choices)
{
    const struct host_key *host = repository_host(r);
    size_t count = host && !name->host ? choose(list, name, &host->host, choices) : 0;
    return count ? count : choose(list, name, NULL, choices);
}
