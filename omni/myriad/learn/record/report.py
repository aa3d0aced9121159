# SPDX-License-Identifier: Apache-2.0
"""report.html of a run: its curves, its film, what was set and where the time went, in one file that opens anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from markupsafe import Markup

from omni.myriad.files import write_text
from omni.myriad.learn.record.charts import Line, chart, stack
from omni.myriad.learn.record.history import TERMS, Run
from omni.myriad.learn.record.page import clock, inlined, number, page
from omni.myriad.places import COMMAND

FILE_NAME = "report.html"
_PHASES = ("physics", "task", "policy", "update")
_MOST_BYTES = 24 * 2**20  # of films in a page


def write_report(folder: Path) -> Path:
    """Write a run's report into its folder, and return its path.

    Args:
        folder: The run's folder; what is missing there is left out of the report.

    Raises:
        MyriadError: If it cannot be written.
    """
    path = folder / FILE_NAME
    write_text(path, report(Run(folder)))
    return path


def report(run: Run) -> str:
    """Return a run's report as HTML."""
    sections = [
        {"title": "Films", "films": _films(run.folder)},
        {"title": "Learning", "charts": _learning(run)},
        {
            "title": "Terms of the reward",
            "charts": [_terms(run)],
            "wide": True,
        },
        {"title": "What the task reports", "charts": _reported(run)},
        _spread(run),
        {"title": "The learner", "charts": _learner(run)},
        _time(run),
        _settings(run),
        {"title": "Machine", "rows": _machine(run.about)},
        {"title": "Files", "rows": _files(run.folder)},
        {"title": "Go on", "code": _commands(run)},
    ]
    about = [f"{run.status}, started {_started(run)}, on {run.about.get('engine', '?')}"]
    return page(f"{run.task}: {run.name}", about, _tiles(run), sections)


def _started(run: Run) -> str:
    return str(run.about.get("started", "?"))[:19].replace("T", " ")


def _tiles(run: Run) -> list[tuple[str, str]]:
    seconds = run.said("train_seconds", "seconds")
    tiles = {
        "mean episode reward": number(run.said("reward_mean")),
        "best": number(run.said("reward_best")),
        "played without exploration": number(run.played.get("reward_mean")),
        "episode length, steps": number(run.said("episode_length_mean")),
        "frames": number(run.said("frames")),
        "of training": clock(seconds),
        "steps per second": number(run.said("frames_per_second")),
        "environments": number(run.summary.get("num_envs")),
        "seed": number(run.summary.get("seed")),
    }
    return [(name, value) for name, value in tiles.items() if value != number(None)]


def _films(folder: Path) -> list[tuple[str, str, str]]:
    """Return the last film of training and that of playing, as far as a page can hold them; no links are followed."""
    films = sorted((folder / "films").glob("*.mp4"), key=lambda path: (len(path.name), path.name))[-1:]
    found, left = [], _MOST_BYTES
    for path in [folder / "play.mp4", *films]:
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= left:
            left -= path.stat().st_size
            found.append((path.name, "video", inlined(path)))
    return found


def _learning(run: Run) -> list[Markup]:
    frames, seconds = run.column("frames"), run.column("seconds")
    reward = run.column("reward_mean")
    return [
        chart("Mean episode reward", [Line("reward", frames, reward)], "frames"),
        chart("Mean episode reward", [Line("reward", seconds, reward)], "training time (s)"),
        _one(run, "episode_length_mean", "Episode length (steps)", from_zero=True),
        _one(run, "frames_per_second", "Steps per second", from_zero=True),
    ]


def _one(run: Run, name: str, title: str, from_zero: bool = False) -> Markup:
    return chart(title, [Line(name, run.column("frames"), run.column(name))], "frames", from_zero)


def _terms(run: Run) -> Markup:
    frames = run.column("frames")
    lines = [Line(name[len(TERMS) :], frames, column) for name, column in run.columns.items() if name.startswith(TERMS)]
    return chart("Mean per step over all environments", lines, "frames", from_zero=True)


def _reported(run: Run) -> list[Markup]:
    return [_one(run, name, name) for name in run.reported()]


def _learner(run: Run) -> list[Markup]:
    names = {"a_loss": "Actor loss", "c_loss": "Critic loss", "bounds_loss": "Bounds loss", "kl": "KL divergence"}
    names |= {"entropy": "Entropy", "cval_loss": "Central value loss"}
    return [
        *(_one(run, name, names.get(name, name)) for name in run.losses()),
        _one(run, "learning_rate", "Learning rate"),
    ]


def _spread(run: Run) -> dict[str, Any]:
    """Return the section on how episodes differ, as far as some were played."""
    played = run.played
    quantiles = played.get("reward_quantiles")
    rows = [
        (label, *(number(played.get(f"{name}_{part}")) for part in ("mean", "std", "min", "max")))
        for label, name in (("reward", "reward"), ("length in steps", "episode_length"))
        if played.get(f"{name}_mean") is not None
    ]
    figures = []
    if isinstance(quantiles, list) and len(quantiles) > 1 and all(isinstance(q, (int, float)) for q in quantiles):
        shares = np.linspace(0.0, 100.0, len(quantiles))
        line = Line("reward", shares, np.array(quantiles, float))
        figures.append(chart("Reward that so many percent of the episodes stay below", [line], "percent of episodes"))
    elif not rows:
        return {
            "title": "Spread of episodes",
            "note": f"Not known before it is played: {COMMAND} play task={run.task} checkpoint={run.folder}",
        }
    return {
        "title": f"Spread of {number(played.get('episodes'))} episodes, played without exploration",
        "header": ("", "mean", "standard deviation", "least", "most"),
        "rows": rows,
        "numbers": True,
        "charts": figures,
    }


def _time(run: Run) -> dict[str, Any]:
    seconds = run.column("seconds")
    phases = {name: run.column(f"{name}_seconds") for name in _PHASES}
    if not np.isfinite(seconds).any():
        return {"title": "Where the time went"}
    spent = {name: float(np.nansum(column)) for name, column in phases.items()}
    rest = float(seconds[-1] - seconds[0]) - sum(float(np.nansum(column[1:])) for column in phases.values())
    set_up = run.about.get("set_up_seconds")
    parts = [("scene and physics", float(set_up))] if isinstance(set_up, (int, float)) else []
    return {
        "title": "Where the time went",
        "charts": [stack([*parts, *spent.items(), ("the rest", max(rest, 0.0))], "s")],
        "wide": True,
    }


def _settings(run: Run) -> dict[str, Any]:
    differs = run.about.get("differs")
    if not isinstance(differs, dict):
        return {"title": "What differs from the defaults"}
    rows = [
        (Markup(".<wbr>").join(key.split(".")), *map(str, pair))  # a long key may go on below behind any dot
        for key, pair in differs.items()
        if isinstance(pair, list) and len(pair) == 2
    ]
    return {
        "title": "What differs from the task's defaults",
        "header": ("setting", "this run", "default"),
        "rows": rows,
        "note": "" if rows else "Nothing.",
    }


def _machine(about: dict[str, Any]) -> list[tuple[str, str]]:
    machine, versions = about.get("machine"), about.get("versions")
    rows = {**(machine if isinstance(machine, dict) else {}), "device": about.get("device")}
    rows |= {"versions": ", ".join(f"{name} {v}" for name, v in versions.items())} if isinstance(versions, dict) else {}
    rows |= {"revision": about.get("git"), "command": about.get("command")}
    return [(name.replace("_gib", ", GiB").replace("_", " "), str(v)) for name, v in rows.items() if v is not None]


def _files(folder: Path) -> list[tuple[Markup, str]]:
    """Return links to what is in the folder, relative, so that they hold wherever the folder is copied whole."""
    shown = ("checkpoints/*.pth", "exported/*", "films/*", "*.mp4", "*.yaml", "*.json", "*.csv", "curve.png", "fault*")
    files = [path for pattern in shown for path in sorted(folder.glob(pattern)) if path.is_file()]
    link = Markup('<a href="./{}">{}</a>')
    names = [(path.relative_to(folder).as_posix(), path.stat().st_size) for path in files]
    return [(link.format(quote(name), name), f"{number(size / 1024)} KiB") for name, size in names]


def _commands(run: Run) -> str:
    task, folder = run.task, run.folder
    return "\n".join(
        (
            f"{COMMAND} play task={task} checkpoint={folder} video=True",
            f"{COMMAND} export task={task} checkpoint={folder}",
            f"{COMMAND} train task={task} checkpoint={folder} experiment={run.name}  # resume",
        )
    )
