/* Taking the place of what is there. Nothing but an entry without contents of its own below it is ever
 * removed: what a folder holds is in no snapshot that has something else in its place. */
#include "base/arena.h"
#include "source/directory.h"
#include "source/flags.h"
#include "source/name.h"
#include "source/open.h"
#include "source/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int error_not_empty(struct error *err)
{
    error_set(err, ERROR_EXISTS, "a folder that is not empty is in the way");
    return error_hint(err, "move it away if you do not need it: what no snapshot has is never removed");
}

/* As errno says. */
static int error_unchanged(const char *what, struct error *err)
{
    bool busy = errno == EBUSY;
    int code = error_set_errno(err, errno, "%s", what);
    return busy ? error_hint(err, "unmount what is mounted there, or restore to another folder") : code;
}

int writer_check_replaceable(int directory, struct bytes name, struct error *err)
{
    char text[WRITER_NAME_SIZE];
    struct buffer scratch = {0};
    struct arena arena = {0};
    struct bytes *names;
    size_t count = 0;
    int fd, code = writer_name(name, text, err);
    if (code != 0)
        return code;
    fd = source_open_at(directory, text, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return errno == ENOTDIR || errno == ELOOP
                   ? 0
                   : error_set_errno(err, errno, "cannot open the folder that is in the way");
    code = source_list_directory(fd, NULL, &scratch, &arena, &names, &count, err);
    close(fd);
    arena_free(&arena);
    buffer_free(&scratch);
    return code == 0 && count ? error_not_empty(err) : code;
}

/* Immutable and append-only files can be removed by nobody; for a restore that replaces them they are no more
 * than another attribute. */
static bool unlock_entry(int directory, const char *name)
{
    struct flags_lifted lifted;
    if (!flags_lift_entry(directory, name, &lifted))
        return false;
    lifted.flags &= ~flags_locks; /* for good */
    flags_put_back_entry(&lifted);
    return true;
}

/* As unlinkat() and renameat() (from not NULL), in a folder that may be immutable or append-only. */
static int change(int directory, const char *from, const char *name, int flags)
{
    struct flags_lifted lifted;
    int result = from ? renameat(directory, from, directory, name) : unlinkat(directory, name, flags);
    if (result != 0 && errno == EPERM && flags_lift(directory, &lifted)) {
        result = from ? renameat(directory, from, directory, name) : unlinkat(directory, name, flags);
        flags_put_back(&lifted);
    }
    return result;
}

int writer_remove(int directory, struct bytes name, struct error *err)
{
    char text[WRITER_NAME_SIZE];
    int code = writer_name(name, text, err);
    if (code != 0)
        return code;
    int flags = 0, result = change(directory, NULL, text, 0);
    if (result != 0 && errno == EISDIR) {
        flags = AT_REMOVEDIR;
        result = change(directory, NULL, text, flags);
    }
    if (result != 0 && errno == EPERM && unlock_entry(directory, text))
        result = change(directory, NULL, text, flags);
    if (result == 0 || errno == ENOENT)
        return 0;
    if (errno == ENOTEMPTY || errno == EEXIST)
        return error_not_empty(err);
    return error_unchanged("cannot remove what is in the way", err);
}

/* Over what is there, which may be an empty folder or locked. */
static int rename_over(int directory, const char *from, const char *name)
{
    int result = change(directory, from, name, 0);
    if (result != 0 && errno == EISDIR && change(directory, NULL, name, AT_REMOVEDIR) == 0)
        result = change(directory, from, name, 0);
    if (result != 0 && errno == EPERM && unlock_entry(directory, name))
        result = change(directory, from, name, 0);
    return result;
}

int writer_take_name(int directory, const char *from, const char *name, struct error *err)
{
    struct flags_lifted lifted;
    int result = rename_over(directory, from, name);
    if (result != 0 && errno == EPERM && flags_lift_entry(directory, from, &lifted)) {
        result = rename_over(directory, from, name);
        flags_put_back_entry(&lifted);
    }
    if (result != 0 && (errno == ENOTEMPTY || errno == EEXIST))
        return error_not_empty(err);
    return result == 0 ? 0 : error_unchanged("cannot give the entry its name", err);
}
