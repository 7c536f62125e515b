#!/usr/bin/env python3
"""The host key file holds its identity, two private keys of its own and public facts: nothing else."""
import sys

lines = open(sys.argv[1]).read().splitlines()
names = [line.split(" = ")[0] for line in lines[1:]]
expected = ["name", "host", "repository", "root", "private-key", "signing-seed", "keyring-version", "keyring-sha256"]
sys.exit(0 if lines[0] == "holdfast host key 1" and names == expected else f"unexpected: {names}")
