/* How people name snapshots: SNAPSHOT of holdfast(1), against a handful of them. */
#include "fuzz.h"
#include "repo/internal.h"
#include "repo/snapshot_name.h"

#define COUNT 6

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static const char *const jobs[] = {"files", "database"}, *const hosts[] = {"web", "db"};
    struct error err = {0};
    struct snapshot snapshots[COUNT];
    struct repository repository;
    const struct snapshot *found = NULL;
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
    if (worked(snapshots_find_id(&list, text, &found, &err), &err))
        must(!found || (found >= snapshots && found < snapshots + COUNT));
    struct snapshot_name name;
    if (worked(snapshot_name_parse(text, &name, &err), &err)) {
        const struct snapshot **choices;
        size_t count = snapshots_choose(&list, &repository, &name, &choices);
        must(count <= 4 && (count < 2 || !(name.job && name.host)));
        for (size_t i = 0; i < count; i++)
            must(choices[i] >= snapshots && choices[i] < snapshots + COUNT);
        free(choices);
        snapshot_name_free(&name);
    } else {
        must(err.hint[0] && err.code == ERROR_USAGE);
    }
    free(text);
    return 0;
}
