/* Files of the state folder. The first byte says which: the note of verify, the lock, a run that waits. */
#include "base/file.h"
#include "fuzz.h"
#include "ops/verify_note.h"
#include "repo/lock.h"
#include "repo/runs.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], path[96];

static void make_folder(void)
{
    make_scratch(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/runs", folder);
    must(mkdir(path, 0700) == 0);
}

static void remove_folder(void)
{
    snprintf(path, sizeof path, "%s/runs", folder);
    rmdir(path);
    rmdir(folder);
}

static void read_note(void)
{
    struct error err = {0};
    struct verify_note note, again;
    struct verdict_check check = {.time = 1795000000, .all = true};
    verify_note_load(folder, &note);
    must(verify_note_add(folder, &check, 1, 2, &err) == 0);
    verify_note_load(folder, &again);
    must(again.last.time == check.time && again.damage.time == note.damage.time && again.objects == 1);
}

static void read_holder(void)
{
    struct lock_holder holder;
    if (lock_read_holder(folder, &holder))
        must(holder.command[0] && strlen(holder.command) < sizeof holder.command);
}

static void read_waiting(void)
{
    struct error err = {0};
    struct run_list list = {0};
    if (worked(runs_load_waiting(folder, &list, &err), &err)) {
        must(list.count <= 1);
        for (size_t i = 0; i < list.count; i++)
            must(list.list[i].waits);
    }
    runs_free(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static const char *const names[] = {"verify", "lock", "runs/20261124T030000Z-1-0.run"};
    struct error err = {0};
    if (size == 0)
        return 0;
    if (!folder[0]) {
        make_folder();
        atexit(remove_folder);
    }
    snprintf(path, sizeof path, "%s/%s", folder, names[input[0] % 3]);
    must(file_write_atomic(path, behind_first(input, size), 0600, &err) == 0);
    if (input[0] % 3 == 0)
        read_note();
    else if (input[0] % 3 == 1)
        read_holder();
    else
        read_waiting();
    unlink(path);
    return 0;
}
