#!/usr/bin/env python3
"""Stands between an S3 client and the gateway and does what networks and stores do on bad days, by script.

fault_proxy.py --upstream PORT --script FILE --log FILE --pid PID [--port PORT] [--certificate FILE]

The client speaks to this proxy (over TLS where a certificate with its key is given) and signs for its address; the
request goes on unchanged, Host and all, over plain HTTP to 127.0.0.1:PORT, in which the gateway sees a right signature.
Prints its own port. Ends when process PID does. Bodies are spliced: without faults it costs next to nothing.

The script is a JSON object, read again whenever the file changes (replace it by rename); counters begin anew then:
  latency_ms      before every request is passed on
  bandwidth       bytes per second of all connections together, each way for itself
  skew_minutes    the store's clock: Date is shifted by it, requests not signed within 15 minutes of it are refused
                  with RequestTimeTooSkewed, others are signed anew with AWS_SECRET_ACCESS_KEY for the true time
  seed            of whatever is random; default 0
  rules           a list; the first that fires for a request decides what becomes of it
A rule: which requests (what is absent matches all)
  method, path, query   regular expressions: of the whole method, in the decoded path (/bucket/key), in the query
  header                {name: regular expression in its value}
which of them
  nth: [1, 3]     the first and the third    after: N     not the first N
  times: N        at most N times            probability: 0 to 1
and what happens:
  fault           one of
    latency         {ms} passes first
    bandwidth       {rate} bytes per second for this request and its answer
    reset_before    connection reset, the request is not passed on
    reset_after     connection reset, the request was processed, its answer is lost
    close_before, close_after   likewise, but closed in good order
    error           {status, code, message, headers, body, processed}: that answer; if processed, the request was
    internal_error 500, unavailable 503, slow_down 503, too_many 429, access_denied 403, expired_token 400,
    error_in_200    errors with their usual texts; {retry_after} seconds adds that header
    redirect        {region, status: 301, 307 or 400}: to all that is not signed for that region
    truncate        the answer's body ends after {bytes}, by default half of it, and the connection with it
    short           likewise, but Content-Length says so too: a store that lies
    flip            one bit of the answer's body is wrong, at {offset} or anywhere
    flip_request    one bit of the request's body is wrong
    stall           nothing for {seconds}, then a reset; {where}: "request" (which is not read), "answer" (default: it was
                    processed) or "body" (half of it comes)

The log has a JSON line per request, written before its answer is sent: n, time, connection (number), tls, method, path
(decoded), query, length, headers (all but the signature, lower-case), region (signed for), access_key, fault (or null),
status (null: no answer), answer_length (null: chunked).
"""
import argparse
import calendar
import contextlib
import email.utils
import fcntl
import json
import os
import random
import re
import socket
import ssl
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import start_time
from sigv4 import signature

CHUNK = 1 << 20
HEAD_MAX = 64 << 10
ERRORS = {
    "error": (500, "InternalError"), "internal_error": (500, "InternalError"), "slow_down": (503, "SlowDown"),
    "unavailable": (503, "ServiceUnavailable"), "too_many": (429, "TooManyRequests"), "access_denied": (403, "AccessDenied"),
    "expired_token": (400, "ExpiredToken"), "error_in_200": (200, "InternalError"), "redirect": (301, "PermanentRedirect"),
}
BODY_FAULTS = ("truncate", "short", "flip")
FAULTS = {*ERRORS, *BODY_FAULTS, "latency", "bandwidth", "reset_before", "reset_after", "close_before", "close_after",
          "flip_request", "stall"}
REDIRECTS = {301: "PermanentRedirect", 307: "TemporaryRedirect", 400: "AuthorizationHeaderMalformed"}


class Ended(Exception):
    """The connection is over; reset says how."""

    def __init__(self, reset=False):
        super().__init__()
        self.reset = reset


class Pace:
    """Lets so many bytes per second pass, whoever sends them."""

    def __init__(self, rate):
        self.rate, self.free, self.lock = rate, time.monotonic(), threading.Lock()

    def take(self, count):
        with self.lock:
            self.free = max(self.free, time.monotonic()) + count / self.rate
            wait = self.free - time.monotonic()
        if wait > 0:
            time.sleep(wait)


class Script:
    def __init__(self, path):
        self.path, self.version, self.lock = path, None, threading.Lock()
        self.current()

    def current(self):
        """Looks whether the file has changed. A script that is wrong ends the proxy: the test must not go on."""
        status = os.stat(self.path)
        version = (status.st_mtime_ns, status.st_ino, status.st_size)
        if version != self.version:
            with open(self.path) as f:
                script = json.load(f)
            self.rules = script.get("rules", [])
            for rule in self.rules:
                if rule["fault"] not in FAULTS:
                    raise ValueError(f"unknown fault {rule['fault']}")
            self.latency = script.get("latency_ms", 0) / 1000
            self.pace_up, self.pace_down = (Pace(script["bandwidth"]) if script.get("bandwidth") else None
                                            for _ in range(2))
            self.skew = script.get("skew_minutes", 0) * 60
            self.seed = script.get("seed", 0)
            self.seen, self.fired = [0] * len(self.rules), [0] * len(self.rules)
            self.version = version

    def match(self, request):
        """(rule, random numbers for it): the rule that fires for the request, or an empty one."""
        with self.lock:
            self.current()
            for i, rule in enumerate(self.rules):
                if not request.matches(rule):
                    continue
                self.seen[i] += 1
                dice = random.Random(f"{self.seed} {i} {self.seen[i]}")
                if ("nth" in rule and self.seen[i] not in rule["nth"] or self.seen[i] <= rule.get("after", 0)
                        or self.fired[i] >= rule.get("times", self.fired[i] + 1)
                        or dice.random() >= rule.get("probability", 1)):
                    continue
                self.fired[i] += 1
                return rule, dice
        return {}, random.Random(self.seed)


class Stream:
    """A socket with what was read from it too early."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""
        self.plain = not isinstance(sock, ssl.SSLSocket)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read_some(self, limit):
        if self.buffer:
            data, self.buffer = self.buffer[:limit], self.buffer[limit:]
            return data
        return self.sock.recv(limit)

    def read_until(self, mark):
        while mark not in self.buffer:
            if len(self.buffer) > HEAD_MAX:
                raise Ended()
            data = self.sock.recv(HEAD_MAX)
            if not data:
                raise Ended()
            self.buffer += data
        head, _, self.buffer = self.buffer.partition(mark)
        return head + mark

    def read(self, count):
        parts = []
        while count:
            data = self.read_some(min(count, CHUNK))
            if not data:
                raise Ended()
            parts.append(data)
            count -= len(data)
        return b"".join(parts)

    def read_chunk(self):
        """One chunk of a chunked body with its frame, and what it holds (empty: the last one)."""
        line = self.read_until(b"\r\n")
        size = int(line.split(b";")[0], 16)
        if size:
            data = self.read(size)
            return line + data + self.read(2), data
        while True:
            trailer = self.read_until(b"\r\n")
            line += trailer
            if trailer == b"\r\n":
                return line, b""

    def skip(self, count):
        while count:
            data = self.read_some(min(count, CHUNK))
            if not data:
                raise Ended()
            count -= len(data)

    def stale(self):
        """True if the other side has closed, or sent what nobody asked for."""
        with contextlib.suppress(BlockingIOError):
            self.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            return True
        return False


class Pipe:
    def __init__(self):
        self.out, self.into = os.pipe()
        with contextlib.suppress(OSError):
            fcntl.fcntl(self.into, fcntl.F_SETPIPE_SZ, CHUNK)

    def close(self):
        os.close(self.out)
        os.close(self.into)

    def relay(self, source, target, count, paces=()):
        """Passes count bytes on; through the kernel alone where both sides are plain sockets."""
        paces = [pace for pace in paces if pace]
        step = min([CHUNK, *(max(1024, min(65536, int(pace.rate / 20))) for pace in paces)])
        while count and (source.buffer or paces or not (source.plain and target.plain)):
            data = source.read_some(min(count, step))
            if not data:
                raise Ended()
            for pace in paces:
                pace.take(len(data))
            target.sock.sendall(data)
            count -= len(data)
        while count:
            got = os.splice(source.sock.fileno(), self.into, min(count, CHUNK))
            if not got:
                raise Ended()
            count -= got
            while got:
                got -= os.splice(self.out, target.sock.fileno(), got)


class Head:
    """First line and headers of a request or an answer; raw is what was sent."""

    def __init__(self, raw):
        self.raw = raw
        self.line, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
        self.headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        self.chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        self.length = None if self.chunked else int(self.headers.get("content-length", 0))

    def set(self, name, value):
        """Changes or adds a header, in raw too."""
        line = f"{name}: {value}".encode("latin-1")
        raw, changed = re.subn(rb"(?im)^" + re.escape(name.encode()) + rb":[^\r\n]*", lambda _: line, self.raw)
        self.raw = raw if changed else self.raw[:-2] + line + b"\r\n\r\n"
        self.headers[name.lower()] = value


class Request(Head):
    def __init__(self, raw):
        super().__init__(raw)
        self.method, self.target, _ = self.line.split(" ", 2)
        path, _, self.query = self.target.partition("?")
        self.path = urllib.parse.unquote(path)
        found = re.search(r"Credential=([^/]*)/[^/]*/([^/]*)/.*SignedHeaders=([^,]*),\s*Signature=(\w*)",
                          self.headers.get("authorization", ""))
        self.access_key, self.region, self.signed, self.signature = found.groups() if found else (None,) * 4

    def matches(self, rule):
        return (re.fullmatch(rule.get("method", ".*"), self.method)
                and re.search(rule.get("path", ""), self.path) and re.search(rule.get("query", ""), self.query)
                and all(re.search(value, self.headers.get(name, "")) for name, value in rule.get("header", {}).items())
                and not (rule["fault"] == "redirect" and self.region == rule["region"]))

    def sign_again(self, skew):
        """The error's code if the signature is wrong or not of the shifted time; else signs for the true time."""
        stamp = self.headers.get("x-amz-date", "")
        secret, names = os.environ["AWS_SECRET_ACCESS_KEY"], (self.signed or "").split(";")
        if not stamp or not self.signed:
            return "AccessDenied"
        if self.access_key != os.environ["AWS_ACCESS_KEY_ID"]:
            return "InvalidAccessKeyId"

        def sign():
            return signature(secret, self.method, self.target, self.headers, names, self.headers["x-amz-date"], self.region,
                             self.headers.get("x-amz-content-sha256", ""))

        if abs(calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ")) - time.time() - skew) > 900:
            return "RequestTimeTooSkewed"
        if sign() != self.signature:
            return "SignatureDoesNotMatch"
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        authorization = self.headers["authorization"].replace(f"/{stamp[:8]}/", f"/{now[:8]}/")
        self.set("x-amz-date", now)
        self.set("authorization", authorization.replace(self.signature, sign()))
        return None


class Proxy:
    def __init__(self, options):
        self.upstream, self.script = options.upstream, Script(options.script)
        self.log_fd = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.lock, self.requests, self.connections = threading.Lock(), 0, 0
        self.context = None
        if options.certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(options.certificate)
        self.listener = socket.create_server(("127.0.0.1", options.port), backlog=256)

    def log(self, connection, request, rule, status, answer_length):
        headers = {k: v for k, v in request.headers.items() if k not in ("authorization", "x-forwarded-proto")}
        with self.lock:
            self.requests += 1
            line = {"n": self.requests, "time": time.time(), "connection": connection.number, "tls": bool(self.context),
                    "method": request.method, "path": request.path, "query": request.query, "length": request.length,
                    "headers": headers, "region": request.region, "access_key": request.access_key,
                    "fault": rule.get("fault"), "status": status, "answer_length": answer_length}
            os.write(self.log_fd, json.dumps(line).encode() + b"\n")

    def accept(self):
        while True:
            sock, _ = self.listener.accept()
            self.connections += 1
            threading.Thread(target=Connection(self, sock, self.connections).run, daemon=True).start()


class Connection:
    def __init__(self, proxy, sock, number):
        self.proxy, self.sock, self.number = proxy, sock, number
        self.upstream, self.pipe = None, Pipe()

    def run(self):
        reset = False
        try:
            if self.proxy.context:
                self.sock = self.proxy.context.wrap_socket(self.sock, server_side=True)
            self.client = Stream(self.sock)
            while True:
                self.serve()
        except Ended as ended:
            reset = ended.reset
        except OSError:  # one side has gone
            pass
        except Exception:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        finally:
            if reset:  # what was not sent yet is dropped, and the other side is told so
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.sock.close()
            self.pipe.close()
            if self.upstream:
                self.upstream.sock.close()

    def answer(self, request, rule, status, code, body_read, headers=(), message="injected", body=None):
        """An answer that is not the gateway's. The request's body is read first, as a store would."""
        if not body_read:
            self.skip_body(request)
        if body is None:
            body = (f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message>'
                    f'{rule.get("elements", "")}<RequestId>proxy</RequestId></Error>')
        lines = [f"HTTP/1.1 {status} {code}", f"Date: {email.utils.formatdate(time.time() + self.proxy.script.skew, usegmt=True)}",
                 "Content-Type: application/xml", f"Content-Length: {len(body.encode())}",
                 *(f"{name}: {value}" for name, value in headers)]
        self.proxy.log(self, request, rule, status, len(body))
        raw = "\r\n".join(lines) + "\r\n\r\n" + ("" if request.method == "HEAD" else body)
        self.sock.sendall(raw.encode())

    def injected(self, request, rule, body_read):
        fault = rule["fault"]
        status, code = ERRORS[fault]
        status = rule.get("status", status)
        headers = list(rule.get("headers", {}).items())
        if fault == "redirect":
            code = REDIRECTS[status]
            region = rule["region"]
            headers += [("x-amz-bucket-region", region)]
            rule = {**rule, "elements": f"<Endpoint>{request.headers.get('host')}</Endpoint><Region>{region}</Region>"}
            if status == 307:
                headers += [("Location", f"http{'s' * bool(self.proxy.context)}://{request.headers.get('host')}{request.target}")]
        if "retry_after" in rule:
            headers += [("Retry-After", rule["retry_after"])]
        self.answer(request, rule, status, rule.get("code", code), body_read, headers, rule.get("message", "injected"),
                    rule.get("body"))

    def skip_body(self, request):
        if request.headers.get("expect"):
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not request.chunked:
            return self.client.skip(request.length)
        while self.client.read_chunk()[1]:
            pass

    def serve(self):
        """One request and its answer."""
        client, script = self.client, self.proxy.script
        request = Request(client.read_until(b"\r\n\r\n"))
        rule, dice = script.match(request)
        fault = rule.get("fault")
        time.sleep(script.latency + (rule["ms"] / 1000 if fault == "latency" else 0))
        pace = Pace(rule["rate"]) if fault == "bandwidth" else None
        if fault in ("reset_before", "close_before") or fault == "stall" and rule.get("where") == "request":
            self.proxy.log(self, request, rule, None, None)
            if fault == "stall":
                time.sleep(rule["seconds"])
            raise Ended(reset=fault != "close_before")
        if fault in ERRORS and not rule.get("processed"):
            return self.injected(request, rule, False)
        if script.skew:
            code = request.sign_again(script.skew)
            if code:
                return self.answer(request, rule, 403, code, False)
        self.forward(request, dice if fault == "flip_request" else None, (script.pace_up, pace))
        self.take_answer(request, rule, dice, (script.pace_down, pace))

    def forward(self, request, dice, paces):
        if self.upstream is None or self.upstream.stale():
            self.upstream = Stream(socket.create_connection(("127.0.0.1", self.proxy.upstream)))
        if self.proxy.context:
            request.set("X-Forwarded-Proto", "https")
        client, upstream = self.client, self.upstream
        if request.headers.get("expect"):
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            upstream.sock.sendall(request.raw)
            if dice and request.length:
                upstream.sock.sendall(flipped(client.read(request.length), dice.randrange(request.length * 8)))
            elif request.chunked:
                data = True
                while data:
                    raw, data = client.read_chunk()
                    upstream.sock.sendall(raw)
            else:
                self.pipe.relay(client, upstream, request.length, paces)
        except BrokenPipeError:
            pass  # it has answered already, which may be read

    def take_answer(self, request, rule, dice, paces):
        client, upstream, fault, script = self.client, self.upstream, rule.get("fault"), self.proxy.script
        answer = Head(upstream.read_until(b"\r\n\r\n"))
        while answer.line.split(" ")[1].startswith("1"):
            answer = Head(upstream.read_until(b"\r\n\r\n"))
        status = int(answer.line.split(" ")[1])
        if request.method == "HEAD" or status in (204, 304):
            answer.chunked, answer.length = False, 0
        if script.skew:
            answer.set("Date", email.utils.formatdate(time.time() + script.skew, usegmt=True))
        if fault in ERRORS:
            self.read_body(answer)
            return self.injected(request, rule, True)
        lost = fault in ("reset_after", "close_after")
        stalled = fault == "stall" and rule.get("where") != "body"
        self.proxy.log(self, request, rule, None if lost or stalled else status, answer.length)
        if lost or stalled:
            self.read_body(answer)
            if stalled:
                time.sleep(rule["seconds"])
            raise Ended(reset=fault != "close_after")
        if fault in BODY_FAULTS or fault == "stall":
            self.spoil(answer, rule, dice)
        elif answer.chunked:
            data, raw = True, answer.raw
            while data:
                more, data = upstream.read_chunk()
                raw += more
                if len(raw) > 65536 or not data:
                    self.sock.sendall(raw)
                    raw = b""
        else:
            early = b"" if any(paces) else upstream.read_some(answer.length) if upstream.buffer and answer.length else b""
            self.sock.sendall(answer.raw + early)
            self.pipe.relay(upstream, client, answer.length - len(early), paces)
        if answer.headers.get("connection", "").lower() == "close":
            raise Ended()

    def read_body(self, answer):
        if not answer.chunked:
            return self.upstream.read(answer.length)
        parts = []
        while not parts or parts[-1]:
            parts.append(self.upstream.read_chunk()[1])
        return b"".join(parts)

    def spoil(self, answer, rule, dice):
        body = self.read_body(answer)
        fault, cut = rule["fault"], rule.get("bytes", len(body) // 2)
        if answer.chunked:
            answer.raw = re.sub(rb"(?im)^transfer-encoding:[^\r\n]*\r\n", b"", answer.raw)
        if body:
            answer.set("Content-Length", str(min(cut, len(body)) if fault == "short" else len(body)))
        if fault == "flip" and body:
            self.sock.sendall(answer.raw + flipped(body, rule["offset"] * 8 if "offset" in rule else dice.randrange(len(body) * 8)))
            return
        self.sock.sendall(answer.raw + body[:cut])
        if fault == "stall":
            time.sleep(rule["seconds"])
        if fault != "short":
            raise Ended(reset=fault == "stall")


def flipped(data, bit):
    changed = bytearray(data)
    changed[min(bit // 8, len(data) - 1)] ^= 1 << bit % 8
    return changed


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--upstream", type=int, required=True)
    parser.add_argument("--script", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--certificate")
    options = parser.parse_args()
    began = start_time(options.pid)
    proxy = Proxy(options)
    threading.Thread(target=proxy.accept, daemon=True).start()
    print(proxy.listener.getsockname()[1], flush=True)
    while began is not None and start_time(options.pid) == began:
        time.sleep(0.5)
    os._exit(0)


if __name__ == "__main__":
    main()
