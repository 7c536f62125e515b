#include "cli/commands.h"
#include "cli/node_print.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/status.h"
#include "ops/restore.h"
#include "repo/blobs.h"
#include "tree/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct listing {
    bool json;
    int *status;
    struct tree_links *links;
    struct output_list list;
};

static int show(struct listing *l, const char *path, const struct node *node, struct error *err)
{
    struct node shown;
    int code = node_complete(l->links, path, node, &shown, l->status, err);
    if (code != 0)
        return code;
    if (l->json)
        output_list_item(&l->list, node_json(path, &shown));
    else
        node_print_line(path, &shown);
    return 0;
}

/* A directory's entries; anything else is shown itself. */
static int list_selected(struct repository *r, struct listing *l, const struct selected *s, struct error *err)
{
    if (s->node.type != NODE_DIRECTORY) {
        return show(l, s->path, &s->node, err);
    }
    struct tree tree;
    int code = tree_fetch(&s->node.subtree, false, blobs_fetch_tree, r, &tree, err);
    for (size_t i = 0; i < tree.count && code == 0; i++) {
        struct buffer path = {0};
        buffer_append_format(&path, "%s%s", s->path, s->path[strlen(s->path) - 1] == '/' ? "" : "/");
        buffer_append_bytes(&path, tree.nodes[i].name);
        code = show(l, buffer_string(&path), &tree.nodes[i], err);
        buffer_free(&path);
    }
    tree_free(&tree);
    return code;
}

static int list(const struct options *options, struct session *s, const struct snapshot *snapshot,
                int *status, struct error *err)
{
    struct selection selection;
    struct listing l = {.json = options->json, .status = status};
    bool has_path = options->operand_count > 1;
    int code = selection_make(s->wire.repository, &snapshot->manifest.root,
                              (const char *const *)(options->operands + 1), options->operand_count - 1,
                              &selection, err);
    if (code != 0)
        return code;
    l.links = tree_links_new(&snapshot->manifest.root, blobs_fetch_tree, s->wire.repository);
    if (l.json)
        output_list_begin(&l.list, "entries");
    for (size_t i = 0; i < selection.count && code == 0; i++) {
        if (selection.list[i].named || (has_path && selection.count == 1))
            code = list_selected(s->wire.repository, &l, &selection.list[i], err);
        else if (!selection.list[0].named)
            code = show(&l, selection.list[i].path, &selection.list[i].node, err);
    }
    if (l.json)
        output_list_end(&l.list);
    tree_links_free(l.links);
    selection_free(&selection);
    return code;
}

static int run(const struct options *options, const char *file)
{
    struct session s;
    struct error err = {0};
    int status = session_open(options, file, REPOSITORY_READ, WIRE_HOST, NULL, &s);
    if (status != STATUS_DONE)
        return status;
    const struct snapshot *snapshot = session_snapshot(&s, options, 0, &status);
    if (snapshot && list(options, &s, snapshot, &status, &err) != 0)
        status = status_report(&err);
    session_close(&s);
    return status;
}

int cmd_ls(const struct options *options)
{
    return session_run_single(options, run);
}
