# SPDX-License-Identifier: Apache-2.0
"""Compare two sweeps member by member at equal frames, as the table in docs/sweeps.md does.

    ./myriad python docs/sweeps/compare.py runs/DEFAULT runs/POPULATION output=ant.json

A member's curve is its run's, behind those of the runs whose weights it took over. Its score is the mean of
`reward_mean` over the last 5 % of the frames that the shortest curve of both sweeps has.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

from omni.myriad.files import write_json
from omni.myriad.sweep.training import read_progress, runs

Curve = list[dict[str, float]]


def main(arguments: list[str]) -> None:
    """Write both sweeps' scores, settings and lineage as JSON, and print the scores."""
    settings = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    folders = [Path(argument) for argument in arguments if "=" not in argument]
    sweeps = {folder.name: members(folder) for folder in folders}
    frames = min(curve[-1]["frames"] for sweep in sweeps.values() for curve in sweep.values())
    found: dict[str, Any] = {"frames_each": frames, "score": "mean of reward_mean over the last 5 % of these frames"}
    for folder in folders:
        scores = {name: round(score(curve, frames), 1) for name, curve in sweeps[folder.name].items()}
        of_runs = {run.name: about_run(run, about) for run, about in runs(folder)}
        found[folder.name] = {"scores": scores, "runs": of_runs}
        print(f"{folder.name}, {frames / 1e6:.2f} M frames each:", *sorted(scores.values(), reverse=True))
    write_json(Path(settings.get("output", "compared.json")), found)


def members(folder: Path) -> dict[str, Curve]:
    """Return the curve of each member of a sweep that has one, by the name of its last run."""
    found = {run.name: (run, about) for run, about in runs(folder)}

    def curve(name: str, until: float = float("inf")) -> Curve:
        run, about = found[name]
        own = [row for row in read_progress(run) if "reward_mean" in row and row["epoch"] <= until]
        return (curve(about.parent, about.parent_epoch) if about.parent else []) + own

    last = {about.trial: name for name, (_, about) in found.items()}
    curves = {name: curve(name) for name in last.values()}
    return {name: rows for name, rows in curves.items() if rows}


def score(curve: Curve, frames: float) -> float:
    """Return the mean reward of a curve over the last 5 % of so many frames."""
    return statistics.fmean(row["reward_mean"] for row in curve if 0.95 * frames <= row["frames"] <= frames)


def about_run(run: Path, about: Any) -> dict[str, Any]:
    """Return a run's settings, whom it took over from and after how many epochs, and how long it trained."""
    rows = read_progress(run)
    parent = {"parent": about.parent, "parent_epoch": about.parent_epoch} if about.parent else {}
    return {"settings": about.settings, "seconds": rows[-1].get("seconds") if rows else None, **parent}


if __name__ == "__main__":
    main(sys.argv[1:])
