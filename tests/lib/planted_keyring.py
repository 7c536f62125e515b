#!/usr/bin/env python3
"""Writes keyrings that the program does not make.

planted_keyring.py attack REPOSITORY             a version 2 that an attacker without keys signs, sealing to a recovery
                                                 key of the attacker's
planted_keyring.py newer-config REPOSITORY KEY   as the admin whose person key is in the file KEY: a config of a newer
                                                 format version, and the keyring that names it
"""
import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../reader"))
import holdfast_reader as reader  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: E402
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: E402


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def public(key):
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def first_keyring(repository):
    with open(glob.glob(repository + "/keys/1-*")[0], "rb") as f:
        data = f.read()
    return data, reader.parse("Keyring", reader.parse("Signed", data).body)


def put(repository, keyring, key):
    body = keyring.SerializeToString(deterministic=True)
    signer = reader.sha256(public(key))[:16]
    signed = reader.MESSAGES["Signed"](body=body)
    signed.signatures.add(signer=signer, signature=key.sign(
        reader.signed_bytes(reader.KEYRING, keyring.repository_id, signer, body)))
    data = signed.SerializeToString(deterministic=True)
    name = f"{repository}/keys/{keyring.version}-{reader.sha256(data).hex()}"
    write(name, data)
    print(name)


def admin_key(keyring, key_file):
    with open(key_file) as f:
        key = reader.read_key_file(f.read(), keyring.repository_id)
    person = next(p for p in keyring.persons if p.id == key.id)
    bundle = reader.open_person_bundle(key.private, keyring.repository_id, keyring.version, person)
    return Ed25519PrivateKey.from_private_bytes(bundle.admin_seed)


def attack(repository):
    first, keyring = first_keyring(repository)
    key = Ed25519PrivateKey.generate()
    keyring.version = 2
    keyring.previous = reader.sha256(first)
    keyring.admin_key = public(key)
    keyring.epochs[-1].public_key = reader.public_of(os.urandom(32))
    put(repository, keyring, key)


def newer_config(repository, key_file):
    first, keyring = first_keyring(repository)
    key = admin_key(keyring, key_file)
    with open(repository + "/config", "rb") as f:
        config = reader.parse("Config", f.read())
    config.version += 1
    data = config.SerializeToString(deterministic=True)
    write(repository + "/config", data)
    keyring.version = 2
    keyring.previous = reader.sha256(first)
    keyring.config_sha256 = reader.sha256(data)
    put(repository, keyring, key)


{"attack": attack, "newer-config": newer_config}[sys.argv[1]](*sys.argv[2:])
