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
#include <sys/ioctl.h>
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

bool writer_file_is_unfinished(const struct source_stat *st)
{
    return st->type == NODE_FILE && st->mode == UNFINISHED_MODE;
}

void writer_temporary_name(char text[WRITER_NAME_SIZE])
{
    static atomic_uint counter;
    snprintf(text, WRITER_NAME_SIZE, WRITER_TEMPORARY "%u", (long)getpid(), atomic_fetch_add(&counter, 1));
}

static int create(int directory, const char *name)
{
    struct flags_lifted lifted;
    int fd = openat(directory, name, CREATE_FLAGS, UNFINISHED_MODE);
    if (fd < 0 && errno == EPERM && flags_lift(directory, &lifted)) {
        fd = openat(directory, name, CREATE_FLAGS, UNFINISHED_MODE);
        flags_put_back(&lifted);
    }
    return fd;
}

int writer_file_create(int directory, struct bytes name, uint32_t flags, bool replace,
                       struct writer_file *file, struct error *err)
{
    *file = (struct writer_file){.fd = -1, .directory = directory};
    int code = writer_name(name, file->name, err);
    if (code != 0)
        return code;
    file->fd = create(directory, file->name);
    if (file->fd < 0 && errno == EEXIST && !replace) {
        error_set(err, ERROR_EXISTS, "something is in the way");
        return error_hint(err, "restore to an empty folder, or say --overwrite always");
    }
    while (file->fd < 0 && errno == EEXIST) {
        writer_temporary_name(file->temporary);
        file->fd = create(directory, file->temporary);
    }
    if (file->fd < 0)
        return error_set_errno(err, errno, "cannot create the file");
    set_nocow(file->fd, flags);
    return 0;
}

int writer_file_open_old(int directory, struct bytes name, struct source_stat *st)
{
    char text[WRITER_NAME_SIZE];
    if (st->type != NODE_FILE || writer_name(name, text, NULL) != 0)
        return -1;
    int fd = source_open_at(directory, text, O_RDONLY | O_NONBLOCK);
    if (fd >= 0 && source_stat(fd, "", st, NULL) == 0 && st->type == NODE_FILE)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

void writer_file_share(struct writer_file *file, int old)
{
    file->based = ioctl(file->fd, FICLONE, old) == 0;
}

int writer_file_update(int directory, struct bytes name, struct writer_file *file, struct error *err)
{
    struct stat st;
    *file = (struct writer_file){.fd = -1, .directory = directory, .updated = true, .based = true};
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

int writer_file_commit(struct writer_file *file, struct error *err)
{
    int code = file->temporary[0] ? writer_take_name(file->directory, file->temporary, file->name, err) : 0;
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
        writer_remove(file->directory, bytes_of_string(file->temporary[0] ? file->temporary : file->name),
                      NULL);
}
