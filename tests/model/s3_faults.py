#!/usr/bin/env python3
"""Bad days of S3 stores: whatever a store or the network does, nothing that was committed is lost, and nothing that is
half done is called done.

The program works against a real gateway through proxies that inject faults (tests/lib/fault_proxy.py). After every
faulty run the proxies are set to no faults, and then: only whole snapshots are listed, each restores to the source as
it was, verify --all finds nothing, and the next backup ends with 0.

First each fault is tried at the kinds of requests, once and for good; then so many random schedules of steps and faults
are played with two buckets and a local folder. HOLDFAST_LONG: every fault at every kind, and 1,000 schedules.

Usage: s3_faults.py HOLDFAST GATEWAY_FOLDER [--schedules N] [--seed S] [--only TEXT] [--jobs N] [--keep]
"""
import argparse
import collections
import contextlib
import json
import os
import queue
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import xml.etree.ElementTree

LIB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")
sys.path.insert(0, LIB)
import sigv4
from steps import but_for_collapse

SETTINGS = ('lease_refresh = "1s"; checkpoint_interval = "1s"; '
            'chunk_average = "16K"; pack_size = "64K"; workers = 2; ')
PATIENT = (60, 30)  # seconds: retry_budget, stall_timeout
# Kinds of requests: what names them to the proxy, and the command that makes them.
KINDS = {
    "config": ({"method": "GET", "path": "/config$"}, "backup"),
    "keyring": ({"method": "GET", "path": "/keys/1-"}, "backup"),
    "versioning": ({"method": "GET", "query": "versioning"}, "backup"),
    "list": ({"method": "GET", "query": "list-type"}, "backup"),
    "lease": ({"method": "PUT", "path": "/leases/"}, "backup"),
    "pack": ({"method": "PUT", "path": "/packs/"}, "backup"),
    "index": ({"method": "PUT", "path": "/index/"}, "backup"),
    "manifest": ({"method": "PUT", "path": "/snapshots/"}, "backup"),
    "read data": ({"method": "GET", "path": "/packs/"}, "restore"),
    "read": ({"method": "GET", "path": "/packs/"}, "restore anew"),
    "read manifest": ({"method": "GET", "path": "/snapshots/"}, "restore anew"),
    "read index": ({"method": "GET", "path": "/index/"}, "restore anew"),
    "event": ({"method": "PUT", "path": "/events/"}, "forget"),
    "delete": ({"method": "DELETE", "path": "/(packs|index|snapshots|events)/"}, "prune"),
    "end of lease": ({"method": "DELETE", "path": "/leases/"}, "backup"),
}
# Tried again: what comes once is noticed by nobody.
PASSING = ({"fault": "reset_before"}, {"fault": "reset_after"}, {"fault": "close_before"}, {"fault": "close_after"},
           {"fault": "internal_error"}, {"fault": "internal_error", "processed": True}, {"fault": "unavailable"},
           {"fault": "slow_down"}, {"fault": "too_many"}, {"fault": "error", "status": 502, "body": "<html>bad gateway</html>"},
           {"fault": "error_in_200"}, {"fault": "truncate"}, {"fault": "flip_request"},
           {"fault": "stall", "where": "request", "seconds": 10}, {"fault": "stall", "where": "answer", "seconds": 10},
           {"fault": "stall", "where": "body", "seconds": 10})
# Not tried again for long: it would be the same.
FINAL = ({"fault": "access_denied"}, {"fault": "expired_token"}, {"fault": "short"}, {"fault": "flip"})
HARMLESS = ({"fault": "latency", "ms": 100}, {"fault": "redirect", "region": "eu-central-1"},
            {"fault": "redirect", "region": "eu-central-1", "status": 400})
# What is said of each where it does not pass: nothing else would tell what is wrong.
SAID = {"reset_before": "no complete answer", "reset_after": "no complete answer", "close_before": "no complete answer",
        "close_after": "no complete answer", "truncate": "no complete answer", "stall": "Operation too slow",
        "internal_error": r"InternalError: .*\(HTTP 500\)", "error_in_200": r"InternalError: .*\(HTTP 200\)",
        "unavailable": "ServiceUnavailable", "slow_down": "SlowDown", "too_many": "TooManyRequests", "error": "HTTP 502",
        "flip_request": "XAmzContentSHA256Mismatch.*\n.*changed or lost on the way", "access_denied": "AccessDenied",
        "expired_token": "(?s)ExpiredToken.*renew the credentials", "redirect": "is in region eu-central-1, not in us-east-1",
        "short": "the answer is no|is damaged|is shorter than it must be|do not have the hash|keyring signs",
        "flip": "is damaged|do not have the hash|keyring signs"}
# Those that are tried at every kind of request also in a short run.
THOROUGH = ({"fault": "internal_error", "processed": True}, {"fault": "error_in_200"}, {"fault": "access_denied"}, {"fault": "flip"})
# Lists have no hash: who can change them without being noticed could also leave out what is there.
HASHED = {"method": "GET", "path": "/(config$|keys/|packs/|index/|snapshots/|events/)"}


class Failure(Exception):
    pass


def name_of(fault):
    return " ".join(str(value) for key, value in fault.items() if key not in ("body", "seconds", "region"))


class Gateway:
    def __init__(self, folder):
        text = subprocess.run([sys.executable, "-IB", f"{LIB}/gateway.py", "join", folder, "--pid", str(os.getpid())],
                              check=True, stdout=subprocess.PIPE, text=True).stdout
        self.environment = dict(line.split(None, 1)[1].split("=", 1) for line in text.splitlines())
        self.environment = {k: shlex.split(v)[0] for k, v in self.environment.items()}
        os.environ.update(AWS_ACCESS_KEY_ID=self.environment["S3_ACCESS_KEY"], AWS_DEFAULT_REGION="us-east-1",
                          AWS_SECRET_ACCESS_KEY=self.environment["S3_SECRET_KEY"], AWS_CONFIG_FILE="/dev/null",
                          AWS_EC2_METADATA_DISABLED="true", no_proxy="127.0.0.1")
        self.url, self.port = self.environment["S3_HTTP"], self.environment["S3_HTTP_PORT"]

    def request(self, method, target, body=b""):
        answer = sigv4.request(method, self.url + target, (), body, 30)
        data = answer.read()
        if answer.status >= 300:
            raise Failure(f"{method} {target}: {answer.status} {data}")
        return data

    def keys(self, bucket, prefix=""):
        names = []
        while True:
            query = urllib.parse.urlencode({"list-type": 2, "prefix": prefix, "start-after": names[-1] if names else ""})
            page = xml.etree.ElementTree.fromstring(self.request("GET", f"/{bucket}?{query}"))
            names += [e.text for e in page.iter("{http://s3.amazonaws.com/doc/2006-03-01/}Key")]
            if page.find("{http://s3.amazonaws.com/doc/2006-03-01/}IsTruncated").text != "true":
                return names

    def empty(self, bucket):
        for name in self.keys(bucket):
            self.request("DELETE", f"/{bucket}/{name}")


class Store:
    """A bucket behind a proxy."""

    def __init__(self, gateway, work, name):
        self.gateway, self.name = gateway, name
        self.bucket = f"faults-{os.getpid()}-{random.randrange(1 << 40):x}"
        self.script, self.log = f"{work}/{name}.json", f"{work}/{name}.log"
        gateway.request("PUT", f"/{self.bucket}")
        self.faults()
        self.proxy = subprocess.Popen([sys.executable, "-IB", f"{LIB}/fault_proxy.py", "--upstream", gateway.port, "--script",
                                       self.script, "--log", self.log, "--pid", str(os.getpid())], stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self.proxy.stdout.readline())}"

    def faults(self, **script):
        with open(f"{self.script}.new", "w") as f:
            json.dump(script, f)
        os.rename(f"{self.script}.new", self.script)

    def suffered(self):
        """The requests that a fault has befallen, since this was asked last."""
        with open(self.log, "r+") as f:
            requests = [json.loads(line) for line in f]
            f.truncate(0)
        return [(r["method"], r["path"], r["query"]) for r in requests if r["fault"]]

    def target(self, prefix):
        return (f'{{ name = "{self.name}"; type = "s3"; provider = "other"; region = "us-east-1"; bucket = "{self.bucket}"; '
                f'prefix = "{prefix}/"; endpoint = "{self.url}"; }}')

    def address(self, prefix):
        """Without the proxy."""
        return f"s3+{self.gateway.url}/{self.bucket}/{prefix}?region=us-east-1"

    def end(self):
        self.proxy.kill()
        self.proxy.communicate()
        self.gateway.empty(self.bucket)
        self.gateway.request("DELETE", f"/{self.bucket}")


class World:
    """A repository on some targets, and all that was committed to it."""
    recheck = 2  # seconds: how soon a backup takes itself for dead; a prune does so in 3

    def __init__(self, options, seed, stores, folders, hasty):
        self.program = os.path.abspath(options.holdfast)
        self.rng, self.stores, self.folders, self.prefix = random.Random(seed), stores, folders, f"p{seed}"
        self.work = tempfile.mkdtemp(prefix="holdfast-faults-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.source, self.key = f"{self.work}/source", f"{self.work}/person.key"
        # Where a store answers for good, or after one fault, the program has all the time that a busy machine may take.
        self.hasty, self.patience = hasty, PATIENT
        self.snapshots = {}  # id: the source as it was
        self.log = collections.deque(maxlen=60)
        os.mkdir(self.source)

    def config(self, command):
        targets = [s.target(self.prefix) for s in self.stores]
        targets += [f'{{ name = "{name}"; type = "local"; path = "{self.work}/{name}"; }}' for name in self.folders]
        budget, stall = self.patience
        recheck = self.recheck if command == "backup" else 2
        path = f"{self.work}/{budget}-{stall}-{recheck}.conf"
        if not os.path.exists(path):
            with open(path, "w") as f:
                f.write(f'repository = {{ name = "faults"; key_file = "{self.work}/host.key"; state_dir = "{self.work}/state"; '
                        f'retry_budget = "{budget}s"; stall_timeout = "{stall}s"; target_lag = "{30 if budget == PATIENT[0] else 2}s"; '
                        f'lease_recheck = "{recheck}s"; lease_live = "{recheck + 1}s"; {SETTINGS} }};\n'
                        f'targets = ( {", ".join(targets)} );\n'
                        f'jobs = ( {{ name = "files"; source = {{ type = "files"; paths = [ "{self.source}" ]; }}; }} );\n')
        return path

    def end(self, keep):
        for store in self.stores:
            store.faults()
            store.suffered()
            store.gateway.empty(store.bucket)
        if not keep:
            shutil.rmtree(self.work)

    def run(self, *arguments, expect=(0,), kill=None):
        """Status, output and messages. Whoever fails must say what can be done, and soon."""
        began = time.monotonic()
        process = subprocess.Popen([self.program, "-c", self.config(arguments[0]), "--json", *arguments], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ, TMPDIR=self.work))
        out = None
        try:
            if kill is not None:
                try:
                    out, said = process.communicate(timeout=kill)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
            if out is None:
                out, said = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failure(f"{' '.join(arguments)} does not end: {process.communicate()}") from None
        status = but_for_collapse(process.returncode, said)
        self.log.append(f"{' '.join(arguments)} -> {status} ({time.monotonic() - began:.1f} s)" +
                        "".join(f"\n    {line}" for line in said.splitlines()[:8]))
        if status not in expect:
            raise Failure(f"{' '.join(arguments)} ended with {status}: {said}")
        if status > 0 and "hint:" not in said:
            raise Failure(f"{' '.join(arguments)} ended with {status} without a hint: {said}{out}")
        return status, out, said

    def clear(self):
        for store in self.stores:
            store.faults()
        self.patience = PATIENT

    # ---- what there is ----

    def tree(self, folder):
        found = {}
        for name in os.listdir(folder):
            with open(f"{folder}/{name}", "rb") as f:
                found[name] = f.read()
        return found

    def change(self):
        for _ in range(self.rng.randrange(1, 5)):
            path = f"{self.source}/{self.rng.randrange(12)}"
            if os.path.exists(path) and self.rng.random() < 0.3:
                os.unlink(path)
            else:
                with open(path, "wb") as f:
                    f.write(self.rng.randbytes(self.rng.choice([100, 5000, 40000, 100000])))

    def listed(self, *where):
        return {s["id"] for s in json.loads(self.run("snapshots", *where)[1])["snapshots"]}

    def everywhere(self, snapshot):
        for store in self.stores:
            if not any(key.endswith(snapshot) for key in store.gateway.keys(store.bucket, f"{self.prefix}/snapshots/")):
                raise Failure(f"a backup ended with 0, but {store.name} has no snapshot {snapshot}")
        for folder in self.folders:
            if not any(name.endswith(snapshot) for name in os.listdir(f"{self.work}/{folder}/snapshots")):
                raise Failure(f"a backup ended with 0, but {folder} has no snapshot {snapshot}")

    def restore(self, snapshot, *where, expect=(0,)):
        out = f"{self.work}/out"
        status, _, said = self.run("restore", snapshot, "--to", out, *(where or ("--person-key", self.key)), expect=expect)
        if status == 0 and self.tree(out + self.source) != self.snapshots[snapshot]:
            raise Failure(f"snapshot {snapshot} does not restore to what it was")
        shutil.rmtree(out, ignore_errors=True)
        return status, said

    def new(self, expect=(0,), kill=None):
        """A backup; what it has committed, if anything, is the source as it is."""
        self.change()
        status, out, said = self.run("backup", expect=expect, kill=kill)
        self.clear()
        listed = self.listed()
        committed = listed - self.snapshots.keys()
        if len(committed) > 1 or status in (0, 6) and not committed:
            raise Failure(f"a backup that ended with {status} has committed {committed}")
        if status == 0:
            self.everywhere(max(committed))
        for snapshot in committed:
            self.snapshots[snapshot] = self.tree(self.source)
        self.look(listed)
        return status, said

    def forget(self, snapshot, expect=(0,)):
        status, _, said = self.run("forget", snapshot, expect=expect)
        self.clear()
        listed = self.listed()
        if snapshot not in listed:
            del self.snapshots[snapshot]
        elif status in (0, 6):
            raise Failure(f"{snapshot} is forgotten, but listed")
        self.look(listed)
        return status, said

    def look(self, listed):
        if listed != self.snapshots.keys():
            raise Failure(f"listed: {sorted(listed)}, committed: {sorted(self.snapshots)}")

    def check(self):
        """Without faults all that was committed is whole."""
        self.clear()
        self.look(self.listed())
        for snapshot in self.snapshots:
            self.restore(snapshot)
        self.run("verify", "--all")


# ---- each fault at each kind of request ----

class Sweep(World):
    """One bucket, and what a fault does that comes once, and one that stays."""
    recheck = 100  # faults at a lease cost time

    def __init__(self, options, store, seed, fault):
        # Longer than the longest wait before the first further try: up to a second where the store asks for less.
        seconds = {"stall": 8, "slow_down": 4, "too_many": 4}.get(fault["fault"], 2)
        self.stall = 3 if fault["fault"] == "stall" else 30
        super().__init__(options, seed, [store], [], (seconds, self.stall))
        self.fault, self.store = fault, store

    def applies(self, kind):
        """Whether the fault can befall such a request."""
        method, fault = KINDS[kind][0]["method"], self.fault["fault"]
        if fault == "flip_request":
            return method == "PUT"
        if fault in ("truncate", "short", "flip") or self.fault.get("where") == "body":
            return method == "GET" and not (fault == "flip" and "query" in KINDS[kind][0])
        return True

    def set_faults(self, kinds, patience, **more):
        self.store.suffered()
        self.patience = patience
        self.store.faults(rules=[{**KINDS[kind][0], **self.fault, **more} for kind in kinds])

    def do(self, command, expect):
        if command == "backup":
            return self.new(expect)
        if command == "forget":
            return self.forget(min(self.listed()), expect)
        if command == "restore":
            return self.restore(max(self.snapshots), expect=expect)
        if command == "restore anew":
            shutil.rmtree(f"{self.work}/state")  # which knows the records
            return self.restore(max(self.snapshots), expect=expect)
        status, _, said = self.run("prune", "--force", expect=expect)
        return status, said

    def once(self):
        for command in dict.fromkeys(by for _, by in KINDS.values()):
            kinds = [kind for kind, (_, by) in KINDS.items() if by == command and self.applies(kind)]
            self.set_faults(kinds, (60, self.stall), nth=[1])
            self.do(command, (0,))
            suffered = self.store.suffered()
            if len(suffered) < (1 if self.fault["fault"] == "redirect" else len(kinds)):
                raise Failure(f"only {suffered} of {kinds} came to {command}")
        self.check()

    def expected(self, kind):
        fault = self.fault["fault"]
        if self.fault in HARMLESS or kind == "end of lease" or (kind, fault) == ("versioning", "access_denied"):
            return 0
        hashed = kind in ("config", "keyring", "read", "read data", "read manifest", "read index")
        return 5 if fault in ("short", "flip") and hashed else 1

    def always(self, kind):
        command = KINDS[kind][1]
        if command == "prune":
            self.forget(min(self.listed()))
        expected = self.expected(kind)
        # What does not come to an end by giving up is not to be given up for anything else.
        self.set_faults([kind], (5, self.stall) if kind == "end of lease" else self.hasty if expected == 1 else (60, self.stall))
        _, text = self.do(command, (expected,))
        suffered = collections.Counter(self.store.suffered())
        again = max(suffered.values(), default=0)
        if not again:
            raise Failure(f"no request of the kind {kind} in {command}")
        if self.fault["fault"] in ("access_denied", "expired_token") and kind in ("config", "list", "pack", "manifest", "delete") and again > 1:
            raise Failure(f"{suffered}: what was refused for good was tried again")
        wanted = SAID.get(self.fault["fault"]) if expected or self.fault in HARMLESS else None
        if wanted and not re.search(wanted, text):
            raise Failure(f"{kind}: {wanted} is not said: {text}")
        if self.fault in HARMLESS and len(text.splitlines()) != bool(wanted):
            raise Failure(f"{kind}: it is not said once: {text}")
        if self.fault in PASSING and again == 1 and self.fault["fault"] != "stall":
            raise Failure(f"{suffered}: nothing was tried again")
        self.check()
        self.new()
        while len(self.snapshots) > 2:
            self.forget(min(self.listed()))

    def play(self, thorough):
        self.run("init", "--person-key", self.key)
        self.new()
        self.new()
        if self.fault["fault"] not in ("access_denied", "expired_token"):
            self.once()
        kinds = [kind for kind in KINDS if self.applies(kind)]
        for kind in kinds if thorough or self.fault in THOROUGH else self.rng.sample(kinds, 1):
            self.log.append(f"{kind}: {name_of(self.fault)}")
            self.always(kind)


# ---- random schedules ----

class Schedule(World):
    """Two buckets and a local folder."""

    def __init__(self, options, stores, seed):
        super().__init__(options, seed, stores, ["disk"], (1, 1))
        self.lies = False

    def draw_rule(self):
        fault = self.rng.choice(PASSING + PASSING + FINAL + HARMLESS)
        if fault["fault"] in ("flip", "short"):
            which, self.lies = HASHED, True
        else:
            which = self.rng.choice([{}, self.rng.choice(list(KINDS.values()))[0]])
        when = self.rng.choice([{"probability": self.rng.choice([0.02, 0.1, 0.4])}, {"nth": [self.rng.randrange(1, 12)]},
                                {"after": self.rng.randrange(15)}, {"after": self.rng.randrange(15), "times": self.rng.randrange(1, 6)}])
        return {**which, **fault, **when}

    def bad_day(self):
        self.lies, self.patience = False, self.hasty
        for store in self.stores:
            script = {"seed": self.rng.randrange(1 << 30)}
            if self.rng.random() < 0.7:
                script["rules"] = [self.draw_rule() for _ in range(self.rng.randrange(1, 4))]
            if self.rng.random() < 0.06:
                script["skew_minutes"] = self.rng.choice([-20, 20])
            store.faults(**script)
            self.log.append(f"  {store.name}: {json.dumps(script)}")
        self.disk_away = self.rng.random() < 0.15 and os.path.isdir(f"{self.work}/disk")
        if self.disk_away:
            os.rename(f"{self.work}/disk", f"{self.work}/away")
            self.log.append("  disk is away")

    def clear(self):
        super().clear()
        if self.disk_away:
            self.disk_away = False
            shutil.rmtree(f"{self.work}/disk", ignore_errors=True)  # heal makes a new one
            os.rename(f"{self.work}/away", f"{self.work}/disk")

    def may_end(self):
        return (0, 1, 5, 6) if self.lies else (0, 1, 6)

    def backup(self):
        self.new(expect=self.may_end())

    def killed_backup(self):
        self.new(expect=(*self.may_end(), -9), kill=self.rng.random() * 0.6)

    def forget_some(self):
        if len(self.snapshots) > 1:
            self.forget(self.rng.choice(sorted(self.snapshots)), expect=(*self.may_end(), 2))

    def other(self, *arguments, kill=None):
        self.run(*arguments, expect=(*self.may_end(), *(() if kill is None else (-9,))), kill=kill)
        self.clear()
        self.look(self.listed())

    def prune(self):
        self.other("prune", "--force")

    def killed_prune(self):
        self.other("prune", "--force", kill=self.rng.random() * 0.4)

    def heal(self):
        self.other("heal")

    def try_restore(self):
        if self.snapshots:
            self.restore(self.rng.choice(sorted(self.snapshots)), expect=self.may_end())
        self.clear()

    def lose_state(self):
        shutil.rmtree(f"{self.work}/state", ignore_errors=True)
        self.backup()

    STEPS = ((backup, 40), (killed_backup, 12), (forget_some, 15), (prune, 12), (killed_prune, 8), (heal, 8), (try_restore, 8), (lose_state, 5))

    def play(self):
        self.disk_away = False
        self.bad_day()
        status, _, said = self.run("init", "--person-key", self.key, expect=(0, 1))
        self.clear()
        if status != 0:  # nothing is left of it that is in the way of another
            if "by hand" in said:
                for store in self.stores:
                    store.gateway.empty(store.bucket)
            self.run("init", "--person-key", self.key)
        steps, weights = zip(*self.STEPS)
        for step in self.rng.choices(steps, weights, k=6):
            self.bad_day()
            step(self)
            self.clear()
        self.finish()

    def finish(self):
        places = [s.address(self.prefix) for s in self.stores] + [f"{self.work}/disk"]
        for place in places:
            where = ("--target", place, "--person-key", self.key)
            for snapshot in self.listed(*where):
                if snapshot in self.snapshots:  # whatever is there is whole there
                    self.restore(snapshot, *where)
        self.new()
        self.run("prune", "--force")
        self.run("heal")
        self.run("verify", "--all")
        for place in places:
            self.look(self.listed("--target", place, "--person-key", self.key))
        self.check()


# ---- the whole ----

class Player:
    """Plays on stores of its own, one after another."""

    def __init__(self, options, gateway):
        self.options, self.work = options, tempfile.mkdtemp(prefix="holdfast-stores-")
        self.stores = [Store(gateway, self.work, name) for name in ("east", "west")]

    def play(self, title, make, *arguments):
        world = make()
        why = None
        try:
            world.play(*arguments)
        except (Failure, KeyError, ValueError, OSError) as e:
            why = f"{title}: {type(e).__name__}: {e}\n\nwhat happened:\n" + "\n".join(world.log) + f"\n\nfolder: {world.work}" * self.options.keep
        world.end(self.options.keep)
        return why

    def end(self):
        for store in self.stores:
            store.end()
        shutil.rmtree(self.work)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("holdfast")
    parser.add_argument("gateway")
    parser.add_argument("--schedules", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1, help="of the first schedule")
    parser.add_argument("--only", help="the faults whose name holds this, and no schedules")
    parser.add_argument("--jobs", type=int, default=6)
    parser.add_argument("--keep", action="store_true", help="leave the folders")
    options = parser.parse_args()
    thorough = bool(os.environ.get("HOLDFAST_LONG"))
    if thorough:
        options.schedules, options.seed = 1000, int(time.time())
    gateway = Gateway(options.gateway)
    faults = [f for f in PASSING + FINAL + HARMLESS if (options.only or "") in name_of(f)] if options.only != "none" else []
    tasks = queue.SimpleQueue()
    for i, fault in enumerate(faults):
        tasks.put((name_of(fault), lambda player, i=i, fault=fault: Sweep(options, player.stores[0], i + 1, fault), (thorough,)))
    for seed in range(options.seed, options.seed + (options.schedules if options.only in (None, "none") else 0)):
        tasks.put((f"seed {seed}", lambda player, seed=seed: Schedule(options, player.stores, seed), ()))
    total, bad = tasks.qsize(), []

    def work():
        player = Player(options, gateway)
        with contextlib.suppress(queue.Empty):
            while len(bad) < 5:
                title, make, arguments = tasks.get_nowait()
                why = player.play(title, lambda make=make: make(player), *arguments)
                if why:
                    bad.append(why)
        player.end()

    threads = [threading.Thread(target=work) for _ in range(options.jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("\n\n".join(bad) or f"{len(faults)} faults, {total - len(faults)} schedules from seed {options.seed} on: all is whole")
    return 1 if bad else 0


sys.exit(main())
