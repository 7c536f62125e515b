#include "source/flags.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

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
