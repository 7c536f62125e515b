#!/usr/bin/env python3
"""Stands in for the metadata service of a cloud instance (IMDSv2), which hands out the keys of the instance's role.

imds.py --script FILE --log FILE --pid PID [--port PORT]

Prints its port on 127.0.0.1; ends when process PID does. The script is a JSON object, read for each request:
  role            name of the role; default "backup"
  credentials     a credentials file whose default profile is handed out
  expires         seconds from now until the keys expire; default 3600
  token_seconds   the longest life of a token, whatever the client asks for; default 21600
  statuses        {"token": 403, "role": 404, "keys": 500}: these answers are refused so
  code            of the keys' document; default "Success"
  raw             the keys' document as text instead
  stall           seconds before each answer
The log has a JSON line per request: method, path, ttl (asked for), token (true if it is valid), status.
"""
import argparse
import configparser
import http.server
import json
import os
import secrets
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import start_time

KEYS = "/latest/meta-data/iam/security-credentials/"


def utc(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    tokens = {}

    def log_message(self, *_):
        pass

    def keys(self, script):
        if "raw" in script:
            return script["raw"]
        file = configparser.ConfigParser()
        file.read(script["credentials"])
        keys = file["default"]
        return json.dumps({
            "Code": script.get("code", "Success"), "LastUpdated": utc(time.time()), "Type": "AWS-HMAC",
            "AccessKeyId": keys["aws_access_key_id"], "SecretAccessKey": keys["aws_secret_access_key"],
            "Token": keys.get("aws_session_token", ""), "Expiration": utc(time.time() + script.get("expires", 3600))})

    def decide(self, script, statuses):
        """Status and body."""
        ttl = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if self.path == "/latest/api/token":
            if self.command != "PUT":
                return 405, ""
            if "X-Forwarded-For" in self.headers:
                return 403, ""
            if not ttl.isdigit() or not 1 <= int(ttl) <= 21600:
                return 400, ""
            if "token" in statuses:
                return statuses["token"], ""
            token = secrets.token_urlsafe(40)
            self.tokens[token] = time.monotonic() + min(int(ttl), script.get("token_seconds", 21600))
            return 200, token
        if not self.valid:
            return 401, ""
        if self.command != "GET":
            return 405, ""
        role = script.get("role", "backup")
        if self.path in (KEYS, KEYS.rstrip("/")):
            return (statuses["role"], "") if "role" in statuses else (200, role)
        if self.path == KEYS + role:
            return (statuses["keys"], "") if "keys" in statuses else (200, self.keys(script))
        return 404, ""

    def respond(self):
        with open(self.server.options.script) as f:
            script = json.load(f)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(script.get("stall", 0))
        self.valid = self.tokens.get(self.headers.get("X-aws-ec2-metadata-token", ""), 0) > time.monotonic()
        status, body = self.decide(script, script.get("statuses", {}))
        line = {"method": self.command, "path": self.path, "ttl": self.headers.get("X-aws-ec2-metadata-token-ttl-seconds"),
                "token": self.valid, "status": status}
        os.write(self.server.log, json.dumps(line).encode() + b"\n")
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_PUT = do_POST = do_HEAD = respond


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--script", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    began = start_time(options.pid)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.options = options
    server.log = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    while began is not None and start_time(options.pid) == began:
        time.sleep(0.5)
    os._exit(0)


if __name__ == "__main__":
    main()
