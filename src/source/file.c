#include "source/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define HOLE_MIN 4096u
#define PAGE_SIZE 4096u /* the size of any file of some file systems */
#define READAHEAD_MIN (4u * 1024 * 1024)

/* The count of blocks does not tell: attributes and space beyond the end have blocks, too. A file of one
 * block is either data or a hole. */
static bool has_holes(const struct source_file *file)
{
    if (file->stat.size == 0 || (file->stat.size <= HOLE_MIN && file->stat.blocks))
        return false;
    off_t hole = lseek(file->fd, 0, SEEK_HOLE);
    return hole >= 0 && (uint64_t)hole < file->stat.size;
}

int source_file_open(const struct source_entry *entry, struct source_file *file, struct error *err)
{
    *file = (struct source_file){.fd = entry->fd, .stat = entry->stat};
    if (entry->refused)
        return error_set_errno(err, entry->refused, "cannot open");
    file->limit = file->stat.size;
    file->data_end = has_holes(file) ? 0 : file->stat.size;
    if (file->stat.size >= READAHEAD_MIN)
        posix_fadvise(file->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return 0;
}

/* At the end of a run of data: finds the next one, and sets *hole to the bytes before it (0 where those are
 * too few to be worth it; the hole that ends a file may be of any length). Never beyond the size the file had
 * when it was opened. */
static int find_run(struct source_file *file, uint64_t *hole, struct error *err)
{
    uint64_t size = file->stat.size;
    *hole = 0;
    off_t data = lseek(file->fd, (off_t)file->offset, SEEK_DATA);
    if (data < 0 && errno == EINVAL) { /* a file system that cannot tell */
        file->data_end = size;
        return 0;
    }
    if (data < 0 && errno != ENXIO)
        return error_set_errno(err, errno, "cannot find the holes");
    uint64_t start = data < 0 || (uint64_t)data > size ? size : (uint64_t)data;
    if (start - file->offset >= HOLE_MIN || start == size) {
        *hole = start - file->offset;
        return 0;
    }
    off_t end = start < size ? lseek(file->fd, (off_t)start, SEEK_HOLE) : -1;
    file->data_end = end < 0 || (uint64_t)end > size ? size : (uint64_t)end;
    return 0;
}

/* There is more than there should be. A file that grew ends where it did when it was opened, or, having been
 * empty, where it does now. If its size is what it was, the file system does not know it, and only the end
 * tells. */
static int read_beyond(struct source_file *file, size_t *done, struct error *err)
{
    if (file->limit == file->stat.size) {
        struct source_stat now;
        int code = source_stat(file->fd, "", &now, err);
        if (code != 0)
            return code;
        if (now.size < file->offset) {
            file->limit = file->stat.size + SOURCE_UNTOLD_MAX;
            return 0;
        }
        if (file->limit == 0)
            file->limit = now.size;
    }
    if (file->offset < file->limit)
        return 0;
    *done -= (size_t)(file->offset - file->limit);
    file->offset = file->limit;
    file->ended = true;
    return 0;
}

static ssize_t read_some(struct source_file *file, void *data, size_t size)
{
    ssize_t n = file->sequential ? 0 : pread(file->fd, data, size, (off_t)file->offset);
    file->sequential |= n < 0 && errno == ESPIPE && file->offset == 0;
    return file->sequential ? read(file->fd, data, size) : n;
}

/* How much to ask for: at the end one byte more than there should be, so that nobody needs to ask for it
 * alone; all that may be of a file of size 0, for some give it all at once or not at all. */
static uint64_t wanted(const struct source_file *file)
{
    if (file->data_end < file->stat.size)
        return file->data_end - file->offset;
    return file->limit ? file->limit + 1 - file->offset : SOURCE_UNTOLD_MAX;
}

/* Reads until the run of data, the room or the file ends. */
static int read_data(struct source_file *file, uint8_t *data, size_t size, size_t *done, struct error *err)
{
    uint64_t left = wanted(file);
    size_t want = left < size - *done ? (size_t)left : size - *done;
    while (want && !file->ended && file->offset <= file->limit) {
        ssize_t n = read_some(file, data + *done, want);
        if (n < 0 && errno == EINTR)
            continue;
        /* EAGAIN: a log of the kernel, which has no more at the moment. */
        if (n < 0 && (errno != EAGAIN || file->offset < file->stat.size))
            return error_set_errno(err, errno, "cannot read at byte %llu", (unsigned long long)file->offset);
        if (n > 0) {
            *done += (size_t)n;
            file->offset += (uint64_t)n;
            want -= (size_t)n;
        }
        /* It shrank, or what is more was asked for and is not there. */
        file->ended = n <= 0 || (want && left > want && file->offset == file->limit);
    }
    return file->offset > file->limit ? read_beyond(file, done, err) : 0;
}

int source_file_next(struct source_file *file, void *data, size_t size, struct source_run *run,
                     struct error *err)
{
    size_t done = 0;
    int code = 0;
    *run = (struct source_run){0};
    while (code == 0 && done < size && !file->ended) {
        uint64_t hole = 0;
        if (file->offset == file->data_end && file->offset < file->stat.size)
            code = find_run(file, &hole, err);
        if (code == 0 && hole) {
            if (done)
                break; /* the data first; the hole is found again */
            *run = (struct source_run){hole, true};
            file->offset += hole;
            file->data_end = file->offset;
            file->ended = file->offset == file->stat.size;
            return 0;
        }
        if (code == 0)
            code = read_data(file, data, size, &done, err);
    }
    run->length = done;
    return code;
}

int source_file_changed(struct source_file *file, enum source_change *change, struct error *err)
{
    const struct source_stat *was = &file->stat;
    const uint64_t untold = was->size + SOURCE_UNTOLD_MAX;
    struct source_stat now;
    int code = source_stat(file->fd, "", &now, err);
    if (code != 0)
        return code;
    if (file->limit == untold)
        *change = file->offset == untold ? SOURCE_ENDLESS : SOURCE_UNCHANGED;
    else if (file->offset < was->size && now.size == was->size && source_is_of_kernel(file->fd))
        *change = SOURCE_UNCHANGED; /* the size is that of a page, and times are those of the first look */
    else if (now.size < was->size)
        *change = SOURCE_SHRANK;
    else if (now.size > was->size && now.size != file->offset)
        *change = SOURCE_GREW;
    else if (now.mtime_seconds != was->mtime_seconds || now.mtime_nanoseconds != was->mtime_nanoseconds ||
             now.ctime_seconds != was->ctime_seconds || now.ctime_nanoseconds != was->ctime_nanoseconds)
        *change = SOURCE_CHANGED;
    else
        *change = file->offset < was->size && was->size != PAGE_SIZE ? SOURCE_SHORT : SOURCE_UNCHANGED;
    return 0;
}

const char *source_change_text(enum source_change change)
{
    switch (change) {
    case SOURCE_CHANGED:
        return "changed while it was read";
    case SOURCE_GREW:
        return "grew while it was read";
    case SOURCE_SHRANK:
        return "shrank while it was read";
    case SOURCE_SHORT:
        return "ended before the size that its file system tells";
    case SOURCE_ENDLESS:
        return "only its beginning was read: it goes on for more than 4 GiB beyond the size that its file "
               "system tells";
    default:
        return "did not change";
    }
}
