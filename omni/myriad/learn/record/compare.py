# SPDX-License-Identifier: Apache-2.0
"""Several runs beside each other: curves over seeds with bands, the settings that differ, and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from omni.myriad.files import replacing, write_text
from omni.myriad.learn.record.charts import COLOURS, Line, chart
from omni.myriad.learn.record.history import TERMS, Run
from omni.myriad.learn.record.page import clock, number, page

_POINTS = 300  # at which runs of a group are averaged
_SEED = ("seed", "train.params.seed")


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but their seeds.

    Args:
        name: What tells them from others.
        runs: At least one.
    """

    name: str
    runs: list[Run]

    def line(self, y_name: str, x_name: str = "frames") -> Line:
        """Return the mean of a column over the runs, as far as all of them go, in a band from the least to the most."""
        curves = []
        for run in self.runs:
            x, y = run.column(x_name), run.column(y_name)
            good = np.isfinite(x) & np.isfinite(y)
            curves.append((x[good], y[good]))
        if any(not len(x) for x, _ in curves):
            return Line(self.name, np.zeros(0), np.zeros(0))
        if len(curves) == 1:
            return Line(self.name, *curves[0])
        x = np.linspace(max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves), _POINTS)
        every = np.stack([np.interp(x, *curve) for curve in curves])
        return Line(self.name, x, every.mean(axis=0), (every.min(axis=0), every.max(axis=0)))


def differing(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return the settings that are not the same in all runs, by key: what each has, an empty text where it has none."""
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    values = {key: [run.settings.get(key, "") for run in runs] for key in keys}
    return {key: each for key, each in values.items() if len({*each}) > 1}


def groups(runs: Sequence[Run]) -> list[Group]:
    """Put runs together that differ in their seeds alone, and name them after the settings that tell them apart."""
    apart = {key: values for key, values in differing(runs).items() if key not in _SEED}
    found: dict[tuple[str, ...], list[int]] = {}
    for index, run in enumerate(runs):
        # A run whose settings cannot be read is like no other.
        key = (run.task, *(values[index] for values in apart.values())) if run.settings else (str(run.folder),)
        found.setdefault(key, []).append(index)
    several_tasks = len({run.task for run in runs}) > 1
    result = []
    for indices in found.values():
        first = runs[indices[0]]
        said = [f"{key.split('.')[-1]}={values[indices[0]]}" for key, values in apart.items()][:3]
        name = ", ".join(([first.task] if several_tasks else []) + said) if len(found) > 1 else first.task
        if not first.settings or not name or len(apart) > 3:
            name = first.name
        count = f" ({len(indices)} seeds)" if len(indices) > 1 else ""
        result.append(Group(name + count, [runs[index] for index in indices]))
    return result


def write_comparison(runs: Sequence[Run], output: Path) -> tuple[Path, Path]:
    """Write a page and a picture that compare runs, and return their paths.

    Args:
        runs: At least one.
        output: The files without their suffixes.

    Raises:
        MyriadError: If they cannot be written.
    """
    together = groups(runs)
    html, png = (output.with_name(output.name + suffix) for suffix in (".html", ".png"))
    write_text(html, _page(runs, together))
    _draw(together, png)
    return html, png


def scores(run: Run) -> tuple[str, ...]:
    """Return a run's numbers as texts, in the order of `SCORES`."""
    names = ("reward_mean", "reward_best", "episode_length_mean")
    values = [number(run.said(name)) for name in names]
    played = number(run.played.get("reward_mean"))
    seconds = clock(run.said("train_seconds", "seconds"))
    return (*values, played, number(run.said("frames")), seconds, number(run.said("frames_per_second")))


SCORES = ("reward", "best", "length", "played", "frames", "training", "steps/s")


def _page(runs: Sequence[Run], together: Sequence[Group]) -> str:
    differs = differing(runs)
    curves = {
        "Mean episode reward": ("reward_mean", "frames"),
        "Mean episode reward by time": ("reward_mean", "seconds"),
        "Episode length (steps)": ("episode_length_mean", "frames"),
        "Steps per second": ("frames_per_second", "frames"),
        "KL divergence": ("kl", "frames"),
        "Learning rate": ("learning_rate", "frames"),
    }
    units = {"frames": "frames", "seconds": "training time (s)"}
    drawn = [chart(title, [g.line(y, x) for g in together], units[x]) for title, (y, x) in curves.items()]
    more = dict.fromkeys(name for run in runs for name in run.columns if name.startswith(TERMS))
    more |= dict.fromkeys(name for run in runs for name in run.reported())
    reported = [chart(name.removeprefix(TERMS), [g.line(name) for g in together], "frames") for name in more]
    sections: list[dict[str, Any]] = [
        {"title": "Curves", "charts": drawn, "note": _bands(together)},
        {"title": "Terms of the reward, and what the task reports", "charts": reported},
        {
            "title": "Scores",
            "header": ("", "runs", *SCORES[:4], "steps/s"),
            "rows": [_row(group) for group in together],
            "numbers": True,
            "note": "Mean and standard deviation over the runs of a group.",
        },
        {
            "title": "Runs",
            "header": ("", "status", "seed", *SCORES),
            "rows": [(run.name, run.status, number(run.summary.get("seed")), *scores(run)) for run in runs],
            "numbers": True,
        },
        {
            "title": "Settings that differ",
            "header": ("", *(run.name for run in runs)),
            "rows": [(key, *values) for key, values in differs.items()],
            "note": "" if differs else "None.",
        },
    ]
    return page(
        "Comparison of runs", [f"{len(runs)} runs of {', '.join(sorted({r.task for r in runs}))}"], [], sections
    )


def _bands(together: Sequence[Group]) -> str:
    several = any(len(group.runs) > 1 for group in together)
    return "Lines are means over the runs of a group, bands go from the least to the most of them." if several else ""


def _row(group: Group) -> tuple[str, ...]:
    def spread(values: Sequence[Any]) -> str:
        good = [float(value) for value in values if isinstance(value, (int, float))]
        if not good:
            return number(None)
        return number(float(np.mean(good))) + (f" ± {number(float(np.std(good)))}" if len(good) > 1 else "")

    said: Mapping[str, list[Any]] = {
        name: [run.said(name) for run in group.runs]
        for name in ("reward_mean", "reward_best", "episode_length_mean", "frames_per_second")
    }
    played = [run.played.get("reward_mean") for run in group.runs]
    columns = [spread(said[name]) for name in ("reward_mean", "reward_best", "episode_length_mean")]
    return (group.name, str(len(group.runs)), *columns, spread(played), spread(said["frames_per_second"]))


def _draw(together: Sequence[Group], path: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    figure = Figure(figsize=(10, 4.4), dpi=120, layout="constrained")
    for axes, x_name in zip(figure.subplots(1, 2, sharey=True), ("frames", "seconds"), strict=True):
        for index, group in enumerate(together):
            line, colour = group.line("reward_mean", x_name), COLOURS[index % len(COLOURS)]
            # A name is shown as it is: dollars begin no formula.
            axes.plot(line.x, line.y, color=colour, linewidth=1.8, label=line.name.replace("$", r"\$"))
            if line.band:
                axes.fill_between(line.x, *line.band, color=colour, alpha=0.16, linewidth=0)
        axes.set_xlabel("frames" if x_name == "frames" else "training time (s)")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(left=0)
    figure.axes[0].set_ylabel("mean episode reward")
    figure.axes[0].xaxis.set_major_formatter(EngFormatter(sep=" "))
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, max(1, len(labels))), frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary)
