#include "source/archive_path.h"

#include "source/archive_reader.h"

#include <string.h>

bool archive_path_clean(struct bytes path, struct arena *arena, struct bytes *clean)
{
    if (path.size > ARCHIVE_READER_PATH_MAX)
        return false;
    uint8_t *to = arena_alloc(arena, path.size + 1);
    size_t size = 0;
    for (size_t at = 0; at < path.size;) {
        const uint8_t *from = path.data + at;
        const uint8_t *slash = memchr(from, '/', path.size - at);
        size_t length = slash ? (size_t)(slash - from) : path.size - at;
        at += length + 1;
        if (length == 0 || (length == 1 && from[0] == '.'))
            continue;
        if ((length == 2 && from[0] == '.' && from[1] == '.') || length > NODE_NAME_MAX)
            return false;
        if (size)
            to[size++] = '/';
        memcpy(to + size, from, length);
        size += length;
    }
    *clean = bytes_of(to, size);
    return true;
}
