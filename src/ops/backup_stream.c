/* Sources that are streams: a command's output as one file, and archives as trees. */
#include "base/command.h"
#include "base/memory.h"
#include "ops/backup_internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int finish_command(struct backup *b, struct command *command, struct error *err)
{
    char *name = memory_format("job %s: %s", b->parameters->job, b->parameters->command[0]);
    int code = command_finish(command, err);
    if (code == 0)
        command_log(command, name);
    else
        command_explain(command, err);
    free(name);
    return code;
}

int read_command(struct backup *b, struct error *err)
{
    const struct backup_parameters *p = b->parameters;
    struct command *command;
    int code = command_start(p->command, NULL, NULL, &command, err);
    if (code != 0)
        return code;
    command_set_stop(command, p->cancelled);
    struct directory *root = directory_new(b, NULL, 0, "", -1);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    root->nodes = arena_alloc_array(&root->arena, 1, sizeof *root->nodes);
    root->cached = arena_alloc_array(&root->arena, 1, sizeof *root->cached);
    root->count = 1;
    root->nodes[0] =
        (struct node){.name = arena_copy(&root->arena, bytes_of_string(p->filename ? p->filename : p->job)),
                      .type = NODE_FILE,
                      .mode = 0600,
                      .uid = geteuid(),
                      .gid = getegid(),
                      .mtime_seconds = now.tv_sec,
                      .mtime_nanoseconds = (uint32_t)now.tv_nsec};
    struct large_file *file = large_file_new(root, &root->nodes[0]);
    struct chunk_feeder *feeder = chunk_feeder_new(b, file);
    bool some = false;
    for (;;) {
        size_t room, done;
        void *to = chunk_feeder_room(feeder, &room);
        code = command_read(command, to, room, &done, err);
        if (backup_stopped(b) || code != 0 || done == 0)
            break;
        chunk_feeder_commit(feeder, done);
        some = true;
    }
    chunk_feeder_end(feeder);
    large_file_release(file);
    directory_release(root);
    if (code == 0 && !backup_stopped(b))
        code = finish_command(b, command, err);
    if (code == 0 && !some)
        backup_warn(b, "job %s: the command printed nothing: its file in the snapshot is empty", p->job);
    command_free(command);
    atomic_fetch_add(&b->files, 1);
    atomic_fetch_add(&b->files_new, 1);
    return code;
}
