#include "cli/commands.h"
#include "cli/node_print.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/status.h"
#include "repo/blobs.h"
#include "tree/tree.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct search {
    const char *pattern;
    bool json, some;
    const struct snapshot *snapshot;
    struct output_list list;
};

static void show(struct search *s, const char *path, const struct node *node)
{
    char id[OUTPUT_SHORT_ID_SIZE];
    s->some = true;
    if (s->json) {
        json_t *item = node_json(path, node);
        output_json_id(item, "snapshot", &s->snapshot->sha256);
        json_object_set_new(item, "job", json_string(s->snapshot->manifest.job));
        json_object_set_new(item, "host", json_string(s->snapshot->manifest.host_name));
        output_list_item(&s->list, item);
    } else {
        printf("%s ", output_short_id(&s->snapshot->sha256, id));
        node_print_line(path, node);
    }
}

/* A pattern with a slash is matched against the whole path, one without against the name. */
static int visit(void *context, const char *path, const struct node *node, struct error *err)
{
    (void)err;
    struct search *s = context;
    const char *slash = strrchr(path, '/');
    const char *subject = strchr(s->pattern, '/') || !slash ? path : slash + 1;
    if (fnmatch(s->pattern, subject, 0) == 0)
        show(s, path, node);
    return 0;
}

static int run(const struct options *options, const char *file)
{
    struct session session;
    struct error err = {0};
    int status = session_open(options, file, REPOSITORY_READ, WIRE_HOST, NULL, &session);
    if (status != STATUS_DONE)
        return status;
    struct search s = {.pattern = options->operands[0], .json = options->json};
    if (s.json)
        output_list_begin(&s.list, "entries");
    int code = 0;
    for (size_t i = session.snapshots.count; i-- > 0 && code == 0;) {
        s.snapshot = &session.snapshots.list[i];
        code =
            tree_walk(&s.snapshot->manifest.root, blobs_fetch_tree, session.wire.repository, visit, &s, &err);
    }
    if (s.json)
        output_list_end(&s.list);
    if (code == 0 && !s.some) {
        code = error_set(&err, ERROR_NOT_FOUND, "nothing matches \"%s\" in any snapshot", s.pattern);
        error_hint(&err, "patterns are those of the shell; one without a slash is matched against names, "
                         "such as \"*.conf\"");
    }
    if (code != 0)
        status = status_report(&err);
    session_close(&session);
    return status;
}

int cmd_find(const struct options *options)
{
    return session_run_single(options, run);
}
