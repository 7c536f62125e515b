/*
 * Which file system a folder lies on, and since when the times of its entries can be relied on: what was read
 * of an entry the last time is good only if it is the same file system, and if no change can hide behind the
 * same times. Used by the backup op for its stat cache.
 */
#ifndef SOURCE_FILE_SYSTEM_H
#define SOURCE_FILE_SYSTEM_H

#include "base/id.h"

#include <stdbool.h>
#include <stdint.h>

struct source_file_system {
    /* The same as long as an entry of the same number and times has the same contents; all zeros: it cannot
     * be told. Of an ordinary file system its UUID, whatever it is mounted from; of one behind a network the
     * server and the path there; of an image (squashfs, ISO 9660, whatever lies in a loop device) the file
     * with its times, if it is mounted read-only; of all others the mount. */
    struct id identity;
    /* What is written through a mapping of a file moves its times: not in memory (tmpfs). */
    bool times_tell;
    /* Seconds by which its clock may differ from ours, or its stamps be coarse. */
    int64_t tolerance;
};

/* Looks at the file system on which a folder lies. Costs a handful of system calls: once for each mount. */
void source_file_system_examine(int folder, struct source_file_system *out);
/* Writes back what is dirty there: from now on the first write through a mapping moves the times of its file
 * again. False if it failed: then times tell nothing. */
bool source_file_system_sync(int folder);

#endif
