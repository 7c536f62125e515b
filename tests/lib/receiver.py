#!/usr/bin/env python3
"""A receiver of webhooks and pings: receiver.py FOLDER PID [CERTIFICATE]

Listens on a free loopback port, whose number it writes to FOLDER/port, with TLS if there is a PEM file of certificate and key.
Each request takes the next word of FOLDER/answers, the last of which stays: a status; "close" (no answer), "hang" (none,
and the connection stays open), "slow" (200 after a second), "redirect" (to /elsewhere). Each becomes one JSON object in
FOLDER/requests: method, path, headers, body. Ends with process PID.
"""
import http.server
import json
import os
import ssl
import sys
import threading
import time

folder, pid = sys.argv[1], int(sys.argv[2])
lock = threading.Lock()


def next_answer():
    path = os.path.join(folder, "answers")
    with lock, open(path, "r+") as file:
        words = file.read().split()
        if len(words) > 1:
            file.seek(0)
            file.truncate()
            file.write(" ".join(words[1:]))
    return words[0]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        record = {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body}
        with lock, open(os.path.join(folder, "requests"), "a") as file:
            print(json.dumps(record), file=file)
        answer = next_answer()
        self.close_connection = True
        if answer == "close":
            return
        if answer == "hang":
            while os.path.exists(f"/proc/{pid}"):
                time.sleep(0.2)
            return
        if answer == "slow":
            time.sleep(1)
            answer = "200"
        self.send_response(302 if answer == "redirect" else int(answer))
        if answer == "redirect":
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere?sesame")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = handle_any

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a client that went away


server = Server(("127.0.0.1", 0), Handler)
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
with open(os.path.join(folder, "port.new"), "w") as file:
    print(server.server_port, file=file)
os.rename(file.name, os.path.join(folder, "port"))
threading.Thread(target=server.serve_forever, daemon=True).start()
while os.path.exists(f"/proc/{pid}"):
    time.sleep(0.2)
