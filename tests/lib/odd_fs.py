#!/usr/bin/python3 -IB
"""odd_fs.py KIND FOLDER: mounts a file system that tells little of its files, until it is unmounted.

sizes    sizes that mean nothing, as documents of a cloud drive have, or files that show a state
endless  a file that never ends
numbers  another inode number at each look
reused   few inode numbers for many files, all alike but for their contents
broken   files that cannot be opened
"""
import errno
import itertools
import os
import stat
import sys

from fusepy import FUSE, FuseOSError, Operations

TEXT = b"".join(b"line %d\n" % i for i in range(30000))
# Name: size that is told, contents.
SIZES = {
    "document": (0, TEXT),
    "film": (0, TEXT * 30),
    "too-small": (10, TEXT),
    "too-small-film": (4000000, TEXT * 30),
    "page": (4096, b"42\n"),
    "page-full": (4096, TEXT[:4096]),
    "true": (len(TEXT), TEXT),
    "empty": (0, b""),
    "stream": (0, TEXT[:200000]),
    "too-large": (100000, TEXT[:700]),
}
PLAIN = {"file%d" % i: (len(TEXT[: i * 1000]), TEXT[: i * 1000]) for i in range(1, 9)}
ENDLESS = b"\0" * (1 << 20)


class Odd(Operations):
    def __init__(self, kind):
        self.kind = kind
        self.files = {"sizes": SIZES, "endless": {"endless": (0, None)}}.get(kind, PLAIN)
        self.numbers = itertools.count(1000)

    def getattr(self, path, fh=None):
        number = next(self.numbers)
        if path in ("/", "/below"):
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2, "st_ino": number}
        name = os.path.basename(path)
        if name not in self.files:
            raise FuseOSError(errno.ENOENT)
        # Several names, it says: the contents must not be taken from whoever had the number before.
        links = 2 if self.kind == "reused" else 1
        number = number % 3 if self.kind == "reused" else number
        size = 1000 if self.kind == "reused" else self.files[name][0]
        return {"st_mode": stat.S_IFREG | 0o644, "st_nlink": links, "st_size": size, "st_ino": number, "st_mtime": 1e9}

    def readdir(self, path, fh):
        return [".", ".."] + ([] if path == "/below" or self.kind != "numbers" else ["below"]) + list(self.files)

    def open(self, path, info):
        if self.kind == "broken":
            raise FuseOSError(errno.EIO)
        info.direct_io = True
        info.nonseekable = path == "/stream"
        return 0

    def read(self, path, size, offset, info):
        contents = self.files[os.path.basename(path)][1]
        if contents is None:
            return ENDLESS[:size]
        if self.kind == "reused":
            contents = (os.path.basename(path).encode() * 1000)[:1000]
        return contents[offset : offset + size]


if __name__ == "__main__":
    kind, folder = sys.argv[1:]
    FUSE(
        Odd(kind),
        folder,
        foreground=True,
        nothreads=True,
        raw_fi=True,
        ro=True,
        use_ino=kind in ("numbers", "reused"),
        attr_timeout=0,
        entry_timeout=0,
    )
