#!/usr/bin/env python3
"""Seals the person key of a repository in a folder under another passphrase, whatever bytes that is made of.

set_passphrase.py REPOSITORY OLD NEW       (two files, of which every byte counts)
"""
import glob
import hashlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../reader"))
import holdfast_reader as reader
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def read(path):
    with open(path, "rb") as f:
        return f.read()


folder, old, new = sys.argv[1:]
path, = glob.glob(f"{folder}/keys/p-*")
sealed = read(path)
repository = sealed[6:22]
key = reader.open_person_key(sealed, repository, read(old))
header, log2n, salt = sealed[:-80], sealed[-115], sealed[-112:-80]
stretched = hashlib.scrypt(read(new), salt=salt, n=1 << log2n, r=8, p=1, dklen=32, maxmem=(1024 << log2n) + (1 << 20))
secret = reader.derive(stretched, b"", "person", repository, sealed[22:38])
data = header + AESGCM(secret).encrypt(bytes(12), key.private + key.root, header)
os.remove(path)
with open(path[:-64] + hashlib.sha256(data).hexdigest(), "wb") as f:
    f.write(data)
