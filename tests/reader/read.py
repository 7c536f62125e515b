#!/usr/bin/env python3
"""Restores a snapshot from a folder and a passphrase: a second reader of the format, after holdfast-format(5).

It shares no line with the program, so that what the page says and what the program writes cannot drift apart.

Usage: read.py REPOSITORY --passphrase-file FILE|--person-key FILE [--snapshot ID|latest] [--list | --to DIR]
Needs Debian's python3-cryptography, python3-protobuf, python3-zstandard and protobuf-compiler.
"""
import argparse
import hashlib
import hmac
import os
import struct
import subprocess
import sys
import tempfile

import zstandard
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

VERSION = 0
CONTENTS, INDEX, MANIFEST, RUN, EVENT, LEASE, KEYRING = 1, 2, 3, 4, 5, 6, 16
DATA, META = 1, 2
SUITE = (0x20, 1, 2)  # DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM
FILE, DIRECTORY, SYMLINK, FIFO, CHARACTER, BLOCK = 1, 2, 3, 4, 5, 6


class Bad(Exception):
    pass


def need(condition, why):
    if not condition:
        raise Bad(why)


def messages():
    """The classes of the .proto files, compiled into a temporary folder."""
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src/format/proto")
    with tempfile.TemporaryDirectory() as out:
        names = [n for n in sorted(os.listdir(source)) if n.endswith(".proto")]
        subprocess.run(["protoc", f"-I{source}", f"--python_out={out}", *names], check=True, cwd=source)
        sys.path.insert(0, out)
        import common_pb2, index_pb2, keyring_pb2, record_pb2, tree_pb2
    return common_pb2, index_pb2, keyring_pb2, record_pb2, tree_pb2


def parse(kind, data):
    message = kind()
    message.ParseFromString(data)
    # Unknown fields are refused: writing the message again would keep them, dropping them changes its size.
    copy = kind()
    copy.CopyFrom(message)
    copy.DiscardUnknownFields()
    need(copy.ByteSize() == message.ByteSize(), f"{kind.__name__} has unknown fields")
    return message


# ---- derivations ----

def sha256(data):
    return hashlib.sha256(data).digest()


def extract(salt, ikm):
    return hmac.digest(salt or bytes(32), ikm, "sha256")


def expand(key, info, size):
    out, block, n = b"", b"", 1
    while len(out) < size:
        block = hmac.digest(key, block + info + bytes([n]), "sha256")
        out, n = out + block, n + 1
    return out[:size]


def label(text):
    return b"holdfast/1 " + text + b"\0"


def lv(data):
    return struct.pack(">I", len(data)) + data


def derive(key, salt, text, repository, context=b"", size=32):
    return expand(extract(salt, key), label(text) + repository + context, size)


def hpke_open(private, enc, info, ciphertext):
    """RFC 9180, base mode, one message, no associated data."""
    def labeled_extract(suite, salt, text, ikm):
        return extract(salt, b"HPKE-v1" + suite + text + ikm)

    def labeled_expand(suite, key, text, context, size):
        return expand(key, struct.pack(">H", size) + b"HPKE-v1" + suite + text + context, size)

    kem, whole = b"KEM" + struct.pack(">H", SUITE[0]), b"HPKE" + struct.pack(">3H", *SUITE)
    secret = X25519PrivateKey.from_private_bytes(private)
    own = public_of(private)
    dh = secret.exchange(X25519PublicKey.from_public_bytes(enc))  # refuses the zero point
    shared = labeled_expand(kem, labeled_extract(kem, b"", b"eae_prk", dh), b"shared_secret", enc + own, 32)
    context = b"\0" + labeled_extract(whole, b"", b"psk_id_hash", b"") + labeled_extract(whole, b"", b"info_hash", info)
    key = labeled_extract(whole, shared, b"secret", b"")
    return AESGCM(labeled_expand(whole, key, b"key", context, 32)).decrypt(
        labeled_expand(whole, key, b"base_nonce", context, 12), ciphertext, b"")


def public_of(private):
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


class Repository:
    def __init__(self, folder):
        self.folder = folder
        (self.common, self.index, self.keys, self.records, self.trees) = messages()
        config = self.read("config")
        self.config = parse(self.common.Config, config)
        need(self.config.version <= VERSION, f"format version {self.config.version} is newer than this reader")
        self.id = self.config.repository_id
        need(len(self.id) == 16, "the repository id has not 16 bytes")
        self.config_hash = sha256(config)

    # ---- objects ----

    def read(self, name):
        with open(os.path.join(self.folder, name), "rb") as f:
            return f.read()

    def names(self, folder):
        path = os.path.join(self.folder, folder)
        return sorted(n for n in os.listdir(path) if not n.startswith(".")) if os.path.isdir(path) else []

    def read_named(self, name):
        """Every name but config ends in the SHA-256 of the object."""
        data = self.read(name)
        need(sha256(data).hex() == name[-64:], f"{name} has other contents than its name says")
        return data

    def unseal(self, kind, data, bound=b""):
        need(len(data) >= 60 + 16 and data[:4] == b"HFST", "not a sealed object")
        version, own, zero, generation = struct.unpack(">HBBI", data[4:12])
        need(version == VERSION and zero == 0, "a sealed object of another version")
        need(own == kind, f"an object of type {own} where one of type {kind} belongs")
        need(data[12:28] == self.id, "it belongs to another repository")
        salt = data[28:60]
        key = derive(self.metadata[generation], salt, b"object", self.id, bytes([kind]))
        return AESGCM(key).decrypt(bytes(12), data[60:], data[:60] + bound)

    def check_signature(self, kind, signed, signer, public):
        for s in signed.signatures:
            if s.signer != signer:
                continue
            message = label(b"sig") + bytes([kind]) + self.id + s.signer + lv(signed.body)
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(s.signature, message)
                return True
            except InvalidSignature:
                pass
        return False

    def record(self, kind, message, name):
        signed = parse(self.common.Signed, self.unseal(kind, self.read_named(name)))
        body = parse(message, signed.body)
        host = self.hosts.get(body.host)
        need(host and self.check_signature(kind, signed, host.id, host.signing_key), f"{name}: its host has not signed it")
        return body, host

    # ---- unlocking ----

    def open_passphrase(self, passphrase):
        for name in self.names("keys"):
            if not name.startswith("p-"):
                continue
            data = self.read_named(f"keys/{name}")
            need(data[:4] == b"HFPS" and data[4:6] == struct.pack(">H", VERSION), "not a person key of this version")
            need(data[6:22] == self.id, "a person key of another repository")
            person = data[22:38]
            (size,) = struct.unpack(">I", data[38:42])
            public = data[42:42 + size]
            at = 42 + size
            log2n, r, p = data[at:at + 3]
            need(15 <= log2n <= 20 and r == 8 and p == 1, "scrypt parameters out of bounds")
            salt, header, sealed = data[at + 3:at + 35], data[:at + 35], data[at + 35:]
            stretched = Scrypt(salt=salt, length=32, n=1 << log2n, r=r, p=p).derive(passphrase)
            key = derive(stretched, b"", b"person", self.id, person)
            try:
                plain = AESGCM(key).decrypt(bytes(12), sealed, header)
            except InvalidTag:
                continue
            need(public_of(plain[:32]) == public, "the two halves of a person key do not belong together")
            return self.unlock(person, plain[:32], plain[32:])
        raise Bad("the passphrase opens no person key")

    def open_file(self, text):
        lines = text.decode().splitlines()
        need(lines[0] == "holdfast person key 1", "not a person key file")
        values = {k: bytes.fromhex(v) for k, v in (line.split(" = ") for line in lines[1:])}
        need(values["repository"] == self.id, "a person key of another repository")
        return self.unlock(values["person"], values["private-key"], values["root"])

    def chain(self, root):
        """From the keyring that the root fingerprint names to the newest."""
        candidates = []
        for name in self.names("keys"):
            if name.startswith("p-"):
                continue
            data = self.read_named(f"keys/{name}")
            signed = parse(self.common.Signed, data)
            candidates.append((sha256(data), signed, parse(self.keys.Keyring, signed.body)))
        newest = None
        while True:
            following = [c for c in candidates if self.follows(c, newest, root)]
            need(len({c[0] for c in following}) <= 1, "the keyring forks")
            if not following:
                break
            newest = following[0]
        need(newest, "no keyring begins the chain of this key")
        return newest[2]

    def follows(self, candidate, previous, root):
        _, signed, keyring = candidate
        admin = keyring.admin_key
        if not self.check_signature(KEYRING, signed, sha256(admin)[:16], admin) or keyring.repository_id != self.id:
            return False
        if previous is None:
            return keyring.version == 1 and sha256(label(b"root") + self.id + lv(admin)) == root
        before = previous[2].admin_key
        return (keyring.version == previous[2].version + 1 and keyring.previous == previous[0]
                and self.check_signature(KEYRING, signed, sha256(before)[:16], before))

    def unlock(self, person_id, private, root):
        keyring = self.chain(root)
        need(keyring.config_sha256 == self.config_hash, "config is not the one in the keyring")
        persons = [p for p in keyring.persons if p.id == person_id]
        need(persons and persons[0].public_key == public_of(private), "this person is not in the keyring")
        person = persons[0]
        info = label(b"bundle") + self.id + struct.pack(">I", keyring.version) + person.id + bytes([person.role])
        bundle = parse(self.keys.Bundle, hpke_open(private, person.enc, info, person.bundle))
        self.metadata = {s.number: s.secret for s in bundle.metadata_secrets}
        self.recovery = {s.number: s.secret for s in bundle.recovery_keys}
        for epoch in keyring.epochs:
            if epoch.number in self.recovery:
                need(public_of(self.recovery[epoch.number]) == epoch.public_key, "a recovery key does not fit its epoch")
        self.id_keys = [derive(s.secret, b"", b"blob-id", self.id, struct.pack(">I", s.number)) for s in bundle.id_secrets]
        self.hosts = {h.id: h for h in keyring.hosts}
        self.load_index()

    # ---- index and packs ----

    def load_index(self):
        self.blobs = {}
        for name in self.names("index"):
            segment, host = self.record(INDEX, self.index.Segment, f"index/{name}")
            for serialised in segment.packs:
                entry = parse(self.index.PackEntry, serialised)
                need(entry.author == host.id or host.role == self.keys.ROLE_PRUNE, f"index/{name} lists a pack of another host")
                first = 0
                c = entry.contents
                for n in range(len(c.frames) // 26):
                    slot, counter, offset, stored, raw, last = struct.unpack(">HQIIII", c.frames[26 * n:26 * n + 26])
                    frame = (entry.sha256.hex(), slot, counter, offset, stored, raw, last >> 24)
                    for k in range(first, first + (last & 0xffffff)):
                        at = 40 * k
                        start, length = struct.unpack(">II", c.blobs[at + 32:at + 40])
                        self.blobs.setdefault(c.blobs[at:at + 32], []).append((segment.kind, frame, start, length))
                    first += last & 0xffffff
        self.packs, self.frames = {}, {}

    def slots(self, data, kind):
        """The pack keys of a pack, in the order of its slots: as many as its table of contents says."""
        (length,) = struct.unpack(">I", data[-8:-4])
        start = len(data) - 8 - length
        contents = parse(self.index.Contents, self.unseal(CONTENTS, data[start:-8], sha256(data[:start])))
        at, keys = 7, []
        for _ in range(contents.slot_count):
            own, (number,) = data[at:at + 16], struct.unpack(">I", data[at + 16:at + 20])
            at += 20
            if kind == DATA:
                need(struct.unpack(">3H", data[at:at + 6]) == SUITE, "an unknown HPKE suite")
                at += 6
                fields = []
                for _ in range(2):
                    (size,) = struct.unpack(">I", data[at:at + 4])
                    fields.append(data[at + 4:at + 4 + size])
                    at += 4 + size
                info = label(b"pack-key") + self.id + struct.pack(">I", number) + own + bytes([kind])
                key = hpke_open(self.recovery[number], fields[0], info, fields[1])
            else:
                key = derive(self.metadata[number], own, b"meta-slot", self.id)
            commit = derive(key, own, b"commit", self.id, bytes([kind]))[:16]
            need(hmac.compare_digest(commit, data[at:at + 16]), "a slot's commitment does not fit")
            at += 16
            keys.append((own, AESGCM(derive(key, own, b"frame", self.id, bytes([kind])))))
        return keys

    def pack(self, name, kind):
        if name not in self.packs:
            data = self.read_named(f"packs/{name[:2]}/{name}")
            need(data[:4] == b"HFPK" and data[4:6] == struct.pack(">H", VERSION) and data[6] == kind and data[-4:] == b"KPFH",
                 f"pack {name} is malformed")
            self.packs = {name: (data, self.slots(data, kind))}  # one at a time
        return self.packs[name]

    def frame(self, kind, frame):
        if frame in self.frames:
            return self.frames[frame]
        name, slot, counter, offset, stored, raw, codec = frame
        data, keys = self.pack(name, kind)
        own, aead = keys[slot]
        aad = (b"HFFR" + struct.pack(">H", VERSION) + self.id + bytes([kind]) + own + struct.pack(">QBI", counter, codec, raw))
        plain = aead.decrypt(bytes(4) + struct.pack(">Q", counter), data[offset:offset + stored], aad)
        need(codec in (0, 1), "an unknown codec")
        if codec == 1:
            plain = zstandard.ZstdDecompressor().decompress(plain, max_output_size=raw)
        need(len(plain) == raw, "a frame has another length than its entry says")
        if len(self.frames) > 50:
            self.frames.clear()
        self.frames[frame] = plain
        return plain

    def blob(self, kind, key):
        problem = None
        for own, frame, start, length in self.blobs.get(key, []):
            try:
                plain = self.frame(own, frame)[start:start + length]
            except (Bad, OSError, InvalidTag) as why:
                problem = why
                continue
            if own == kind and any(hmac.digest(k, bytes([kind]) + plain, "sha256") == key for k in self.id_keys):
                return plain
        raise Bad(f"blob {key.hex()} is on no pack that can be read: {problem}")

    def tree(self, extents):
        data = b""
        for e in extents:
            piece = self.blob(META, e.blob)
            need(len(piece) == e.length, "a piece of a listing has another length")
            data += piece
        nodes = parse(self.trees.Tree, data).nodes
        names = [n.name for n in nodes]
        need(names == sorted(set(names)), "a listing is not sorted")
        return nodes

    # ---- snapshots ----

    def snapshots(self):
        forgotten = set()
        for name in self.names("events"):
            event, host = self.record(EVENT, self.records.Event, f"events/{name}")
            if event.type == self.records.EVENT_FORGET and host.role == self.keys.ROLE_PRUNE:
                forgotten |= set(event.snapshots)
        found = []
        for name in self.names("snapshots"):
            if bytes.fromhex(name[-64:]) not in forgotten:
                found.append((name[-64:], self.record(MANIFEST, self.records.Manifest, f"snapshots/{name}")[0]))
        return sorted(found, key=lambda s: (s[1].ended, s[1].sequence, s[0]))


class Restore:
    def __init__(self, repository, destination):
        self.repository, self.destination = repository, os.fsencode(os.path.abspath(destination))
        self.links, self.times = [], []

    def run(self, manifest):
        os.makedirs(self.destination, exist_ok=True)
        for node in self.repository.tree(manifest.root):
            path = node.name
            need(b"\0" not in path and b".." not in path.split(b"/"), "a source path leaves the destination")
            parent = self.destination + os.path.dirname(b"/" + path.lstrip(b"/"))
            os.makedirs(parent, exist_ok=True)
            self.node(parent, node, os.path.basename(path) or b".", b"/" + path.lstrip(b"/"))
        for path, first, node in self.links:
            source = self.destination + b"/" + first.lstrip(b"/")
            os.link(source, path, follow_symlinks=False)
        for path, at in self.times:
            os.utime(path, ns=(at, at))

    def node(self, parent, node, name, where):
        need(name == b"." or (name not in (b"", b"..") and b"/" not in name and b"\0" not in name), "a hostile name")
        path = parent + b"/" + name
        if node.hard_link and node.hard_link != where.lstrip(b"/") and node.hard_link != where:
            self.links.append((path, node.hard_link, node))
            return
        if node.type == FILE:
            with open(path, "xb") as f:
                for e in node.content:
                    if e.blob:
                        piece = self.repository.blob(DATA, e.blob)
                        need(len(piece) == e.length, "a piece of a file has another length")
                        f.write(piece)
                    else:
                        f.seek(e.length, os.SEEK_CUR)
                f.truncate(node.size)
        elif node.type == DIRECTORY:
            os.makedirs(path, exist_ok=True)
            for child in self.repository.tree(node.subtree):
                self.node(path, child, child.name, where.rstrip(b"/") + b"/" + child.name)
        elif node.type == SYMLINK:
            os.symlink(node.link_target, path)
        elif node.type == FIFO:
            os.mkfifo(path)
        else:
            need(node.type in (CHARACTER, BLOCK), f"an unknown type {node.type}")
            os.mknod(path, (0o020000 if node.type == CHARACTER else 0o060000), os.makedev(node.device_major, node.device_minor))
        if os.geteuid() == 0:
            os.chown(path, node.uid, node.gid, follow_symlinks=False)
        for x in node.xattrs:
            os.setxattr(path, x.name, x.value, follow_symlinks=False)
        if node.type != SYMLINK:
            os.chmod(path, node.mode)
        at = node.mtime_seconds * 10**9 + node.mtime_nanoseconds
        if node.type == DIRECTORY:
            self.times.append((path, at))  # hard links are still to come
        else:
            os.utime(path, ns=(at, at), follow_symlinks=False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("repository")
    parser.add_argument("--passphrase-file")
    parser.add_argument("--person-key")
    parser.add_argument("--snapshot", default="latest")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--to")
    options = parser.parse_args()
    try:
        repository = Repository(options.repository)
        if options.person_key:
            with open(options.person_key, "rb") as f:
                repository.open_file(f.read())
        else:
            with open(options.passphrase_file, "rb") as f:
                text = f.read()
            repository.open_passphrase(text[:-1] if text.endswith(b"\n") else text)
        snapshots = repository.snapshots()
        if options.list:
            for key, manifest in snapshots:
                print(key, manifest.host_name, manifest.job, " ".join(manifest.classes))
            return 0
        chosen = [s for s in snapshots if options.snapshot == "latest" or s[0].startswith(options.snapshot)]
        need(chosen, "no such snapshot")
        Restore(repository, options.to).run(chosen[-1][1])
    except (Bad, InvalidTag) as why:
        print(f"read.py: {why or type(why).__name__}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
