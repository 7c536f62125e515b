#!/usr/bin/env python3
"""Makes format.json: known inputs and what the format makes of them, by the functions of the reader in Python, not the
program's.

Usage: make.py >format.json     The file is kept; run this only when the format changes.
"""
import json
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../reader"))
import holdfast_reader as h  # noqa: E402
import zstandard  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey  # noqa: E402
from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: E402
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt  # noqa: E402
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: E402


def seq(first, size=32):
    return bytes((first + i) % 256 for i in range(size))


R, MS, IDS, PK = seq(0x10, 16), seq(0x20), seq(0x40), seq(0x60)
GENERATION, EPOCH, COUNTER = 3, 7, 5
SUITE = b"".join(map(h.u16, h.HPKE))
out = {"repository": R, "metadata_secret": MS, "id_secret": IDS, "generation": GENERATION}


def hpke_seal(ephemeral, public, info, plain):
    """With a given ephemeral key."""
    enc = h.public_of(ephemeral)
    shared = X25519PrivateKey.from_private_bytes(ephemeral).exchange(X25519PublicKey.from_public_bytes(public))
    key, nonce = h.hpke_key(shared, enc, public, info)
    return enc, AESGCM(key).encrypt(nonce, plain, b"")


# Blob ids and the chunker's table.
id_key = h.blob_id_key(IDS, GENERATION, R)
table = h.hkdf(IDS, b"", h.label("chunker") + R + h.u32(GENERATION), 2048)
out.update(blob_id_key=id_key, blob=b"contents", blob_id_data=h.blob_id(id_key, h.DATA, b"contents"),
           blob_id_meta=h.blob_id(id_key, h.META, b"contents"), gear_first=table[:8], gear_last=table[-8:],
           gear_sha256=h.sha256(table))

# Where a known stream is cut: 16 KiB on average, SHA-256 in counter mode as the stream.
stream = b"".join(h.sha256(h.u32(i)) for i in range(16384))
gear = struct.unpack(">256Q", table)
low, average, high, bits = 4096, 16384, 65536, 14


def mask(ones):
    return sum(1 << (63 - 48 * i // ones) for i in range(ones))


def chunk_length(data):
    """Of the first chunk of the rest of a stream."""
    value = 0
    for i in range(low - 64, min(len(data), high)):
        value = ((value << 1) + gear[data[i]]) % 2**64
        if i >= low and value & mask(bits + 2 if i < average else bits - 2) == 0:
            return i + 1
    return min(len(data), high)


cuts, at = [], 0
while at < len(stream):
    cuts.append(chunk_length(stream[at:at + high]))
    at += cuts[-1]
out.update(chunk_min=low, chunk_average=average, chunk_max=high, chunk_stream_bytes=len(stream), chunk_lengths=cuts)

# Sealed objects: an event, and a table of contents bound to what lies before it; then those of the other types.
for name, kind, bound in (("sealed", h.EVENT, b""), ("sealed_bound", h.CONTENTS, h.sha256(b"pack bytes")),
                          ("sealed_segment", h.SEGMENT, b""), ("sealed_manifest", h.MANIFEST, b""),
                          ("sealed_run", h.RUN, b""), ("sealed_lease", h.LEASE, b"")):
    plain, random = b"plain bytes", seq(0x80)
    salt = h.hmac_sha256(h.derive(MS, b"", "salt", R, b""), h.u8(kind) + random + h.sha256(plain) + bound)
    header = b"HFST" + h.u16(h.VERSION) + h.u8(kind) + h.u8(0) + h.u32(GENERATION) + R + salt
    sealed = header + AESGCM(h.sealed_key(MS, salt, R, kind)).encrypt(bytes(12), plain, header + bound)
    assert h.open_sealed(sealed, kind, R, {GENERATION: MS}, bound) == plain
    out.update({f"{name}_plain": plain, f"{name}_random": random, f"{name}_type": kind, f"{name}_hash": bound,
                name: sealed})

# Slots and frames.
own, recovery, ephemeral = seq(0xa0, 16), seq(0xb0), seq(0xc1)
enc, ct = hpke_seal(ephemeral, h.public_of(recovery), h.pack_key_info(R, EPOCH, own, h.DATA), PK)
meta_key = h.meta_pack_key(MS, own, R)
out.update(epoch=EPOCH, recovery_key=recovery, pack_key=PK,
           slot_data=own + h.u32(EPOCH) + SUITE + h.lv(enc) + h.lv(ct) + h.slot_commit(PK, own, R, h.DATA),
           slot_meta=own + h.u32(GENERATION) + h.slot_commit(meta_key, own, R, h.META))
zeros = zstandard.ZstdCompressor(level=3).compress(bytes(1000))
for name, kind, key, codec, raw, payload in (
        ("frame_raw", h.DATA, PK, 0, b"raw payload", b"raw payload"), ("frame_zstd", h.DATA, PK, 1, bytes(1000), zeros),
        ("frame_meta", h.META, meta_key, 0, b"raw payload", b"raw payload")):
    aad = h.frame_aad(R, kind, own, COUNTER, codec, len(raw))
    out.update({name: AESGCM(h.frame_key(key, own, R, kind)).encrypt(h.frame_nonce(COUNTER), payload, aad),
                f"{name}_payload": payload, f"{name}_length": len(raw)})
    assert h.decompress(payload, codec, len(raw)) == raw
out["frame_counter"] = COUNTER

# A whole pack of one listing, "contents", as above.
aad = h.frame_aad(R, h.META, own, COUNTER, 0, 8)
frame = AESGCM(h.frame_key(meta_key, own, R, h.META)).encrypt(h.frame_nonce(COUNTER), b"contents", aad)
begin = 7 + len(out["slot_meta"])
plain = h.MESSAGES["Contents"](
    slot_count=1, frames=struct.pack(">HQIIII", 0, COUNTER, begin, len(frame), 8, 1),
    blobs=out["blob_id_meta"] + struct.pack(">II", 0, 8)).SerializeToString(deterministic=True)
before = b"HFPK" + h.u16(h.VERSION) + h.u8(h.META) + out["slot_meta"] + frame + bytes(100)
bound = h.sha256(before)
salt = h.hmac_sha256(h.derive(MS, b"", "salt", R, b""), h.u8(h.CONTENTS) + seq(0x80) + h.sha256(plain) + bound)
header = b"HFST" + h.u16(h.VERSION) + h.u8(h.CONTENTS) + h.u8(0) + h.u32(GENERATION) + R + salt
sealed = header + AESGCM(h.sealed_key(MS, salt, R, h.CONTENTS)).encrypt(bytes(12), plain, header + bound)
out["pack"] = before + sealed + h.u32(len(sealed)) + b"KPFH"

# A person key, signatures and the root fingerprint.
person, private, root, salt, passphrase = seq(0xd0, 16), seq(0x01), seq(0xe0), seq(0xf0), b"a passphrase"
header = b"HFPS" + h.u16(h.VERSION) + R + person + h.lv(h.public_of(private)) + bytes([15, 8, 1]) + salt
key = h.derive(Scrypt(salt=salt, length=32, n=1 << 15, r=8, p=1).derive(passphrase), b"", "person", R, person)
person_key = header + AESGCM(key).encrypt(bytes(12), private + root, header)
assert h.open_person_key(person_key, R, passphrase) == h.PersonKey(person, private, root)
admin_seed, host_seed = seq(0x33), seq(0x44)
admin, signing = (Ed25519PrivateKey.from_private_bytes(s) for s in (admin_seed, host_seed))
admin_public, signing_public = (k.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) for k in (admin, signing))
signer = h.sha256(admin_public)[:16]
out.update(person=person, person_private=private, person_root=root, person_passphrase=passphrase, person_key=person_key,
           admin_seed=admin_seed, admin_key=admin_public, admin_signer=signer, signed_body=b"body",
           signature=admin.sign(h.signed_bytes(h.KEYRING, R, signer, b"body")),
           certificate_signature=admin.sign(h.signed_bytes(h.CERTIFICATE, R, signer, b"body")),
           root_fingerprint=h.root_fingerprint(R, admin_public))

# What a host signs.
host, host_private = seq(0x90, 16), seq(0x51)
out.update(host=host, host_private=host_private, host_seed=host_seed)
for kind in (h.SEGMENT, h.MANIFEST, h.RUN, h.EVENT, h.LEASE):
    out[f"signature_{kind}"] = signing.sign(h.signed_bytes(kind, R, host, b"body"))

# A keyring with the bundles of one person and one host.
message = h.MESSAGES
secrets = {"metadata_secrets": [message["NumberedSecret"](number=GENERATION, secret=MS)],
           "id_secrets": [message["NumberedSecret"](number=GENERATION, secret=IDS)]}
ring = message["Keyring"](version=1, repository_id=R, config_sha256=h.sha256(b"config"), admin_key=admin_public,
                          metadata_generation=GENERATION, id_generation=GENERATION, created=1)
ring.epochs.add(number=EPOCH, kem=h.HPKE[0], kdf=h.HPKE[1], aead=h.HPKE[2], public_key=h.public_of(recovery), created=1)
bundle = message["Bundle"](**secrets, recovery_keys=[message["NumberedSecret"](number=EPOCH, secret=recovery)],
                           admin_seed=admin_seed).SerializeToString(deterministic=True)
enc, ct = hpke_seal(seq(0x61), h.public_of(private), h.person_info(R, 1, person, h.ROLE_ADMIN), bundle)
ring.persons.add(id=person, name="admin", role=h.ROLE_ADMIN, public_key=h.public_of(private), enc=enc, bundle=ct, added=1)
bundle = message["Bundle"](**secrets).SerializeToString(deterministic=True)
enc, ct = hpke_seal(seq(0x71), h.public_of(host_private), h.host_info(R, 1, host), bundle)
ring.hosts.add(id=host, name="host", role=h.ROLE_PRUNE, public_key=h.public_of(host_private), signing_key=signing_public,
               enc=enc, bundle=ct, added=1)
body = ring.SerializeToString(deterministic=True)
signed = message["Signed"](body=body)
signed.signatures.add(signer=signer, signature=admin.sign(h.signed_bytes(h.KEYRING, R, signer, body)))
out["keyring"] = signed.SerializeToString(deterministic=True)

# The key that a target named "bucket" is sent with each request when its setting sse is "customer".
out.update(customer_target=b"bucket", customer_key=h.derive(IDS, b"", "sse-c", R, h.u32(GENERATION) + h.lv(b"bucket")))

# A message of each kind, with each of its fields.
def short(first):
    return bytes([first]) * 16


def made(kind, /, **fields):
    return message[kind](**fields)


statistics = ("files", "directories", "others", "bytes", "files_new", "bytes_new", "bytes_stored", "warnings", "bytes_read")
contents = made("Contents", slot_count=2, frames=struct.pack(">HQIIII", 0, 0, 100, 46, 30, 2) +
                struct.pack(">HQIIII", 1, 3, 146, 40, 50, 1 << 24 | 1),
                blobs=b"".join(seq(i) + struct.pack(">II", *at) for i, at in ((1, (0, 10)), (2, (10, 20)), (3, (0, 50)))))
secret = message["NumberedSecret"]
examples = {
    "config": made("Config", repository_id=short(1), chunk_min=256 << 10, chunk_average=1 << 20, chunk_max=4 << 20,
                   frame_group=128 << 10, pack_size=16 << 20, created=2),
    "signed": made("Signed", body=b"body", signatures=[
        made("Signature", signer=short(1), signature=bytes([3]) * 64),
        made("Signature", signer=short(2), signature=bytes([4]) * 64)]),
    "keyring": made(
        "Keyring", version=2, previous=seq(19), repository_id=short(20), config_sha256=seq(21), admin_key=seq(17),
        epochs=[made("Epoch", number=3, kem=0x20, kdf=1, aead=2, public_key=seq(9), created=4),
                made("Epoch", number=5, kem=0x20, kdf=1, aead=2, public_key=seq(10), created=6)],
        metadata_generation=22, id_generation=23, created=24,
        persons=[made("Person", id=short(11), name="person", role=1, public_key=seq(9), enc=seq(10), bundle=b"secrets", added=12)],
        hosts=[made("Host", id=short(13), name="host", role=3, public_key=seq(9), signing_key=seq(18), dedup_group="group",
                    enc=seq(10), bundle=b"more", added=14, removed=True, last_sequence=15, last_manifest=seq(16))]),
    "bundle": made("Bundle", admin_seed=bytes([5]) * 32, **{
        name: [secret(number=i + k + 1, secret=seq(10 * i + k)) for k in (0, 1)]
        for i, name in enumerate(("metadata_secrets", "id_secrets", "recovery_keys"))}),
    "contents": contents,
    "entry": made("PackEntry", sha256=seq(4), size=1000, author=short(5), slots_length=93, contents_length=200, contents=contents),
    "segment": made("Segment", host=short(1), created=2, kind=h.META, supersedes=[seq(1)], packs=[b"entry", b"other"], part=1,
                    parts=2, replacement=short(3)),
    "tree": made("Tree", nodes=[
        made("Node", name=b"a", type=h.FILE, mode=0o644, uid=1000, gid=1001, user=b"user", group=b"group", mtime_seconds=-5,
             mtime_nanoseconds=999999999, size=4101, flags=0x10,
             xattrs=[made("Xattr", name=b"user.a", value=b"b"), made("Xattr", name=b"user.b", value=b"c")],
             content=[made("Extent", blob=seq(1), length=5), made("Extent", length=4096)]),
        made("Node", name=b"b", type=h.DIRECTORY, mode=0o755, subtree=[made("Extent", blob=seq(2), length=7)]),
        made("Node", name=b"c", type=h.SYMLINK, link_target=b"a"),
        made("Node", name=b"d", type=h.BLOCK, device_major=7, device_minor=250),
        made("Node", name=b"e", type=h.FILE, hard_link=b"a/b")]),
    "manifest": made(
        "Manifest", host=short(1), host_name="host", job="job", classes=["daily", "manual"], started=5, ended=6,
        root=[made("Extent", blob=seq(1), length=100), made("Extent", blob=seq(30), length=101)],
        statistics=made("Statistics", **dict(zip(statistics, range(1, 10)))), sources=[b"/srv", b"/etc"], source_type="files",
        keep=made("Keep", daily=7, weekly=8, monthly=9, yearly=10, manual=11, minimum=12, manual_set=True, within=13),
        configuration=b"text", parent=seq(8), software="holdfast 0", sequence=2, previous_manifest=seq(9), previous_run=seq(11),
        keyring_version=1, keyring_sha256=seq(10), segments=[seq(2), seq(3)], seen=[made("Seen", host=short(4), sequence=9)]),
    "run": made(
        "Run", host=short(1), sequence=2, previous=seq(3), command="run", started=4, ended=8, exit_status=1,
        message="job database failed", interrupted=True, software="holdfast 0",
        jobs=[made("JobRun", job="files", classes=["daily", "monthly"], started=4, ended=6, exit_status=3, snapshot=seq(7),
                   statistics=made("Statistics", **dict(zip(statistics, (8, 9, 10, 11, 12, 13, 14, 2, 15)))),
                   warnings=["one", "two"]),
              made("JobRun", job="database", classes=["daily"], started=6, ended=6, exit_status=1, message="the command failed",
                   statistics=made("Statistics"))],
        prune=made("PruneRun", started=6, ended=7, exit_status=1, message="prune", expired=9, held=10, deleted_packs=11,
                   deleted_bytes=12, delayed_packs=13, locked_objects=14),
        verify=made("VerifyRun", started=7, ended=8, exit_status=5, message="verify", objects=11, bytes=12, damaged=13,
                    first=0xffffffff, span=1 << 32),
        drill=made("DrillRun", started=8, ended=8, exit_status=6, message="drill", job="files", snapshot=seq(8), files=12, bytes=13),
        targets=[made("TargetRun", name="disk", stored_bytes=13, objects=14, bytes=15),
                 made("TargetRun", name="s3", behind=True, message="unreachable")]),
    "event": made("Event", host=short(1), type=4, created=5, snapshots=[seq(6)], reason="expired", packs=[seq(1), seq(2)],
                  frames=[made("FrameRef", pack=seq(3), frame=4)], events=[seq(7)],
                  runs=[seq(8)], checks=[9, 1, 10]),
    "lease": made("Lease", host=short(1), writer=short(2), started=3, refreshed=4, purpose="backup"),
}
out["messages"] = {name: m.SerializeToString(deterministic=True).hex() for name, m in examples.items()}

json.dump({k: v.hex() if isinstance(v, bytes) else v for k, v in out.items()}, sys.stdout, indent=1)
print()
