#!/usr/bin/env python3
"""Makes format.json: known inputs and what the format makes of them, by the second reader's functions, not the program's.

Usage: make.py >format.json     The file is kept; run this only when the format changes.
"""
import hashlib
import hmac
import json
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../reader"))
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from read import SUITE, derive, expand, extract, label, lv, public_of, sha256


def seq(first, size=32):
    return bytes((first + i) % 256 for i in range(size))


R, MS, IDS, PK = seq(0x10, 16), seq(0x20), seq(0x40), seq(0x60)
out = {"repository": R, "metadata_secret": MS, "id_secret": IDS, "generation": 3}


def hpke_seal(ephemeral, public, info, plain):
    """RFC 9180, base mode, with a given ephemeral key."""
    kem, whole = b"KEM" + struct.pack(">H", SUITE[0]), b"HPKE" + struct.pack(">3H", *SUITE)
    enc = public_of(ephemeral)
    dh = X25519PrivateKey.from_private_bytes(ephemeral).exchange(X25519PublicKey.from_public_bytes(public))
    le = lambda suite, salt, text, ikm: extract(salt, b"HPKE-v1" + suite + text + ikm)
    lx = lambda suite, key, text, context, size: expand(key, struct.pack(">H", size) + b"HPKE-v1" + suite + text + context, size)
    shared = lx(kem, le(kem, b"", b"eae_prk", dh), b"shared_secret", enc + public, 32)
    context = b"\0" + le(whole, b"", b"psk_id_hash", b"") + le(whole, b"", b"info_hash", info)
    key = le(whole, shared, b"secret", b"")
    return enc, AESGCM(lx(whole, key, b"key", context, 32)).encrypt(lx(whole, key, b"base_nonce", context, 12), plain, b"")


# Blob ids and the chunker's table.
number = struct.pack(">I", 3)
id_key = derive(IDS, b"", b"blob-id", R, number)
table = derive(IDS, b"", b"chunker", R, number, 2048)
out.update(blob_id_key=id_key, blob=b"contents", blob_id_data=hmac.digest(id_key, b"\1contents", "sha256"),
           blob_id_meta=hmac.digest(id_key, b"\2contents", "sha256"), gear_first=table[:8], gear_last=table[-8:],
           gear_sha256=sha256(table))

# Where a known stream is cut: 16 KiB on average, SHA-256 in counter mode as the stream.
stream = b"".join(sha256(struct.pack(">I", i)) for i in range(16384))
gear = struct.unpack(">256Q", table)
low, average, high, bits = 4096, 16384, 65536, 14
mask = lambda k: sum(1 << (63 - 48 * i // k) for i in range(k))
cuts, at = [], 0
while at < len(stream):
    end, h, cut = min(len(stream) - at, high), 0, None
    if len(stream) - at > low:
        for i in range(low - 64, end):
            h = (h * 2 + gear[stream[at + i]]) % 2**64
            if i >= low and h & mask(bits + 2 if i < average else bits - 2) == 0:
                cut = i + 1
                break
    cuts.append(cut or end)
    at += cuts[-1]
out.update(chunk_min=low, chunk_average=average, chunk_max=high, chunk_stream_bytes=len(stream), chunk_lengths=cuts)

# Sealed objects: an event, and a table of contents bound to what lies before it.
for name, kind, bound in (("sealed", 5, b""), ("sealed_bound", 1, sha256(b"pack bytes"))):
    plain, random = b"plain bytes", seq(0x80)
    salt_key = derive(MS, b"", b"salt", R)
    salt = hmac.digest(salt_key, bytes([kind]) + random + sha256(plain) + bound, "sha256")
    header = b"HFST" + struct.pack(">HBBI", 0, kind, 0, 3) + R + salt
    out.update({f"{name}_plain": plain, f"{name}_random": random, f"{name}_type": kind, f"{name}_hash": bound,
                name: header + AESGCM(derive(MS, salt, b"object", R, bytes([kind]))).encrypt(bytes(12), plain, header + bound)})

# Slots and frames.
own, recovery, ephemeral = seq(0xa0, 16), seq(0xb0), seq(0xc1)
info = label(b"pack-key") + R + struct.pack(">I", 7) + own + b"\1"
enc, ct = hpke_seal(ephemeral, public_of(recovery), info, PK)
commit = derive(PK, own, b"commit", R, b"\1")[:16]
meta_pk = derive(MS, own, b"meta-slot", R)
out.update(epoch=7, recovery_key=recovery, pack_key=PK,
           slot_data=own + struct.pack(">I3H", 7, *SUITE) + lv(enc) + lv(ct) + commit,
           slot_meta=own + struct.pack(">I", 3) + derive(meta_pk, own, b"commit", R, b"\2")[:16])
for name, codec, raw, payload in (("frame_raw", 0, b"raw payload", b"raw payload"),
                                  ("frame_zstd", 1, bytes(1000), zstandard.ZstdCompressor(level=3).compress(bytes(1000)))):
    aad = b"HFFR" + struct.pack(">H", 0) + R + b"\1" + own + struct.pack(">QBI", 5, codec, len(raw))
    out.update({name: AESGCM(derive(PK, own, b"frame", R, b"\1")).encrypt(bytes(4) + struct.pack(">Q", 5), payload, aad),
                f"{name}_payload": payload, f"{name}_length": len(raw)})
out["frame_counter"] = 5

# A person key, signatures and the root fingerprint.
person, private, root, salt, passphrase = seq(0xd0, 16), seq(0x01), seq(0xe0), seq(0xf0), b"a passphrase"
header = b"HFPS" + struct.pack(">H", 0) + R + person + lv(public_of(private)) + bytes([15, 8, 1]) + salt
key = derive(Scrypt(salt=salt, length=32, n=1 << 15, r=8, p=1).derive(passphrase), b"", b"person", R, person)
seed = seq(0x33)
signing = Ed25519PrivateKey.from_private_bytes(seed)
public = signing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
signer = sha256(public)[:16]
out.update(person=person, person_private=private, person_root=root, person_passphrase=passphrase,
           person_key=header + AESGCM(key).encrypt(bytes(12), private + root, header),
           admin_seed=seed, admin_key=public, admin_signer=signer, signed_body=b"body",
           signature=signing.sign(label(b"sig") + bytes([16]) + R + signer + lv(b"body")),
           root_fingerprint=sha256(label(b"root") + R + lv(public)))
json.dump({k: v.hex() if isinstance(v, bytes) else v for k, v in out.items()}, sys.stdout, indent=1)
print()
