#!/usr/bin/env python3
"""Compares two trees: types, bytes, modes, owners, times in ns, attributes, flags, hard links, holes, devices.
Usage: compare_trees.py A B [--no-owner]"""
import fcntl
import os
import stat
import struct
import sys

FLAGS = 0x00000001 | 0x00000004 | 0x00000008 | 0x00000010 | 0x00000020 | 0x00000040 | 0x00000080 | 0x00010000
GETFLAGS = 0x80086601


def flags_of(directory, name, mode):
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return 0
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except OSError:
        return 0
    try:
        return struct.unpack("L", fcntl.ioctl(fd, GETFLAGS, struct.pack("L", 0)))[0] & FLAGS
    except OSError:
        return 0
    finally:
        os.close(fd)


def attributes_of(directory, name):
    path = b"/proc/self/fd/%d/%s" % (directory, name)
    try:
        return {a: os.getxattr(path, a, follow_symlinks=False) for a in os.listxattr(path, follow_symlinks=False)}
    except OSError:
        return {}


def digest(directory, name):
    import hashlib
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory)
    with os.fdopen(fd, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else hashlib.sha256(f.read()).hexdigest()


def walk(root):
    """Yields (path, description) for every entry, by descriptors: paths may be of any length."""
    links = {}
    out = {}
    todo = [(os.open(root, os.O_RDONLY), b"")]
    while todo:
        fd, path = todo.pop()
        for name in sorted(os.listdir(b"/proc/self/fd/%d" % fd)):
            st = os.lstat(name, dir_fd=fd)
            mode = st.st_mode
            if stat.S_ISSOCK(mode):
                continue
            here = path + b"/" + name
            d = {"type": stat.S_IFMT(mode), "mode": stat.S_IMODE(mode), "owner": (st.st_uid, st.st_gid),
                 "mtime": st.st_mtime_ns, "xattrs": attributes_of(fd, name), "flags": flags_of(fd, name, mode)}
            if stat.S_ISREG(mode):
                d["size"] = st.st_size
                d["bytes"] = digest(fd, name)
                d["holes"] = st.st_blocks * 512 < st.st_size // 2
                if st.st_nlink > 1:
                    d["link"] = links.setdefault((st.st_dev, st.st_ino), here)
            elif stat.S_ISLNK(mode):
                d["target"] = os.readlink(name, dir_fd=fd)
            elif stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
                d["device"] = st.st_rdev
            elif stat.S_ISDIR(mode):
                todo.append((os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=fd), here))
            out[here] = d
        os.close(fd)
    # A name of a file whose other names lie elsewhere stands alone here.
    firsts = [d["link"] for d in out.values() if "link" in d]
    for d in out.values():
        if firsts.count(d.get("link")) == 1:
            del d["link"]
    return out


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    a, b = (walk(os.fsencode(p)) for p in arguments)
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
