# SPDX-License-Identifier: Apache-2.0
"""What training a task costs beside Ant, on each engine, and where the time goes; print the table of docs/results.md.

    ./myriad python docs/results/costs.py minutes=12 output=costs.json

Each row is `./myriad benchmark task=... engine=... measure=train` in a process of its own, with so few epochs that
robots have learned little. Other settings go to every run as they are; `tasks` and `engines` say which ones. What does
not fit into `minutes` is left out.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from omni.myriad.files import write_json
from omni.myriad.provenance import git_revision

TASKS = (
    "Ant,Humanoid,Anymal,AnymalTerrain,Go1Velocity,G1Velocity,BallBalance,Quadcopter,Crazyflie,Ingenuity,FrankaReach"
)
PHASES = ("physics", "task", "policy", "update", "other")


def main(arguments: list[str]) -> None:
    """Measure all, write what was found after each, and print it as a table."""
    given = dict(argument.split("=", 1) for argument in arguments)
    tasks, engines = given.pop("tasks", TASKS).split(","), given.pop("engines", "physx,newton").split(",")
    output, minutes = Path(given.pop("output", "costs.json")), float(given.pop("minutes", "12"))
    settings = [f"{name}={value}" for name, value in ({"epochs": "15"} | given).items()]
    found: dict[str, Any] = {"settings": settings, "date": time.strftime("%Y-%m-%d"), "git": git_revision(), "runs": []}
    end = time.monotonic() + 60.0 * minutes
    for engine in engines:
        for task in tasks:
            left = (end - time.monotonic()) / 60.0
            if left < 0.2:
                print(f"{task} {engine}: left out", file=sys.stderr)
                continue
            with tempfile.TemporaryDirectory() as folder:
                what = [f"task={task}", f"engine={engine}", "measure=train", f"minutes={left:g}", f"output={folder}"]
                command = [sys.executable, "-m", "omni.myriad", "benchmark", *what, "name=one", *settings]
                ended = subprocess.run(command, check=False, capture_output=True, text=True)
                file = Path(folder) / "one.json"
                result = json.loads(file.read_text()) if file.is_file() else {}
            run = {"task": task, "engine": engine}
            for num_envs, entry in result.get("by_num_envs", {}).items():
                run |= {
                    "num_envs": int(num_envs),
                    **{key: entry["train"][key] for key in ("median", "spread", "phases")},
                }
                found |= {"machine": result["machine"], "versions": result["versions"]}
            if "median" not in run:
                run["error"] = (ended.stderr.strip().splitlines() or ["nothing was measured"])[-1][:120]
            found["runs"].append(run)
            write_json(output, found)
            print(task, engine, run.get("median", run.get("error")), file=sys.stderr, flush=True)
    print(table(found["runs"]))


def table(runs: list[dict[str, Any]]) -> str:
    """Return a Markdown table with a row for each run."""
    rows = ["| task | engine | num_envs | frames/s | of Ant's | " + " | ".join(PHASES) + " |", "|---" * 10 + "|"]
    ants = {run["engine"]: run["median"] for run in runs if run["task"] == "Ant" and "median" in run}
    for run in runs:
        if "median" not in run:
            rows.append(f"| {run['task']} | {run['engine']} | | {run['error']} |" + " |" * 6)
            continue
        of_ant = f"{run['median'] / ants[run['engine']]:.0%}" if run["engine"] in ants else ""
        parts = " | ".join(f"{run['phases'].get(phase, 0.0):.0%}" for phase in PHASES)
        speed = (
            f"{run['median'] / 1e3:,.0f} k ±{run['spread']:.0%}" if run["median"] >= 1e4 else f"{run['median']:,.0f}"
        )
        rows.append(f"| {run['task']} | {run['engine']} | {run['num_envs']:,} | {speed} | {of_ant} | {parts} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
