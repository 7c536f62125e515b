#!/usr/bin/env python3
"""The alert rules, the dashboard and the manual name metrics that a run writes: usage: check_metrics.py PROM_FILE SOURCE_ROOT

PROM_FILE was written by a run with metrics.textfile. Also: the dashboard has what one that imports needs, and shows
every metric.
"""
import json
import pathlib
import re
import sys

written, root = pathlib.Path(sys.argv[1]).read_text(), pathlib.Path(sys.argv[2])
problems = []
metrics = set(re.findall(r"^# TYPE (holdfast_\w+) gauge$", written, re.M))
helped = set(re.findall(r"^# HELP (holdfast_\w+) .", written, re.M))
sampled = set(re.findall(r"^(holdfast_\w+)\{", written, re.M))
labels = set(re.findall(r"[{,](\w+)=\"", written))
if len(metrics) < 20 or helped != metrics or not sampled <= metrics:
    problems.append(f"{sys.argv[1]}: families without HELP, TYPE or name: {helped ^ metrics} {sampled - metrics}")


def compare(name, used):
    problems.extend(f"{name}: no run writes {metric}" for metric in sorted(used - metrics))


rules = (root / "etc/prometheus/holdfast.rules.yml").read_text()
compare("holdfast.rules.yml", set(re.findall(r"holdfast_\w+", re.sub(r"(summary|description):.*", "", rules))))
for label in re.findall(r"\$labels\.(\w+)", rules):
    if label not in labels:
        problems.append(f"holdfast.rules.yml: no metric has the label {label}")

manual = (root / "man/holdfast.conf.5").read_text()
manual = manual[manual.index(".Sh METRICS"):]
manual = manual[:manual.index(".Sh", 5)]
named = {"holdfast_" + word for line in re.findall(r"^\.Va (.*)$", manual, re.M) for word in re.findall(r"\w+", line)}
named -= {"holdfast_" + label for label in labels | {"job"}}
compare("holdfast.conf.5", named)
problems.extend(f"holdfast.conf.5: {metric} is missing" for metric in sorted(metrics - named))

board = json.loads((root / "etc/grafana/holdfast.json").read_text())
panels = board["panels"]
variables = {variable["name"] for variable in board["templating"]["list"]}
shown = set()
if len({panel["id"] for panel in panels}) != len(panels):
    problems.append("holdfast.json: two panels have one id")
if not all(board.get(key) for key in ("title", "uid", "schemaVersion")):
    problems.append("holdfast.json: title, uid or schemaVersion is missing")
places = set()
for panel in panels:
    where = f"holdfast.json: panel \"{panel['title']}\""
    grid = panel["gridPos"]
    cells = {(x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])}
    if grid["x"] + grid["w"] > 24 or cells & places:
        problems.append(f"{where} lies over another, or beyond the edge")
    places |= cells
    if panel["type"] == "row":
        continue
    if panel["datasource"] != {"type": "prometheus", "uid": "${datasource}"} or not panel["targets"]:
        problems.append(f"{where} asks no data source")
    for target in panel["targets"]:
        shown |= set(re.findall(r"holdfast_\w+", target["expr"]))
        for variable in re.findall(r"\$(\w+)", target["expr"]):
            if variable not in variables:
                problems.append(f"{where}: there is no variable {variable}")
        for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
            if label not in labels:
                problems.append(f"{where}: no metric has the label {label}")
compare("holdfast.json", shown)
# When it was lacking is in the age of it, and problems are counted from health.
problems.extend(f"holdfast.json: {metric} is not shown" for metric in
                sorted(metrics - shown - {"holdfast_job_last_success_age_seconds"}))

print("\n".join(problems))
sys.exit(bool(problems))
