#!/usr/bin/env python3
"""Changes objects of a repository as somebody who may write to the target, but has no key, could: bytes are cut and
pasted, and names are made to fit, for they end in the SHA-256 of the bytes.

tamper.py rename FILE              give FILE the name that fits its bytes, and print it
tamper.py plant OBJECT BYTES       put BYTES beside OBJECT under a name like OBJECT's that fits them, and print it
tamper.py newer FILE               say a newer format version in the header
tamper.py move-contents FROM TO    TO's table of contents becomes FROM's; TO is renamed and its name printed
"""
import hashlib
import os
import struct
import sys


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def fitting_name(like, data):
    """The path for data: like's, with the hash of data, and for packs the folder that goes with it."""
    folder, name = os.path.split(like)
    digest = hashlib.sha256(data).hexdigest()
    if os.path.basename(os.path.dirname(folder)) == "packs":
        folder = os.path.join(os.path.dirname(folder), digest[:2])
    return os.path.join(folder, name[:-64] + digest)


def rename(path):
    new = fitting_name(path, read(path))
    os.makedirs(os.path.dirname(new), exist_ok=True)
    os.rename(path, new)
    return new


def plant(like, source):
    data = read(source)
    new = fitting_name(like, data)
    write(new, data)
    return new


def newer(path):
    data = bytearray(read(path))
    assert bytes(data[:4]) in (b"HFST", b"HFPK", b"HFPS"), "no header with a version"
    struct.pack_into(">H", data, 4, struct.unpack_from(">H", data, 4)[0] + 1)
    write(path, data)


def contents_start(pack):
    assert pack[:4] == b"HFPK" and pack[-4:] == b"KPFH"
    return len(pack) - 8 - struct.unpack(">I", pack[-8:-4])[0]


def move_contents(source, target):
    a, b = read(source), read(target)
    write(target, b[:contents_start(b)] + a[contents_start(a):])
    return rename(target)


ACTIONS = {"rename": rename, "plant": plant, "newer": newer, "move-contents": move_contents}
result = ACTIONS[sys.argv[1]](*sys.argv[2:])
if result:
    print(result)
