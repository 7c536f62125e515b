#!/usr/bin/env python3
"""The manual and the program say the same: usage: check_docs.py HOLDFAST SOURCE_ROOT

Compares the tables that the parser and the configuration reader work from (`holdfast help --table`) with
holdfast(1) and holdfast.conf(5): every command, option, choice and setting is in its page, with the type and the default
of the table, and nothing else is.
"""
import json
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
# Hooks of a job have the settings of the hooks of a run: the page lists them once.
once = {(s[0].replace("hooks.", "jobs.hooks.", 1), *s[1:]) for s in settings if s[0].startswith("hooks.")}
settings = [s for s in settings if tuple(s) not in once]
if len(commands) < 10 or len(options) < 10 or len(settings) < 30:
    sys.exit("the program's table is too short to be true")

# ---- holdfast(1) ----
man = page("holdfast.1")
section = man[man.index(".Sh COMMANDS"):man.index(".Sh JSON")]
synopses = {}
for line in section.splitlines():
    match = re.match(r"\.It Cm ((?:host |schedule (?=install|uninstall))?[a-z-]+)(?: |$)", line)
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

# ---- holdfast-s3(7): every region under its provider, and the permissions of the policies as they are ----
s3 = page("holdfast-s3.7")
section = s3[s3.index(".Sh PROVIDERS"):s3.index(".Ss Addressing")]
listed = {}
for item in section.split(".It Ql ")[1:]:
    provider, _, text = item.partition("\n")
    listed.update((("S3_" + provider.upper(), word), True) for word in re.findall(r"[a-z0-9-]+", text))
regions = re.findall(r'\{(S3_[A-Z]+), "([a-z0-9-]+)", "[A-Z]{2}"\}', pathlib.Path(root, "src/storage/endpoint.c").read_text())
problems.extend(f"holdfast-s3.7: region {name} of {provider} is missing" for provider, name in regions
                if (provider, name) not in listed)
if len(regions) < 50:
    problems.append("src/storage/endpoint.c has too few regions to be true")

section = s3[s3.index(".Sh PERMISSIONS"):s3.index(".Sh OBJECT LOCK")]
common, *items = section[:section.index(".El")].split(".It Pa ")
policies = {path.name: json.loads(path.read_text()) for path in pathlib.Path(root, "etc/s3-policies").glob("*.json")}
described = dict(item.split("\n", 1) for item in items)
compare("policy", set(policies), set(described), "holdfast-s3.7")
for name, policy in policies.items():
    actions = {action for statement in policy["Statement"] for action in statement["Action"]}
    stated = set(re.findall(r"s3:[A-Za-z]+", common + described.get(name, "")))
    compare(f"{name}: permission", actions, stated, "holdfast-s3.7")
    for statement in policy["Statement"]:
        text = described.get(name, "") if statement["Effect"] == "Allow" else common
        places = {match[1] for resource in statement["Resource"] if (match := re.search(r"PREFIX([a-z]+)", resource))}
        problems.extend(f"holdfast-s3.7: {name}: {place} is missing" for place in places if not re.search(rf"\b{place}\b", text))

# ---- holdfast-databases(7): the jobs of the example, which a scenario runs ----
databases = page("holdfast-databases.7")
jobs = re.findall(r'name = "[a-z]+";\s+source = .*?keep', pathlib.Path(root, "etc/examples/databases.conf").read_text(), re.S)
problems.extend(f"holdfast-databases.7: is not as the example: {job}" for job in jobs
                if "".join(job.split()) not in "".join(databases.split()))
if len(jobs) != 4:
    problems.append("etc/examples/databases.conf: not all jobs were found")

# ---- help ----
for command in commands:
    shown = subprocess.run([program, "help"] + command.split(), check=True, capture_output=True, text=True).stdout
    for name, _, _, _, used_by in options:
        applies = not used_by or command in used_by.split(",")
        if applies != bool(re.search(rf"^ .*--{name}\b(?!-)", shown, re.M)):
            problems.append(f"help {command}: --{name} {'is missing' if applies else 'does not belong'}")

print("\n".join(problems) or f"{len(commands)} commands, {len(options)} options and {len(settings)} settings agree")
sys.exit(bool(problems))
