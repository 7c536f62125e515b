#!/usr/bin/env python3
"""An independent reader of Holdfast repositories, written from holdfast-format(5) alone.

It shares no line with the program, and what it cannot read the page fails to say. It opens a repository in a local
folder with a person's passphrase or key file, checks every hash and signature on the way, lists the snapshots and the
records of runs, and restores a snapshot.

    holdfast_reader.py REPOSITORY (--passphrase-file FILE | --person-key FILE) list
    holdfast_reader.py REPOSITORY (--passphrase-file FILE | --person-key FILE) runs
    holdfast_reader.py REPOSITORY (--passphrase-file FILE | --person-key FILE) restore SNAPSHOT FOLDER

SNAPSHOT is "latest" or the first digits of a manifest's SHA-256, FOLDER is new or empty. Exit status: 0, or 1 when
something could not be read, or 3 when the tree is there but some attribute could not be set.
"""
import argparse
import collections
import datetime
import fcntl
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
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

MARK = b"\xef\xbb\xbf"  # of byte order: older versions took it for a part of the passphrase
VERSION = 0
MAX_OBJECT = 64 << 20
MAX_RAW = 64 << 20      # bytes of a frame
MAX_LISTING = 1 << 30   # bytes of a folder's listing
NAME_MAX = 1024         # bytes of a component
MAX_DEPTH = 100000      # folders within folders
CACHE = 256 << 20       # bytes of packs that are kept, and of frames
DATA, META = 1, 2
CONTENTS, SEGMENT, MANIFEST, RUN, EVENT, LEASE, KEYRING, CERTIFICATE = 1, 2, 3, 4, 5, 6, 16, 18
ROLE_READER, ROLE_ADMIN, ROLE_WRITE, ROLE_PRUNE = 1, 2, 3, 4
EVENT_FORGET = 1
FILE, DIRECTORY, SYMLINK, FIFO, CHARACTER, BLOCK, SOCKET = range(1, 8)
FORMATS = {FILE: stat.S_IFREG, DIRECTORY: stat.S_IFDIR, SYMLINK: stat.S_IFLNK, FIFO: stat.S_IFIFO,
           CHARACTER: stat.S_IFCHR, BLOCK: stat.S_IFBLK, SOCKET: stat.S_IFSOCK}


class Bad(Exception):
    """What was read breaks a rule of the format, is missing, or does not open."""


def require(condition, text):
    if not condition:
        raise Bad(text)


def warn(text):
    print(f"holdfast_reader: {text}", file=sys.stderr)


# ---- Messages, as the page has them ----

PROTO = """
message Signature { bytes signer = 1; bytes signature = 2; }
message Signed { bytes body = 1; repeated Signature signatures = 2; }
message Config {
  uint32 version = 1; bytes repository_id = 2; uint32 chunk_min = 3; uint32 chunk_average = 4;
  uint32 chunk_max = 5; uint32 frame_group = 6; uint32 pack_size = 7; int64 created = 8;
}
message Epoch {
  uint32 number = 1; uint32 kem = 2; uint32 kdf = 3; uint32 aead = 4; bytes public_key = 5; int64 created = 6;
}
message Person {
  bytes id = 1; string name = 2; Role role = 3; bytes public_key = 4; bytes enc = 5; bytes bundle = 6;
  int64 added = 7;
}
message Host {
  bytes id = 1; string name = 2; Role role = 3; bytes public_key = 4; bytes signing_key = 5;
  string dedup_group = 6; bytes enc = 7; bytes bundle = 8; int64 added = 9; bool removed = 10;
  uint64 last_sequence = 11; bytes last_manifest = 12;
}
message Keyring {
  uint32 version = 1; bytes previous = 2; bytes repository_id = 3; bytes config_sha256 = 4;
  bytes admin_key = 5; repeated Epoch epochs = 6; uint32 metadata_generation = 7; uint32 id_generation = 8;
  repeated Person persons = 9; repeated Host hosts = 10; int64 created = 11;
}
message NumberedSecret { uint32 number = 1; bytes secret = 2; }
message Bundle {
  repeated NumberedSecret metadata_secrets = 1; repeated NumberedSecret id_secrets = 2;
  repeated NumberedSecret recovery_keys = 3; bytes admin_seed = 4;
}
message Contents { uint32 slot_count = 1; bytes frames = 2; bytes blobs = 3; }
message PackEntry {
  bytes sha256 = 1; uint64 size = 2; bytes author = 3; uint32 slots_length = 4; uint32 contents_length = 5;
  Contents contents = 6;
}
message Segment {
  bytes host = 1; int64 created = 2; uint32 kind = 3; repeated bytes supersedes = 4; repeated bytes packs = 5;
  uint32 part = 6; uint32 parts = 7; bytes replacement = 8;
}
message Extent { bytes blob = 1; uint64 length = 2; }
message Xattr { bytes name = 1; bytes value = 2; }
message Node {
  bytes name = 1; NodeType type = 2; uint32 mode = 3; uint32 uid = 4; uint32 gid = 5; bytes user = 6;
  bytes group = 7; sint64 mtime_seconds = 8; uint32 mtime_nanoseconds = 9; uint64 size = 10;
  bytes link_target = 11; uint32 device_major = 12; uint32 device_minor = 13; repeated Xattr xattrs = 14;
  uint32 flags = 15; bytes hard_link = 16; repeated Extent content = 17; repeated Extent subtree = 18;
}
message Tree { repeated Node nodes = 1; }
message Keep {
  uint32 daily = 1; uint32 weekly = 2; uint32 monthly = 3; uint32 yearly = 4; uint32 manual = 5;
  int64 within = 6; uint32 minimum = 7; bool manual_set = 8;
}
message Statistics {
  uint64 files = 1; uint64 directories = 2; uint64 others = 3; uint64 bytes = 4; uint64 files_new = 5;
  uint64 bytes_new = 6; uint64 bytes_stored = 7; uint64 warnings = 8; uint64 bytes_read = 9; uint64 sources_lost = 10;
}
message Seen { bytes host = 1; uint64 sequence = 2; }
message Manifest {
  bytes host = 1; string host_name = 2; string job = 3; repeated string classes = 4; int64 started = 5;
  int64 ended = 6; repeated Extent root = 7; Statistics statistics = 8; repeated bytes sources = 9;
  string source_type = 10; Keep keep = 11; bytes configuration = 12; bytes parent = 13; string software = 14;
  uint64 sequence = 15; bytes previous_manifest = 16; bytes previous_run = 17; uint32 keyring_version = 18;
  bytes keyring_sha256 = 19; repeated bytes segments = 20; repeated Seen seen = 21;
}
message JobRun {
  string job = 1; repeated string classes = 2; int64 started = 3; int64 ended = 4; uint32 exit_status = 5;
  string message = 6; bytes snapshot = 7; Statistics statistics = 8; repeated string warnings = 9;
}
message PruneRun {
  int64 started = 1; int64 ended = 2; uint32 exit_status = 3; string message = 4; uint64 expired = 5;
  uint64 held = 6; uint64 deleted_packs = 7; uint64 deleted_bytes = 8; uint64 delayed_packs = 9;
  uint64 locked_objects = 10;
}
message VerifyRun {
  int64 started = 1; int64 ended = 2; uint32 exit_status = 3; string message = 4; uint64 objects = 5;
  uint64 bytes = 6; uint64 damaged = 7; uint32 first = 8; uint64 span = 9;
}
message DrillRun {
  int64 started = 1; int64 ended = 2; uint32 exit_status = 3; string message = 4; string job = 5;
  bytes snapshot = 6; uint64 files = 7; uint64 bytes = 8;
}
message TargetRun {
  string name = 1; bool behind = 2; string message = 3; uint64 stored_bytes = 4; uint64 objects = 5;
  uint64 bytes = 6;
}
message Run {
  bytes host = 1; uint64 sequence = 2; bytes previous = 3; string command = 4; int64 started = 5;
  int64 ended = 6; uint32 exit_status = 7; string message = 8; bool interrupted = 9; repeated JobRun jobs = 10;
  PruneRun prune = 11; VerifyRun verify = 12; DrillRun drill = 13; repeated TargetRun targets = 14;
  string software = 15;
}
message FrameRef { bytes pack = 1; uint32 frame = 2; }
message Event {
  bytes host = 1; EventType type = 2; int64 created = 3; repeated bytes snapshots = 4; string reason = 5;
  repeated bytes packs = 6; repeated FrameRef frames = 7; repeated bytes events = 8;
  repeated bytes runs = 9; repeated int64 checks = 10;
}
message Lease { bytes host = 1; bytes writer = 2; int64 started = 3; int64 refreshed = 4; string purpose = 5; }
"""


def build_messages():
    """The classes of PROTO by name. Enumerations are read as the numbers they are."""
    file = descriptor_pb2.FileDescriptorProto(name="holdfast", package="holdfast", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, body in re.findall(r"message (\w+) \{(.*?)\}", PROTO, re.S):
        made = file.message_type.add(name=name)
        for repeated, kind, field, number in re.findall(r"(repeated )?(\w+) (\w+) = (\d+);", body):
            added = made.field.add(name=field, number=int(number))
            added.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            if kind in ("Role", "NodeType", "EventType"):
                added.type = kinds.TYPE_UINT32
            elif kind[0].isupper():
                added.type, added.type_name = kinds.TYPE_MESSAGE, ".holdfast." + kind
            else:
                added.type = getattr(kinds, "TYPE_" + kind.upper())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return {made.name: factory.GetPrototype(pool.FindMessageTypeByName("holdfast." + made.name))
            for made in file.message_type}


MESSAGES = build_messages()


def parse(name, data):
    """Message of these bytes; a field that is not known, at whatever depth, spoils it."""
    result = MESSAGES[name]()
    try:
        result.ParseFromString(data)
    except message.DecodeError as error:
        raise Bad(f"it is no {name}: {error}") from None
    size = result.ByteSize()
    result.DiscardUnknownFields()
    require(result.ByteSize() == size, f"its {name} has fields that are not known")
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
    """P of the page."""
    return b"holdfast/1 " + text.encode() + b"\0"


def sha256(data):
    return hashlib.sha256(data).digest()


def hmac_sha256(key, data):
    return hmac.digest(key, data, "sha256")


def hkdf(key, salt, info, length):
    extracted = hmac_sha256(salt or bytes(32), key)
    out = block = b""
    for i in range(1, (length + 31) // 32 + 1):
        block = hmac_sha256(extracted, block + info + u8(i))
        out += block
    return out[:length]


def derive(key, salt, name, repository, context):
    """D of the page."""
    return hkdf(key, salt, label(name) + repository + context, 32)


def gcm_open(key, nonce, aad, sealed):
    require(len(sealed) >= 16, "it is cut short")
    try:
        return AESGCM(key).decrypt(nonce, bytes(sealed), aad)
    except InvalidTag:
        raise Bad("it does not open with its key") from None


class Cursor:
    """Takes bytes off the front of data, and never more than there are."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        require(count <= len(self.data) - self.at, "it is cut short")
        self.at += count
        return bytes(self.data[self.at - count:self.at])

    def number(self, count):
        return int.from_bytes(self.take(count), "big")

    def lv(self):
        return self.take(self.number(4))


# ---- HPKE (RFC 9180): mode base, X25519, HKDF-SHA256, AES-256-GCM, one message, no associated data ----

HPKE = (0x0020, 1, 2)
KEM_SUITE, HPKE_SUITE = b"KEM" + u16(HPKE[0]), b"HPKE" + b"".join(map(u16, HPKE))


def labeled_extract(suite, salt, name, key):
    return hmac_sha256(salt or bytes(32), b"HPKE-v1" + suite + name + key)


def labeled_expand(suite, key, name, context, length):
    return hmac_sha256(key, u16(length) + b"HPKE-v1" + suite + name + context + b"\1")[:length]


def hpke_key(shared, enc, public, info):
    """Key and nonce of the message, from what the exchange of X25519 gave."""
    secret = labeled_expand(KEM_SUITE, labeled_extract(KEM_SUITE, b"", b"eae_prk", shared), b"shared_secret",
                            enc + public, 32)
    context = b"\0" + labeled_extract(HPKE_SUITE, b"", b"psk_id_hash", b"") + labeled_extract(
        HPKE_SUITE, b"", b"info_hash", info)
    secret = labeled_extract(HPKE_SUITE, secret, b"secret", b"")
    return (labeled_expand(HPKE_SUITE, secret, b"key", context, 32),
            labeled_expand(HPKE_SUITE, secret, b"base_nonce", context, 12))


def public_of(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def hpke_open(private, enc, info, ciphertext):
    require(len(enc) == 32, f"an encapsulated key has {len(enc)} bytes")
    try:
        shared = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(enc))
    except ValueError:
        raise Bad("an encapsulated key is no good") from None
    key, nonce = hpke_key(shared, enc, public_of(private), info)
    return gcm_open(key, nonce, b"", ciphertext)


# ---- Objects ----

def read_file(path, limit):
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        require(stat.S_ISREG(os.fstat(handle).st_mode), "it is no regular file")
        require(os.fstat(handle).st_size <= limit, f"it has more than {limit} bytes")
        data = file.read(limit + 1)
    require(len(data) <= limit, f"it has more than {limit} bytes")
    return data


class Folder:
    """A target that is a folder."""
    LIMITS = {"config": 64 << 10, "keys": 16 << 20, "packs": 512 << 20, "index": 8 << 20}

    def __init__(self, path):
        self.path = path

    def list(self, folder):
        """Names of the objects in a folder of the repository."""
        try:
            found = sorted(os.listdir(os.path.join(self.path, folder)))
        except FileNotFoundError:
            return []
        return [f"{folder}/{name}" for name in found if re.fullmatch(r"([^.].*-)?[0-9a-f]{64}", name)]

    def read(self, name):
        limit = 4 << 10 if name.startswith("keys/p-") else self.LIMITS.get(name.split("/")[0], MAX_OBJECT)
        try:
            data = read_file(os.path.join(self.path, name), limit)
        except OSError as error:
            raise Bad(error.strerror) from None
        require(name == "config" or sha256(data) == object_hash(name), "its bytes have another SHA-256")
        return data


def object_hash(name):
    return bytes.fromhex(name[-64:])


# ---- Keys ----

PersonKey = collections.namedtuple("PersonKey", "id private root")


def read_key_file(text, repository):
    lines = text.splitlines()
    require(lines[:1] == ["holdfast person key 1"], "this is no person key of a version that is known")
    sizes = {"person": 16, "repository": 16, "root": 32, "private-key": 32}
    require(len(lines) == 5, "a person key has five lines")
    values = []
    for line, (name, size) in zip(lines[1:], sizes.items()):
        match = re.fullmatch(f"{name} = ([0-9a-f]{{{2 * size}}})", line)
        require(match, f"the person key has no {name} where it should be")
        values.append(bytes.fromhex(match[1]))
    person, of, root, private = values
    require(of == repository, "the person key is of another repository")
    return PersonKey(person, private, root)


def open_person_key(data, repository, passphrase):
    cursor = Cursor(data)
    require(cursor.take(4) == b"HFPS" and cursor.number(2) <= VERSION, "it is no person key of a version that is known")
    require(cursor.take(16) == repository, "it is of another repository")
    person, public = cursor.take(16), cursor.lv()
    log2n, r, p, salt = cursor.number(1), cursor.number(1), cursor.number(1), cursor.take(32)
    require(15 <= log2n <= 20 and r == 8 and p == 1, "the costs of its passphrase are out of range")
    aad, sealed = data[:cursor.at], data[cursor.at:]
    require(len(sealed) == 80, "it has a wrong length")
    key = hashlib.scrypt(passphrase, salt=salt, n=1 << log2n, r=r, p=p, dklen=32, maxmem=(1024 << log2n) + (1 << 20))
    plain = gcm_open(derive(key, b"", "person", repository, person), bytes(12), aad, sealed)
    require(public_of(plain[:32]) == public, "its private key does not fit the public one")
    return PersonKey(person, plain[:32], plain[32:])


def signed_bytes(kind, repository, signer, body):
    return label("sig") + u8(kind) + repository + signer + lv(body)


def is_signed(signed, kind, repository, signer, public):
    """Whether the signer, whose key is public, has signed."""
    for one in signed.signatures:
        if one.signer == signer:
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(
                    one.signature, signed_bytes(kind, repository, signer, signed.body))
                return True
            except (InvalidSignature, ValueError):
                pass
    return False


def root_fingerprint(repository, admin):
    return sha256(label("root") + repository + lv(admin))


def read_keyrings(store, repository, root):
    """Walks the chain from the root fingerprint and returns the newest keyring."""
    rings = collections.defaultdict(list)
    for name in store.list("keys"):
        match = re.fullmatch("keys/([1-9][0-9]{0,9})-[0-9a-f]{64}", name)
        if not match:
            continue
        try:
            signed = parse("Signed", store.read(name))
            ring = parse("Keyring", signed.body)
            require(ring.version == int(match[1]) and ring.repository_id == repository, "it is not what its name says")
            rings[ring.version].append((object_hash(name), signed, ring))
        except Bad as error:
            warn(f"{name}: {error}")

    def signs(admin, signed):
        return is_signed(signed, KEYRING, repository, sha256(admin)[:16], admin)

    good = [one for one in rings[1] if root_fingerprint(repository, one[2].admin_key) == root
            and not one[2].previous and signs(one[2].admin_key, one[1])]
    require(good, "no keyring has the root fingerprint that the person key has")
    while good:
        require(len(good) == 1, f"there are two keyrings of version {good[0][2].version}: a fork")
        (digest, _, newest), = good
        good = [one for one in rings[newest.version + 1] if one[2].previous == digest
                and signs(one[2].admin_key, one[1]) and signs(newest.admin_key, one[1])]
    for version, found in rings.items():
        require(version <= newest.version + 1 or not any(signs(newest.admin_key, one[1]) for one in found),
                f"keyring {newest.version + 1} is missing: there is version {version}")
    return newest


def person_info(repository, version, person, role):
    """What the bundle of a person is bound to."""
    return label("bundle") + repository + u32(version) + person + u8(role & 0xff)


def host_info(repository, version, host):
    return label("host") + repository + u32(version) + host


def open_person_bundle(private, repository, version, person):
    info = person_info(repository, version, person.id, person.role)
    return parse("Bundle", hpke_open(private, person.enc, info, person.bundle))


def numbered(secrets):
    """Secrets by their numbers, the newest first."""
    result = {one.number: one.secret for one in sorted(secrets, key=lambda one: -one.number)}
    require(len(result) == len(secrets) and all(len(secret) == 32 for secret in result.values()),
            "the secrets of the bundle are not as they should be")
    return result


# ---- Sealed objects ----

def sealed_key(secret, salt, repository, kind):
    return derive(secret, salt, "object", repository, u8(kind))


def open_sealed(data, kind, repository, metadata_secrets, bound=b""):
    """Plain bytes of a sealed object; bound is the hash that a table of contents is bound to."""
    cursor = Cursor(data)
    require(cursor.take(4) == b"HFST" and cursor.number(2) <= VERSION,
            "it is no sealed object of a version that is known")
    require(cursor.number(1) == kind and cursor.number(1) == 0, "it is of another type")
    generation, of, salt = cursor.number(4), cursor.take(16), cursor.take(32)
    require(of == repository, "it is of another repository")
    require(generation in metadata_secrets, f"metadata secret {generation} is not known")
    return gcm_open(sealed_key(metadata_secrets[generation], salt, repository, kind), bytes(12),
                    data[:cursor.at] + bound, data[cursor.at:])


# ---- Packs ----

Pack = collections.namedtuple("Pack", "entry kind frames")
Frame = collections.namedtuple("Frame", "slot counter offset stored raw codec blobs")


def read_contents(contents, begin, end):
    """Frames of a table of contents, each with its blobs as (id, offset, length); they lie between begin and end."""
    require(len(contents.frames) % 26 == 0 and len(contents.blobs) % 40 == 0, "a table of contents has a wrong length")
    frames, counters, blobs, left = [], set(), struct.iter_unpack(">32sII", contents.blobs), len(contents.blobs) // 40
    for slot, counter, offset, stored, raw, codec, high, low in struct.iter_unpack(">HQIIIBBH", contents.frames):
        require(slot < contents.slot_count and (slot, counter) not in counters,
                "a frame names a slot that is not there, or a counter twice")
        require(begin <= offset and offset + stored <= end, "a frame lies where it may not")
        require(stored >= 16 and raw <= MAX_RAW and (codec == 1 or codec == 0 and stored == raw + 16),
                "a frame has a length or codec that it may not have")
        counters.add((slot, counter))
        begin = offset + stored
        count = (high << 16) + low
        require(count <= left, "a frame has more blobs than there are")
        left -= count
        inside = [next(blobs) for _ in range(count)]
        require(all(at + length <= raw for _, at, length in inside), "a blob does not lie in its frame")
        frames.append(Frame(slot, counter, offset, stored, raw, codec, inside))
    require(left == 0, "there are blobs of no frame")
    return frames


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
    """The joined blobs of a frame, which have raw bytes."""
    if codec == 1:
        try:
            size = zstandard.frame_content_size(payload)
            require(size in (-1, raw), "a frame says it has another length than it should")
            if size == -1:  # never more than raw bytes are asked for before it is known that there are no more
                with zstandard.ZstdDecompressor().stream_reader(payload) as reader:
                    require(len(reader.read(raw + 1)) == raw, "a frame has another length than it should")
            stream = zstandard.ZstdDecompressor().decompressobj()
            payload = stream.decompress(payload)
            require(stream.eof and not stream.unused_data, "a frame is not one zstd frame")
        except zstandard.ZstdError as error:
            raise Bad(f"a frame does not unpack: {error}") from None
    require(len(payload) == raw, "a frame has another length than it should")
    return payload


class Cache:
    """The values that were used lately; an error is kept like a value."""

    def __init__(self):
        self.values, self.size = collections.OrderedDict(), 0

    def get(self, key, make, *arguments):
        if key in self.values:
            self.values.move_to_end(key)
            size, value = self.values[key]
        else:
            try:
                size, value = make(*arguments)
            except Bad as error:
                size, value = 0, error
            self.values[key] = size, value
            self.size += size
            while self.size > CACHE and len(self.values) > 1:
                self.size -= self.values.popitem(last=False)[1][0]
        if isinstance(value, Bad):
            raise value
        return value


# ---- Blobs ----

def blob_id_key(secret, generation, repository):
    return derive(secret, b"", "blob-id", repository, u32(generation))


def blob_id(key, kind, plain):
    return hmac_sha256(key, u8(kind) + plain)


# ---- Trees ----

def path_parts(path):
    """The components of a source's path, or of one below it: it may have slashes too many and '.'."""
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    require(path and b"\0" not in path and all(part != b".." and len(part) <= NAME_MAX for part in parts),
            f"the path {show([path])} is not allowed")
    return parts


def check_node(node, is_root):
    name = node.name
    if is_root and b"/" in name:
        path_parts(name)
    else:
        require(name not in (b"", b".", b"..") and b"/" not in name and b"\0" not in name and len(name) <= NAME_MAX,
                f"the name {show([name])} is not allowed")
    require(node.type in FORMATS and node.mode <= 0o7777 and node.mtime_nanoseconds < 10**9,
            f"{show([name])} has a type, mode or time that is not allowed")
    if node.hard_link:
        path_parts(node.hard_link)
        require(node.type != DIRECTORY and not node.content, f"{show([name])} cannot be a hard link")
    require((node.type == FILE or not node.content) and (node.type == DIRECTORY or not node.subtree),
            f"{show([name])} has contents that its type has not")
    require(node.type != FILE or node.hard_link or
            node.size < 1 << 63 and sum(extent.length for extent in node.content) == node.size,
            f"the extents of {show([name])} do not add up to its size")
    require((node.type == SYMLINK) == bool(node.link_target) and b"\0" not in node.link_target,
            f"{show([name])} has a target that is not allowed")


def show(parts):
    """A path for messages, without what a terminal would obey."""
    text = b"/".join(parts).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text) or "/"


class Repository:
    """An open repository: keys, index and snapshots."""

    def __init__(self, path, passphrase=None, key_text=None):
        self.store = Folder(path)
        self.problems = 0
        self.packs = None
        self.open_packs, self.open_frames = Cache(), Cache()
        try:
            data = self.store.read("config")
            self.config = parse("Config", data)
            require(self.config.version <= VERSION, f"the format has version {self.config.version}")
            self.id = self.config.repository_id
            require(len(self.id) == 16, "the repository id has not 16 bytes")
        except Bad as error:
            raise Bad(f"config: {error}") from None
        failure = Bad("the repository has no person key that opens with this passphrase")
        for person in [read_key_file(key_text, self.id)] if key_text else self.person_keys(passphrase):
            try:
                self.open_secrets(person, sha256(data))
                return
            except Bad as error:
                failure = error
        raise failure

    def complain(self, what, error):
        """Of what cannot be read: the rest goes on."""
        self.problems += 1
        warn(f"{what}: {error}")

    # -- Keys --

    def open_person_key(self, name, passphrase):
        spellings = [b + passphrase + a for b, a in ((b"", b""), (b"", b"\r"), (MARK, b""), (MARK, b"\r"), (b"", b"\n"))]
        for i, spelling in enumerate(spellings):
            try:
                return open_person_key(self.store.read(name), self.id, spelling)
            except Bad:
                if i + 1 == len(spellings):
                    raise

    def person_keys(self, passphrase):
        for name in self.store.list("keys"):
            match = re.fullmatch("keys/p-([0-9a-f]{32})-[0-9a-f]{64}", name)
            if match:
                try:
                    person = self.open_person_key(name, passphrase)
                    require(person.id.hex() == match[1], "it is of another person than its name says")
                except Bad as error:
                    warn(f"{name}: {error}")
                    continue
                yield person

    def open_secrets(self, key, config_hash):
        self.keyring = read_keyrings(self.store, self.id, key.root)
        require(self.keyring.config_sha256 == config_hash, "config is not the one that the keyring names")
        self.hosts = {host.id: host for host in self.keyring.hosts}
        person = next((one for one in self.keyring.persons if one.id == key.id), None)
        require(person, "the keyring does not have this person")
        require(person.public_key == public_of(key.private), "the keyring has another key of this person")
        bundle = open_person_bundle(key.private, self.id, self.keyring.version, person)
        self.metadata_secrets, self.recovery_keys = numbered(bundle.metadata_secrets), numbered(bundle.recovery_keys)
        self.id_keys = [blob_id_key(secret, i, self.id) for i, secret in numbered(bundle.id_secrets).items()]
        epochs = {epoch.number: epoch.public_key for epoch in self.keyring.epochs}
        for number, private in self.recovery_keys.items():
            require(epochs.get(number) == public_of(private), f"recovery key {number} does not fit the keyring")

    # -- Sealed objects --

    def read_signed(self, folder, kind, body_type):
        """(Name, message) of all objects in a folder that are good; of the others it complains."""
        for name in self.store.list(folder):
            try:
                signed = parse("Signed", open_sealed(self.store.read(name), kind, self.id, self.metadata_secrets))
                body = parse(body_type, signed.body)
                host = self.hosts.get(body.host)
                require(host and host.role in (ROLE_WRITE, ROLE_PRUNE), "it is of a host that the keyring does not have")
                require(len(signed.signatures) == 1 and is_signed(signed, kind, self.id, host.id, host.signing_key),
                        "its signature is not good")
                require(not host.removed or kind in (SEGMENT, RUN) or
                        kind == MANIFEST and body.sequence <= host.last_sequence, "its host was removed before it")
            except Bad as error:
                self.complain(name, error)
                continue
            yield name, body

    # -- Index --

    def read_index(self):
        """Notes the packs, and of each blob where it is."""
        self.packs, self.blobs, seen = [], collections.defaultdict(list), set()
        for name, segment in self.read_signed("index", SEGMENT, "Segment"):
            try:
                require(segment.kind in (DATA, META), "the kind of its packs is not known")
                entries = [(sha256(entry), parse("PackEntry", entry)) for entry in segment.packs]
                require(self.hosts[segment.host].role == ROLE_PRUNE or not segment.supersedes and
                        all(entry.author == segment.host for _, entry in entries), "its host may not write this")
                packs = [(digest, Pack(entry, segment.kind, read_contents(
                    entry.contents, 7 + entry.slots_length, entry.size - entry.contents_length - 8)))
                    for digest, entry in entries]
                require(all(len(pack.entry.sha256) == 32 for _, pack in packs), "a pack's hash has not 32 bytes")
            except Bad as error:
                self.complain(name, error)
                continue
            for digest, pack in packs:
                if (digest, pack.kind) in seen:
                    continue
                seen.add((digest, pack.kind))
                for number, frame in enumerate(pack.frames):
                    for id_, offset, length in frame.blobs:
                        self.blobs[pack.kind, id_].append((len(self.packs), number, offset, length))
                    frame.blobs.clear()
                self.packs.append(pack)

    # -- Packs --

    def open_pack(self, number):
        """Size and (bytes, slots) of a pack; a slot is (id, pack key or why there is none)."""
        pack = self.packs[number]
        entry, name = pack.entry, pack.entry.sha256.hex()
        data = self.store.read(f"packs/{name[:2]}/{name}")
        require(data[:4] == b"HFPK" and int.from_bytes(data[4:6], "big") <= VERSION,
                "it is no pack of a version that is known")
        require(data[6] == pack.kind and len(data) == entry.size and
                data[-8:] == u32(entry.contents_length) + b"KPFH", "it is not what the index says")
        try:
            start = len(data) - 8 - entry.contents_length
            contents = parse("Contents", open_sealed(data[start:-8], CONTENTS, self.id, self.metadata_secrets,
                                                     sha256(data[:start])))
            require(contents == entry.contents, "the index has another")
        except Bad as error:
            self.complain(f"table of contents of pack {name}", error)
        cursor = Cursor(data[7:7 + entry.slots_length])
        slots = [self.read_slot(cursor, pack.kind) for _ in range(entry.contents.slot_count)]
        require(cursor.at == len(cursor.data), "its slots have another length than the index says")
        return len(data), (data, slots)

    def read_slot(self, cursor, kind):
        id_, number = cursor.take(16), cursor.number(4)
        if kind == DATA:
            suite, enc, ciphertext = tuple(cursor.number(2) for _ in HPKE), cursor.lv(), cursor.lv()
        commit = cursor.take(16)
        try:
            if kind == META:
                require(number in self.metadata_secrets, f"metadata secret {number} is not known")
                key = meta_pack_key(self.metadata_secrets[number], id_, self.id)
            else:
                require(suite == HPKE, "a slot is sealed in a way that is not known")
                require(number in self.recovery_keys, f"recovery key {number} is not known")
                key = hpke_open(self.recovery_keys[number], enc, pack_key_info(self.id, number, id_, kind), ciphertext)
            require(len(key) == 32 and slot_commit(key, id_, self.id, kind) == commit, "a slot has another key than it says")
        except Bad as error:
            return id_, error
        return id_, key

    def open_frame(self, number, index):
        """Size and joined blobs of a frame."""
        data, slots = self.open_packs.get(number, self.open_pack, number)
        kind, frame = self.packs[number].kind, self.packs[number].frames[index]
        slot_id, key = slots[frame.slot]
        if isinstance(key, Bad):
            raise key
        payload = gcm_open(frame_key(key, slot_id, self.id, kind), frame_nonce(frame.counter),
                           frame_aad(self.id, kind, slot_id, frame.counter, frame.codec, frame.raw),
                           data[frame.offset:frame.offset + frame.stored])
        return frame.raw, decompress(payload, frame.codec, frame.raw)

    # -- Blobs --

    def blob(self, kind, extent):
        """Plain bytes of a blob, from the first place where it is whole."""
        if self.packs is None:
            self.read_index()
        failure = Bad("it is in no pack")
        for number, index, offset, length in self.blobs.get((kind, extent.blob), ()):
            try:
                plain = self.open_frames.get((number, index), self.open_frame, number, index)[offset:offset + length]
                require(any(blob_id(key, kind, plain) == extent.blob for key in self.id_keys), "its id does not come out")
                require(length == extent.length, "it has another length than it should")
                return plain
            except Bad as error:
                failure = Bad(f"pack {self.packs[number].entry.sha256.hex()}: {error}")
        raise Bad(f"blob {extent.blob.hex()}: {failure}")

    # -- Trees --

    def tree(self, extents, is_root=False):
        """Nodes of a listing."""
        require(sum(extent.length for extent in extents) <= MAX_LISTING, "a listing is too long")
        nodes = parse("Tree", b"".join(self.blob(META, extent) for extent in extents)).nodes
        before = b""
        for node in nodes:
            require(before < node.name, "the names of a listing are empty, or not in order")
            before = node.name
            check_node(node, is_root)
        return nodes

    # -- Snapshots and runs --

    def check_chain(self, chain, what, complete):
        """Of [(host, sequence, SHA-256, previous)]. Where it need not be complete, numbers may be missing."""
        known = collections.defaultdict(list)
        for host, number, digest, _ in chain:
            known[host, number].append(digest)
        for host, number, digest, previous in chain:
            before = known.get((host, number - 1))
            good = previous in before if before else number == 1 or not complete
            if not good or (number == 1) != (not previous) or len(known[host, number]) > 1:
                self.complain(f"{what} {digest.hex()}", f"number {number} does not follow the one before")

    def snapshots(self):
        """[(manifest's SHA-256, manifest)] of those that exist, oldest first."""
        forgotten = set()
        for name, event in self.read_signed("events", EVENT, "Event"):
            if not 1 <= event.type <= 6:
                self.complain(name, f"its type {event.type} is not known")
            if event.type == EVENT_FORGET and self.hosts[event.host].role == ROLE_PRUNE:
                forgotten.update(event.snapshots)
        found = [(object_hash(name), manifest) for name, manifest in self.read_signed("snapshots", MANIFEST, "Manifest")]
        self.check_chain([(one.host, one.sequence, digest, one.previous_manifest) for digest, one in found],
                         "snapshot", False)
        for digest, manifest in found:
            if manifest.keyring_version > self.keyring.version:
                self.complain(f"snapshot {digest.hex()}", f"it knows keyring {manifest.keyring_version}, which is missing")
        return sorted((one for one in found if one[0] not in forgotten),
                      key=lambda one: (one[1].ended, one[1].sequence, one[0]))

    def runs(self):
        """Records of runs, those of each host in the order of their numbers."""
        found = [(object_hash(name), run) for name, run in self.read_signed("runs", RUN, "Run")]
        self.check_chain([(run.host, run.sequence, digest, run.previous) for digest, run in found], "run", True)
        return sorted((run for _, run in found), key=lambda run: (run.host, run.sequence))

    def snapshot(self, which):
        found = self.snapshots()
        if which == "latest":
            found = found[-1:]
        else:
            found = [one for one in found if one[0].hex().startswith(which)]
        require(found, f"there is no snapshot {which}")
        require(len(found) == 1, f"several snapshots begin with {which}")
        return found[0][1]


# ---- Restoring ----

GETFLAGS, SETFLAGS = 0x80086601, 0x40086602
FLAGS = 0x2083c4ff  # those that the page lists
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
ACLS = (b"system.posix_acl_access", b"system.posix_acl_default")


class Restore:
    """Restores a snapshot into a folder. Each name is used in the open folder that it belongs into, and no link is
    followed: nothing that a listing says leads out of the destination."""

    def __init__(self, repository, destination):
        self.repository = repository
        self.attributes_missing = False
        os.makedirs(destination, exist_ok=True)
        require(not os.listdir(destination), f"{destination} is not empty")
        self.top = os.open(destination, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.folders, self.links, self.flags = {}, {}, []

    def run(self, manifest):
        for node in self.repository.tree(manifest.root, True):
            path = tuple(path_parts(node.name))
            with self.guard(path), self.reach(path[:-1], make=True) as parent:
                self.branch(parent, path, node)
        for path, node in self.links.items():
            with self.guard(path):
                self.link(path, node)
        for path, node in sorted(self.folders.items(), key=lambda one: -len(one[0])):
            with self.guard(path), self.reach(path) as folder:
                self.attributes(path, node, folder)
                self.set_flags(path, node, folder)
        for path, node in self.flags:
            with self.guard(path), self.reach(path[:-1]) as parent:
                with Handle(os.open(path[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)) as handle:
                    self.set_flags(path, node, handle)

    def guard(self, path):
        return Guard(self.repository, path)

    def reach(self, path, make=False):
        """A folder below the destination, made with those on the way where make says so."""
        handle = os.dup(self.top)
        for part in path:
            try:
                if make:
                    try:
                        os.mkdir(part, 0o755, dir_fd=handle)
                    except FileExistsError:
                        pass
                below = os.open(part, FOLDER, dir_fd=handle)
            finally:
                os.close(handle)
            handle = below
        return Handle(handle)

    def branch(self, parent, path, node):
        """A node and all below it."""
        stack = []
        try:
            below = self.node(parent, path, node)
            while below or stack:
                if below:
                    stack.append((below[0], path, iter(below[1])))
                    require(len(stack) <= MAX_DEPTH, "folders are nested too deeply")
                handle, above, nodes = stack[-1]
                child = next(nodes, None)
                below = None
                if child is None:
                    os.close(stack.pop()[0])
                else:
                    path = above + (child.name,)
                    below = self.node(handle, path, child)
        finally:
            for handle, _, _ in stack:
                os.close(handle)

    def node(self, parent, path, node):
        """Makes one node in the folder parent; returns an open folder and the nodes that belong into it."""
        with self.guard(path):
            if node.type == DIRECTORY:
                return self.folder(parent, path, node)
            require(path, "only a folder can be the root")
            if node.type == SOCKET or path in self.links or exists(path[-1], parent):
                return None  # what is there already is of another source, within which this one lies
            kept = copy_without_contents(node)
            if node.hard_link:
                self.links[path] = kept
                return None
            self.other(parent, path, node)
            if node.flags:
                self.flags.append((path, kept))
        return None

    def folder(self, parent, path, node):
        if path:
            if not exists(path[-1], parent):
                os.mkdir(path[-1], 0o700, dir_fd=parent)
            handle = os.open(path[-1], FOLDER, dir_fd=parent)
        else:
            handle = os.dup(self.top)
        self.folders[path] = copy_without_contents(node)
        try:
            return handle, self.repository.tree(node.subtree)
        except Bad as error:
            self.repository.complain(show(path), error)
            return handle, ()

    def other(self, parent, path, node):
        name = path[-1]
        if node.type == FILE:
            handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
            with Handle(handle):
                try:
                    self.content(handle, node)
                except BaseException:
                    os.unlink(name, dir_fd=parent)
                    raise
                self.attributes(path, node, handle)
            return
        if node.type == SYMLINK:
            os.symlink(node.link_target, name, dir_fd=parent)
        else:
            device = 0 if node.type == FIFO else os.makedev(node.device_major, node.device_minor)
            os.mknod(name, FORMATS[node.type] | 0o600, device, dir_fd=parent)
        self.attributes(path, node, parent, name)

    def content(self, handle, node):
        os.ftruncate(handle, node.size)
        at = 0
        for extent in node.content:
            if extent.blob:
                data, done = memoryview(self.repository.blob(DATA, extent)), 0
                while done < len(data):
                    done += os.pwrite(handle, data[done:], at + done)
            at += extent.length

    def link(self, path, node):
        first = path_parts(node.hard_link)
        require(first, "its first name is not allowed")
        with self.reach(first[:-1]) as source, self.reach(path[:-1]) as to:
            mode = os.stat(first[-1], dir_fd=source, follow_symlinks=False).st_mode
            require(stat.S_IFMT(mode) == FORMATS[node.type], "its first name is of another type")
            os.link(first[-1], path[-1], src_dir_fd=source, dst_dir_fd=to, follow_symlinks=False)

    def attributes(self, path, node, handle, name=None):
        """Owner, attributes, mode and times of the open file or folder, or of a name in the open folder."""
        what, where, follow = (handle, {}, {}) if name is None else (
            name, {"dir_fd": handle, "follow_symlinks": False}, {"follow_symlinks": False})
        # There is no call that takes a folder and a name.
        by_path = handle if name is None else b"/proc/self/fd/%d/%s" % (handle, name)
        # A set-id bit with another owner would lend somebody else's rights.
        mode = node.mode if self.attempt(path, "owner", os.chown, what, node.uid, node.gid, **where) else node.mode & 0o1777
        for acl in ACLS:  # that was inherited from where it is restored to
            if node.type != SYMLINK and acl not in [xattr.name for xattr in node.xattrs]:
                try:
                    os.removexattr(by_path, acl, **follow)
                except OSError:
                    pass
        for xattr in node.xattrs:
            self.attempt(path, show([xattr.name]), os.setxattr, by_path, xattr.name, xattr.value, **follow)
        if node.type != SYMLINK:
            self.attempt(path, "mode", os.chmod, what, mode, **({} if name is None else {"dir_fd": handle}))
        time = node.mtime_seconds * 10**9 + node.mtime_nanoseconds
        self.attempt(path, "times", os.utime, what, ns=(time, time), **where)

    def set_flags(self, path, node, handle):
        try:
            now, = struct.unpack("=I4x", fcntl.ioctl(handle, GETFLAGS, bytes(8)))
        except OSError as error:
            if node.flags:
                self.not_set(path, "flags", error)
            return
        flags = now & ~FLAGS | node.flags & FLAGS
        if flags != now:
            self.attempt(path, "flags", fcntl.ioctl, handle, SETFLAGS, struct.pack("=I4x", flags))

    def attempt(self, path, what, call, *arguments, **options):
        """What fails here leaves the contents whole: it is said, and restoring goes on."""
        try:
            call(*arguments, **options)
            return True
        except (OSError, OverflowError, ValueError) as error:
            self.not_set(path, what, error)
            return False

    def not_set(self, path, what, error):
        self.attributes_missing = True
        warn(f"{show(path)}: {what}: {getattr(error, 'strerror', None) or error}")


class Handle:
    """A descriptor that is closed at the end."""

    def __init__(self, number):
        self.number = number

    def __enter__(self):
        return self.number

    def __exit__(self, *_):
        os.close(self.number)


class Guard:
    """What goes wrong with one path is complained of, and the rest goes on."""

    def __init__(self, repository, path):
        self.repository, self.path = repository, path

    def __enter__(self):
        return self

    def __exit__(self, _, error, __):
        if isinstance(error, (Bad, OSError, OverflowError)):
            self.repository.complain(show(self.path), getattr(error, "strerror", None) or error)
            return True
        return False


def exists(name, folder):
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
        return True
    except FileNotFoundError:
        return False


def copy_without_contents(node):
    """What is still needed of a node when its listing is gone."""
    copy = MESSAGES["Node"]()
    copy.CopyFrom(node)
    copy.ClearField("content")
    copy.ClearField("subtree")
    return copy


def word(text):
    """A text for one column."""
    return show([text.encode("utf-8", "backslashreplace")]).replace(" ", "\\x20")


def utc(seconds):
    try:
        return (datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:
        return str(seconds)


def main():
    parser = argparse.ArgumentParser(description="List and restore the snapshots of a Holdfast repository.")
    parser.add_argument("repository")
    keys = parser.add_mutually_exclusive_group(required=True)
    keys.add_argument("--passphrase-file", help="the passphrase; one line end at its end is not part of it")
    keys.add_argument("--person-key", help="a person key that is kept in a file")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    commands.add_parser("runs")
    restore = commands.add_parser("restore")
    restore.add_argument("snapshot")
    restore.add_argument("folder")
    options = parser.parse_args()
    secret = read_file(options.person_key or options.passphrase_file, 1 << 20)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]  # one level of folders takes a descriptor
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if options.person_key:
        repository = Repository(options.repository, key_text=secret.decode("ascii", "replace"))
    else:
        repository = Repository(options.repository, re.sub(rb"\r?\n\Z", b"", secret))
    attributes_missing = False
    if options.command == "list":
        for digest, manifest in repository.snapshots():
            host = repository.hosts[manifest.host]
            print(digest.hex(), utc(manifest.ended), word(host.name), word(manifest.job))
    elif options.command == "runs":
        for run in repository.runs():
            print(run.sequence, run.exit_status, *["interrupted"] * run.interrupted,
                  *(f"{word(job.job)}={job.exit_status}" for job in run.jobs))
    else:
        manifest = repository.snapshot(options.snapshot)
        work = Restore(repository, options.folder)
        work.run(manifest)
        attributes_missing = work.attributes_missing
    return 1 if repository.problems else 3 if attributes_missing else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Bad, OSError) as error:
        warn(error)
        sys.exit(1)
