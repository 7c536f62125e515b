#include "base/text.h"
#include "cli/commands.h"
#include "cli/node_print.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/status.h"
#include "repo/blobs.h"
#include "tree/tree.h"

#include <stdio.h>
#include <stdlib.h>

struct report {
    bool json;
    struct output_list list;
};

static int show(void *context, enum tree_change change, const char *path, const struct node *before,
                const struct node *after, struct error *err)
{
    static const char *const names[] = {"added", "removed", "content", "metadata", "type"};
    static const char letters[] = "+-MUT";
    (void)err;
    struct report *r = context;
    if (!r->json) {
        char *visible = text_visible(path);
        printf("%c %s%s\n", letters[change], visible,
               (after ? after : before)->type == NODE_DIRECTORY ? "/" : "");
        free(visible);
        return 0;
    }
    json_t *item = node_json(path, after ? after : before);
    json_object_set_new(item, "change", json_string(names[change]));
    if (before && after)
        output_json_number(item, "size_before", before->size);
    output_list_item(&r->list, item);
    return 0;
}

static int run(const struct options *options, const char *file)
{
    struct session s;
    struct error err = {0};
    int status = session_open(options, file, REPOSITORY_READ, WIRE_HOST, NULL, &s);
    if (status != STATUS_DONE)
        return status;
    const struct snapshot *a = session_snapshot(&s, options, 0, &status);
    const struct snapshot *b = a ? session_snapshot(&s, options, 1, &status) : NULL;
    if (b) {
        struct report r = {.json = options->json};
        if (r.json)
            output_list_begin(&r.list, "changes");
        int code = tree_compare(&a->manifest.root, &b->manifest.root, blobs_fetch_tree, s.wire.repository,
                                show, &r, &err);
        if (r.json)
            output_list_end(&r.list);
        if (code != 0)
            status = status_report(&err);
    }
    session_close(&s);
    return status;
}

int cmd_diff(const struct options *options)
{
    return session_run_single(options, run);
}
