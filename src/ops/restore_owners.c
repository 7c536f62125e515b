#include "ops/restore_owners.h"

#include "base/file.h"
#include "base/memory.h"
#include "repo/blobs.h"
#include "tree/tree.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char passwd[] = "/etc/passwd";

/* What cannot be read is told of when it is restored. */
static bool is_restored(struct repository *repository, const struct restore_parameters *p)
{
    static const char *const spellings[] = {passwd, passwd + 1};
    const struct extents *root = &p->snapshot->manifest.root;
    bool restored = false;
    for (size_t i = 0; i < 2 && !restored; i++) {
        struct selection selection;
        struct arena arena = {0};
        struct node node;
        if (tree_find(root, spellings[i], blobs_fetch_tree, repository, &arena, &node, NULL) == 0 &&
            selection_make(repository, root, p->paths, p->path_count, &selection, NULL) == 0) {
            restored = selection_has(&selection, bytes_of_string(spellings[i]));
            selection_free(&selection);
        }
        arena_free(&arena);
    }
    return restored;
}

const char *restore_owners_reason(struct repository *repository, const struct restore_parameters *p)
{
    struct stat there, here;
    char *path = file_join(p->destination, passwd + 1);
    bool exists = stat(path, &there) == 0;
    bool ours =
        exists && stat(passwd, &here) == 0 && here.st_dev == there.st_dev && here.st_ino == there.st_ino;
    free(path);
    if (exists && !ours)
        return "there is an etc/passwd of its own";
    if (!(exists && p->overwrite == RESTORE_NEVER) && is_restored(repository, p))
        return "etc/passwd is restored with them";
    return NULL;
}
