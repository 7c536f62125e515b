#!/usr/bin/env python3
"""Presence per target under outages: no snapshot on any target ever lacks what it needs there.

One host, three targets. While commands run, targets go away and come back, fail, fill up and become slow, in every
order, and runs are killed. After each step, whatever happened, each target is looked at by itself: every snapshot
that lies there must be whole there. A run that ends with 0 has brought its snapshot to every target, one that ends
with 6 to some. In the end all are brought together again.

Usage: outages.py HOLDFAST WEATHER_LIBRARY [--steps N] [--seed S] [--keep]
"""
import collections
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from steps import Failure, but_for_collapse, run

TARGETS = ("one", "two", "three")
SETTINGS = ('lease_refresh = "1s"; lease_recheck = "2s"; lease_live = "3s"; checkpoint_interval = "1s"; target_lag = "1s"; '
            'chunk_average = "16K"; pack_size = "64K"; workers = 2;')


# The preloaded library comes before the sanitizer's.
SANITIZER = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]))


class World:
    def __init__(self, options):
        self.program, self.library = os.path.abspath(options.holdfast), os.path.abspath(options.weather)
        self.rng = random.Random(options.seed)
        self.work = tempfile.mkdtemp(prefix="holdfast-outages-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.source, self.config = f"{self.work}/source", f"{self.work}/holdfast.conf"
        self.key = f"{self.work}/person.key"
        self.away = set()
        self.number = 0
        self.ids = []
        self.log = collections.deque(maxlen=40)
        self.counts = collections.Counter()
        os.mkdir(self.source)
        targets = ", ".join(f'{{ name = "{t}"; type = "local"; path = "{self.work}/{t}"; }}' for t in TARGETS)
        with open(self.config, "w") as f:
            f.write(f'repository = {{ name = "outages"; key_file = "{self.work}/host.key"; state_dir = "{self.work}/state"; {SETTINGS} }};\n'
                    f"targets = ( {targets} );\n"
                    f'jobs = ( {{ name = "files"; source = {{ type = "files"; paths = [ "{self.source}" ]; }}; keep = {{ manual = 4; }}; }} );\n')
        self.run("init", "--person-key", self.key, expect=(0,))

    # ---- running ----

    def start(self, *arguments):
        return subprocess.Popen([self.program, "-c", self.config, "--json", *arguments], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=dict(os.environ, LD_PRELOAD=self.library, TMPDIR=self.work, ASAN_OPTIONS=SANITIZER))

    def end(self, process, arguments, expect):
        try:
            out, complaints = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        self.log.append(f"{' '.join(arguments)} -> {process.returncode}" + "".join(f"\n    {line}" for line in complaints.splitlines()[:6]))
        status = but_for_collapse(process.returncode, complaints)
        if status not in expect:
            raise Failure(f"{' '.join(arguments)} ended with {status}: {complaints}")
        return status, out

    def run(self, *arguments, expect=(0, 1, 6)):
        return self.end(self.start(*arguments), arguments, expect)

    def run_in_bad_weather(self, *arguments, kill=False, expect=(0, 1, 6)):
        process = self.start(*arguments)
        while process.poll() is None:
            time.sleep(self.rng.random() ** 2 * 0.06)
            if self.rng.random() < 0.2:
                self.change_weather()
            if kill and self.rng.random() < 0.15:
                process.send_signal(signal.SIGKILL)
                kill = False
        return self.end(process, arguments, expect + ((-9,) if not kill else ()))

    # ---- targets ----

    def place(self, target):
        return f"{self.work}/{target}" + (".away" if target in self.away else "")

    def come_or_go(self, target):
        before = self.place(target)
        self.away ^= {target}
        os.rename(before, self.place(target))
        self.log.append(f"  {target} is {'away' if target in self.away else 'back'}")

    def set_weather(self, target, word):
        self.log.append(f"  {target}: {word or 'fine'}")
        path = f"{self.work}/{target}.weather"
        if word:
            with open(f"{path}.new", "w") as f:
                f.write(word)
            os.rename(f"{path}.new", path)
        elif os.path.exists(path):
            os.unlink(path)

    def change_weather(self):
        target = self.rng.choice(TARGETS)
        what = self.rng.random()
        if target in self.away or what < 0.2:
            self.come_or_go(target)
        else:
            self.set_weather(target, "fail" if what < 0.35 else "full" if what < 0.4 else
                             f"slow {self.rng.choice([30000, 100000, 1000000])}" if what < 0.55 else "")

    def manifests(self, target):
        folder = f"{self.place(target)}/snapshots"
        return {name[-64:] for name in os.listdir(folder) if "tmp" not in name} if os.path.isdir(folder) else set()

    def check(self):
        for target in TARGETS:
            held = self.manifests(target)
            self.counts["snapshots found whole"] += len(held)
            arguments = ("verify", "--target", self.place(target), "--person-key", self.key)
            if held:
                self.run(*arguments, expect=(0,))

    # ---- steps ----

    def change(self):
        for _ in range(self.rng.randrange(1, 6)):
            path = f"{self.source}/{self.rng.randrange(30)}"
            if os.path.exists(path) and self.rng.random() < 0.4:
                os.unlink(path)
            else:
                with open(path, "wb") as f:
                    f.write(self.rng.randbytes(self.rng.choice([100, 5000, 60000, 200000])))

    def backup(self):
        self.change()
        status, out = self.run_in_bad_weather("backup")
        self.counts[f"backups that ended with {status}"] += 1
        if status not in (0, 6):
            return
        job = json.loads(out)["jobs"][0]
        self.ids.append(job["id"])
        holders = [t for t in TARGETS if job["id"] in self.manifests(t)]
        if not holders or status == 0 and len(holders) < len(TARGETS):
            raise Failure(f"backup ended with {status}, and {holders} hold its snapshot")

    def killed_backup(self):
        self.change()
        self.run_in_bad_weather("backup", kill=True)

    def forget(self):
        if self.ids:
            self.run_in_bad_weather("forget", self.ids.pop(self.rng.randrange(len(self.ids))), expect=(0, 1, 2, 6))

    def prune(self):
        self.run_in_bad_weather("prune", "--force")

    def killed_prune(self):
        self.run_in_bad_weather("prune", "--force", kill=True)

    def lose_state(self):
        shutil.rmtree(f"{self.work}/state", ignore_errors=True)

    def clear_up(self):
        for target in TARGETS:
            self.set_weather(target, "")
            if target in self.away:
                self.come_or_go(target)

    STEPS = ((backup, 50), (killed_backup, 15), (forget, 5), (prune, 8), (killed_prune, 4), (lose_state, 4), (clear_up, 30))

    def step(self):
        steps, weights = zip(*self.STEPS)
        chosen = self.rng.choices(steps, weights)[0]
        self.counts[chosen.__name__.replace("_", " ")] += 1
        chosen(self)
        self.check()

    def finish(self):
        self.clear_up()
        time.sleep(3.1)
        self.change()
        self.run("backup", expect=(0,))
        self.run("prune", "--force", expect=(0,))
        self.run("verify", "--all", expect=(0,))
        self.check()
        if len({frozenset(self.manifests(t)) for t in TARGETS}) != 1:
            raise Failure("the targets hold different snapshots")


sys.exit(run(World, ["holdfast", "weather"], 150, 20, "what happened"))
