#!/usr/bin/env python3
"""A real S3 store for the tests: Ceph's RADOS Gateway from Debian's packages, one monitor, one OSD in memory, on
free loopback ports over http and https. Needs no systemd, no network, no HOME.

gateway.py join FOLDER --pid PID [--bytes N]   start the gateway of FOLDER, or join it, and print its addresses as
                                               shell assignments; it lives at least as long as process PID
gateway.py user FOLDER NAME                    a user of that name: prints "ACCESS_KEY SECRET_KEY"
gateway.py admin FOLDER ARGUMENT...            radosgw-admin
gateway.py stop FOLDER                         end it now

All tests of a run share the gateway of one folder, each with buckets of its own. It ends by itself when none of the
processes that joined it has been alive for IDLE_SECONDS, whatever became of them. Its daemons end with it, even
when it is killed. What is in it is gone then.
"""
import argparse
import contextlib
import ctypes
import fcntl
import http.client
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid

IDLE_SECONDS = int(os.environ.get("HOLDFAST_GATEWAY_IDLE", "60"))
LIFE_SECONDS = 6 * 3600
START_SECONDS = 120
STORE_BYTES = 4 << 30  # in memory, as far as it is used; when it is full, requests that write hang

CONF = """[global]
fsid={fsid}
mon_host=v2:127.0.0.1:{mon}
public_addr=127.0.0.1
cluster_addr=127.0.0.1
auth_cluster_required=cephx
auth_service_required=cephx
auth_client_required=cephx
keyring={folder}/keyring
run_dir={folder}
log_file={folder}/$name.log
admin_socket=
pid_file=
mon_data={folder}/mon
osd_data={folder}/osd
osd_objectstore=memstore
memstore_device_bytes={bytes}
osd_pool_default_size=1
osd_pool_default_min_size=1
osd_pool_default_pg_num=8
osd_pool_default_pg_autoscale_mode=off
osd_crush_chooseleaf_type=0
osd_crush_update_on_start=true
# Pools are made within milliseconds instead of a second each.
paxos_propose_interval=0.02
paxos_min_wait=0.01
mon_allow_pool_size_one=true
mon_data_avail_warn=1
mon_data_avail_crit=0
mon_osd_full_ratio=0.97
mon_osd_backfillfull_ratio=0.96
mon_osd_nearfull_ratio=0.95
osd_failsafe_full_ratio=0.98
# Else each answer in chunks waits 40 ms for an acknowledgement.
rgw_frontends=beast tcp_nodelay=1 endpoint=127.0.0.1:{http} ssl_endpoint=127.0.0.1:{https} ssl_certificate={folder}/rgw.pem
# BUCKET.s3.localhost is a virtual host; 127.0.0.1 and s3.localhost serve paths; plain localhost is taken for a bucket.
rgw_dns_name=s3.localhost
# The proxy of the tests ends TLS before the gateway and says so.
rgw_trust_forwarded_https=true
# Temporary keys with a session token, by GetSessionToken.
rgw_sts_key=0123456789abcdef
rgw_s3_auth_use_sts=true
# Else a wrong secret gives AccessDenied instead of SignatureDoesNotMatch.
rgw_s3_auth_order=local, sts
# What is deleted leaves the memory soon.
rgw_gc_obj_min_wait=5
rgw_gc_processor_period=10
rgw_gc_processor_max_time=10
"""


def environment(folder):
    env = {key: value for key, value in os.environ.items() if not key.startswith(("CEPH_", "LD_PRELOAD", "AWS_"))}
    env.update(HOME=folder, LC_ALL="C.UTF-8")
    return env


def run(folder, *command):
    """Output of a command that must succeed; a failure shows what it said."""
    done = subprocess.run(command, env=environment(folder), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"{shlex.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def admin(folder, *arguments):
    return run(folder, "radosgw-admin", "-c", f"{folder}/ceph.conf", *arguments)


def start_time(pid):
    """When the process began, in ticks after boot: with it a process id names one process for good. None if gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def free_ports(count):
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for s in held:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in held]


def answers(port):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except OSError:
        return False


def make_certificates(folder):
    """A CA of our own (ca.pem), and a server certificate by it (server.pem with chain and key)."""
    def openssl(*arguments):
        run(folder, "openssl", *arguments)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
            "/CN=Holdfast test CA", "-keyout", f"{folder}/ca.key", "-out", f"{folder}/ca.pem")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
            "-keyout", f"{folder}/server.key", "-out", f"{folder}/server.csr")
    with open(f"{folder}/server.ext", "w") as f:
        f.write("subjectAltName=DNS:localhost,DNS:*.s3.localhost,DNS:s3.localhost,IP:127.0.0.1\n"
                "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n")
    openssl("x509", "-req", "-in", f"{folder}/server.csr", "-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca.key",
            "-CAcreateserial", "-days", "30", "-extfile", f"{folder}/server.ext", "-out", f"{folder}/server.crt")
    with open(f"{folder}/rgw.pem", "w") as out:
        for part in ("server.key", "server.crt", "ca.pem"):
            with open(f"{folder}/{part}") as f:
                out.write(f.read())


class Gateway:
    """The daemons, as children of this process: they are killed when it ends, however it ends."""

    def __init__(self, folder, store_bytes):
        self.folder = folder
        self.children = []
        self.libc = ctypes.CDLL(None)
        mon, self.http, self.https = free_ports(3)
        self.fsid = str(uuid.uuid4())
        self.mon = mon
        with open(f"{folder}/ceph.conf", "w") as f:
            f.write(CONF.format(folder=folder, fsid=self.fsid, mon=mon, http=self.http, https=self.https,
                                bytes=store_bytes))

    def spawn(self, *command):
        def with_parent():
            self.libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

        with open(f"{self.folder}/daemons.log", "ab") as log:
            self.children.append(subprocess.Popen(command, env=environment(self.folder), stdin=subprocess.DEVNULL,
                                                  stdout=log, stderr=log, preexec_fn=with_parent))

    def start(self):
        folder, conf, keyring = self.folder, ("-c", f"{self.folder}/ceph.conf"), f"{self.folder}/keyring"
        os.mkdir(f"{folder}/mon")
        os.mkdir(f"{folder}/osd")
        make_certificates(folder)
        everything = ("--cap", "mon", "allow *", "--cap", "osd", "allow *")
        run(folder, "ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        run(folder, "ceph-authtool", keyring, "--gen-key", "-n", "client.admin", *everything)
        run(folder, "ceph-authtool", keyring, "--gen-key", "-n", "osd.0", "--cap", "mon", "allow profile osd", "--cap",
            "osd", "allow *")
        run(folder, "ceph-authtool", keyring, "--gen-key", "-n", "client.rgw", *everything)
        run(folder, "monmaptool", "--create", "--clobber", "--fsid", self.fsid, "--addv", "a",
            f"[v2:127.0.0.1:{self.mon}]", f"{folder}/monmap")
        run(folder, "ceph-mon", *conf, "-i", "a", "--mkfs", "--monmap", f"{folder}/monmap", "--keyring", keyring)
        self.spawn("ceph-mon", *conf, "-i", "a", "-f")
        osd = str(uuid.uuid4())
        run(folder, "ceph", *conf, "--connect-timeout", "30", "osd", "new", osd)
        run(folder, "ceph-osd", *conf, "-i", "0", "--mkfs", "--osd-uuid", osd)
        self.spawn("ceph-osd", *conf, "-i", "0", "-f")
        self.spawn("radosgw", *conf, "-n", "client.rgw", "-f")
        deadline = time.monotonic() + START_SECONDS
        while not answers(self.http):
            if time.monotonic() > deadline or not self.alive():
                raise RuntimeError("the gateway does not start")
            time.sleep(0.1)

    def alive(self):
        return all(child.poll() is None for child in self.children)

    def end(self):
        for child in self.children:
            child.kill()  # nothing in it is worth an orderly end
        for child in self.children:
            child.wait()


def user(folder, name, *more):
    """Keys of the user: made if there is none of that name."""
    try:
        text = admin(folder, "user", "create", f"--uid={name}", f"--display-name={name}",
                     f"--access-key=AK{secrets.token_hex(8).upper()}", f"--secret-key={secrets.token_urlsafe(30)}", *more)
    except RuntimeError:
        text = admin(folder, "user", "info", f"--uid={name}")
    key = json.loads(text)["keys"][0]
    return key["access_key"], key["secret_key"]


def used(folder):
    """True if a process that joined is alive; forgets those that are not."""
    found = False
    for name in os.listdir(f"{folder}/users"):
        pid, _, began = name.partition("-")
        if str(start_time(pid)) == began:
            found = True
        else:
            os.unlink(f"{folder}/users/{name}")
    return found


def serve(folder, lock, store_bytes):
    """Starts the gateway and watches over it. Holds the lock, which it was given locked, until the gateway answers."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    gateway = Gateway(folder, store_bytes)
    try:
        gateway.start()
        access_key, secret_key = user(folder, "holdfast", "--caps=user-policy=*")
        state = {"pid": os.getpid(), "start": start_time(os.getpid()), "environment": {
            "S3_HTTP": f"http://127.0.0.1:{gateway.http}", "S3_HTTPS": f"https://127.0.0.1:{gateway.https}",
            "S3_HTTP_PORT": str(gateway.http), "S3_HTTPS_PORT": str(gateway.https), "S3_CA": f"{folder}/ca.pem",
            "S3_CERTIFICATE": f"{folder}/rgw.pem", "S3_ACCESS_KEY": access_key, "S3_SECRET_KEY": secret_key}}
        with open(f"{folder}/state.new", "w") as f:
            json.dump(state, f)
        os.rename(f"{folder}/state.new", f"{folder}/state")
        os.close(lock)
        end = time.monotonic() + LIFE_SECONDS
        last_used = time.monotonic()
        while gateway.alive() and time.monotonic() < end:
            time.sleep(1)
            if not os.path.exists(f"{folder}/state"):
                break  # the folder was removed
            if used(folder):
                last_used = time.monotonic()
            elif time.monotonic() - last_used > IDLE_SECONDS:
                with locked(folder):
                    if used(folder):
                        continue
                    os.unlink(f"{folder}/state")
                    break
    finally:
        with contextlib.suppress(OSError):
            os.unlink(f"{folder}/state")
        gateway.end()
        shutil.rmtree(f"{folder}/mon", ignore_errors=True)  # what is left are the logs


@contextlib.contextmanager
def locked(folder):
    fd = os.open(folder + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        os.close(fd)


def running(folder):
    """The state of the gateway if there is one that answers, else None."""
    try:
        with open(f"{folder}/state") as f:
            state = json.load(f)
    except OSError:
        return None
    if start_time(state["pid"]) != state["start"] or not answers(int(state["environment"]["S3_HTTP_PORT"])):
        return None
    return state


def start(folder, lock, store_bytes):
    stop(folder)
    if os.path.isdir(folder) and os.listdir(folder) and not os.path.isdir(f"{folder}/users"):
        raise RuntimeError(f"{folder} is not a gateway's folder")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(f"{folder}/users", mode=0o700)
    with open(f"{folder}/log", "ab") as log:
        # Keeps nothing of the test open: a test is over only when its output is closed.
        server = subprocess.Popen([sys.executable, os.path.abspath(__file__), "serve", folder, "--lock", str(lock),
                                   "--bytes", str(store_bytes)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                  pass_fds=[lock], start_new_session=True, cwd="/")
    while server.poll() is None:
        state = running(folder)
        if state:
            return state
        time.sleep(0.1)
    with open(f"{folder}/log") as f:
        raise RuntimeError(f"the gateway did not start, see {folder}:\n{f.read()}")


def stop(folder):
    try:
        with open(f"{folder}/state") as f:
            state = json.load(f)
    except OSError:
        return
    if start_time(state["pid"]) == state["start"]:
        os.kill(state["pid"], signal.SIGTERM)
        while start_time(state["pid"]) == state["start"]:
            time.sleep(0.05)


def join(folder, pid, store_bytes):
    began = start_time(pid)
    if began is None:
        raise RuntimeError(f"there is no process {pid}")
    with locked(folder) as lock:
        state = running(folder) or start(folder, lock, store_bytes)
        with open(f"{folder}/users/{pid}-{began}", "w"):
            pass
    for key, value in state["environment"].items():
        print(f"export {key}={shlex.quote(value)}")


def main():
    parser = argparse.ArgumentParser(usage=__doc__, allow_abbrev=False)
    parser.add_argument("command", choices=["join", "user", "admin", "stop", "serve"])
    parser.add_argument("folder", type=os.path.abspath)
    parser.add_argument("--pid", type=int)
    parser.add_argument("--bytes", type=int, default=STORE_BYTES)
    parser.add_argument("--lock", type=int)
    options, rest = parser.parse_known_args()
    try:
        if options.command == "join":
            join(options.folder, options.pid, options.bytes)
        elif options.command == "serve":
            serve(options.folder, options.lock, options.bytes)
        elif options.command == "user":
            print(*user(options.folder, rest[0]))
        elif options.command == "admin":
            print(admin(options.folder, *rest), end="")
        else:
            with locked(options.folder):
                stop(options.folder)
    except RuntimeError as e:
        sys.exit(f"gateway: {e}")


if __name__ == "__main__":
    main()
