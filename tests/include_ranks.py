#!/usr/bin/env python3
"""Includes go strictly downward: checks every #include "folder/..." under src against src/RANKS."""
import os
import re
import sys

# A library's headers may be included from these folders only.
WALLS = {
    "openssl/": ["crypto"], "curl/": ["http"], "libconfig.h": ["config"], "sqlite3.h": ["catalog"],
    "archive.h": ["source"], "archive_entry.h": ["source"], "protobuf-c/": ["format"], ".pb-c.h": ["format"],
    "zstd.h": ["pack"], "jansson.h": ["cli", "storage"], "expat.h": ["storage"],
}

root = os.path.join(sys.argv[1] if len(sys.argv) > 1 else ".", "src")
ranks = {}
for line in open(os.path.join(root, "RANKS")):
    if line.strip() and not line.startswith("#"):
        rank, *folders = line.split()
        ranks.update((folder, int(rank)) for folder in folders)

problems = []
checked = 0
for folder, _, names in sorted(os.walk(root)):
    for name in sorted(names):
        if not name.endswith((".c", ".h")):
            continue
        path = os.path.join(folder, name)
        own = os.path.relpath(path, root).split(os.sep)[0]
        if own not in ranks:
            problems.append(f"{path}: folder {own} has no rank in src/RANKS")
            continue
        for number, line in enumerate(open(path), 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if not match:
                continue
            checked += 1
            included = match.group(2)
            for wall, allowed in WALLS.items():
                if (included.startswith(wall) or included == wall or included.endswith(wall)) and own not in allowed:
                    problems.append(f"{path}:{number}: {included} only in {' '.join(allowed)}")
            if match.group(1) == "<":
                continue
            other = included.split("/")[0] if "/" in included else own
            if other not in ranks:
                problems.append(f"{path}:{number}: {included} names no folder of src")
            elif other != own and ranks[other] >= ranks[own] and not (other == "base" and ranks[own] == 0):
                problems.append(f"{path}:{number}: {own} (rank {ranks[own]}) includes {other} (rank {ranks[other]})")

print("\n".join(problems) or f"{checked} includes go downward")
sys.exit(1 if problems or not checked else 0)
