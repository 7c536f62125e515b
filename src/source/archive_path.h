/*
 * Paths of archive members. For this module only.
 */
#ifndef SOURCE_ARCHIVE_PATH_H
#define SOURCE_ARCHIVE_PATH_H

#include "base/arena.h"

#include <stdbool.h>

/* "./a//b/" and "/a/b" give "a/b"; "." and "/" give "". False for a path with "..", or one that is too long
 * or has a name that is. */
bool archive_path_clean(struct bytes path, struct arena *arena, struct bytes *clean);

#endif
