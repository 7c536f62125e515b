"""Mounts a file system that counts the characters of names, not their bytes, as VFAT, exFAT and NTFS do.

long_names.py FOLDER NAME     it holds two files, NAME and "short", and ends when it is unmounted
"""
import errno
import stat
import sys

import fusepy

FILES = {"/" + sys.argv[2]: b"long\n", "/short": b"short\n"}


class Names(fusepy.Operations):
    def getattr(self, path, fh=None):
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        if path not in FILES:
            raise fusepy.FuseOSError(errno.ENOENT)
        return {"st_mode": stat.S_IFREG | 0o644, "st_nlink": 1, "st_size": len(FILES[path])}

    def readdir(self, path, fh):
        return [".", "..", *(name[1:] for name in FILES)]

    def read(self, path, size, offset, fh):
        return FILES[path][offset:offset + size]


fusepy.FUSE(Names(), sys.argv[1], foreground=True, ro=True)
