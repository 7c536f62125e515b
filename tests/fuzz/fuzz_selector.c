/* How people name snapshots: SNAPSHOT of holdfast(1), against a handful of them. */
#include "fuzz.h"
#include "repo/internal.h"
#include "repo/snapshots.h"

#define COUNT 6

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static const char *const jobs[] = {"files", "database"}, *const hosts[] = {"web", "db"};
    struct error err = {0};
    struct snapshot snapshots[COUNT];
    struct repository repository;
    const struct snapshot *found = NULL;
    bool by_id;
    memset(&repository, 0, sizeof repository);
    memset(snapshots, 0, sizeof snapshots);
    repository.has_host = true;
    for (size_t i = 0; i < COUNT; i++) {
        struct snapshot *s = &snapshots[i];
        memset(s->sha256.b, (int)(0xa0 + i / 2), 32);
        s->sha256.b[31] = (uint8_t)i;
        s->manifest.host.b[0] = (uint8_t)(i & 1);
        s->manifest.host_name = hosts[i & 1];
        s->manifest.job = jobs[i / 3];
        s->manifest.classes = 1u << i % 5;
        s->manifest.ended = 1795000000 + (int64_t)i * 86400;
    }
    char *text = malloc(size + 1);
    must(text != NULL);
    if (size)
        memcpy(text, input, size);
    text[size] = '\0';
    struct snapshot_list list = {.list = snapshots, .count = COUNT};
    if (worked(snapshots_resolve(&list, &repository, text, &found, &by_id, &err), &err))
        must(found >= snapshots && found < snapshots + COUNT);
    else
        must(err.hint[0] && (err.code == ERROR_NOT_FOUND || err.code == ERROR_USAGE));
    free(text);
    return 0;
}
