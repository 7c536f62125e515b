#include "base/file.h"
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
    struct tree_links *links; /* of the snapshot */
    int *status;
    struct output_list list;
};

static int show(struct search *s, const char *path, const struct node *node, struct error *err)
{
    char id[OUTPUT_SHORT_ID_SIZE];
    struct node shown;
    int code = node_complete(s->links, path, node, &shown, s->status, err);
    if (code != 0)
        return code;
    s->some = true;
    if (s->json) {
        json_t *item = node_json(path, &shown);
        output_json_id(item, "snapshot", &s->snapshot->sha256);
        json_object_set_new(item, "job", json_string(s->snapshot->manifest.job));
        json_object_set_new(item, "host", json_string(s->snapshot->manifest.host_name));
        output_list_item(&s->list, item);
    } else {
        printf("%s ", output_short_id(&s->snapshot->sha256, id));
        node_print_line(path, &shown);
    }
    return 0;
}

/* A pattern with a slash is matched against the whole path, one without against the name. */
static int visit(void *context, const char *path, const struct node *node, struct error *err)
{
    struct search *s = context;
    const char *slash = strrchr(path, '/');
    const char *subject = strchr(s->pattern, '/') || !slash ? path : slash + 1;
    return fnmatch(s->pattern, subject, 0) == 0 ? show(s, path, node, err) : 0;
}

static int run(const struct options *options, const char *file)
{
    struct session session;
    struct error err = {0};
    int status = session_open(options, file, REPOSITORY_READ, WIRE_HOST, NULL, &session);
    if (status != STATUS_DONE)
        return status;
    char *pattern = NULL;
    if (file_clean_path(options->operands[0], &pattern, &err) != 0) {
        session_close(&session);
        return status_report(&err);
    }
    struct search s = {.pattern = pattern, .json = options->json, .status = &status};
    if (s.json)
        output_list_begin(&s.list, "entries");
    int code = 0;
    for (size_t i = session.snapshots.count; i-- > 0 && code == 0;) {
        s.snapshot = &session.snapshots.list[i];
        const struct extents *root = &s.snapshot->manifest.root;
        s.links = tree_links_new(root, blobs_fetch_tree, session.wire.repository);
        code = tree_walk(root, blobs_fetch_tree, session.wire.repository, visit, &s, &err);
        tree_links_free(s.links);
    }
    if (s.json)
        output_list_end(&s.list);
    if (code == 0 && !s.some) {
        code = error_set(&err, ERROR_NOT_FOUND, "nothing matches \"%s\" in any snapshot", s.pattern);
        error_hint(&err, "patterns are those of the shell; one without a slash is matched against names, "
                         "such as \"*.conf\"");
    }
    if (code != 0)
        status = status_worse(status, status_report(&err));
    session_close(&session);
    free(pattern);
    return status;
}

int cmd_find(const struct options *options)
{
    return session_run_single(options, run);
}
