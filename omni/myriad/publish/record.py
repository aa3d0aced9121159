# SPDX-License-Identifier: Apache-2.0
"""What trainings over several seeds came to: numbers, medians and the picture of their curves."""

from __future__ import annotations

import csv
import json
import shlex
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omni.myriad.files import replacing
from omni.myriad.places import COMMAND, IN_WHEEL, ROOT

FILES = ("checkpoint.pth", "curve.png", "film.mp4", "policy.onnx", "summary.json")
"""What a task's folder of `policies/` holds, beside `judged.json`."""

_OF_PLAY = ("reward_mean", "reward_std", "episode_length_mean", "episodes")
_NOT_OF_TASK = ("reward_", "episode_length_")
Curve = list[tuple[float, float, float]]
"""Frames, seconds and mean reward of each epoch in which there was one."""


def curve(run_dir: Path) -> Curve:
    """Return how a run's mean reward went, from its progress.csv."""
    with open(run_dir / "progress.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        (float(row["frames"]), float(row["seconds"]), float(row["reward_mean"])) for row in rows if row["reward_mean"]
    ]


def seconds_to(goal: float | None, points: Curve) -> float | None:
    """Return the seconds of training after which the mean reward was first at a goal, None where it never was."""
    return None if goal is None else next((seconds for _, seconds, reward in points if reward >= goal), None)


def of_run(run_dir: Path, goal: float | None) -> dict[str, Any]:
    """Return the numbers of one run, from its summary.json, run.json, progress.csv and play.json."""
    summary, played, run = (
        json.loads((run_dir / name).read_text()) for name in ("summary.json", "play.json", "run.json")
    )
    own = {
        name: value for name, value in played.items() if isinstance(value, float) and not name.startswith(_NOT_OF_TASK)
    }
    return {
        "seed": summary["seed"],
        **{name: played[name] for name in _OF_PLAY},
        **own,
        **{name: summary[name] for name in ("train_seconds", "frames", "num_envs", "device")},
        "reward_mean_while_training": summary["reward_mean"],
        "seconds_to_goal": seconds_to(goal, curve(run_dir)),
        "engine": run["engine"],
        "git": run["git"],
        "started": run["started"],
    }


def command_of(run_dir: Path, seeds: Sequence[Mapping[str, Any]], episodes: int) -> str:
    """Return the command that does it all again, from that of one of the trainings."""
    words = shlex.split(json.loads((run_dir / "run.json").read_text())["command"])[2:]
    settings = [word for word in words if word.partition("=")[0] not in ("seed", "experiment", "train_dir")]
    numbers = ",".join(str(seed["seed"]) for seed in seeds)
    return shlex.join([COMMAND, "publish", *settings, f"seeds={numbers}", f"episodes={episodes}"])


def machine_of(run_dir: Path) -> dict[str, Any]:
    """Return what a run was trained on."""
    return json.loads((run_dir / "run.json").read_text())["machine"]


def median_of(seeds: Sequence[Mapping[str, Any]]) -> int:
    """Return the index of the run whose played reward is the median; of an even number the lower of both."""
    order = sorted(range(len(seeds)), key=lambda index: seeds[index]["reward_mean"])
    return order[(len(order) - 1) // 2]


def medians(seeds: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return the median of each number; a goal that half of the seeds never reached has no seconds."""
    found: dict[str, float | None] = {}
    for name in seeds[0]:
        values: list[Any] = [seed.get(name) for seed in seeds]
        if name == "seconds_to_goal":
            value = statistics.median(float("inf") if value is None else value for value in values)
            found[name] = None if value == float("inf") else value
        elif name != "seed" and all(isinstance(value, int | float) for value in values):
            found[name] = statistics.median(values)
    return found


def goal_of(task: str) -> float | None:
    """Return the mean reward that the task's band in tests/bands.toml wants passed, None where it has none."""
    file = ROOT / "tests/bands.toml"
    if IN_WHEEL or not file.is_file():
        return None
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        return None
    return tomllib.loads(file.read_text())["full"].get(task, {}).get("goal")


def in_a_line(about: Mapping[str, Any]) -> str:
    """Say what the median of some seeds is."""
    median = about["median"]
    said = f"reward {median['reward_mean']:,.1f} played, {median['train_seconds']:.0f} s of training"
    if about["goal"] is not None:
        seconds = median["seconds_to_goal"]
        said += f", {about['goal']:,g} " + ("not reached" if seconds is None else f"after {seconds:.1f} s")
    return f"{said} (medians of {len(about['seeds'])} seeds)"


def draw_seeds(path: Path, curves: Mapping[int, Curve], title: str, goal: float | None) -> None:
    """Draw mean reward against frames and against seconds, a line for each seed.

    Args:
        path: The PNG to write.
        curves: By seed.
        title: Written above.
        goal: Drawn as a dashed line, if there is one.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    figure = Figure(figsize=(10, 4), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, column, label in ((left, 0, "frames"), (right, 1, "training time (s)")):
        for seed, points in curves.items():
            axes.plot([p[column] for p in points], [p[2] for p in points], linewidth=1.4, label=f"seed {seed}")
        if goal is not None:
            axes.axhline(goal, color="#999999", linewidth=0.8, linestyle="--", label=f"goal {goal:,g}")
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(left=0)
    left.set_ylabel("mean episode reward")
    left.xaxis.set_major_formatter(EngFormatter(sep=" "))
    right.legend(fontsize=8, frameon=False)
    figure.suptitle(title)
    with replacing(path) as temporary:
        figure.savefig(temporary)
