#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Train each task and hold its score against tests/bands.toml: python3 tests/check_bands.py brief --output results.

A run that is done already is held against the band of its task by --run: check_bands.py full Ant --run runs/Ant_...

Needs Python 3.11 and nothing else, so that it runs on the machine that starts the containers.
"""

from __future__ import annotations

import argparse
import csv
import json
import shlex
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Outcome:
    """How one task's training went.

    Attributes:
        task: Name of the task.
        seconds: Seconds that it took, start-up included.
        reward: Mean episode reward at the end, None without one.
        complaint: What is wrong, empty if nothing is.
    """

    task: str
    seconds: float
    reward: float | None
    complaint: str


def judge(reward: float | None, band: list[float]) -> str:
    """Return what is wrong with a score, nothing if it lies in its band.

    Args:
        reward: Mean episode reward.
        band: Lowest and highest that is right.
    """
    lowest, highest = band
    if reward is None:
        return "no episode ended"
    if not lowest <= reward <= highest:  # also where it is not a number
        return f"mean episode reward {reward:.1f} lies outside {lowest:g} to {highest:g}"
    return ""


def judge_time(progress: Path, goal: float, most: float) -> str:
    """Return what is wrong with the time that a training took to its goal, nothing if it was in time.

    Args:
        progress: The run's progress.csv.
        goal: Mean episode reward that has to be passed while training.
        most: Seconds of training within which it has to be.
    """
    with open(progress, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["reward_mean"]]
    seconds = next((float(row["seconds"]) for row in rows if float(row["reward_mean"]) >= goal), None)
    if seconds is None:
        return f"a mean episode reward of {goal:g} was never reached"
    return "" if seconds <= most else f"{goal:g} was reached after {seconds:.1f} s, not within {most:g} s"


def judge_run(run_dir: Path, band: dict[str, Any]) -> tuple[float | None, str]:
    """Return a run's mean episode reward at the end, and what is wrong with the run, nothing if it is in its band."""
    reward = json.loads((run_dir / "summary.json").read_text())["reward_mean"]
    complaint = judge(reward, band["reward"])
    if not complaint and "goal" in band:
        complaint = judge_time(run_dir / "progress.csv", band["goal"], band["seconds"])
    return reward, complaint


def check(task: str, band: dict[str, Any], launcher: list[str], runs: Path, output: Path) -> Outcome:
    """Train a task and judge its score; its summary and curve are copied to `output`."""
    name = f"bands_{task}_{time.strftime('%Y-%m-%d_%H-%M-%S')}"
    command = [*launcher, "train", f"task={task}", "seed=42", f"experiment={name}", *band["settings"]]
    print("$", shlex.join(command), flush=True)
    start = time.monotonic()
    code = subprocess.run(command).returncode
    seconds = time.monotonic() - start
    if code:
        return Outcome(task, seconds, None, f"training ended with exit code {code}")
    run_dir = runs / name
    reward, complaint = judge_run(run_dir, band)
    for file in ("summary.json", "curve.png", "progress.csv"):
        if (run_dir / file).is_file():
            shutil.copyfile(run_dir / file, output / f"{task}-{file}")
    return Outcome(task, seconds, reward, complaint)


def junit(suite: str, outcomes: list[Outcome]) -> str:
    """Return the outcomes in JUnit's XML."""
    root = ET.Element("testsuite", name=f"bands.{suite}", tests=str(len(outcomes)))
    root.set("failures", str(sum(bool(outcome.complaint) for outcome in outcomes)))
    for outcome in outcomes:
        case = ET.SubElement(root, "testcase", classname=f"bands.{suite}", name=outcome.task)
        case.set("time", f"{outcome.seconds:.1f}")
        if outcome.complaint:
            ET.SubElement(case, "failure", message=outcome.complaint)
        ET.SubElement(case, "system-out").text = f"mean episode reward {outcome.reward}"
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def main(argv: list[str] | None = None) -> int:
    """Check every task of a suite, and return 1 if any is outside its band."""
    import tomllib

    bands = tomllib.loads((ROOT / "tests/bands.toml").read_text())
    parser = argparse.ArgumentParser(description="Hold the scores of trainings against tests/bands.toml.")
    parser.add_argument("suite", choices=sorted(bands))
    parser.add_argument("tasks", nargs="*", help="by default all of the suite")
    parser.add_argument("--launcher", default="./myriad", help="how a verb is run, such as './myriad container run'")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs", help="where the runs' folders appear")
    parser.add_argument("--output", type=Path, default=Path("bands"), help="folder for junit.xml, summaries and curves")
    parser.add_argument("--run", type=Path, help="folder of a run of the one task that is named, instead of training")
    given = parser.parse_args(argv)
    suite = bands[given.suite]
    unknown = sorted(set(given.tasks) - set(suite))
    if unknown:
        parser.error(f"no band for {', '.join(unknown)}; there are: {', '.join(suite)}")
    if given.run:
        if len(given.tasks) != 1 or not (given.run / "summary.json").is_file():
            parser.error("--run needs one task and the folder of a finished run of it")
        reward, complaint = judge_run(given.run, suite[given.tasks[0]])
        print(f"{given.run}: {complaint or f'mean episode reward {reward:.1f}, as it should be'}")
        return int(bool(complaint))
    given.output.mkdir(parents=True, exist_ok=True)
    launcher = shlex.split(given.launcher)
    outcomes = [check(task, suite[task], launcher, given.runs, given.output) for task in given.tasks or suite]
    (given.output / "junit.xml").write_text(junit(given.suite, outcomes) + "\n")
    for outcome in outcomes:
        print(f"{outcome.task}: {outcome.complaint or f'mean episode reward {outcome.reward:.1f}, as it should be'}")
    return int(any(outcome.complaint for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
