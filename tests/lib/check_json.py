#!/usr/bin/env python3
"""A JSON document against holdfast(1): usage: ... | check_json.py PAGE COMMAND

Every member is one that the section JSON documents for the command, every documented one is there (but for those in
brackets), and each has its type. The bytes of names that are not UTF-8 are checked against what is shown of them.
"""
import base64
import json
import re
import sys

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
HEX = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")
NUMBER, TEXT, FLAG, WHEN, ID, TEXTS, OBJECTS, REAL, OBJECT = \
    "number", "text", "flag", "time", "id", "texts", "objects", "real", "object"
CHECKS = {
    NUMBER: lambda v: type(v) is int and v >= 0, TEXT: lambda v: isinstance(v, str), FLAG: lambda v: type(v) is bool,
    WHEN: lambda v: isinstance(v, str) and TIME.fullmatch(v), ID: lambda v: isinstance(v, str) and HEX.fullmatch(v),
    TEXTS: lambda v: isinstance(v, list) and all(isinstance(x, str) for x in v), REAL: lambda v: type(v) is float and v >= 0,
    OBJECT: lambda v: v is None or isinstance(v, dict),
    OBJECTS: lambda v: isinstance(v, list) and all(isinstance(x, dict) for x in v)}
TYPES = {
    WHEN: "time started mtime added delayed_until locked_until", ID: "id snapshot", FLAG: "pinned removed keep dry_run delivered incomplete collapsed",
    TEXT: "repository host person key_file file target check outcome detail role name group job error path type mode user "
          "link_target hard_link change event reason hold object problem level subject text channel destination",
    TEXTS: "targets classes sources warnings causes", REAL: "seconds",
    OBJECTS: "configurations channels online checks hosts jobs entries changes problems lost snapshots restores"}
TYPE = {name: kind for kind, names in TYPES.items() for name in names.split()}
# By command where one name means two things.
SPECIAL = {"check-config": {"jobs": TEXTS, "channels": TEXTS}, "forget": {"snapshots": TEXTS}, "pin": {"snapshots": TEXTS},
           "unpin": {"snapshots": TEXTS}, "verify": {"snapshots": NUMBER}, "heal": {"snapshots": NUMBER},
           "hook": {"status": TEXT},
           "restore": {"entries": NUMBER, "owner_differences": OBJECTS,
                       **dict.fromkeys("kind belongs_to owners".split(), TEXT)},
           "status": {"targets": OBJECTS, "snapshots": NUMBER, "pinned": NUMBER, "seconds": NUMBER, "command": TEXT,
                      **dict.fromkeys("health severity what todo class message".split(), TEXT),
                      **dict.fromkeys("known since last_success due_since next ended behind_since newest locks_end".split(), WHEN),
                      **dict.fromkeys("answers due overdue all past".split(), FLAG),
                      **dict.fromkeys("next_classes missing_snapshots".split(), TEXTS),
                      **dict.fromkeys("repositories by_class unconfigured_jobs acknowledged".split(), OBJECTS),
                      **dict.fromkeys("at_work last_run last_verify last_drill".split(), OBJECT)},
           "schedule": {"last_success": WHEN, "next": WHEN, "due_since": WHEN, "due": FLAG, "overdue": FLAG, "class": TEXT,
                        "schedules": OBJECTS},
           "schedule install": {"written": TEXTS}, "schedule uninstall": {"removed": TEXTS}}


def documented(page, command):
    section = page[page.index(".Sh JSON"):page.index(".Sh ENVIRONMENT")]
    for item in section.split(".It Cm ")[1:]:
        head, body = item.split("\n", 1)
        if command in head.split(" , "):
            must, may = set(re.findall(r'\\\(dq([a-z_]+)\\\(dq', body)), set()
            for optional, names in re.findall(r"^\.(Op )?Va (.*)$", body, re.M):
                (may if optional else must).update(re.findall(r"[a-z_]+", names))
            return must, may - must
    sys.exit(f"holdfast(1) documents no JSON of {command}")


def walk(value, command, seen, problems):
    if isinstance(value, list):
        for item in value:
            walk(item, command, seen, problems)
    if not isinstance(value, dict):
        return
    for name, v in value.items():
        if name.endswith("_base64"):
            shown, exact = value[name[:-7]], v
            for s, e in zip([shown] if isinstance(shown, str) else shown, [exact] if isinstance(exact, str) else exact):
                plain = base64.b64decode(e, validate=True)
                if re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), s.encode()) != plain:
                    problems.append(f"{name} {plain} is shown as {s}")
            continue
        seen.add(name)
        kind = SPECIAL.get(command, {}).get(name) or TYPE.get(name, NUMBER)
        if name == "repaired" and "problem" in value:
            kind = FLAG
        if not CHECKS[kind](v):
            problems.append(f"{name} is {json.dumps(v)}, not a {kind}")
        walk(v, command, seen, problems)


def main():
    with open(sys.argv[1]) as f:
        must, may = documented(f.read(), sys.argv[2])
    text = sys.stdin.read()
    if not text.endswith("\n"):
        sys.exit(f"the document has no end of line: {text!r}")
    seen, problems = set(), []
    walk(json.loads(text), sys.argv[2], seen, problems)
    problems += [f"{name} is not documented" for name in sorted(seen - must - may)]
    # A list without items shows no members.
    problems += [f"{name} is missing" for name in sorted(must - seen)]
    for problem in problems:
        print(f"{sys.argv[2]}: {problem}", file=sys.stderr)
    return bool(problems)


sys.exit(main())
