#include "source/directory.h"
#include "source/flags.h"
#include "source/name.h"
#include "source/open.h"
#include "source/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CREATE_FLAGS (O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY)
/* Of a file that is not whole yet. The sticky bit means nothing on files, so hardly any has it: by it a file
 * is known again that a restore left behind which was killed. */
#define UNFINISHED_MODE (S_ISVTX | 0600)

static void set_nocow(int fd, uint32_t wanted)
{
    uint32_t flags;
    if ((wanted & FS_NOCOW_FL) && flags_read(fd, &flags))
        flags_write(fd, flags | FS_NOCOW_FL); /* metadata_write() warns if it is not there in the end */
}

static bool is_unfinished(int directory, const char *name)
{
    struct source_stat st;
    return source_stat(directory, name, &st, NULL) == 0 && st.type == NODE_FILE && st.mode == UNFINISHED_MODE;
}

int writer_file_create(int directory, struct bytes name, uint32_t flags, bool replace,
                       struct writer_file *file, struct error *err)
{
    static atomic_uint counter;
    *file = (struct writer_file){.fd = -1, .directory = directory};
    int code = writer_name(name, file->name, err);
    if (code != 0)
        return code;
    file->fd = openat(directory, file->name, CREATE_FLAGS, UNFINISHED_MODE);
    bool in_the_way = file->fd < 0 && errno == EEXIST;
    if (in_the_way && !replace && !is_unfinished(directory, file->name)) {
        error_set(err, ERROR_EXISTS, "something is in the way");
        return error_hint(err, "restore to an empty folder, or say --overwrite always");
    }
    while (in_the_way) {
        snprintf(file->temporary, sizeof file->temporary, ".holdfast-%ld-%u", (long)getpid(),
                 atomic_fetch_add(&counter, 1));
        file->fd = openat(directory, file->temporary, CREATE_FLAGS, UNFINISHED_MODE);
        in_the_way = file->fd < 0 && errno == EEXIST;
    }
    if (file->fd < 0)
        return error_set_errno(err, errno, "cannot create the file");
    set_nocow(file->fd, flags);
    return 0;
}

int writer_file_update(int directory, struct bytes name, struct writer_file *file, struct error *err)
{
    struct stat st;
    *file = (struct writer_file){.fd = -1, .directory = directory, .updated = true};
    int code = writer_name(name, file->name, err);
    if (code != 0)
        return code;
    int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    file->fd = openat(directory, file->name, flags);
    if (file->fd < 0 && errno == EPERM) { /* immutable or append-only */
        int locked = source_open_at(directory, file->name, O_RDONLY | O_NONBLOCK);
        if (locked >= 0) {
            flags_unlock(locked);
            close(locked);
        }
        file->fd = openat(directory, file->name, flags);
    }
    if (file->fd < 0 && errno != ELOOP && errno != ENXIO && errno != EISDIR)
        return error_set_errno(err, errno, "cannot open the file");
    if (file->fd < 0 || fstat(file->fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1) {
        writer_file_abort(file);
        return error_set(err, ERROR_EXISTS, "what is there is not a file of its own");
    }
    if (fchmod(file->fd, UNFINISHED_MODE) !=
        0) { /* who could read the old contents may not be meant to read the new */
        code = error_set_errno(err, errno, "cannot change the file");
        writer_file_abort(file);
        return code;
    }
    return 0;
}

int writer_file_write(const struct writer_file *file, const void *data, size_t size, uint64_t offset,
                      struct error *err)
{
    const uint8_t *from = data;
    if (offset > INT64_MAX - size)
        return error_set(err, ERROR_INTEGRITY, "the file would be larger than files can be");
    while (size) {
        ssize_t n = pwrite(file->fd, from, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_set_errno(err, n < 0 ? errno : ENOSPC, "cannot write the file");
        from += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

int writer_file_hole(const struct writer_file *file, uint64_t offset, uint64_t length, struct error *err)
{
    static const uint8_t zeros[64 * 1024];
    if (length == 0)
        return 0;
    if (offset > INT64_MAX || length > INT64_MAX - offset)
        return error_set(err, ERROR_INTEGRITY, "the file would be larger than files can be");
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (fallocate(file->fd, mode, (off_t)offset, (off_t)length) == 0)
        return 0;
    if (errno != EOPNOTSUPP && errno != ENOSYS)
        return error_set_errno(err, errno, "cannot make a hole in the file");
    int code = 0;
    for (uint64_t done = 0; code == 0 && done < length;) {
        size_t size = length - done < sizeof zeros ? (size_t)(length - done) : sizeof zeros;
        code = writer_file_write(file, zeros, size, offset + done, err);
        done += size;
    }
    return code;
}

int writer_file_truncate(const struct writer_file *file, uint64_t size, struct error *err)
{
    if (size > INT64_MAX)
        return error_set(err, ERROR_INTEGRITY, "the file would be larger than files can be");
    return ftruncate(file->fd, (off_t)size) == 0 ? 0 : error_set_errno(err, errno, "cannot size the file");
}

/* rename(2) takes the place of a file, but not of a directory or of a file that is immutable. */
static int give_name(struct writer_file *file, struct error *err)
{
    int result = renameat(file->directory, file->temporary, file->directory, file->name);
    if (result != 0 && (errno == EISDIR || errno == EPERM)) {
        int code = writer_remove(file->directory, bytes_of_string(file->name), err);
        if (code != 0)
            return code;
        result = renameat(file->directory, file->temporary, file->directory, file->name);
    }
    return result == 0 ? 0 : error_set_errno(err, errno, "cannot give the file its name");
}

int writer_file_commit(struct writer_file *file, struct error *err)
{
    int code = 0;
    if (file->temporary[0]) {
        uint32_t flags;
        bool unlocked = flags_read(file->fd, &flags) && flags_unlock(file->fd);
        code = give_name(file, err);
        if (code == 0 && unlocked && !flags_write(file->fd, flags))
            code = error_set_errno(err, errno, "cannot set the inode flags");
    }
    if (code != 0) {
        writer_file_abort(file);
        return code;
    }
    if (close(file->fd) != 0)
        code = error_set_errno(err, errno, "cannot close the file");
    file->fd = -1;
    return code;
}

void writer_file_abort(struct writer_file *file)
{
    if (file->fd < 0)
        return;
    if (!file->updated)
        flags_unlock(file->fd);
    close(file->fd);
    file->fd = -1;
    if (!file->updated)
        unlinkat(file->directory, file->temporary[0] ? file->temporary : file->name, 0);
}
