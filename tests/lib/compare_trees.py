#!/usr/bin/env python3
"""Compares two trees, their roots included: types, bytes, modes, owners, times in ns, attributes (ACLs and
capabilities among them), inode flags, hard-link groups, maps of holes, devices. Sockets are left out.
Usage: compare_trees.py A B [--no-owner] [--no-root]"""
import collections
import errno
import fcntl
import hashlib
import os
import stat
import struct
import sys

# What chattr(1) can set and holdfast keeps: s u c S i a d A j t D T C P, and the no-compression flag.
FLAGS = (0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x80 | 0x400 | 0x4000 | 0x8000 | 0x10000 | 0x20000 |
         0x800000 | 0x20000000)
GETFLAGS = 0x80086601
UNSUPPORTED = (errno.ENOTTY, errno.EOPNOTSUPP)


def flags_of(directory, name, mode):
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return 0
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    try:
        return struct.unpack("=I4x", fcntl.ioctl(fd, GETFLAGS, bytes(8)))[0] & FLAGS
    except OSError as e:
        if e.errno not in UNSUPPORTED:
            raise
        return 0
    finally:
        os.close(fd)


def attributes_of(directory, name):
    path = b"/proc/self/fd/%d/%s" % (directory, name)
    try:
        return {a: os.getxattr(path, a, follow_symlinks=False) for a in os.listxattr(path, follow_symlinks=False)}
    except OSError as e:
        if e.errno not in UNSUPPORTED:
            raise
        return {}


def runs_of(fd, size):
    """The runs of data as (start, end): what lies between them are holes."""
    runs, at = [], 0
    while at < size:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as e:
            if e.errno != errno.ENXIO:
                raise
            break
        end = os.lseek(fd, at, os.SEEK_HOLE)
        runs.append((at, end))
        at = end
    return runs


def describe_contents(directory, name, size):
    """Digest and holes; holes are not read, so that a sparse file of any size takes no time."""
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory)
    try:
        digest, runs = hashlib.sha256(), runs_of(fd, size)
        at = 0
        for start, end in runs + [(size, size)]:
            # Zeros are the same bytes whether they are stored or not: short holes count as data here.
            if start - at <= 1 << 24:
                digest.update(bytes(start - at))
            else:
                digest.update(b"hole %d" % (start - at))
            at = start
            while at < end:
                data = os.pread(fd, min(1 << 20, end - at), at)
                if not data:
                    raise OSError(f"{name!r} shrank")
                digest.update(data)
                at += len(data)
        return digest.hexdigest(), runs
    finally:
        os.close(fd)


def describe(directory, name, st):
    mode = st.st_mode
    d = {"type": stat.S_IFMT(mode), "mode": stat.S_IMODE(mode), "owner": (st.st_uid, st.st_gid),
         "mtime": st.st_mtime_ns, "xattrs": attributes_of(directory, name), "flags": flags_of(directory, name, mode)}
    if stat.S_ISREG(mode):
        d["size"] = st.st_size
        d["bytes"], d["holes"] = describe_contents(directory, name, st.st_size)
    elif stat.S_ISLNK(mode):
        d["target"] = os.readlink(name, dir_fd=directory)
    elif stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
        d["device"] = st.st_rdev
    return d


def walk(root):
    """Describes every entry, by descriptors: paths may be of any length."""
    fd = os.open(root, os.O_RDONLY)
    out = {b"/": describe(fd, b".", os.stat(fd))}
    names = collections.defaultdict(list)
    todo = [(fd, b"")]
    while todo:
        fd, path = todo.pop()
        for name in sorted(os.listdir(b"/proc/self/fd/%d" % fd)):
            st = os.lstat(name, dir_fd=fd)
            if stat.S_ISSOCK(st.st_mode):
                continue
            here = path + b"/" + name
            out[here] = describe(fd, name, st)
            if not stat.S_ISDIR(st.st_mode) and st.st_nlink > 1:
                names[(st.st_dev, st.st_ino)].append(here)
            if stat.S_ISDIR(st.st_mode):
                todo.append((os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=fd), here))
        os.close(fd)
    # A name of a file whose other names lie elsewhere stands alone here.
    for group in names.values():
        for here in group if len(group) > 1 else []:
            out[here]["names"] = sorted(group)
    return out


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    a, b = (walk(os.fsencode(p)) for p in arguments)
    if "--no-root" in sys.argv:
        del a[b"/"], b[b"/"]
    problems = []
    for path in sorted(set(a) | set(b)):
        if path not in a or path not in b:
            problems.append(f"{path!r}: only in {'the second' if path not in a else 'the first'}")
            continue
        for key in sorted(set(a[path]) | set(b[path])):
            if key == "owner" and "--no-owner" in sys.argv:
                continue
            x, y = a[path].get(key), b[path].get(key)
            if x != y:
                problems.append(f"{path!r}: {key}: {x!r} and {y!r}")
    print("\n".join(problems[:50]) or f"{len(a)} entries are the same")
    sys.exit(1 if problems or not a else 0)


main()
