#!/usr/bin/env python3
"""Makes the seeds under tests/fuzz/corpus: what the program and the vectors of tests/vectors hold.

Usage: make_corpus.py HOLDFAST        (the program; needs what tests/reader needs)
The objects come from a repository of a few files, opened by the reader of tests/reader, so that they are what
lies behind seals and signatures. Seeds that were there and are not made any more stay. The fuzz targets say what their inputs look like.
"""
import gzip
import importlib
import io
import json
import lzma
import os
import re
import struct
import subprocess
import sys
import tarfile
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
PASSPHRASE = "seven words that nobody would ever guess today"
LARGEST = 12288


def save(target, name, data):
    folder = os.path.join(HERE, "corpus", target)
    os.makedirs(folder, exist_ok=True)
    if len(data) <= LARGEST:
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)


def acl():
    """As the kernel gives it: a user of the number 1000 besides the owner, the group and others."""
    entries = ((1, 7, -1), (2, 5, 1000), (4, 5, -1), (16, 5, -1), (32, 0, -1))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *e) for e in entries)


def make_repository(program, work):
    os.makedirs(f"{work}/source/a/b")
    for name, text in (("hello", b"hello\n"), ("nothing", b""), ("b/numbers", b"".join(b"%d\n" % i for i in range(300)))):
        with open(f"{work}/source/a/{name}", "wb") as f:
            f.write(text)
    os.symlink("a/hello", f"{work}/source/link")
    os.link(f"{work}/source/a/hello", f"{work}/source/hard")
    os.mkfifo(f"{work}/source/fifo")
    with open(f"{work}/source/holes", "wb") as f:
        f.truncate(1 << 20)
    try:
        os.setxattr(f"{work}/source/a/hello", "user.colour", b"blue")
        os.setxattr(f"{work}/source/a/b", "system.posix_acl_default", acl())
    except OSError:
        pass
    with open(f"{work}/conf", "w") as f:
        f.write(f'repository = {{ name = "test"; key_file = "{work}/host.key"; state_dir = "{work}/state"; }};\n'
                f'targets = ( {{ name = "disk"; type = "local"; path = "{work}/repo"; }} );\n'
                f'jobs = ( {{ name = "files"; source = {{ type = "files"; paths = [ "{work}/source" ]; }}; }} );\n')
    with open(f"{work}/passphrase", "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
        f.write(PASSPHRASE)

    def run(*words):
        environment = dict(os.environ, HOLDFAST_PASSPHRASE_FILE=f"{work}/passphrase")
        subprocess.run([program, "-q", "-c", f"{work}/conf", *words], check=True, env=environment)
    run("init")
    run("backup")
    with open(f"{work}/source/a/more", "wb") as f:
        f.write(bytes(range(256)) * 10)
    run("backup", "--class", "daily")
    run("pin", "files:daily")
    run("forget", "files:manual")
    run("host", "add", "other", "--out", f"{work}/other.key", "--group", "shared")


def messages(work):
    """The modules of src/format/proto."""
    folder = os.path.join(HERE, "../../src/format/proto")
    names = sorted(n for n in os.listdir(folder) if n.endswith(".proto"))
    subprocess.run(["protoc", f"--proto_path={folder}", f"--python_out={work}", *names], check=True)
    sys.path.insert(0, work)
    return {n[:-6]: importlib.import_module(n[:-6] + "_pb2") for n in names}


def parse(kind, data):
    message = kind()
    message.ParseFromString(data)
    return message


class Opened:
    """All that is asked of the reader: what lies behind seals and signatures."""

    def __init__(self, path, passphrase):
        sys.path.insert(0, os.path.join(HERE, "../reader"))
        import holdfast_reader as reader
        self.reader, self.repository = reader, reader.Repository(path, passphrase)

    def bodies(self, folder):
        kind = {"snapshots": "Manifest", "runs": "Run", "events": "Event", "index": "Segment"}[folder]
        found = self.repository.read_signed(folder, getattr(self.reader, kind.upper()), kind)
        return [message.SerializeToString() for _, message in found]

    def listing(self, extents):
        return b"".join(self.repository.blob(self.reader.META, e) for e in extents)


def anonymous(body):
    """Without what this machine is called, and where on it the files lay."""
    for host in getattr(body, "hosts", []):
        host.name = "web"
    if hasattr(body, "host_name"):
        body.host_name, body.configuration = "web", CONFIG.encode()
        body.sources[:] = [b"/srv"]
    return body.SerializeToString()


def keys(proto, repository):
    for name in sorted(os.listdir(f"{repository}/keys")):
        with open(f"{repository}/keys/{name}", "rb") as f:
            data = f.read()
        if name.startswith("p-"):
            save("key_files", "person_sealed", data)
        else:
            signed = parse(proto["common"].Signed, data)
            signed.body = anonymous(parse(proto["keyring"].Keyring, signed.body))
            save("keyring", f"signed_{name.split('-')[0]}", b"\1" + signed.SerializeToString())
            save("keyring", f"keyring_{name.split('-')[0]}", b"\2" + signed.body)
    with open(f"{repository}/config", "rb") as f:
        save("keyring", "config", b"\0" + f.read())
    bundle = proto["keyring"].Bundle()
    for list_, number in ((bundle.metadata_secrets, 1), (bundle.id_secrets, 1), (bundle.recovery_keys, 1)):
        list_.add(number=number, secret=bytes(range(32)))
    bundle.admin_seed = bytes(range(32))
    save("keyring", "bundle", b"\3" + bundle.SerializeToString())


def objects(proto, opened):
    """The first byte chooses the decoder."""
    manifests = [parse(proto["record"].Manifest, body) for body in opened.bodies("snapshots")]
    for i, manifest in enumerate(manifests):
        save("records", f"snapshots_{i}", b"\0" + anonymous(parse(proto["record"].Manifest, manifest.SerializeToString())))
    for i, body in enumerate(opened.bodies("runs")):
        save("records", f"runs_{i}", b"\1" + body)
    for i, body in enumerate(opened.bodies("events")):
        save("records", f"events_{i}", b"\2" + body)
    host = manifests[0].host
    lease = proto["record"].Lease(host=host, writer=host, started=1795000000, refreshed=1795000001, purpose="backup")
    save("records", "lease", b"\3" + lease.SerializeToString())
    save("records", "run", b"\1" + run_record(proto["record"], host).SerializeToString())
    for i, body in enumerate(opened.bodies("index")):
        save("index", f"segment_{i}", b"\2" + body)
        entry = parse(proto["index"].Segment, body).packs[0]
        save("index", f"entry_{i}", b"\1" + entry)
        save("index", f"contents_{i}", b"\0" + parse(proto["index"].PackEntry, entry).contents.SerializeToString())
    listings = {}
    pending = [m.root for m in manifests]
    while pending:
        extents = pending.pop()
        listing = opened.listing(extents)
        listings[extents[0].blob] = listing
        pending += [n.subtree for n in parse(proto["tree"].Tree, listing).nodes if n.subtree]
    for i, listing in enumerate(listings.values()):
        other = list(listings.values())[i - 1]
        save("tree", f"listing_{i}", bytes([1]) + b"".join(struct.pack(">H", len(x)) + x for x in (listing, other)))


def run_record(record, host):
    run = record.Run(host=host, sequence=1, command="run", message="1 job failed", started=1, ended=9, exit_status=1,
                     interrupted=True, software="holdfast 0.1")
    job = run.jobs.add(job="files", classes=["daily", "weekly"], started=1, ended=2, snapshot=bytes(32), warnings=["one", "two"])
    job.statistics.files = 3
    run.jobs.add(job="database", classes=["daily"], started=2, ended=3, exit_status=1, message="the command failed")
    run.prune.ended = run.prune.expired = run.verify.first = run.drill.files = 5
    run.verify.span = 1 << 32
    run.drill.job = "files"
    run.targets.add(name="disk", behind=True, message="unreachable", stored_bytes=1, objects=2, bytes=3)
    return run


def vectors(proto):
    with open(os.path.join(HERE, "../vectors/format.json")) as f:
        values = json.load(f)
    data = {k: bytes.fromhex(v) for k, v in values.items() if isinstance(v, str)}
    save("seal", "sealed", bytes([5]) + data["sealed"])
    save("seal", "bound", bytes([1]) + data["sealed_bound"])
    save("seal", "changed", bytes([3, 1, 0, 70, 1]) + b"plain text")
    save("seal", "same", bytes([2, 0]) + b"plain text")
    save("key_files", "person_vector", data["person_key"])
    for kind, slot in ((1, data["slot_data"]), (2, data["slot_meta"])):
        frame, start = data["frame_zstd"], 7 + len(slot)
        contents = proto["index"].Contents(
            slot_count=1, blobs=bytes(range(32)) + struct.pack(">II", 0, values["frame_zstd_length"]),
            frames=struct.pack(">HQIIII", 0, values["frame_counter"], start, len(frame), values["frame_zstd_length"], 1 << 24 | 1))
        table = contents.SerializeToString()
        before = b"HFPK" + struct.pack(">HB", 0, kind) + slot + frame + bytes(11)
        save("pack", f"kind_{kind}", struct.pack(">H", len(table)) + table + before)
    empty = proto["index"].Contents().SerializeToString()
    save("pack", "empty", struct.pack(">H", len(empty)) + empty + b"HFPK" + struct.pack(">HB", 0, 2))
    save("frame", "zstd", bytes([1, 255]) + struct.pack(">I", values["frame_zstd_length"]) + data["frame_zstd_payload"])
    raw = data["frame_raw_payload"]
    save("frame", "raw", bytes([0, 255]) + struct.pack(">I", len(raw)) + raw)


CONFIG = """repository = { name = "web1"; key_file = "/etc/holdfast/web1.key"; state_dir = "/var/lib/holdfast/web1";
  residency = [ "EU" ]; min_targets = 1; compression = 3; upload_limit = "20M"; };
targets = (
  { name = "disk"; type = "local"; path = "/srv/backup/web1"; },
  { name = "hetzner"; type = "s3"; provider = "hetzner"; region = "fsn1"; bucket = "acme-web1"; prefix = "";
    credentials_file = "/etc/holdfast/hetzner.credentials"; profile = "default";
    object_lock = { mode = "governance"; retain = "30d"; }; } );
jobs = (
  { name = "files";
    source = { type = "files"; paths = [ "/etc", "/srv" ]; exclude = [ "*.tmp", "/srv/cache" ]; one_file_system = true; };
    schedule = { daily = "02:30"; weekly = "sun 03:00"; monthly = "1 04:00"; timezone = "Europe/Berlin"; };
    keep = { daily = 7; weekly = 5; monthly = 12; }; },
  { name = "database"; source = { type = "command"; command = [ "pg_dumpall" ]; filename = "all.sql"; };
    schedule = { yearly = "jan 1 05:00"; }; keep = { manual = 0; within = "2w"; }; } );
"""
NOTIFY = """repository = { key_file = "/k"; };
targets = ( { name = "d"; type = "local"; path = "/r"; } );
jobs = ( { name = "j"; source = { type = "tar"; archive = "/a"; };
           hooks = { before = ( [ "a", "b" ], [ "c" ] ); on_failure = [ "d" ]; timeout = "5m"; }; } );
hooks = { after = [ "e" ]; };
notify = ( { type = "webhook"; url = "https://u:p@h:8/a?b"; on = [ "failure", "success" ]; },
           { type = "ping"; url_file = "/u"; start = ""; failure = "?down"; },
           { type = "mail"; to = [ "root", "a@b" ]; command = [ "m" ]; }, { type = "syslog"; facility = "local0"; } );
"""


def texts():
    save("config", "whole", CONFIG.encode())
    save("config", "small", b'repository = { key_file = "/k"; };\ntargets = ( { name = "d"; type = "local"; path = "/r"; } );\n'
                            b'jobs = ( { name = "j"; source = { type = "tar"; archive = "/a"; }; } );\n')
    save("config", "notify", NOTIFY.encode())
    for i, text in enumerate(("20M", "30d", "2026-11-24T03:00:00Z", "2026-11-24", "20261124T030000Z", "02:30", "sun 03:00",
                              "last 04:00", "jan 1 05:00", "\x1b[31m\\ \u00e4", "repositry")):
        save("text", f"{i}", text.encode())
    for i, words in enumerate(("-c /x --json snapshots files", "restore latest /etc --to /tmp/x --overwrite changed -n",
                               "verify --sample=5 --content", "host add web --out f --role prune --group g", "help restore",
                               "-q backup --class daily -- a b", "export id --format zip --target /r --person-key k", "prnue --forse")):
        save("options", f"{i}", b"".join(w.encode() + b"\0" for w in words.split()))
    for i, name in enumerate(("a0a0", "latest", "files:latest", "files:daily", "files@2026-11-20", "files@2026-11-20T03:00",
                              "web/files:weekly", "db/latest", "database@2026-11-20T03:00:00Z")):
        save("selector", f"{i}", name.encode())
    for i, lines in enumerate((["*.tmp", "!keep.tmp", "/srv/a.tmp"], ["/srv/**/x", "a?[a-z]", "/srv/b/c/x"],
                               ["[[:digit:]]*", "[!a]b/", "/7/cb"], ["a\\*b", "**/foo/", "a**b", "/x/a*b"])):
        save("exclude", f"{i}", "\n".join(lines).encode())
    name = "0123456789abcdef" * 4
    for i, text in enumerate(("config", f"packs/01/{name}", f"index/{name}", f"snapshots/20261124T030000Z-{name}",
                              f"keys/1-{name}", f"keys/4294967295-{name}", f"keys/p-{name[:32]}-{name}", "a/b.c/d-e")):
        save("names", f"{i}", text.encode())
    save("writer", "tree", b"\2\1a\2\1b\7\1c\x87\1d\0\0\5\3a/d")
    save("writer", "links", b"\3\1l\0\1l\1\3l/x\x81\3l/x\4\1f\5\2..\6\1l\7\x05../up")


def stores():
    listing = (b'<?xml version="1.0"?><ListBucketResult><Name>b</Name><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>'
               b"<NextContinuationToken>t</NextContinuationToken><Contents><Key>packs/a%20b</Key><Size>5</Size>"
               b"<LastModified>2026-11-24T03:00:00.000Z</LastModified></Contents></ListBucketResult>")
    versions = (b"<ListVersionsResult><EncodingType>url</EncodingType><DeleteMarker><Key>a</Key><VersionId>m</VersionId>"
                b"<IsLatest>true</IsLatest><LastModified>2026-11-24T03:00:00.000Z</LastModified></DeleteMarker></ListVersionsResult>")
    key = {"AccessKeyId": "id", "SecretAccessKey": "secret", "Expiration": "2199-05-29T00:21:43Z"}
    for name, data in (("listing", b"\0" + listing), ("versions", b"\0" + versions),
                       ("error", b"\0<Error><Code>NoSuchKey</Code><Message>m</Message></Error>"),
                       ("process", b"\1" + json.dumps(dict(key, Version=1, SessionToken="t")).encode()),
                       ("imds", b"\2" + json.dumps(dict(key, Code="Success", Token="t")).encode()),
                       ("profile", b"\3web\n[default]\naws_access_key_id = a\n[web]\naws_access_key_id=b\naws_secret_access_key = c\n"
                                   b"credential_process = p 'q r'\n"),
                       ("line", b"\4a 'b c' \"d\\\"e\" f\\ g"), ("time", b"\4" + b"2026-11-24T03:00:00+01:00"),
                       ("url", b"\5bucket/pre%20fix?provider=aws&region=eu-central-1")):
        save("s3", name, data)


def answers():
    """What a server says, behind what it was asked for, as fuzz_answer.c counts it."""
    def answer(status, body=b"", *headers):
        lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Date: Tue, 24 Nov 2026 03:00:00 GMT", *headers)
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def error(code, more=""):
        return f"<Error><Code>{code}</Code><Message>m</Message>{more}</Error>".encode()
    key = b"index/" + b"0123456789abcdef" * 4
    listing = (b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>" + key + b"</Key><Size>5</Size>"
               b"<LastModified>2026-11-24T03:00:00.000Z</LastModified></Contents></ListBucketResult>")
    versions = (b"<ListVersionsResult><IsTruncated>false</IsTruncated><Version><Key>" + key + b"</Key><VersionId>v</VersionId>"
                b"<IsLatest>true</IsLatest><Size>5</Size><LastModified>2026-11-24T03:00:00.000Z</LastModified></Version>"
                b"</ListVersionsResult>")
    facts = (b"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Days>3</Days>"
             b"</DefaultRetention></Rule></ObjectLockConfiguration>")
    retention = b"<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2026-12-24T03:00:00Z</RetainUntilDate></Retention>"
    modified = "Last-Modified: Tue, 24 Nov 2026 03:00:00 GMT"
    for name, what, data in (
            ("listing", 0, answer("200 OK", listing)), ("versions", 1, answer("200 OK", versions)),
            ("object", 2, answer("200 OK", b"an object", 'ETag: "d41d8cd98f00b204e9800998ecf8427e"')),
            ("range", 3, answer("206 Partial Content", b"7 bytes", "Content-Range: bytes 3-9/20")),
            ("head", 4, answer("200 OK", b"", modified)), ("put", 5, answer("200 OK", b"", "x-amz-version-id: v")),
            ("remove", 6, answer("204 No Content")), ("facts", 7, answer("200 OK", facts)),
            ("retention", 8, answer("200 OK", retention)), ("retain", 9, answer("200 OK")),
            ("skewed", 2, answer("403 Forbidden", error("RequestTimeTooSkewed"))),
            ("moved", 0, answer("301 Moved", error("PermanentRedirect", "<Region>eu-west-1</Region>"), "x-amz-bucket-region: eu-west-1")),
            ("slow", 5, answer("503 Slow Down", error("SlowDown"), "Retry-After: 120")),
            ("missing", 2, answer("404 Not Found", error("NoSuchKey"))),
            ("chunked", 2, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntext\r\n0\r\n\r\n"),
            ("interim", 4, b"HTTP/1.1 100 Continue\r\n\r\n" + answer("200 OK", b"", modified)),
            ("machine", 15, answer("200 OK", json.dumps(
                {"Code": "Success", "AccessKeyId": "id", "SecretAccessKey": "secret", "Token": "t",
                 "Expiration": "2199-05-29T00:21:43Z"}).encode()))):
        save("answer", name, bytes([what]) + data)


def states(proto):
    save("state", "verify", b"\0" + b"1795000000 0 1\n1794000000 3 0\n1795000000 0 1\n25 123456\n")
    save("state", "lock", b"\1" + b"backup: process 4711 since 2026-11-24T03:00:00Z\n")
    save("state", "waiting", b"\2" + run_record(proto["record"], bytes(16)).SerializeToString())


def dictionary(target, *sources):
    """The words of program text, for a fuzzer that would not think of them."""
    words = set()
    for source in sources:
        with open(os.path.join(HERE, "../../src", source)) as f:
            words.update(re.findall(r'"([A-Za-z][A-Za-z0-9_-]{2,40})"', f.read()))
    with open(os.path.join(HERE, "corpus", target + ".dict"), "w") as f:
        f.writelines(f'"{w}"\n' for w in sorted(words))


def key_files(work):
    for name in ("host.key", "other.key"):
        with open(f"{work}/{name}", "rb") as f:
            save("key_files", name.split(".")[0], re.sub(rb"(?m)^name = .*", b"name = web", f.read()))
    person = "holdfast person key 1\n" + "".join(f"{k} = {'0123456789abcdef' * (n // 8)}\n" for k, n in (
        ("person", 16), ("repository", 16), ("private-key", 32), ("root", 32)))
    save("key_files", "person_text", person.encode())


def archives():
    for name, form in (("pax", tarfile.PAX_FORMAT), ("gnu", tarfile.GNU_FORMAT), ("ustar", tarfile.USTAR_FORMAT)):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form) as archive:
            for path, kind, extra in (("a", tarfile.DIRTYPE, {}), ("a/file", tarfile.REGTYPE, {}), ("a/link", tarfile.SYMTYPE, {"linkname": "file"}),
                                      ("./a//hard", tarfile.LNKTYPE, {"linkname": "a/file"}), ("fifo", tarfile.FIFOTYPE, {}),
                                      ("../up", tarfile.REGTYPE, {}), ("device", tarfile.CHRTYPE, {"devmajor": 1, "devminor": 3})):
                info = tarfile.TarInfo(path)
                info.type, info.mode, info.uname, info.mtime = kind, 0o640, "root", 1795000000
                for key, value in extra.items():
                    setattr(info, key, value)
                if form == tarfile.PAX_FORMAT and path == "fifo":
                    info.uname, info.pax_headers = "o" * 255, {"SCHILY.xattr.user." + "k" * 249: "v"}
                if form == tarfile.PAX_FORMAT and path == "a/file":
                    info.pax_headers = {"SCHILY.xattr.user.colour": "blue", "SCHILY.acl.access": "user::rw-,group::r--,other::---",
                                        "mtime": "1795000000.5"}
                content = b"contents" * 20 if kind == tarfile.REGTYPE else b""
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        data = out.getvalue().rstrip(b"\0") + bytes(1024)
        data += bytes(-len(data) % 512)
        for suffix, packed in (("", data), ("_twice", data * 2), ("_gz", gzip.compress(data, mtime=0)), ("_xz", lzma.compress(data))):
            if not suffix or name == "pax":
                save("archive", name + suffix, b"\xff" + packed)
    save("archive", "newc", b"\xff" + newc(b"a/file", b"text") + newc(b"TRAILER!!!", b""))
    save("archive", "odc", b"\xff" + odc(b"a/file", b"text") + odc(b"TRAILER!!!", b""))


def newc(name, content):
    fields = (1, 0o100644, 0, 0, 1, 1795000000, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    header = b"070701" + b"".join(b"%08x" % f for f in fields) + name + b"\0"
    header += bytes(-len(header) % 4)
    return header + content + bytes(-len(content) % 4)


def odc(name, content):
    fields = ((6, 0), (6, 1), (6, 0o100644), (6, 0), (6, 0), (6, 1), (6, 0), (11, 1795000000), (6, len(name) + 1), (11, len(content)))
    return b"070707" + b"".join(b"%0*o" % f for f in fields) + name + b"\0" + content


def main():
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(dir="/var/tmp") as work:
        make_repository(program, work)
        proto = messages(work)
        keys(proto, f"{work}/repo")
        key_files(work)
        objects(proto, Opened(f"{work}/repo", PASSPHRASE.encode()))
    vectors(proto)
    texts()
    stores()
    answers()
    states(proto)
    archives()
    dictionary("config", "config/settings.c")
    dictionary("options", "cli/option_table.c")
    dictionary("s3", "storage/s3_xml.c", "storage/credentials_json.c", "storage/credentials_file.c", "storage/s3_url.c")
    dictionary("answer", "http/client.c", "storage/s3_xml.c", "storage/s3_refusal.c", "storage/s3_bucket.c")


main()
