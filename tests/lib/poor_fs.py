"""Mounts a folder once more, as a file system that lacks something. Ends when it is unmounted.

poor_fs.py FOLDER MOUNT [fold] [inodes] [links=N] [owners]
    fold      takes names for the same that differ in case, or in how letters are composed
    inodes    tells the inode numbers of FOLDER; else each path has its own
    owners    all belongs to root, as on VFAT
    links=N   files have at most N names; 1: the call is not there, as on VFAT
"""
import errno
import os
import sys
import unicodedata

import fusepy

ROOT, OPTIONS = sys.argv[1], sys.argv[3:]
FOLD = "fold" in OPTIONS
LINKS = next((int(o[6:]) for o in OPTIONS if o.startswith("links=")), 1 << 30)
SHOWN = ("st_mode", "st_ino", "st_nlink", "st_uid", "st_gid", "st_rdev", "st_size", "st_mtime", "st_ctime", "st_atime")


def fold(name):
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def real(path):
    at = ROOT
    for name in path.strip("/").split("/"):
        if name and FOLD and not os.path.lexists(os.path.join(at, name)) and os.path.isdir(at):
            name = next((n for n in os.listdir(at) if fold(n) == fold(name)), name)
        at = os.path.join(at, name)
    return at


class Poor(fusepy.Operations):
    def getattr(self, path, fh=None):
        st = os.lstat(real(path))
        return {key: getattr(st, key) for key in SHOWN}

    def readdir(self, path, fh):
        return [".", "..", *os.listdir(real(path))]

    def statfs(self, path):
        st = os.statvfs(real(path))
        return {key: getattr(st, key) for key in ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_frsize", "f_namemax")}

    def readlink(self, path):
        return os.readlink(real(path))

    def create(self, path, mode, fi=None):
        return os.open(real(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def open(self, path, flags):
        return os.open(real(path), flags & os.O_ACCMODE)

    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    def write(self, path, data, offset, fh):
        return os.pwrite(fh, data, offset)

    def truncate(self, path, length, fh=None):
        os.truncate(real(path), length)

    def release(self, path, fh):
        os.close(fh)

    def mkdir(self, path, mode):
        os.mkdir(real(path), mode)

    def mknod(self, path, mode, dev):
        os.mknod(real(path), mode, dev)

    def symlink(self, path, target):
        os.symlink(target, real(path))

    def link(self, path, first):
        if LINKS == 1:
            raise fusepy.FuseOSError(errno.EPERM)
        if os.lstat(real(first)).st_nlink >= LINKS:
            raise fusepy.FuseOSError(errno.EMLINK)
        os.link(real(first), real(path), follow_symlinks=False)

    def unlink(self, path):
        os.unlink(real(path))

    def rmdir(self, path):
        os.rmdir(real(path))

    def rename(self, old, new):
        # The entry that is there keeps its spelling, as on VFAT.
        os.rename(real(old), real(new))

    def chmod(self, path, mode):
        os.chmod(real(path), mode)

    def chown(self, path, uid, gid):
        if "owners" in OPTIONS:
            raise fusepy.FuseOSError(errno.EPERM)
        os.chown(real(path), uid, gid, follow_symlinks=False)

    def utimens(self, path, times=None):
        os.utime(real(path), times, follow_symlinks=False)


fusepy.FUSE(Poor(), sys.argv[2], foreground=True, nothreads=True, use_ino="inodes" in OPTIONS, attr_timeout=0,
            entry_timeout=0)
