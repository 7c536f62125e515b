#!/usr/bin/env python3
"""Counts connections: listener.py FOLDER PID

Listens on a free loopback port, whose number it writes to FOLDER/port, and adds a line to FOLDER/connections for each
connection, which it closes at once. Ends with process PID.
"""
import os
import socket
import sys

folder, pid = sys.argv[1], int(sys.argv[2])
with socket.create_server(("127.0.0.1", 0)) as server, open(os.path.join(folder, "connections"), "w") as count:
    with open(os.path.join(folder, "port.new"), "w") as file:
        print(server.getsockname()[1], file=file)
    os.rename(file.name, os.path.join(folder, "port"))
    server.settimeout(1)
    while os.path.exists(f"/proc/{pid}"):
        try:
            connection, _ = server.accept()
        except TimeoutError:
            continue
        connection.close()
        print("connection", file=count, flush=True)
