#include "base/arena.h"
#include "source/directory.h"
#include "source/flags.h"
#include "source/name.h"
#include "source/open.h"
#include "source/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What is removed, while it is. Directories found below are moved up into it and emptied there: so two
 * descriptors and no recursion are enough for any depth. */
struct removal {
    int top;
    uint64_t device;
    unsigned moved; /* for names */
    struct buffer scratch;
};

/* Immutable and append-only files can be removed by nobody; for a restore that replaces them they are no more
 * than another attribute. */
static bool unlock_entry(int directory, const char *name)
{
    struct source_stat st;
    if (source_stat(directory, name, &st, NULL) != 0 ||
        (st.type != NODE_FILE &&
         st.type != NODE_DIRECTORY)) /* others have none, and opening a device may do things */
        return false;
    int fd = source_open_at(directory, name, O_RDONLY | O_NONBLOCK);
    bool unlocked = fd >= 0 && flags_unlock(fd);
    if (fd >= 0)
        close(fd);
    return unlocked;
}

static int unlink_entry(int directory, const char *name, int flags, struct error *err)
{
    int result = unlinkat(directory, name, flags);
    if (result != 0 && errno == EPERM) {
        bool unlocked = unlock_entry(directory, name);
        errno = EPERM;
        if (unlocked)
            result = unlinkat(directory, name, flags);
    }
    if (result != 0 && errno != ENOENT)
        return error_set_errno(err, errno, "cannot remove what is in the way");
    return 0;
}

static int move_up(struct removal *removal, int directory, const char *name, struct error *err)
{
    char to[64];
    for (;;) {
        snprintf(to, sizeof to, ".holdfast-removed-%ld-%u", (long)getpid(), removal->moved++);
        if (renameat2(directory, name, removal->top, to, RENAME_NOREPLACE) == 0)
            return 0;
        if (errno == EPERM && unlock_entry(directory, name))
            continue;
        if (errno != EEXIST)
            return error_set_errno(err, errno, "cannot remove what is in the way");
    }
}

static int open_inside(struct removal *removal, int parent, const char *name, int *fd, struct error *err)
{
    struct source_stat st;
    int code = source_open_directory(parent, name, fd, err);
    if (code != 0)
        return code;
    code = source_stat(*fd, "", &st, err);
    if (code == 0 && (st.device != removal->device || st.mount_root)) {
        error_set(err, ERROR_BUSY, "cannot remove what is in the way: another file system is mounted there");
        code = error_hint(err, "unmount it, or restore to another folder");
    }
    if (code == 0)
        flags_unlock(*fd);
    else
        close(*fd);
    return code;
}

/* Empties a directory that lies in top; directories in it become its siblings. */
static int empty_child(struct removal *removal, const char *child, struct error *err)
{
    struct arena arena = {0};
    struct source_stat st;
    struct bytes *names;
    size_t count;
    int fd, code = open_inside(removal, removal->top, child, &fd, err);
    if (code != 0)
        return code;
    code = source_list_directory(fd, &removal->scratch, &arena, &names, &count, err);
    for (size_t i = 0; code == 0 && i < count; i++) {
        const char *name = (const char *)names[i].data;
        code = source_stat(fd, name, &st, err);
        if (code != 0)
            break;
        if (st.type == NODE_DIRECTORY)
            code = move_up(removal, fd, name, err);
        else
            code = unlink_entry(fd, name, 0, err);
    }
    close(fd);
    arena_free(&arena);
    return code ? code : unlink_entry(removal->top, child, AT_REMOVEDIR, err);
}

/* Until nothing is left: each round removes what the one before has moved up. */
static int empty_top(struct removal *removal, struct error *err)
{
    size_t count;
    int code = 0;
    do {
        struct arena arena = {0};
        struct source_stat st;
        struct bytes *names;
        count = 0;
        if (lseek(removal->top, 0, SEEK_SET) < 0)
            code = error_set_errno(err, errno, "cannot list the directory");
        if (code == 0)
            code = source_list_directory(removal->top, &removal->scratch, &arena, &names, &count, err);
        for (size_t i = 0; code == 0 && i < count; i++) {
            const char *name = (const char *)names[i].data;
            code = source_stat(removal->top, name, &st, err);
            if (code == 0)
                code = st.type == NODE_DIRECTORY ? empty_child(removal, name, err)
                                                 : unlink_entry(removal->top, name, 0, err);
        }
        arena_free(&arena);
    } while (code == 0 && count);
    return code;
}

int writer_remove(int directory, struct bytes name, struct error *err)
{
    char text[WRITER_NAME_SIZE];
    struct source_stat st;
    int code = writer_name(name, text, err);
    if (code != 0)
        return code;
    code = source_stat(directory, text, &st, err);
    if (code == ERROR_NOT_FOUND)
        return 0;
    if (code != 0)
        return code;
    if (st.type != NODE_DIRECTORY)
        return unlink_entry(directory, text, 0, err);
    struct removal removal = {.device = st.device};
    code = open_inside(&removal, directory, text, &removal.top, err);
    if (code != 0)
        return code;
    code = empty_top(&removal, err);
    close(removal.top);
    buffer_free(&removal.scratch);
    return code ? code : unlink_entry(directory, text, AT_REMOVEDIR, err);
}
