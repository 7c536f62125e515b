/* Whether a snapshot that is about to be written holds far less than those before it. */
#include "base/log.h"
#include "ops/backup_internal.h"
#include "ops/collapsed.h"
#include "repo/blobs.h"
#include "tree/tree.h"

/* True if a source held something in that snapshot; also where that cannot be read. */
static bool held_something(struct backup *b, const struct snapshot *s, const char *path)
{
    struct arena arena = {0};
    struct node node;
    struct error why;
    int code = tree_find(&s->manifest.root, path, blobs_fetch_tree, b->repository, &arena, &node, &why);
    bool held = code == 0 ? node.type != NODE_DIRECTORY || node.subtree.count > 0 : code != ERROR_NOT_FOUND;
    arena_free(&arena);
    return held;
}

static void judge_sources(struct backup *b, const struct snapshot *good)
{
    char hex[ID_HEX_SIZE];
    id_to_hex(&good->sha256, hex);
    for (size_t i = 0; i < b->bare_count; i++) {
        if (!held_something(b, good, b->bare[i].path))
            continue;
        b->result->statistics.sources_lost++;
        if (!b->bare[i].gone) /* of that it was told */
            backup_warn(b, "source %s: it is empty, and was not in snapshot %.10s: is it not mounted?",
                        b->bare[i].path, hex);
    }
}

void backup_judge(struct backup *b)
{
    struct snapshot_list list = {0};
    struct acknowledged *acknowledged = NULL;
    struct collapse_history history;
    const struct snapshot *good;
    struct error why;
    char text[COLLAPSED_TEXT_SIZE];
    int code = snapshots_load(b->repository, &list, &why);
    if (code == 0)
        code = acknowledged_load(b->repository, &acknowledged, &why);
    if (code != 0) {
        backup_warn(b, "the snapshots before cannot be compared with this one: %s", why.message);
    } else {
        collapsed_history(&list, acknowledged, &repository_host(b->repository)->host, b->parameters->job,
                          &history, &good);
        if (good)
            judge_sources(b, good);
        struct collapse_facts facts = collapsed_facts(&b->result->statistics, false);
        struct collapse_verdict verdict = collapse_judge(&history, &facts);
        if (verdict.collapsed) {
            backup_warn(b, "job %s: this snapshot has collapsed: %s", b->parameters->job,
                        collapsed_text(&b->result->statistics, &verdict, text));
            log_hint("see whether something is not mounted; good snapshots stay until it is. If it is right "
                     "so: holdfast status --acknowledge");
        }
    }
    acknowledged_free(acknowledged);
    snapshots_free(&list);
}
