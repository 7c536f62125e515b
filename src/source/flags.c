#include "source/flags.h"

#include "source/directory.h"
#include "source/open.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <unistd.h>

const uint32_t flags_kept = FS_SECRM_FL | FS_UNRM_FL | FS_COMPR_FL | FS_SYNC_FL | FS_IMMUTABLE_FL |
                            FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL | FS_NOCOMP_FL | FS_JOURNAL_DATA_FL |
                            FS_NOTAIL_FL | FS_DIRSYNC_FL | FS_TOPDIR_FL | FS_NOCOW_FL | FS_PROJINHERIT_FL;

const uint32_t flags_locks = FS_IMMUTABLE_FL | FS_APPEND_FL;

bool flags_read(int fd, uint32_t *flags)
{
    int value = 0; /* the kernel writes an int, whatever the request's number says */
    if (ioctl(fd, FS_IOC_GETFLAGS, &value) != 0)
        return false;
    *flags = (uint32_t)value;
    return true;
}

bool flags_write(int fd, uint32_t flags)
{
    int value = (int)flags;
    return ioctl(fd, FS_IOC_SETFLAGS, &value) == 0;
}

bool flags_unsupported(int errnum)
{
    return errnum == ENOTTY || errnum == EOPNOTSUPP || errnum == ENOSYS || errnum == EINVAL;
}

bool flags_unlock(int fd)
{
    uint32_t flags;
    return flags_read(fd, &flags) && (flags & flags_locks) && flags_write(fd, flags & ~flags_locks);
}

static pthread_mutex_t lifting = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

bool flags_lift(int fd, struct flags_lifted *lifted)
{
    lifted->fd = fd;
    pthread_mutex_lock(&lifting);
    if (flags_read(fd, &lifted->flags) && (lifted->flags & flags_locks) &&
        flags_write(fd, lifted->flags & ~flags_locks))
        return true;
    pthread_mutex_unlock(&lifting);
    errno = EPERM;
    return false;
}

void flags_put_back(const struct flags_lifted *lifted)
{
    int errnum = errno;
    flags_write(lifted->fd, lifted->flags);
    pthread_mutex_unlock(&lifting);
    errno = errnum;
}

bool flags_lift_entry(int directory, const char *name, struct flags_lifted *lifted)
{
    struct source_stat st;
    int fd = -1;
    /* Opening a device may do things. */
    if (source_stat(directory, name, &st, NULL) == 0 && (st.type == NODE_FILE || st.type == NODE_DIRECTORY))
        fd = source_open_at(directory, name, O_RDONLY | O_NONBLOCK);
    if (fd >= 0 && flags_lift(fd, lifted))
        return true;
    if (fd >= 0)
        close(fd);
    errno = EPERM;
    return false;
}

void flags_put_back_entry(const struct flags_lifted *lifted)
{
    int errnum = errno;
    flags_put_back(lifted);
    close(lifted->fd);
    errno = errnum;
}
