#!/usr/bin/env python3
"""An independent reader of Holdfast repositories, written from holdfast-format(5) alone.

It shares no line with the program: it opens a repository in a local folder with a person's
passphrase or key file, checks every hash and signature on the way, lists the snapshots, and
restores one of them. The headings below are those of the page.

    holdfast_reader.py REPOSITORY [--passphrase-file FILE | --person-key FILE] list
    holdfast_reader.py REPOSITORY [--passphrase-file FILE | --person-key FILE] runs
    holdfast_reader.py REPOSITORY [--passphrase-file FILE | --person-key FILE] restore SNAPSHOT FOLDER

SNAPSHOT is "latest" or the first digits of a manifest's SHA-256. Exit status: 0, or 1 when
something could not be read, or 3 when the tree is there but some attribute could not be set.
"""

import argparse
import collections
import datetime
import fcntl
import functools
import hashlib
import hmac
import os
import re
import resource
import stat
import struct
import sys

import zstandard
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

VERSION = 0
MAX_OBJECT = 64 << 20  # of what is not a pack; the page bounds only segments (8 MiB)
MAX_RAW = 64 << 20
MAX_LISTING = 1 << 30
CONTENTS, SEGMENT, MANIFEST, RUN, EVENT, LEASE, KEYRING, CERTIFICATE = 1, 2, 3, 4, 5, 6, 16, 18
DATA, META = 1, 2
ROLE_ADMIN, ROLE_PRUNE = 2, 4
EVENT_FORGET = 1
FILE, DIRECTORY, SYMLINK, FIFO, CHARACTER, BLOCK, SOCKET = 1, 2, 3, 4, 5, 6, 7


class Bad(Exception):
    """Something that does not hold what it promises, and must not be used."""


def require(condition, text):
    if not condition:
        raise Bad(text)


# ---- Messages: fields are numbered from 1 in this order; "*" marks repeated ones ----

DEFINITIONS = """
Signature       bytes signer, bytes signature
Signed          bytes body, Signature* signatures
Config          uint32 version, bytes repository_id, uint32 chunk_min, uint32 chunk_average, uint32 chunk_max,
                uint32 frame_group, uint32 pack_size, int64 created
Epoch           uint32 number, uint32 kem, uint32 kdf, uint32 aead, bytes public_key, int64 created
Person          bytes id, string name, uint32 role, bytes public_key, bytes enc, bytes bundle, int64 added
Host            bytes id, string name, uint32 role, bytes public_key, bytes signing_key, string dedup_group,
                bytes enc, bytes bundle, int64 added, bool removed, uint64 last_sequence, bytes last_manifest
Keyring         uint32 version, bytes previous, bytes repository_id, bytes config_sha256, bytes admin_key,
                Epoch* epochs, uint32 metadata_generation, uint32 id_generation, Person* persons, Host* hosts,
                int64 created
NumberedSecret  uint32 number, bytes secret
Bundle          NumberedSecret* metadata_secrets, NumberedSecret* id_secrets, NumberedSecret* recovery_keys,
                bytes admin_seed
Contents        uint32 slot_count, bytes frames, bytes blobs
PackEntry       bytes sha256, uint64 size, bytes author, uint32 slots_length, uint32 contents_length,
                Contents contents
Segment         bytes host, int64 created, uint32 kind, bytes* supersedes, bytes* packs, uint32 part,
                uint32 parts, bytes replacement
Extent          bytes blob, uint64 length
Xattr           bytes name, bytes value
Node            bytes name, uint32 type, uint32 mode, uint32 uid, uint32 gid, bytes user, bytes group,
                sint64 mtime_seconds, uint32 mtime_nanoseconds, uint64 size, bytes link_target,
                uint32 device_major, uint32 device_minor, Xattr* xattrs, uint32 flags, bytes hard_link,
                Extent* content, Extent* subtree
Tree            Node* nodes
Keep            uint32 daily, uint32 weekly, uint32 monthly, uint32 yearly, uint32 manual, int64 within,
                uint32 minimum, bool manual_set
Statistics      uint64 files, uint64 directories, uint64 others, uint64 bytes, uint64 files_new,
                uint64 bytes_new, uint64 bytes_stored, uint64 warnings, uint64 bytes_read
Seen            bytes host, uint64 sequence
Manifest        bytes host, string host_name, string job, string* classes, int64 started, int64 ended,
                Extent* root, Statistics statistics, bytes* sources, string source_type, Keep keep,
                bytes configuration, bytes parent, string software, uint64 sequence, bytes previous_manifest,
                bytes previous_run, uint32 keyring_version, bytes keyring_sha256, bytes* segments, Seen* seen
JobRun          string job, string* classes, int64 started, int64 ended, uint32 exit_status, string message,
                bytes snapshot, Statistics statistics, string* warnings
PruneRun        int64 started, int64 ended, uint32 exit_status, string message, uint64 expired, uint64 held,
                uint64 deleted_packs, uint64 deleted_bytes, uint64 delayed_packs, uint64 locked_objects
VerifyRun       int64 started, int64 ended, uint32 exit_status, string message, uint64 objects, uint64 bytes,
                uint64 damaged, uint32 first, uint64 span
DrillRun        int64 started, int64 ended, uint32 exit_status, string message, string job, bytes snapshot,
                uint64 files, uint64 bytes
TargetRun       string name, bool behind, string message, uint64 stored_bytes, uint64 objects, uint64 bytes
Run             bytes host, uint64 sequence, bytes previous, string command, int64 started, int64 ended,
                uint32 exit_status, string message, bool interrupted, JobRun* jobs, PruneRun prune,
                VerifyRun verify, DrillRun drill, TargetRun* targets, string software
FrameRef        bytes pack, uint32 frame
Event           bytes host, uint32 type, int64 created, bytes* snapshots, string reason, bytes* packs,
                FrameRef* frames, bytes* events
Lease           bytes host, bytes writer, int64 started, int64 refreshed, string purpose
"""


def build_messages():
    """Returns the classes of DEFINITIONS by name. Enumerations are read as the integers they are."""
    file = descriptor_pb2.FileDescriptorProto(name="holdfast", package="holdfast", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in re.findall(r"^(\w+) +((?:.+\n(?: .+\n)*))", DEFINITIONS, re.M):
        kind = file.message_type.add(name=name)
        for number, field in enumerate(fields.split(","), 1):
            of, label = field.split()
            added = kind.field.add(name=label, number=number)
            added.label = kinds.LABEL_REPEATED if of.endswith("*") else kinds.LABEL_OPTIONAL
            of = of.rstrip("*")
            if of[0].isupper():
                added.type, added.type_name = kinds.TYPE_MESSAGE, ".holdfast." + of
            else:
                added.type = getattr(kinds, "TYPE_" + of.upper())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return {m.name: factory.GetPrototype(pool.FindMessageTypeByName("holdfast." + m.name))
            for m in file.message_type}


MESSAGES = build_messages()


def parse(name, data):
    """Reads a message; one with fields that are not known is refused."""
    result = MESSAGES[name]()
    try:
        result.ParseFromString(data)
    except message.DecodeError as e:
        raise Bad(f"this is no {name}: {e}") from None
    size = result.ByteSize()
    result.DiscardUnknownFields()
    require(result.ByteSize() == size, f"a {name} has fields that this reader does not know")
    return result


# ---- Notation ----

def u8(n):
    return struct.pack(">B", n)


def u16(n):
    return struct.pack(">H", n)


def u32(n):
    return struct.pack(">I", n)


def u64(n):
    return struct.pack(">Q", n)


def lv(data):
    return u32(len(data)) + data


def label(text):
    return b"holdfast/1 " + text.encode() + b"\0"


def sha256(data):
    return hashlib.sha256(data).digest()


def hmac_sha256(key, data):
    return hmac.digest(key, data, "sha256")


def hkdf(key, salt, info, length):
    return HKDF(hashes.SHA256(), length, salt or None, info).derive(key)


def derive(key, salt, name, repository, context):
    """D of the page."""
    return hkdf(key, salt, label(name) + repository + context, 32)


def gcm_open(key, nonce, aad, data, what):
    try:
        return AESGCM(key).decrypt(nonce, data, aad)
    except (InvalidTag, ValueError):
        raise Bad(f"{what} does not open") from None


class Cursor:
    """Takes bytes from the front of data, and never more than there are."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        require(0 <= count <= len(self.data) - self.at, "something ends too early")
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, count):
        return int.from_bytes(self.take(count), "big")

    def lv(self):
        return self.take(self.number(4))


# ---- HPKE (RFC 9180), mode base, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM ----

HPKE = (0x20, 1, 2)
KEM_SUITE = b"KEM" + u16(0x20)
HPKE_SUITE = b"HPKE" + b"".join(map(u16, HPKE))


def labeled_extract(suite, salt, name, key):
    return hmac_sha256(salt or bytes(32), b"HPKE-v1" + suite + name + key)


def labeled_expand(suite, prk, name, info, length):
    return HKDFExpand(hashes.SHA256(), length, u16(length) + b"HPKE-v1" + suite + name + info).derive(prk)


def hpke_key(shared, enc, public, info):
    """Key and nonce of the first message, from what the X25519 exchange gave."""
    prk = labeled_extract(KEM_SUITE, b"", b"eae_prk", shared)
    secret = labeled_expand(KEM_SUITE, prk, b"shared_secret", enc + public, 32)
    context = u8(0) + labeled_extract(HPKE_SUITE, b"", b"psk_id_hash", b"") + labeled_extract(
        HPKE_SUITE, b"", b"info_hash", info)
    prk = labeled_extract(HPKE_SUITE, secret, b"secret", b"")
    return (labeled_expand(HPKE_SUITE, prk, b"key", context, 32),
            labeled_expand(HPKE_SUITE, prk, b"base_nonce", context, 12))


def public_of(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def hpke_open(private, enc, info, ciphertext, what):
    try:
        shared = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(enc))
    except ValueError:
        raise Bad(f"{what} is sealed to no proper key") from None
    key, nonce = hpke_key(shared, enc, public_of(private), info)
    return gcm_open(key, nonce, b"", ciphertext, what)


# ---- Objects ----

class Folder:
    """A target that is a folder."""

    def __init__(self, path):
        self.path = path

    def list(self, prefix):
        """The names in a folder of the repository that end in a hash."""
        try:
            found = sorted(os.listdir(os.path.join(self.path, prefix)))
        except FileNotFoundError:
            return []
        return [prefix + "/" + n for n in found if re.fullmatch(r"(.*-)?[0-9a-f]{64}", n) and n[0] != "."]

    def read(self, name, limit=MAX_OBJECT):
        with open(os.path.join(self.path, name), "rb") as f:
            data = f.read(limit + 1)
        require(len(data) <= limit, f"{name} is too large")
        require(name == "config" or sha256(data).hex() == name[-64:], f"{name} is damaged")
        return data


def object_hash(name):
    return bytes.fromhex(name[-64:])


# ---- Keys ----

PersonKey = collections.namedtuple("PersonKey", "id private root")


def open_person_key(data, repository, passphrase):
    c = Cursor(data)
    require(c.take(4) == b"HFPS" and c.number(2) == VERSION, "this is no person key of this version")
    require(c.take(16) == repository, "this person key is of another repository")
    person, public = c.take(16), c.lv()
    log2n, r, p = c.number(1), c.number(1), c.number(1)
    require(15 <= log2n <= 20 and r == 8 and p == 1, "this person key asks for a strange work of scrypt")
    salt = c.take(32)
    aad, sealed = data[:c.at], data[c.at:]
    stretched = Scrypt(salt, 32, 1 << log2n, r, p).derive(passphrase)
    plain = gcm_open(derive(stretched, b"", "person", repository, person), bytes(12), aad, sealed, "the person key")
    require(len(plain) == 64 and public_of(plain[:32]) == public, "the halves of the person key do not fit")
    return PersonKey(person, plain[:32], plain[32:])


def read_key_file(text, repository):
    lines = text.splitlines()
    require(lines[:1] == ["holdfast person key 1"], "this is no file with a person key")
    pairs = [line.split(" = ", 1) for line in lines[1:]]
    require([p[0] for p in pairs] == ["person", "repository", "root", "private-key"], "the key file lacks a line")
    person, of, root, private = (bytes.fromhex(p[1]) for p in pairs)
    require(of == repository, "this person key is of another repository")
    require((len(person), len(root), len(private)) == (16, 32, 32), "the key file has a line of a wrong length")
    return PersonKey(person, private, root)


def signed_bytes(kind, repository, signer, body):
    return label("sig") + u8(kind) + repository + signer + lv(body)


def is_signed(signed, kind, repository, signer, public):
    """Whether one of the signatures is good and made by signer, whose key is public."""
    for s in signed.signatures:
        if s.signer == signer:
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(
                    s.signature, signed_bytes(kind, repository, signer, signed.body))
                return True
            except (InvalidSignature, ValueError):
                pass
    return False


def root_fingerprint(repository, admin):
    return sha256(label("root") + repository + lv(admin))


def read_keyrings(store, repository, root):
    """Walks from the root fingerprint to the newest keyring and returns it."""
    versions = collections.defaultdict(list)
    for name in store.list("keys"):
        number = re.fullmatch(r"keys/([1-9][0-9]{0,9})-[0-9a-f]{64}", name)
        if not number:
            continue
        try:
            signed = parse("Signed", store.read(name))
            ring = parse("Keyring", signed.body)
        except Bad as e:
            warn(f"{name}: {e}")
            continue
        if ring.repository_id == repository and ring.version == int(number[1]):
            versions[ring.version].append((ring, signed, object_hash(name)))

    def signs(admin, signed):
        return is_signed(signed, KEYRING, repository, sha256(admin)[:16], admin)

    newest = newest_hash = None
    for version in range(1, max(versions, default=0) + 1):
        good = [(ring, digest) for ring, signed, digest in versions[version]
                if signs(ring.admin_key, signed)
                and (root_fingerprint(repository, ring.admin_key) == root and not ring.previous
                     if newest is None else ring.previous == newest_hash and signs(newest.admin_key, signed))]
        require(len(good) <= 1, f"keyring {version} is there twice, with different contents: a fork")
        if not good:
            break
        newest, newest_hash = good[0]
    require(newest, "no keyring has the root fingerprint that the person key knows")
    for version, found in versions.items():
        if version > newest.version + 1:
            require(not any(signs(newest.admin_key, signed) for _, signed, _ in found),
                    f"a keyring between {newest.version} and {version} is missing")
    return newest


def person_info(repository, version, person, role):
    """What the bundle of a person is bound to."""
    return label("bundle") + repository + u32(version) + person + u8(role)


def host_info(repository, version, host):
    return label("host") + repository + u32(version) + host


def open_person_bundle(private, repository, version, person):
    info = person_info(repository, version, person.id, person.role)
    return parse("Bundle", hpke_open(private, person.enc, info, person.bundle, "the bundle"))


def numbered(secrets):
    require(all(len(s.secret) == 32 for s in secrets), "a secret has not 32 bytes")
    return {s.number: s.secret for s in secrets}


# ---- Sealed objects ----

def sealed_key(secret, salt, repository, kind):
    return derive(secret, salt, "object", repository, u8(kind))


def open_sealed(data, kind, repository, metadata_secrets, bound=b""):
    """The plain bytes of a sealed object; bound is the hash that a table of contents is bound to."""
    c = Cursor(data)
    require(c.take(4) == b"HFST" and c.number(2) == VERSION, "this is no sealed object of this version")
    require(c.number(1) == kind and c.number(1) == 0, "the sealed object is of another type")
    generation = c.number(4)
    require(c.take(16) == repository, "the sealed object is of another repository")
    salt = c.take(32)
    require(generation in metadata_secrets, f"there is no metadata secret {generation}")
    key = sealed_key(metadata_secrets[generation], salt, repository, kind)
    return gcm_open(key, bytes(12), data[:c.at] + bound, data[c.at:], "the sealed object")


# ---- Packs ----

Frame = collections.namedtuple("Frame", "slot counter offset stored raw codec blobs")


def read_contents(contents, slots_end, frames_end):
    """The frames and, for each, [(blob id, offset, length)] of a table of contents, all bounds checked."""
    require(len(contents.frames) % 26 == 0 and len(contents.blobs) % 40 == 0, "the contents have odd lengths")
    frames, blobs = [], []
    c, b, end, counters = Cursor(contents.frames), Cursor(contents.blobs), slots_end, set()
    while c.at < len(contents.frames):
        f = Frame(*(c.number(size) for size in (2, 8, 4, 4, 4, 1, 3)))
        require(f.slot < contents.slot_count and (f.slot, f.counter) not in counters, "a frame's counter is not its own")
        require(f.offset >= end and f.stored >= 16 and f.offset + f.stored <= frames_end, "frames overlap")
        require(f.raw <= MAX_RAW and f.codec in (0, 1), "a frame is too large, or of an unknown codec")
        counters.add((f.slot, f.counter))
        end = f.offset + f.stored
        inside = [(b.take(32), b.number(4), b.number(4)) for _ in range(f.blobs)]
        require(all(offset + length <= f.raw for _, offset, length in inside), "a blob is not in its frame")
        frames.append(f)
        blobs.append(inside)
    require(b.at == len(contents.blobs), "there are blobs of no frame")
    return frames, blobs


def pack_key_info(repository, epoch, slot_id, kind):
    return label("pack-key") + repository + u32(epoch) + slot_id + u8(kind)


def meta_pack_key(secret, slot_id, repository):
    return derive(secret, slot_id, "meta-slot", repository, b"")


def slot_commit(pack_key, slot_id, repository, kind):
    return derive(pack_key, slot_id, "commit", repository, u8(kind))[:16]


def frame_key(pack_key, slot_id, repository, kind):
    return derive(pack_key, slot_id, "frame", repository, u8(kind))


def frame_nonce(counter):
    return u32(0) + u64(counter)


def frame_aad(repository, kind, slot_id, counter, codec, raw):
    return b"HFFR" + u16(VERSION) + repository + u8(kind) + slot_id + u64(counter) + u8(codec) + u32(raw)


def decompress(payload, codec, raw):
    if codec == 1:
        try:
            known = zstandard.frame_content_size(payload)
            require(known in (-1, raw), "a frame has another length than the contents say")
            with zstandard.ZstdDecompressor().stream_reader(payload) as stream:
                payload = stream.read(raw + 1)
        except zstandard.ZstdError as e:
            raise Bad(f"a frame does not unpack: {e}") from None
    require(len(payload) == raw, "a frame has another length than the contents say")
    return payload


# ---- Blobs ----

def blob_id_key(secret, generation, repository):
    return derive(secret, b"", "blob-id", repository, u32(generation))


def blob_id(key, kind, plain):
    return hmac_sha256(key, u8(kind) + plain)


def path_parts(path):
    """The components of a path below the root tree, which may have slashes and dots too many."""
    return [p for p in path.split(b"/") if p not in (b"", b".")]


class Repository:
    """An open repository: keys, index and snapshots."""

    def __init__(self, path, passphrase=None, key_text=None):
        self.store = Folder(path)
        config_bytes = self.store.read("config")
        self.config = parse("Config", config_bytes)
        require(self.config.version == VERSION, f"the format has version {self.config.version}")
        self.id = self.config.repository_id
        require(len(self.id) == 16, "the repository id has not 16 bytes")
        person = read_key_file(key_text, self.id) if key_text else self.open_person(passphrase)
        self.keyring = read_keyrings(self.store, self.id, person.root)
        require(self.keyring.config_sha256 == sha256(config_bytes), "config is not the one of the keyring")
        self.hosts = {h.id: h for h in self.keyring.hosts}
        self.open_secrets(person)
        self.packs, self.blobs = {}, collections.defaultdict(list)
        self.read_index()

    # -- Keys --

    def open_person(self, passphrase):
        failure = Bad("there is no person key")
        for name in self.store.list("keys"):
            match = re.fullmatch(r"keys/p-([0-9a-f]{32})-[0-9a-f]{64}", name)
            if match:
                try:
                    person = open_person_key(self.store.read(name), self.id, passphrase)
                    require(person.id.hex() == match[1], "the person key is of another person than its name says")
                    return person
                except Bad as e:
                    failure = e
        raise failure

    def open_secrets(self, person):
        member = next((p for p in self.keyring.persons if p.id == person.id), None)
        require(member, "the person is not in the keyring")
        require(member.public_key == public_of(person.private), "the keyring has another key of the person")
        bundle = open_person_bundle(person.private, self.id, self.keyring.version, member)
        self.metadata_secrets = numbered(bundle.metadata_secrets)
        self.id_keys = [blob_id_key(s, i, self.id) for i, s in numbered(bundle.id_secrets).items()]
        self.recovery_keys = numbered(bundle.recovery_keys)
        epochs = {e.number: e for e in self.keyring.epochs}
        for number, private in self.recovery_keys.items():
            require(number in epochs and epochs[number].public_key == public_of(private),
                    f"the recovery key {number} does not fit the keyring")

    # -- Sealed objects --

    def read_signed(self, prefix, kind, name_of_type, limit=MAX_OBJECT):
        """Yields (name, message) of all good objects under a prefix, and warns of the others."""
        for name in self.store.list(prefix):
            try:
                signed = parse("Signed", open_sealed(self.store.read(name, limit), kind, self.id, self.metadata_secrets))
                body = parse(name_of_type, signed.body)
                require(body.host in self.hosts, "the signer is not in the keyring")
                require(len(signed.signatures) == 1 and is_signed(signed, kind, self.id, body.host,
                        self.hosts[body.host].signing_key), "the signature is not good")
            except Bad as e:
                warn(f"{name}: {e}")
                continue
            yield name, body

    # -- Index --

    def read_index(self):
        for name, segment in self.read_signed("index", SEGMENT, "Segment", 8 << 20):
            try:
                require(segment.kind in (DATA, META), "the kind of packs is unknown")
                entries = [parse("PackEntry", p) for p in segment.packs]
                if self.hosts[segment.host].role != ROLE_PRUNE:
                    require(not segment.supersedes and all(e.author == segment.host for e in entries),
                            "the host may not write this")
                found = []
                for e in entries:
                    start, end = 7 + e.slots_length, e.size - 8 - e.contents_length
                    require(len(e.sha256) == 32 and start <= end, "a pack's lengths do not fit")
                    found.append((e, *read_contents(e.contents, start, end)))
            except Bad as e:
                warn(f"{name}: {e}")
                continue
            for e, frames, blobs in found:
                if e.sha256 in self.packs:
                    continue
                self.packs[e.sha256] = (e, segment.kind, frames)
                for number, inside in enumerate(blobs):
                    for blob, offset, length in inside:
                        self.blobs[segment.kind, blob].append((e.sha256, number, offset, length))

    # -- Packs --

    @functools.lru_cache(maxsize=4)
    def open_pack(self, digest):
        """The bytes of a pack and its slots as [(id, pack key)]."""
        entry, kind, frames = self.packs[digest]
        text = digest.hex()
        data = self.store.read(f"packs/{text[:2]}/{text}", entry.size)
        require(len(data) == entry.size, "the pack has another size than the index says")
        require(data[:7] == b"HFPK" + u16(VERSION) + u8(kind), "this is no pack of this version and kind")
        require(data[-8:] == u32(entry.contents_length) + b"KPFH", "the pack does not end as it should")
        begin = len(data) - 8 - entry.contents_length
        plain = open_sealed(data[begin:-8], CONTENTS, self.id, self.metadata_secrets, sha256(data[:begin]))
        require(parse("Contents", plain) == entry.contents, "pack and index disagree about the contents")
        c = Cursor(data[7:7 + entry.slots_length])
        slots = [self.read_slot(c, kind) for _ in range(entry.contents.slot_count)]
        require(c.at == len(c.data) and (not frames or frames[0].offset == 7 + entry.slots_length),
                "the slots do not end where the first frame begins")
        return data, slots

    def read_slot(self, c, kind):
        """One slot: its id and pack key. A key that this person does not have is an error only when it is used."""
        slot_id, number = c.take(16), c.number(4)
        if kind == DATA:
            suite = tuple(c.number(2) for _ in HPKE)
            enc, ciphertext, commit = c.lv(), c.lv(), c.take(16)
            require(suite == HPKE, "the slot is of an unknown suite")
            if number not in self.recovery_keys:
                return slot_id, None
            key = hpke_open(self.recovery_keys[number], enc, pack_key_info(self.id, number, slot_id, kind), ciphertext,
                            "the pack key")
        else:
            commit = c.take(16)
            if number not in self.metadata_secrets:
                return slot_id, None
            key = meta_pack_key(self.metadata_secrets[number], slot_id, self.id)
        require(len(key) == 32 and slot_commit(key, slot_id, self.id, kind) == commit, "the pack key is not committed to")
        return slot_id, key

    @functools.lru_cache(maxsize=16)
    def open_frame(self, digest, number):
        data, slots = self.open_pack(digest)
        _, kind, frames = self.packs[digest]
        f = frames[number]
        slot_id, key = slots[f.slot]
        require(key, "the pack is sealed to a key that this person does not have")
        payload = gcm_open(frame_key(key, slot_id, self.id, kind), frame_nonce(f.counter),
                           frame_aad(self.id, kind, slot_id, f.counter, f.codec, f.raw),
                           data[f.offset:f.offset + f.stored], "the frame")
        return decompress(payload, f.codec, f.raw)

    # -- Blobs --

    def blob(self, kind, extent):
        """The plain bytes of a blob, from the first pack where it is whole."""
        failure = Bad("no pack has it")
        for digest, number, offset, length in self.blobs.get((kind, extent.blob), []):
            try:
                plain = self.open_frame(digest, number)[offset:offset + length]
                require(any(blob_id(key, kind, plain) == extent.blob for key in self.id_keys), "its id does not come out")
                require(len(plain) == extent.length, "its length is another")
                return plain
            except (Bad, OSError) as e:
                failure = e
        raise Bad(f"blob {extent.blob.hex()}: {failure}")

    # -- Trees --

    def tree(self, extents, is_root=False):
        require(sum(e.length for e in extents) <= MAX_LISTING, "a listing is too large")
        nodes = parse("Tree", b"".join(self.blob(META, e) for e in extents)).nodes
        before = None
        for n in nodes:
            require(before is None or before < n.name, "a listing is not sorted")
            before = n.name
            parts = path_parts(n.name) if is_root else [n.name]
            require(n.name and all(p not in (b"", b".", b"..") and b"/" not in p and b"\0" not in p and len(p) <= 255
                                   for p in parts), f"a node has the name {n.name!r}")
        return nodes

    # -- Snapshots --

    def snapshots(self):
        """[(manifest's SHA-256, manifest)], the oldest first, without those that were forgotten."""
        forgotten = set()
        for _, event in self.read_signed("events", EVENT, "Event"):
            host = self.hosts[event.host]
            if event.type == EVENT_FORGET and host.role == ROLE_PRUNE and not host.removed:
                forgotten.update(event.snapshots)
        found = []
        for name, manifest in self.read_signed("snapshots", MANIFEST, "Manifest"):
            host = self.hosts[manifest.host]
            if host.removed and manifest.sequence > host.last_sequence:
                warn(f"{name}: it is from after its host was removed")
            elif object_hash(name) not in forgotten:
                found.append((object_hash(name), manifest))
        return sorted(found, key=lambda f: (f[1].ended, f[1].sequence))

    def runs(self):
        """Run records, each host's in the order of its chain."""
        found = sorted(((object_hash(name), run) for name, run in self.read_signed("runs", RUN, "Run")),
                       key=lambda f: (f[1].host, f[1].sequence))
        for (before, first), (_, second) in zip(found, found[1:]):
            require(first.host != second.host or (second.sequence == first.sequence + 1 and second.previous == before),
                    f"run {second.sequence} does not follow the one before")
        return [run for _, run in found]

    def snapshot(self, which):
        found = self.snapshots()
        if which != "latest":
            found = [f for f in found if f[0].hex().startswith(which)]
            require(len(found) < 2, f"{which} is the beginning of several snapshots")
        require(found, f"there is no snapshot {which}")
        return found[-1][1]


# ---- Restoring ----

GETFLAGS, SETFLAGS = 0x80086601, 0x40086602


class Restore:
    """Restores a snapshot into a folder. Everything is reached by descriptors of folders, never
    following a link, so nothing that a listing says leads out of the destination."""

    def __init__(self, repository, destination):
        self.repository = repository
        os.makedirs(destination, exist_ok=True)
        require(not os.listdir(destination), f"{destination} is not empty")
        self.top = os.open(destination, os.O_RDONLY | os.O_DIRECTORY)
        self.links, self.folders, self.flags = [], [], []
        self.attributes_missing = False

    def run(self, manifest):
        for node in self.repository.tree(manifest.root, is_root=True):
            parts = path_parts(node.name)
            at = os.dup(self.top)
            for part in parts[:-1]:
                at = self.enter(at, part, close=True)
            self.node(at, parts[-1] if parts else b".", parts, node)
            os.close(at)
        for parts, target in self.links:
            self.link(parts, path_parts(target))
        for parts, node in reversed(self.folders):
            at, name = self.reach(parts)
            self.attributes(at, name, node)
            os.close(at)
        for parts, node in self.flags:
            at, name = self.reach(parts)
            self.attempt(node, self.set_flags, at, name, node.flags)
            os.close(at)

    def enter(self, at, name, close=False):
        """Opens the folder name in the folder at, and makes it when it is not there."""
        try:
            os.mkdir(name, 0o700, dir_fd=at)
        except FileExistsError:
            pass
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
        if close:
            os.close(at)
        return below

    def reach(self, parts):
        """A descriptor of the folder that holds the last of parts, and that part."""
        at = os.dup(self.top)
        for part in parts[:-1]:
            require(part not in (b".", b".."), "a path leaves the destination")
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        require(parts[-1:] != [b".."], "a path leaves the destination")
        return at, parts[-1] if parts else b"."

    def make_way(self, at, name):
        """Sources may lie in one another: then the same file comes twice."""
        try:
            os.unlink(name, dir_fd=at)
        except FileNotFoundError:
            pass

    def node(self, at, name, parts, node):
        if node.hard_link:
            self.links.append((parts, node.hard_link))
            return
        if node.type != DIRECTORY:
            self.make_way(at, name)
        if node.type == DIRECTORY:
            below = self.enter(at, name)
            self.folders.append((parts, node))
            for child in self.repository.tree(node.subtree):
                self.node(below, child.name, parts + [child.name], child)
            os.close(below)
        elif node.type == FILE:
            self.file(at, name, node)
        elif node.type == SYMLINK:
            os.symlink(node.link_target, name, dir_fd=at)
        elif node.type in (FIFO, CHARACTER, BLOCK):
            kind = {FIFO: stat.S_IFIFO, CHARACTER: stat.S_IFCHR, BLOCK: stat.S_IFBLK}[node.type]
            device = os.makedev(node.device_major, node.device_minor)
            if not self.attempt(node, lambda: os.mknod(name, kind | 0o600, device, dir_fd=at)):
                return
        elif node.type == SOCKET:
            warn(f"{b'/'.join(parts)!r}: sockets are not restored")
            return
        else:
            raise Bad(f"{b'/'.join(parts)!r} is of an unknown type")
        if node.type != DIRECTORY:
            self.attributes(at, name, node)
        if node.flags:
            self.flags.append((parts, node))

    def file(self, at, name, node):
        require(sum(e.length for e in node.content) == node.size, f"{name!r}: the extents do not add up to the size")
        out = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=at)
        with open(out, "wb") as f:
            for extent in node.content:
                if extent.blob:
                    f.write(self.repository.blob(DATA, extent))
                else:
                    f.seek(extent.length, os.SEEK_CUR)
            f.truncate(node.size)

    def link(self, parts, target):
        at, name = self.reach(parts)
        first, first_name = self.reach(target)
        self.make_way(at, name)
        os.link(first_name, name, src_dir_fd=first, dst_dir_fd=at, follow_symlinks=False)
        os.close(first)
        os.close(at)

    def attributes(self, at, name, node):
        require(node.mtime_nanoseconds < 10**9, f"{name!r} has a strange time")
        if os.geteuid() == 0:
            self.attempt(node, lambda: os.chown(name, node.uid, node.gid, dir_fd=at, follow_symlinks=False))
        for x in node.xattrs:
            path = b"/proc/self/fd/%d/%s" % (at, name)
            self.attempt(node, lambda: os.setxattr(path, x.name, x.value, follow_symlinks=False))
        if node.type != SYMLINK:
            self.attempt(node, lambda: os.chmod(name, node.mode & 0o7777, dir_fd=at))
        when = node.mtime_seconds * 10**9 + node.mtime_nanoseconds
        self.attempt(node, lambda: os.utime(name, ns=(when, when), dir_fd=at, follow_symlinks=False))

    def set_flags(self, at, name, flags):
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
        try:
            have, = struct.unpack("i", fcntl.ioctl(fd, GETFLAGS, bytes(4)))
            fcntl.ioctl(fd, SETFLAGS, struct.pack("I", have & 0xffffffff | flags))
        finally:
            os.close(fd)

    def attempt(self, node, function, *arguments):
        """What fails here leaves the contents whole, so it is said and restoring goes on."""
        try:
            function(*arguments)
            return True
        except OSError as e:
            warn(f"{node.name!r}: {e}")
            self.attributes_missing = True
            return False


def warn(text):
    print(f"holdfast_reader: {text}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description="List and restore the snapshots of a Holdfast repository.")
    parser.add_argument("repository")
    keys = parser.add_mutually_exclusive_group(required=True)
    keys.add_argument("--passphrase-file", help="the passphrase; one newline at its end is not part of it")
    keys.add_argument("--person-key", help="a person key that is kept in a file")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    commands.add_parser("runs")
    restore = commands.add_parser("restore")
    restore.add_argument("snapshot")
    restore.add_argument("folder")
    options = parser.parse_args()
    passphrase = key_text = None
    if options.person_key:
        with open(options.person_key, encoding="ascii") as f:
            key_text = f.read()
    else:
        with open(options.passphrase_file, "rb") as f:
            passphrase = f.read().removesuffix(b"\n")

    # One level of folders of the snapshot takes a descriptor and a few frames of the stack.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.setrecursionlimit(100000)
    repository = Repository(options.repository, passphrase, key_text)
    if options.command == "list":
        for digest, m in repository.snapshots():
            ended = datetime.datetime.fromtimestamp(m.ended, datetime.timezone.utc)
            print(digest.hex(), ended.strftime("%Y-%m-%dT%H:%M:%SZ"), m.host_name, m.job)
        return 0
    if options.command == "runs":
        for run in repository.runs():
            print(run.sequence, run.exit_status, *["interrupted"] * run.interrupted,
                  *(f"{job.job}={job.exit_status}" for job in run.jobs))
        return 0
    work = Restore(repository, options.folder)
    work.run(repository.snapshot(options.snapshot))
    return 3 if work.attributes_missing else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Bad, OSError) as error:
        warn(error)
        sys.exit(1)
