#!/usr/bin/env python3
"""How much of a repository is dead after prune, in the worst case for grouped frames.

Small files share frames; when most of them go, their frames are mostly dead, and a host that cannot open them
cannot cut them apart. Writes files of 14 KB that do not compress, 100 to a folder; removes 95 % of them at
random; then ten times: backup, keep only the newest snapshot, prune. Prints the size of the repository against
its live data after each.

Usage: tests/bench/space.py HOLDFAST [--files N] [--survive PERCENT] [--seed S]     Status 1 if it ends above 1.5.
"""
import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile

parser = argparse.ArgumentParser()
parser.add_argument("holdfast")
parser.add_argument("--files", type=int, default=10000)
parser.add_argument("--survive", type=float, default=5)
parser.add_argument("--seed", type=int, default=1)
options = parser.parse_args()
rng = random.Random(options.seed)
work = tempfile.mkdtemp(prefix="holdfast-space-", dir="/var/tmp")


def size(folder):
    return sum(os.lstat(os.path.join(d, f)).st_size for d, _, files in os.walk(folder) for f in files)


def holdfast(*arguments):
    subprocess.run([options.holdfast, "-q", "-c", f"{work}/holdfast.conf", *arguments], check=True,
                   stdout=subprocess.DEVNULL, env={**os.environ, "HOLDFAST_PASSPHRASE_FILE": f"{work}/passphrase"})


try:
    os.umask(0o077)
    with open(f"{work}/passphrase", "w") as f:
        f.write("a passphrase for measuring only\n")
    with open(f"{work}/holdfast.conf", "w") as f:
        f.write(f'repository = {{ name = "space"; key_file = "{work}/host.key"; state_dir = "{work}/state"; }};\n'
                f'targets = ( {{ name = "disk"; type = "local"; path = "{work}/repo"; }} );\n'
                f'jobs = ( {{ name = "files"; source = {{ type = "files"; paths = [ "{work}/source" ]; }}; '
                "keep = { manual = 1; }; } );\n")
    paths = []
    for i in range(options.files):
        path = f"{work}/source/{i // 100:04}/{i % 100:02}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(rng.randbytes(14000))
        paths.append(path)
    holdfast("init")
    holdfast("backup")
    print(f"{options.files} files of 14,000 bytes; {options.survive:g} % survive; live data / repository / ratio")
    print(f"day  0  {size(f'{work}/source'):12,} {size(f'{work}/repo'):12,} "
          f"{size(f'{work}/repo') / size(f'{work}/source'):6.2f}")
    for path in paths:
        if rng.random() * 100 >= options.survive:
            os.unlink(path)
    for day in range(1, 11):
        holdfast("backup")
        holdfast("prune")
        live, stored = size(f"{work}/source"), size(f"{work}/repo")
        print(f"day {day:2}  {live:12,} {stored:12,} {stored / live:6.2f}")
    holdfast("verify", "--all")
    sys.exit(stored > 1.5 * live)
finally:
    shutil.rmtree(work)
