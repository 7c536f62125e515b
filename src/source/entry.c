#include "source/entry.h"

#include "source/open.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#define LOOKS_MAX 8
#define LEASE_TRIES 50

/* O_NONBLOCK, because a FIFO may have taken the file's place. With it, a file under a lease (file servers
 * hold them) answers EAGAIN and its holder is asked to let go. */
static int open_regular(int directory, const char *name)
{
    int fd = source_open_at(directory, name, O_RDONLY | O_NONBLOCK);
    for (int i = 0; fd < 0 && errno == EAGAIN && i < LEASE_TRIES; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 100 * 1000 * 1000}, NULL);
        fd = source_open_at(directory, name, O_RDONLY | O_NONBLOCK);
    }
    return fd;
}

static bool is_read(enum node_type type)
{
    return type == NODE_FILE || type == NODE_DIRECTORY;
}

static bool is_gone(int errnum)
{
    return errnum == ENOENT || errnum == ESTALE;
}

/* Of opening what has taken the place of a file or directory. */
static bool is_for_another_type(int errnum)
{
    return errnum == ELOOP || errnum == ENXIO || errnum == ENOTDIR;
}

/* Opens the entry as one of this type. -1 with errno. */
static int open_as(int directory, const char *name, enum node_type type, int *refused)
{
    int fd = -1;
    *refused = 0;
    if (type == NODE_FILE)
        fd = open_regular(directory, name);
    else if (type == NODE_DIRECTORY)
        fd = source_open_at(directory, name, O_RDONLY | O_DIRECTORY);
    if (fd >= 0 || (is_read(type) && is_gone(errno)))
        return fd;
    *refused = is_read(type) ? errno : 0;
    return openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

int source_entry_open(int directory, const char *name, enum node_type likely, struct source_entry *entry,
                      struct error *err)
{
    enum node_type type = likely == NODE_UNKNOWN ? NODE_FILE : likely;
    int errnum = 0;
    for (int looks = 0; looks < LOOKS_MAX; looks++) {
        int refused, fd = open_as(directory, name, type, &refused);
        *entry = (struct source_entry){.fd = fd, .refused = refused};
        if (entry->fd < 0) {
            errnum = errno;
            if (!is_gone(errnum))
                break;
            continue;
        }
        int code = source_stat(entry->fd, "", &entry->stat, err);
        bool alike = code == 0 && (entry->stat.type == type || !(is_read(entry->stat.type) || is_read(type)));
        if (alike && (!is_for_another_type(entry->refused) || looks == LOOKS_MAX - 1))
            return 0;
        /* Not what it was taken for. */
        source_entry_close(entry);
        if (code != 0 && code != ERROR_NOT_FOUND)
            return code;
        errnum = EBUSY;
        type = code == 0 ? entry->stat.type : type;
    }
    entry->fd = -1;
    return is_gone(errnum) ? error_set(err, ERROR_NOT_FOUND, "vanished before it was read")
                           : error_set_errno(err, errnum, "cannot open");
}

bool source_entry_readable(const struct source_entry *entry)
{
    return is_read(entry->stat.type) && !entry->refused;
}

void source_entry_close(struct source_entry *entry)
{
    if (entry->fd >= 0)
        close(entry->fd);
    entry->fd = -1;
}
