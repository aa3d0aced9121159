# SPDX-License-Identifier: Apache-2.0
"""Judge policies on robots that they were not trained on, and print the table of docs/randomization.md.

    ./myriad python docs/randomization/compare.py plain=plain_1.onnx,plain_2.onnx randomized=randomized_1.onnx,...

Each NAME=FILES is a column: exported policies of one task, one of each seed. `episodes`, `seed` (of the starts),
`engines`, `jobs` (processes at a time) and `output` (a JSON file) can be given, too. Every cell is a run of
`./myriad deploy`, on the CPU.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from omni.myriad.errors import MyriadError
from omni.myriad.files import write_json
from omni.myriad.places import child_environment
from omni.myriad.provenance import git_revision, machine, versions

ROBOTS: dict[str, dict[str, float]] = {
    "as trained": {},
    "masses x 0.7": {"mass": 0.7},
    "masses x 1.4": {"mass": 1.4},
    "friction x 0.4": {"friction": 0.4},
    "20 ms late": {"latency": 1.0},
    "30 ms late": {"latency": 1.5},
    "masses x 1.3, friction x 0.5, 20 ms late": {"mass": 1.3, "friction": 0.5, "latency": 1.0},
}
"""What is wrong with the robot, in the words of `./myriad deploy`; tasks here have control steps of 20 ms."""

ERRORS = {"linear_error": 0.3, "angular_error": 0.4}
"""Mean errors of an episode, in m/s and rad/s, below which a robot goes as it is told: twice those aimed at."""

OPTIONS = {"episodes": "20", "seed": "42", "engines": "mujoco,newton", "jobs": "", "output": "randomization.json"}
PLACES = {"mujoco": "MuJoCo", "newton": "Newton", "physx": "PhysX"}


def main(arguments: Sequence[str]) -> str:
    """Judge all, write what came out as JSON, and return it as a table."""
    given = dict(argument.split("=", 1) for argument in arguments)
    asked = {name: given.pop(name, default) for name, default in OPTIONS.items()}
    policies = {name: [Path(file) for file in files.split(",")] for name, files in given.items()}
    if missing := [str(file) for files in policies.values() for file in files if not file.is_file()]:
        raise MyriadError(f"There is no {missing[0]}: give exported policies, as NAME=FILE,FILE.")
    if not policies:
        raise MyriadError("There is nothing to compare: give exported policies, as NAME=FILE,FILE.")
    about = {**asked, "robots": ROBOTS, "machine": machine("cpu"), "versions": versions(), "git": git_revision()}
    about |= {"date": time.strftime("%Y-%m-%d")}
    todo = [(name, k, robot) for robot in ROBOTS for name, files in policies.items() for k in range(len(files))]
    rows: list[dict[str, Any]] = []

    def take(judged: list[dict[str, Any]]) -> None:
        rows.extend(judged)
        write_json(Path(asked["output"]), {**about, "rows": rows})  # after each, for whoever ends it early
        print(f"{len(rows)} of {len(todo) * len(asked['engines'].split(','))} judged", file=sys.stderr, flush=True)

    def judged(name: str, k: int, robot: str) -> list[dict[str, Any]]:
        return [{"policy": name, "number": k, **row} for row in judge(policies[name][k], robot, asked)]

    take(judged(*todo[0]))  # alone, so that kernels are compiled once
    with ThreadPoolExecutor(int(asked["jobs"] or len(os.sched_getaffinity(0)))) as pool:
        for done in as_completed([pool.submit(judged, *each) for each in todo[1:]]):
            take(done.result())
    return table(sorted(rows, key=lambda row: list(ROBOTS).index(row["robot"])))  # not as they came


def judge(file: Path, robot: str, asked: dict[str, str]) -> list[dict[str, Any]]:
    """Return how a policy did on a robot, by engine."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(file, folder))  # its report lies beside it
        settings = [f"{name}={value}" for name, value in ROBOTS[robot].items()]
        settings += [f"engine={asked['engines']}", f"episodes={asked['episodes']}", f"seed={asked['seed']}"]
        command = [sys.executable, "-m", "omni.myriad", "deploy", str(copy), *settings, "video=False"]
        done = subprocess.run(
            [*command, f"train_dir={folder}"], env=child_environment(), capture_output=True, text=True
        )
        if done.returncode:
            raise MyriadError(f"{file} with {robot}: {done.stderr.strip()[-300:]}")
        report = json.loads((copy.parent / f"{copy.stem}.deploy" / "deploy.json").read_text())
    found = {row["where"]: row for row in report["rows"]}
    kept = ("engine", "episodes", "reward_mean", "reward_std", "length_mean", "lasting", "said")
    rows = [(name, found[PLACES[name]]) for name in asked["engines"].split(",")]
    return [
        {"robot": robot, "where": name, **{key: row[key] for key in kept}, "success": success(row)}
        for name, row in rows
    ]


def success(row: dict[str, Any]) -> float:
    """Return the share of episodes without a fall in which the robot also went as it was told, where it was told so."""
    said = row["said"]
    if not ERRORS.keys() <= said.keys():
        return row["lasting"]
    good = [
        survived > 0.5 and all(said[name][k] < most for name, most in ERRORS.items())
        for k, survived in enumerate(said["success"])
    ]
    return sum(good) / len(good)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return a Markdown table: the share of episodes that succeeded, over all seeds, and their errors or rewards."""
    columns = [(where, name) for where in PLACES for name in dict.fromkeys(row["policy"] for row in rows)]
    cells: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        cells.setdefault((row["robot"], row["where"], row["policy"]), []).append(row)
    columns = [column for column in columns if any(key[1:] == column for key in cells)]
    heads = [f"{PLACES[where]}, {name}" for where, name in columns]
    lines = [f"| the robot | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for robot in dict.fromkeys(row["robot"] for row in rows):
        line = []
        for column in columns:
            found = cells.get((robot, *column), [])
            line.append(f"{statistics.fmean(row['success'] for row in found):.0%} ({_mean(found)})" if found else "")
        lines.append(f"| {robot} | {' | '.join(line)} |")
    return "\n".join(lines)


def _mean(rows: Sequence[dict[str, Any]]) -> str:
    """Return the mean errors of rows, or, where the task has none, their mean reward."""
    if not ERRORS.keys() <= rows[0]["said"].keys():
        return f"{statistics.fmean(row['reward_mean'] for row in rows):,.1f}"
    linear, angular = (statistics.fmean(error for row in rows for error in row["said"][name]) for name in ERRORS)
    return f"{linear:.2f} m/s, {angular:.2f} rad/s"


if __name__ == "__main__":
    try:
        print(main(sys.argv[1:]))
    except MyriadError as error:
        sys.exit(f"Error: {error}")
