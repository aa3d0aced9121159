# SPDX-License-Identifier: Apache-2.0
"""Train a task with each learner from the same numbers, for equal frames, and print the table of docs/learners.md.

    ./myriad python docs/learners/compare.py task=Cartpole sim_device=cpu seeds=1,2,3 output=cartpole.json

Other settings go to every run as they are. A seed's runs follow each other, so that a busy machine hinders all alike.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from omni.myriad.benchmark.machine import describe
from omni.myriad.files import write_json
from omni.myriad.provenance import git_revision, versions

LEARNERS = "rl_games,rsl_rl,skrl,sb3"


def main(arguments: list[str]) -> None:
    """Run all, write what came out as JSON, and print it as a table."""
    given = dict(argument.split("=", 1) for argument in arguments)
    learners = given.pop("learners", LEARNERS).split(",")
    seeds = given.pop("seeds", "1,2,3").split(",")
    output = Path(given.pop("output", "learners.json"))
    settings = [f"{name}={value}" for name, value in given.items()]
    runs: list[dict[str, Any]] = []
    about = {"settings": settings, "date": time.strftime("%Y-%m-%d"), "versions": versions(), "git": git_revision()}
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            for learner in learners:
                own = [f"learner={learner}", f"seed={seed}", f"train_dir={folder}", f"experiment={learner}_{seed}"]
                command = [sys.executable, "-m", "omni.myriad", "train", *settings, *own]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                summary = json.loads((Path(folder) / f"{learner}_{seed}" / "summary.json").read_text())
                del summary["checkpoint"]
                runs.append({"learner": learner, **summary})
                found = {**about, "machine": describe(summary["device"]), "runs": runs}
                write_json(output, found)  # after each run, for whoever ends it early
                print(learner, seed, summary["reward_mean"], summary["train_seconds"], file=sys.stderr)
    print(table(runs))


def table(runs: list[dict[str, Any]]) -> str:
    """Return a Markdown table of all runs, a row for each learner."""
    rows = ["| learner | reward at the end, by seed | best, mean | frames | training, s | frames/s |"]
    rows.append("|---|---|---|---|---|---|")
    for learner in dict.fromkeys(run["learner"] for run in runs):
        own = [run for run in runs if run["learner"] == learner]
        ends = ", ".join("-" if run["reward_mean"] is None else f"{run['reward_mean']:,.1f}" for run in own)
        best, seconds, speed = (
            statistics.mean(run[name] for run in own) for name in ("reward_best", "train_seconds", "frames_per_second")
        )
        frames = own[0]["frames"] / 1e6
        rows.append(f"| {learner} | {ends} | {best:,.1f} | {frames:.2f} M | {seconds:.1f} | {speed / 1e3:,.1f} k |")
    return "\n".join(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
