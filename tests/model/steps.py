"""Runs a world of random steps: what the models have in common."""
import argparse
import json
import os
import shutil
import subprocess
import time


class Failure(Exception):
    pass


def but_for_collapse(status, said):
    """A backup of a source that got much smaller ends with 3, rightly; here it is as good as any."""
    return 0 if status == 3 and "has collapsed" in said else status


def run(make_world, programs, steps, factor, heading):
    """Each of `programs` is an argument; HOLDFAST_LONG takes `factor` times the steps and a new seed. Returns the status."""
    parser = argparse.ArgumentParser()
    for program in programs:
        parser.add_argument(program)
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", action="store_true", help="leave the folder when done")
    options = parser.parse_args()
    if os.environ.get("HOLDFAST_LONG"):
        options.steps, options.seed = factor * options.steps, int(time.time())
    world = make_world(options)
    number = 0
    try:
        for number in range(1, options.steps + 1):
            world.step()
        number = "the end"
        world.finish()
    except (Failure, subprocess.TimeoutExpired, KeyError, json.JSONDecodeError) as why:
        print(f"seed {options.seed}, step {number}: {type(why).__name__}: {why}\n\n{heading}:")
        print("\n".join(world.log))
        print(f"\nthe folder is {world.work}")
        return 1
    print(f"seed {options.seed}, {options.steps} steps: " + ", ".join(f"{n} {k}" for k, n in sorted(world.counts.items())))
    if not options.keep:
        shutil.rmtree(world.work)
    return 0
