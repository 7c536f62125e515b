#!/usr/bin/env python3
"""The manual and the program say the same: usage: check_docs.py HOLDFAST SOURCE_ROOT

Compares the tables that the parser and the configuration reader work from (`holdfast help --table`) with
holdfast(1) and holdfast.conf(5): every command, option, choice and setting is in its page, with the type and the default
of the table, and nothing else is.
"""
import os
import pathlib
import re
import subprocess
import sys

program, root = sys.argv[1:3]
problems = []


def page(name):
    with open(os.path.join(root, "man", name)) as file:
        return file.read().replace("\\\n", " ")


def compare(what, table, manual, name):
    problems.extend(f"{name}: {what} {x} is missing" for x in sorted(table - manual))
    problems.extend(f"{name}: {what} {x} is not in the program's table" for x in sorted(manual - table))


rows = [line.split("\t") for line in
        subprocess.run([program, "help", "--table"], check=True, capture_output=True, text=True).stdout.splitlines()]
commands = {row[1]: row[2] for row in rows if row[0] == "command"}
options = [row[1:] for row in rows if row[0] == "option"]
settings = [row[1:] for row in rows if row[0] == "setting"]
if len(commands) < 10 or len(options) < 10 or len(settings) < 30:
    sys.exit("the program's table is too short to be true")

# ---- holdfast(1) ----
man = page("holdfast.1")
section = man[man.index(".Sh COMMANDS"):man.index(".Sh JSON")]
synopses = {}
for line in section.splitlines():
    match = re.match(r"\.It Cm ((?:host )?[a-z-]+)(?: |$)", line)
    if match:
        synopses[match.group(1)] = line
compare("command", set(commands), set(synopses), "holdfast.1")

compare("option", {o[0] for o in options}, set(re.findall(r"Fl -([a-z-]+)", man)), "holdfast.1")
for name, letter, argument, choices, used_by in options:
    items = [line for line in man.splitlines() if line.startswith(".It Fl ") and re.search(rf"Fl -{name}( |$)", line)]
    wanted = ".It " + (f"Fl {letter} , " if letter else "") + f"Fl -{name}"
    wanted += " Ar " + argument.replace("|", " | ") if argument else ""
    if not items or any(item != wanted for item in items):
        problems.append(f"holdfast.1: --{name} is described by {items}, not by \"{wanted}\"")
    for choice in filter(None, choices.split(",")):
        if not re.search(rf"\.Cm ([a-z]+ , )*{choice}\b|\.Cm .*\b{choice}\b", section):
            problems.append(f"holdfast.1: --{name}: choice {choice} is missing")
    for command in filter(None, used_by.split(",")):
        shown = synopses.get(command, "")
        if not re.search(rf"Fl -{name}( |$)", shown) and not (letter and re.search(rf"Fl {letter}( |$)", shown)):
            problems.append(f"holdfast.1: the synopsis of {command} lacks --{name}")
for command, line in synopses.items():
    for name in re.findall(r"Fl -([a-z-]+)", line):
        if command not in next((o[4] for o in options if o[0] == name), "").split(","):
            problems.append(f"holdfast.1: the synopsis of {command} has --{name}, which the program refuses")
statuses = set(re.findall(r"^\.It (\d)$", man[man.index(".Sh EXIT STATUS"):], re.M))
if statuses != set("0123456"):
    problems.append("holdfast.1: exit statuses are not 0 to 6")

# ---- holdfast.conf(5) ----
conf = page("holdfast.conf.5")
items = dict(re.findall(r"^\.It Ic (\S+) Pq ([^\n]+(?:\n(?!\.It|\.El|\.Sh|\.Ss)[^\n]*)*)", conf, re.M))
compare("setting", {s[0] for s in settings}, set(items), "holdfast.conf.5")
for name, kind, required, default, choices, low, high in settings:
    head, _, text = items.get(name, "").partition("\n")
    wanted = kind + (", required" if required else "")
    if name in items and head != wanted:
        problems.append(f"holdfast.conf.5: {name} is \"{head}\", not \"{wanted}\"")
    stated = re.findall(r"^Default: (.*)\.$", text, re.M)
    if stated != ([default] if default else []):
        problems.append(f"holdfast.conf.5: {name}: default is stated as {stated}, not as \"{default}\"")
    for choice in filter(None, choices.split(",")):
        if not re.search(rf"\b{choice}\b", text):
            problems.append(f"holdfast.conf.5: {name}: choice {choice} is missing")

# ---- holdfast-format(5): every message as the .proto files have it ----
form = page("holdfast-format.5")
protos = pathlib.Path(root, "src/format/proto").glob("*.proto")
for line in (line for path in protos for line in path.read_text().splitlines()):
    field = re.match(r"  ?(.*?= \d+);", line)
    if field and field[1] not in form:
        problems.append(f"holdfast-format.5: lacks \"{field[1].strip()}\"")

# ---- help ----
for command in commands:
    shown = subprocess.run([program, "help"] + command.split(), check=True, capture_output=True, text=True).stdout
    for name, _, _, _, used_by in options:
        applies = not used_by or command in used_by.split(",")
        if applies != bool(re.search(rf"^ .*--{name}\b(?!-)", shown, re.M)):
            problems.append(f"help {command}: --{name} {'is missing' if applies else 'does not belong'}")

print("\n".join(problems) or f"{len(commands)} commands, {len(options)} options and {len(settings)} settings agree")
sys.exit(bool(problems))
