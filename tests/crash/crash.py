#!/usr/bin/env python3
"""Stops the program at every call that changes a file, and looks at what it left.

Each command runs on a copy of a small repository with a preloaded library (stop.c) that kills it before the N-th write,
fsync, rename, link, unlink, truncation or creation, or in the midst of a write, for every N, or makes a call fail that can.
After each: committed snapshots restore byte for byte, verify is clean, the next run ends well and reuses what was
uploaded, nothing temporary stays.

Usage: crash.py HOLDFAST STOP_LIBRARY [--only COMMAND]     With HOLDFAST_LONG set, calls fail at every N, too.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

SETTINGS = 'chunk_average = "16K"; pack_size = "64K"; checkpoint_interval = "1d"; workers = 1;'
# What can happen, and at which calls, see stop.c.
KILLS, FAULTS = {"kill": "wro", "half": "w"}, {"EIO": "wro", "ENOSPC": "wr", "short": "w"}


class Failure(Exception):
    pass


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def noise(seed, size):
    import random
    return random.Random(seed).randbytes(size)


def tree(root):
    found = {}
    for folder, _, files in os.walk(root):
        for name in files:
            path = os.path.join(folder, name)
            with open(path, "rb") as f:
                found[os.path.relpath(path, root)] = (os.stat(path).st_mtime_ns, f.read())
    return found


class Place:
    """One folder with a repository whose states are saved and brought back."""

    def __init__(self, program, library):
        self.program, self.library = program, library
        self.work = tempfile.mkdtemp(prefix="holdfast-crash-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.trees = {}
        live = self.live = f"{self.work}/live"
        os.makedirs(f"{live}/source")
        files = f'source = {{ type = "files"; paths = [ "{live}/source" ]; }}; schedule = {{ daily = "00:00"; timezone = "UTC"; }};'
        jobs = f'{{ name = "files"; {files} }}'
        for name, all_jobs in ("holdfast", jobs), ("later", f'{jobs}, {{ name = "later"; {files} }}'):
            write(f"{self.work}/{name}.conf", (
                f'repository = {{ name = "crash"; key_file = "{live}/keys/host.key"; state_dir = "{live}/state"; {SETTINGS} }};\n'
                f'targets = ( {{ name = "one"; type = "local"; path = "{live}/one"; }}, '
                f'{{ name = "two"; type = "local"; path = "{live}/two"; }} );\n'
                f'jobs = ( {all_jobs} );\n').encode())
        self.save("init")
        self.good("init", "--person-key", f"{live}/person.key")
        # Small files whose frames die in part, so that prune has something to copy, to condemn and to delete.
        for i in range(40):
            write(f"{live}/source/small/{i}", noise(i, 3000))
        write(f"{live}/source/large", noise("large", 150000))
        first = self.backup()
        for i in range(0, 40, 2):
            os.unlink(f"{live}/source/small/{i}")
        write(f"{live}/source/large", noise("other", 100000))
        second = self.backup()
        write(f"{live}/source/more", noise("more", 120000))
        write(f"{live}/source/small/new", b"new")
        self.save("backup")
        third = self.backup()
        self.save("forget")
        self.good("forget", first)
        self.forgotten = first
        self.save("prune")
        self.save("run")
        shutil.rmtree(f"{live}/two")
        os.mkdir(f"{live}/two")
        self.save("heal")
        self.load("forget")
        self.save("restore")
        self.first, self.second, self.third = first, second, third
        self.commands = {
            "init": ("init", "--person-key", f"{live}/person.key"), "backup": ("backup",), "forget": ("forget", first),
            "prune": ("prune", "--force"), "heal": ("heal", "--new-target", "two"), "run": ("run",),
            "restore": ("restore", third, "--to", f"{live}/out", "--person-key", f"{live}/person.key")}

    def save(self, name):
        subprocess.run(["cp", "-a", self.live, f"{self.work}/{name}"], check=True)

    def load(self, name):
        shutil.rmtree(self.live)
        subprocess.run(["cp", "-a", f"{self.work}/{name}", self.live], check=True)

    def run(self, *arguments, stop=None, config="holdfast"):
        environment = dict(os.environ)
        if stop:
            environment.update(stop, LD_PRELOAD=self.library)
        return subprocess.run([self.program, "-c", f"{self.work}/{config}.conf", "--json", *arguments], env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    def good(self, *arguments, expect=(0,), config="holdfast"):
        result = self.run(*arguments, config=config)
        if result.returncode not in expect:
            raise Failure(f"then {' '.join(arguments)} ended with {result.returncode}: {result.stdout}{result.stderr}")
        return result

    def backup(self):
        job = json.loads(self.good("backup").stdout)["jobs"][0]
        self.trees[job["id"]] = tree(f"{self.live}/source")
        self.stored = job["bytes_stored"]
        return job["id"]

    def count_calls(self, command):
        """A letter for each call, see stop.c."""
        self.load(command)
        result = self.run(*self.commands[command], stop={"STOP_COUNT": f"{self.work}/calls"})
        if result.returncode != 0:
            raise Failure(f"{command} cannot be counted: {result.stderr}")
        with open(f"{self.work}/calls") as f:
            return f.read()

    def listed(self):
        return {s["id"] for s in json.loads(self.good("snapshots").stdout)["snapshots"]}

    def check_restores(self, ids):
        for key in ids:
            out = f"{self.live}/check"
            self.good("restore", key, "--to", out, "--person-key", f"{self.live}/person.key")
            if tree(f"{out}{self.live}/source") != self.trees[key]:
                raise Failure(f"snapshot {key} restores another tree")
            shutil.rmtree(out)

    def check_clean(self, command):
        """A day later nothing temporary is left."""
        old = time.time() - 2 * 86400
        left = []
        for _ in range(2):
            left = []
            for folder, _, files in os.walk(self.live):
                for name in files:
                    path = os.path.join(folder, name)
                    if ".tmp" in name or name.startswith(".holdfast-"):
                        left.append(path)
                        os.utime(path, (old, old))
            if left:
                write(f"{self.live}/source/later", os.urandom(10))
                self.good("backup")
        if left:
            raise Failure(f"temporary files stay: {left}")

    # ---- what must hold after each command ----

    def after_backup(self, result, how):
        before = {self.first, self.second}
        now = self.listed()
        if not before <= now or len(now) > 3:
            raise Failure(f"listed: {now}")
        for key in now - before:
            self.trees[key] = tree(f"{self.live}/source")
        if result.returncode == 0 and len(now) != 3:
            raise Failure("it said that it was done, but the snapshot is not there")
        self.good("verify", "--all", expect=(0, 6))  # one target may lack the snapshot
        self.check_restores(now)
        uploaded = sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(f"{self.live}/one/packs") for f in fs)
        self.stored = 0
        last = self.backup()
        self.check_restores([last])
        self.good("verify", "--all")
        # At most the pack that was on its way, of each kind, is written twice.
        repeated = uploaded + self.stored - self.full_size
        if result.returncode < 0 and repeated > 2 * 65536 + 20000:
            raise Failure(f"{repeated} bytes were stored again")

    def after_forget(self, result, how):
        now = self.listed()
        if now | {self.first} != {self.first, self.second, self.third} or result.returncode == 0 and self.first in now:
            raise Failure(f"listed: {now}")
        self.good("verify", "--all", expect=(0, 6))
        if self.first in now:
            self.good("forget", self.first)
        self.check_restores([self.second, self.third])

    def after_prune(self, result, how):
        if self.listed() != {self.second, self.third}:
            raise Failure(f"listed: {self.listed()}")
        self.good("verify", "--all", expect=(0, 6))
        self.check_restores([self.second])
        self.good("prune", "--force")
        self.good("verify", "--all")
        self.check_restores([self.second, self.third])
        self.backup()
        self.good("prune", "--force")
        self.good("verify", "--all")

    def after_heal(self, result, how):
        self.good("heal", "--new-target", "two")
        self.good("verify", "--all")
        if self.listed() != {self.second, self.third}:
            raise Failure(f"listed: {self.listed()}")
        os.rename(f"{self.live}/one", f"{self.live}/away")
        out = f"{self.live}/check"
        self.good("restore", self.third, "--to", out, "--person-key", f"{self.live}/person.key")
        if tree(f"{out}{self.live}/source") != self.trees[self.third]:
            raise Failure("the target that was healed restores another tree")
        os.rename(f"{self.live}/away", f"{self.live}/one")

    def after_run(self, result, how):
        """One record of the run, if it got so far as to have one, and one of the next."""
        self.good("run", config="later")
        one, two = ({name for name in os.listdir(f"{self.live}/{target}/runs") if name[0] != "."} for target in ("one", "two"))
        if one != two or len(one) not in ((2,) if result.returncode == 0 else (1, 2)):
            raise Failure(f"records of runs: {one} {two}")

    def after_restore(self, result, how):
        expected = self.trees[self.third]
        if result.returncode == 0 and tree(f"{self.live}/out{self.live}/source") != expected:
            raise Failure("it said that it was done, but the tree is not whole")
        self.good("restore", self.third, "--to", f"{self.live}/out", "--person-key", f"{self.live}/person.key")
        found = {k: v for k, v in tree(f"{self.live}/out{self.live}/source").items()}
        if {k: v for k, v in found.items() if not k.split("/")[-1].startswith(".holdfast-")} != expected:
            raise Failure("the tree is not whole after a second restore")

    def after_init(self, result, how):
        again = self.run("init", "--person-key", f"{self.live}/person.key")
        if again.returncode != 0:
            if "hint:" not in again.stderr:
                raise Failure(f"no hint after a stopped init: {again.stderr}")
            for name in ("one", "two", "state", "keys", "person.key"):
                path = f"{self.live}/{name}"
                shutil.rmtree(path, ignore_errors=True)
                if os.path.exists(path):
                    os.unlink(path)
            self.good("init", "--person-key", f"{self.live}/person.key")
        write(f"{self.live}/source/file", b"contents")
        self.check_restores([self.backup()])

    def attempt(self, command, how, number):
        self.load(command)
        saved = dict(self.trees)
        try:
            result = self.run(*self.commands[command], stop={"STOP_AT": str(number), "STOP_HOW": how})
            if how in KILLS and result.returncode not in (-9, 0):
                raise Failure(f"status {result.returncode}: {result.stderr}")
            getattr(self, f"after_{command}")(result, how)
            if command != "restore":
                self.check_clean(command)
        except (Failure, subprocess.TimeoutExpired, KeyError, json.JSONDecodeError) as why:
            return f"{command}, {how} at call {number}: {type(why).__name__}: {why}"
        finally:
            self.trees = saved
        return None


place = None


def begin(program, library):
    global place
    place = Place(program, library)
    place.load("backup")
    place.stored = 0
    place.backup()
    place.full_size = sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(f"{place.live}/one/packs") for f in fs)


def attempt(task):
    return task, place.attempt(*task)


def calls(command):
    return command, place.count_calls(command), place.work


def small_files(program, library):
    """Many small files share a pack: an error of the catalog in the midst of them is none of the file at hand."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as work:
        for i in range(900):
            write(f"{work}/source/{i}", noise(i, 4000))
        write(f"{work}/conf", (
            f'repository = {{ name = "small"; key_file = "{work}/key"; state_dir = "{work}/state"; {SETTINGS} }};\n'
            f'targets = ( {{ name = "one"; type = "local"; path = "{work}/one"; }} );\n'
            f'jobs = ( {{ name = "files"; source = {{ type = "files"; paths = [ "{work}/source" ]; }}; }} );\n').encode())
        def run(*arguments, **stop):
            stop = dict(os.environ, LD_PRELOAD=library, **stop) if stop else None
            return subprocess.run([program, "-q", "-c", f"{work}/conf", *arguments], env=stop, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=60)
        def fresh():
            for name in "key", "state", "one":
                subprocess.run(["rm", "-rf", f"{work}/{name}"], check=True)
            run("init", "--person-key", f"{work}/person")
            os.unlink(f"{work}/person")
        fresh()
        run("backup", STOP_COUNT=f"{work}/calls")
        with open(f"{work}/calls") as f:
            writes = [n for n, kind in enumerate(f.read(), 1) if kind == "w"]
        failures, chosen = [], writes[1::max(1, len(writes) // 8)]
        for n in chosen:
            fresh()
            result = run("backup", STOP_AT=str(n), STOP_HOW="EIO")
            if result.returncode != 1 and (check := run("verify", "--all")).returncode != 0:
                failures.append(f"small files, EIO at {n}: backup ended {result.returncode}, verify {check.returncode}")
        return len(chosen), failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("holdfast")
    parser.add_argument("library")
    parser.add_argument("--only")
    options = parser.parse_args()
    program, library = os.path.abspath(options.holdfast), os.path.abspath(options.library)
    commands = [options.only] if options.only else ["init", "backup", "forget", "prune", "heal", "run", "restore"]
    failures, done = [], collections.Counter()
    works = set()
    with concurrent.futures.ProcessPoolExecutor(2, initializer=begin, initargs=(program, library)) as pool:
        counts = {}
        for command, count, work in pool.map(calls, commands * 2):
            counts[command] = count
            works.add(work)
        tasks = []
        for command in commands:
            stride = 1 if os.environ.get("HOLDFAST_LONG") else 4
            if command == "run" and stride > 1:  # does what backup and prune do; of its own is the record, at its end
                tasks += [(command, "kill", n) for n in range(len(counts[command]) - 60, len(counts[command]) + 1)]
                continue
            for how, kinds in (KILLS | FAULTS).items():
                at = [n for n, kind in enumerate(counts[command], 1) if kind in kinds]
                tasks += [(command, how, n) for n in (at if how in KILLS else at[list(FAULTS).index(how) % stride::stride])]
        for task, failure in pool.map(attempt, tasks, chunksize=4):
            done[task[:2]] += 1
            if failure:
                failures.append(failure)
                print(failure, flush=True)
            if len(failures) > 20:
                break
        pool.shutdown(cancel_futures=True)
    for command in commands:
        print(f"{command}: {len(counts[command])} calls; " + ", ".join(f"{done[command, how]} x {how}" for how in KILLS | FAULTS))
    if not options.only:
        count, more = small_files(program, library)
        print(f"small files: {count} x EIO", *more, sep="\n")
        failures += more
    print(f"{sum(done.values())} stops, {len(failures)} failures")
    if not failures:
        for work in works:
            shutil.rmtree(work, ignore_errors=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
