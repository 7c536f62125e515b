#!/usr/bin/env python3
"""Random steps against a model: what the program keeps must be what the model remembers.

Several hosts share a repository on two targets. Steps change their sources, back up, forget, pin, prune, kill
commands at random moments, lose local state, clone a host's key, take a target away for some rounds and bring it
back, heal, verify and restore. The model remembers each snapshot's tree exactly. After each command the listing
must be the model's; whatever is restored, from whatever target, must be the tree of its snapshot.

Usage: model.py HOLDFAST [--steps N] [--seed S] [--keep]     On failure the seed, the last steps and the folder are printed.
"""
import collections
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

from steps import Failure, but_for_collapse, run

KEEP = 4
SETTINGS = ('lease_refresh = "1s"; lease_recheck = "2s"; lease_live = "3s"; checkpoint_interval = "1s"; '
            'chunk_average = "16K"; pack_size = "64K"; workers = 2;')


def read_tree(root):
    """Every entry below root: type, mode, time, and contents or link target."""
    tree = {}
    for folder, names, files in os.walk(root):
        for name in names + files:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            key = os.path.relpath(path, root)
            if stat.S_ISLNK(st.st_mode):
                tree[key] = ("link", os.readlink(path))
            elif stat.S_ISDIR(st.st_mode):
                tree[key] = ("folder", st.st_mode, st.st_mtime_ns)
            else:
                with open(path, "rb") as f:
                    tree[key] = ("file", st.st_mode, st.st_mtime_ns, f.read())
    return tree


class Snapshot:
    def __init__(self, host, tree, number):
        self.host, self.tree, self.number, self.pinned = host, tree, number, False


class Host:
    def __init__(self, world, name, role, key, source):
        self.world, self.name, self.role, self.key, self.source = world, name, role, key, source
        self.state = f"{world.work}/state-{name}"
        self.config = f"{world.work}/{name}.conf"
        os.makedirs(source, exist_ok=True)
        targets = ", ".join(f'{{ name = "{t}"; type = "local"; path = "{world.work}/{t}"; }}' for t in world.targets)
        with open(self.config, "w") as f:
            f.write(f'repository = {{ name = "model"; key_file = "{key}"; state_dir = "{self.state}"; {SETTINGS} }};\n'
                    f"targets = ( {targets} );\n"
                    f'jobs = ( {{ name = "files"; source = {{ type = "files"; paths = [ "{source}" ]; }}; '
                    f"keep = {{ manual = {KEEP}; min = 1; }}; }} );\n"
                    "prune = { max_removal = 100; };\n")


class World:
    targets = ("near", "far")

    def __init__(self, options):
        self.program = options.holdfast
        self.rng = random.Random(options.seed)
        self.work = tempfile.mkdtemp(prefix="holdfast-model-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.snapshots = {}
        self.away = None        # the target that cannot be reached
        self.behind = set()     # targets that may lack something
        self.numbers = 0
        self.clone_of = {}
        self.log = collections.deque(maxlen=25)
        self.counts = collections.Counter()
        first = Host(self, "alpha", "prune", f"{self.work}/alpha.key", f"{self.work}/src-alpha")
        self.hosts = [first]
        self.run(first, "-q", "init", "--person-key", f"{self.work}/person.key")
        for name, role, group in (("beta", "prune", "shared"), ("gamma", "write", "shared")):
            key = f"{self.work}/{name}.key"
            self.run(first, "-q", "host", "add", name, "--role", role, "--group", group, "--out", key,
                     "--person-key", f"{self.work}/person.key")
            self.hosts.append(Host(self, name, role, key, f"{self.work}/src-{name}"))
        self.first_name = json.loads(self.run(first, "--json", "host", "list").stdout)["hosts"][0]["name"]

    # ---- running the program ----

    def run(self, host, *arguments, expect=(0,)):
        result = subprocess.run([self.program, "-c", host.config, *arguments], stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, timeout=300)
        self.log.append(f"{host.name}: {' '.join(arguments)} -> {result.returncode}")
        if but_for_collapse(result.returncode, result.stderr) not in expect:
            raise Failure(f"{host.name}: holdfast {' '.join(arguments)}: status {result.returncode}, "
                          f"not {expect}\n{result.stdout}{result.stderr}")
        return result

    def kill(self, host, *arguments):
        """Starts a command and kills it at a random moment; it may have ended by then."""
        process = subprocess.Popen([self.program, "-c", host.config, *arguments], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(self.rng.random() ** 2 * 0.04)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.log.append(f"{host.name}: {' '.join(arguments)}, killed -> {process.returncode}")

    def listed(self, host):
        return {s["id"]: s for s in json.loads(self.run(host, "--json", "snapshots").stdout)["snapshots"]}

    def check_listing(self):
        listed = self.listed(self.rng.choice(self.hosts))
        if set(listed) != set(self.snapshots):
            raise Failure(f"listed but not known: {sorted(set(listed) - set(self.snapshots))}\n"
                          f"known but not listed: {sorted(set(self.snapshots) - set(listed))}")
        for key, s in self.snapshots.items():
            if listed[key]["pinned"] != s.pinned:
                raise Failure(f"{key} is {'' if s.pinned else 'not '}pinned, but not so listed")

    def wrote(self, complete=True):
        """A command wrote: a target that is away lacks that now; one that is here has caught up if the command ended well."""
        if complete:
            self.behind = set()
        if self.away:
            self.behind.add(self.away)

    def remember(self, host, key, tree):
        self.numbers += 1
        self.snapshots[key] = Snapshot(self.clone_of.get(host.name, host.name), tree, self.numbers)

    # ---- steps ----

    def change(self):
        host = self.rng.choice(self.hosts)
        rng, root = self.rng, host.source
        for _ in range(rng.randrange(1, 5)):
            entries = [os.path.join(d, n) for d, ds, fs in os.walk(root) for n in ds + fs]
            path = os.path.join(rng.choice([root] + [e for e in entries if os.path.isdir(e) and not os.path.islink(e)]),
                                f"{rng.randrange(12)}")
            act = rng.random()
            if act < 0.25 and entries:
                victim = rng.choice(entries)
                shutil.rmtree(victim) if os.path.isdir(victim) and not os.path.islink(victim) else os.unlink(victim)
            elif act < 0.32 and entries and not os.path.lexists(path):
                victim = rng.choice(entries)
                if not path.startswith(victim + "/"):
                    os.rename(victim, path)
            elif act < 0.4 and not os.path.lexists(path):
                os.symlink(rng.choice(["a", "/nowhere", "../.."]), path)
            elif act < 0.5 and not os.path.lexists(path):
                os.mkdir(path)
            elif os.path.isdir(path) or os.path.islink(path):
                os.utime(path, ns=(0, rng.randrange(2**60)), follow_symlinks=False)
            else:
                # Some contents are common to all hosts, some are long enough for several chunks.
                size = rng.choice([0, 10, 3000, 20000, 200000])
                seed = rng.randrange(5) if rng.random() < 0.5 else rng.random()
                with open(path, "wb") as f:
                    f.write(random.Random(seed).randbytes(size))
                os.chmod(path, rng.choice([0o644, 0o600, 0o755]))

    def backup(self):
        host = self.rng.choice(self.hosts)
        tree = read_tree(host.source)
        expect = 6 if self.away else 0
        result = json.loads(self.run(host, "--json", "backup", expect=(expect,)).stdout)
        self.remember(host, result["jobs"][0]["id"], tree)
        self.wrote()
        self.check_listing()

    def killed_backup(self):
        host = self.rng.choice(self.hosts)
        tree = read_tree(host.source)
        self.kill(host, "backup")
        self.wrote(complete=False)
        new = set(self.listed(host)) - set(self.snapshots)
        if len(new) > 1:
            raise Failure(f"one backup made several snapshots: {new}")
        for key in new:
            self.counts["killed backups that had committed"] += 1
            self.remember(host, key, tree)
            # It may have reached one target only.
            self.behind |= set(self.targets)
        self.check_listing()

    def some_snapshot(self):
        return self.rng.choice(sorted(self.snapshots)) if self.snapshots else None

    def pruner(self):
        return self.rng.choice([h for h in self.hosts if h.role == "prune"])

    def forget(self):
        key = self.some_snapshot()
        if key and self.snapshots[key].pinned:
            self.run(self.pruner(), "-q", "forget", key, expect=(2,))
        elif key:
            self.run(self.pruner(), "-q", "forget", key, expect=(6,) if self.away else (0,))
            del self.snapshots[key]
            self.wrote(complete=False)
            self.check_listing()

    def pin(self):
        key = self.some_snapshot()
        if key:
            pinned = self.snapshots[key].pinned = not self.snapshots[key].pinned
            host = self.rng.choice(self.hosts) if pinned else self.pruner()
            self.run(host, "-q", "pin" if pinned else "unpin", key, expect=(6,) if self.away else (0,))
            self.wrote(complete=False)
            self.check_listing()

    def collapsed(self):
        return {key for key, s in self.listed(self.hosts[0]).items() if s["collapsed"]}

    def expire(self, collapsed, must=True):
        """What a prune removed must be what rotation wants removed, no more; and no less if it ended well. Snapshots that had
        collapsed take no good one's place."""
        left = set(self.listed(self.hosts[0]))
        new = left - set(self.snapshots)
        if new:
            raise Failure(f"came back: {sorted(new)}")
        for host in {s.host for s in self.snapshots.values()}:
            own = sorted((s.number, key) for key, s in self.snapshots.items() if s.host == host)
            good = [key for _, key in own if key not in collapsed]
            wanted = set(good[-KEEP:]) | {key for _, key in own[-KEEP:] if key in collapsed} | {key for _, key in own if self.snapshots[key].pinned}
            gone = {key for _, key in own} - left
            if gone & wanted:
                raise Failure(f"removed though wanted: {sorted(gone & wanted)}")
            if must and not gone >= {key for _, key in own} - wanted:
                raise Failure(f"not removed though expired: {sorted({key for _, key in own} - wanted - gone)}")
        for key in set(self.snapshots) - left:
            del self.snapshots[key]

    def prune(self):
        collapsed = self.collapsed()
        self.run(self.pruner(), "-q", "prune", *self.rng.choice([(), ("--force",)]), expect=(6,) if self.away else (0,))
        self.wrote()
        self.expire(collapsed)
        self.check_listing()

    def killed_prune(self):
        collapsed = self.collapsed()
        self.kill(self.pruner(), "prune", "--force")
        self.wrote(complete=False)
        self.expire(collapsed, must=False)
        # Forgotten on one target only, perhaps.
        self.behind |= set(self.targets)

    def wait_for_leases(self):
        time.sleep(3.1)

    def lose_state(self):
        shutil.rmtree(self.rng.choice(self.hosts).state, ignore_errors=True)

    def clone(self):
        """The same key on two machines, with local state as it was."""
        if len(self.hosts) > 4:
            return
        original = self.rng.choice(self.hosts[1:3])
        host = Host(self, f"clone{len(self.hosts)}", original.role, original.key, f"{self.work}/src-clone{len(self.hosts)}")
        if os.path.isdir(original.state):
            shutil.copytree(original.state, host.state)
        self.clone_of[host.name] = original.name
        self.hosts.append(host)

    def lose_target(self):
        if self.away:
            os.rename(f"{self.work}/{self.away}.away", f"{self.work}/{self.away}")
            self.log.append(f"{self.away} is back")
            self.away = None
        elif not self.behind:
            self.away = self.rng.choice(self.targets)
            os.rename(f"{self.work}/{self.away}", f"{self.work}/{self.away}.away")
            self.log.append(f"{self.away} is away")

    def heal(self):
        """Also of a target that was emptied, if that is said; not of one that is away, in whose place none is begun."""
        new = ()
        if not self.away and not self.behind and self.rng.random() < 0.3:
            target = self.rng.choice(self.targets)
            self.log.append(f"{target} is emptied")
            shutil.rmtree(f"{self.work}/{target}")
            new = ("--new-target", target)
        self.run(self.rng.choice(self.hosts), "-q", "heal", *new, expect=(6,) if self.away else (0,))
        if self.away and os.path.exists(f"{self.work}/{self.away}"):
            raise Failure(f"heal began another {self.away}")
        self.wrote()

    def verify(self):
        self.run(self.rng.choice(self.hosts), "-q", "verify", "--all", expect=(6,) if self.away else (0, 6) if self.behind else (0,))

    def restore(self):
        key = self.some_snapshot()
        if not key:
            return
        s = self.snapshots[key]
        out = tempfile.mkdtemp(dir=self.work)
        arguments = ["-q", "restore", key, "--to", out, "--person-key", f"{self.work}/person.key"]
        whole = [t for t in self.targets if t != self.away and t not in self.behind]
        if whole and self.rng.random() < 0.7:
            arguments += ["--from", self.rng.choice(whole)]
        self.run(self.rng.choice(self.hosts), *arguments, expect=(0, 6))
        found = [d for d in os.listdir(f"{out}{self.work}")]
        restored = read_tree(f"{out}{self.work}/{found[0]}")
        if restored != s.tree:
            different = [k for k in restored.keys() | s.tree.keys() if restored.get(k) != s.tree.get(k)]
            raise Failure(f"snapshot {key} restores another tree: {sorted(different)[:10]}")
        shutil.rmtree(out)

    STEPS = ((change, 55), (backup, 16), (killed_backup, 5), (forget, 3), (pin, 2), (prune, 4), (killed_prune, 2),
             (wait_for_leases, 0.2), (lose_state, 2), (clone, 0.3), (lose_target, 3), (heal, 1.5), (verify, 1.5), (restore, 7))

    def step(self):
        steps, weights = zip(*self.STEPS)
        chosen = self.rng.choices(steps, weights)[0]
        self.counts[chosen.__name__.replace("_", " ")] += 1
        chosen(self)

    def finish(self):
        """In the end everything is there, on each target."""
        if self.away:
            self.lose_target()
        time.sleep(3.1)
        self.run(self.hosts[0], "-q", "heal")
        collapsed = self.collapsed()
        self.run(self.hosts[0], "-q", "prune", "--force")
        self.wrote()
        self.expire(collapsed)
        self.check_listing()
        self.run(self.hosts[0], "-q", "verify", "--all", "--content", "--person-key", f"{self.work}/person.key")
        for key in sorted(self.snapshots):
            self.restore()


sys.exit(run(World, ["holdfast"], 2000, 10, "last commands"))
