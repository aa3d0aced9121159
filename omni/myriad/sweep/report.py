# SPDX-License-Identifier: Apache-2.0
"""What came of a sweep, read from its runs' folders: a ranking, plots, and the best settings as YAML."""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from omni.myriad.errors import MyriadError
from omni.myriad.files import replacing, write_text
from omni.myriad.places import COMMAND
from omni.myriad.sweep.plan import Plan
from omni.myriad.sweep.space import Range, written
from omni.myriad.sweep.training import About, read_progress, runs

BEST = "best.yaml"

_SHOWN = 20  # rows of the ranking on the screen
_ENOUGH = 0.99  # of a training's frames: it ran to its end


@dataclass(frozen=True)
class Run:
    """One run of a sweep.

    Attributes:
        folder: Its folder.
        about: What it says of itself.
        frames: Environment steps at each epoch that has a score.
        scores: The sweep's metric there.
        status: "finished", "stopped" before its end, or "failed".
    """

    folder: Path
    about: About
    frames: list[float]
    scores: list[float]
    status: str


@dataclass(frozen=True)
class Entry:
    """Settings of the ranking, with all runs that tried them.

    Attributes:
        settings: The settings, without the seed.
        runs: Their runs, one for each seed.
        mean: Mean of the last scores.
        spread: Their standard deviation, 0 for one seed.
        frames: Environment steps of the run that had the fewest.
        is_whole: Whether every run came to its end.
    """

    settings: dict[str, Any]
    runs: list[Run]
    mean: float
    spread: float
    frames: float
    is_whole: bool


def load_runs(plan: Plan, folder: Path) -> list[Run]:
    """Return the runs of a sweep, in the order in which they began."""
    found = []
    for run, about in runs(folder):
        rows = [row for row in read_progress(run) if plan.options["metric"] in row]
        summary = run / "summary.json"
        finished = summary.exists() and json.loads(summary.read_text())["status"] == "finished"
        status = "failed" if about.failed else "finished" if finished else "stopped"
        found.append(
            Run(run, about, [row["frames"] for row in rows], [row[plan.options["metric"]] for row in rows], status)
        )
    return found


def rank(found: Sequence[Run]) -> list[Entry]:
    """Return the settings that were tried, the best first; those whose runs were stopped come behind the others.

    In a population a trial has several runs: its last counts.
    """
    last = {run.about.trial: run for run in found}
    groups: defaultdict[str, list[Run]] = defaultdict(list)
    for run in last.values():
        if run.scores and run.status != "failed":
            groups[json.dumps(_without_seed(run.about.settings), sort_keys=True)].append(run)
    entries = []
    for same in groups.values():
        scores = [run.scores[-1] for run in same]
        entries.append(
            Entry(
                _without_seed(same[0].about.settings),
                same,
                statistics.fmean(scores),
                statistics.stdev(scores) if len(scores) > 1 else 0.0,
                min(run.frames[-1] for run in same),
                all(run.status == "finished" for run in same),
            )
        )
    return sorted(entries, key=lambda entry: (not entry.is_whole, -entry.mean))


def _without_seed(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != "seed"}


def report(plan: Plan, folder: Path) -> None:
    """Print the ranking, and write it, the plots and the best settings into the sweep's folder.

    Raises:
        MyriadError: If no run has a score.
    """
    found = load_runs(plan, folder)
    entries = rank(found)
    if not entries:
        said = next((f": {run.folder.name}: {run.about.failed}" for run in found if run.about.failed), "")
        raise MyriadError(f"no training of {folder} came to a score{said}.")
    table, rows = _tables(plan, entries)
    write_text(folder / "ranking.csv", "".join(",".join(row) + "\n" for row in rows))
    Console().print(table)
    for run in found:
        if run.about.failed:
            print(f"{run.folder.name} failed: {run.about.failed}")
    _draw_history(plan, found, entries, folder / "history.png")
    pictures = ["history.png"]
    if short_names(plan):
        _draw_parallel(plan, entries, folder / "parallel.png")
        pictures.append("parallel.png")
    if any(run.about.parent for run in found):
        _draw_lineage(plan, found, folder / "lineage.png")
        pictures.append("lineage.png")
    best = folder / BEST
    write_text(best, _best(plan, entries[0]))
    print(f"Ranking: {folder / 'ranking.csv'}; plots: {', '.join(pictures)}")
    own = next((f" {text}" for text in plan.settings if text.startswith("task.task_path=")), "")
    print(f"Train the best: {COMMAND} train settings={best}{own}")
    print(f"Play it:        {COMMAND} play task={plan.task} checkpoint={entries[0].runs[0].folder}")


def _best(plan: Plan, entry: Entry) -> str:
    """Return the best settings, with those that all trainings shared, as `train settings=` reads them."""
    given = dict(text.split("=", 1) for text in plan.settings if not text.startswith(("~", "wandb_")))
    given.pop("task.task_path", None)  # says which code is run, which a file does not
    keys = {"task": plan.task} | given | {key: written(value) for key, value in entry.settings.items()}
    spread = f" +- {entry.spread:.4g} over {len(entry.runs)} seeds" if len(entry.runs) > 1 else ""
    names = ", ".join(run.folder.name for run in entry.runs)
    lines = [f"# {plan.options['metric']} {entry.mean:.6g}{spread} after {entry.frames:,.0f} frames: {names}"]
    if entry.runs[0].about.parent:
        lines.append("# as they were at the end: a population's settings change on the way, see lineage.png")
    return "\n".join([*lines, *(f"{key}: {value}" for key, value in keys.items()), ""])


def _tables(plan: Plan, entries: Sequence[Entry]) -> tuple[Table, list[list[str]]]:
    metric = plan.options["metric"]
    names = short_names(plan)
    table = Table(title=f"{plan.task}: {len(entries)} settings, by {metric}", title_justify="left")
    header = ["", metric, "+-", *names.values(), "frames", "runs"]
    for column in header:
        table.add_column(column, justify="right")
    rows = [["rank", metric, "deviation", *names, "frames", "ended", "runs"]]
    for place, entry in enumerate(entries, start=1):
        spread = f"{entry.spread:.4g}" if len(entry.runs) > 1 else ""
        values = [show(entry.settings.get(key)) for key in names]
        where = [run.folder.name for run in entry.runs]
        frames = f"{entry.frames:,.0f}" + ("" if entry.is_whole else " stopped")
        rows.append(
            [
                str(place), f"{entry.mean:.6g}", spread, *(f'"{written(entry.settings.get(key))}"' for key in names),
                f"{entry.frames:.0f}", str(entry.is_whole), " ".join(where),
            ]
        )  # fmt: skip
        if place <= _SHOWN:
            table.add_row(str(place), f"{entry.mean:,.1f}", spread, *values, frames, " ".join(where))
    return table, rows


def short_names(plan: Plan) -> dict[str, str]:
    """Return the last part of each key that is swept over, by key; the whole key where two end alike."""
    keys = [key for key in plan.space if key != "seed"]
    last = [key.rpartition(".")[2] for key in keys]
    return {key: name if last.count(name) == 1 else key for key, name in zip(keys, last, strict=True)}


def show(value: Any) -> str:
    """Return a value for people: numbers with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else written(value)


# -- plots ------------------------------------------------------------------------------------------------------------


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def _save(figure: Any, path: Path) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary)


def _colours(scores: Sequence[float]) -> Any:
    """Return what gives a score its colour: the range leaves out the worst tenth, which may be far away."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    low = sorted(scores)[len(scores) // 10]
    high = max(scores)
    return ScalarMappable(Normalize(low, high if high > low else low + 1.0), "viridis")


def _draw_history(plan: Plan, found: Sequence[Run], entries: Sequence[Entry], path: Path) -> None:
    """Draw each run's score against frames, and the settings' scores in the order in which they were tried."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    colours = _colours([entry.mean for entry in entries])
    figure = _figure(11, 4.2)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    best = {run.folder for run in entries[0].runs}
    for run in found:
        if run.scores:
            is_best = run.folder in best
            left.plot(
                run.frames, run.scores, color="#d62728" if is_best else colours.to_rgba(run.scores[-1]),
                linewidth=2.0 if is_best else 1.0, zorder=3 if is_best else 2,
                label="best" if is_best and run.folder == entries[0].runs[0].folder else None,
            )  # fmt: skip
            if run.status != "finished" and len(run.scores):
                left.plot(run.frames[-1], run.scores[-1], "x", color="#666666", markersize=4)
    left.set_xlabel("frames (a cross: stopped there)")
    left.set_ylabel(plan.options["metric"])
    left.xaxis.set_major_formatter(EngFormatter(sep=" "))
    left.legend(frameon=False, loc="lower right")
    order = sorted(entries, key=lambda entry: entry.runs[0].folder.name)
    numbers = range(1, len(order) + 1)
    reached, line = -math.inf, []
    for entry in order:
        reached = max(reached, entry.mean if entry.is_whole else -math.inf)
        line.append(reached if math.isfinite(reached) else math.nan)
    right.errorbar(
        numbers, [entry.mean for entry in order], [entry.spread for entry in order], fmt="none", ecolor="#999999"
    )
    right.scatter(
        numbers, [entry.mean for entry in order], c=[colours.to_rgba(entry.mean) for entry in order], zorder=3,
        s=[28 if entry.is_whole else 10 for entry in order],
    )  # fmt: skip
    right.step(numbers, line, where="post", color="#d62728", linewidth=1.0)
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.set_xlabel("settings, as they began (small: stopped early)")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{plan.task}: {len(found)} runs")
    _save(figure, path)


def _draw_parallel(plan: Plan, entries: Sequence[Entry], path: Path) -> None:
    """Draw each settings as a line through one axis per setting to its score."""
    names = short_names(plan)
    metric = plan.options["metric"]
    axes_of = [
        (name, *_places(plan.space[key], [entry.settings[key] for entry in entries])) for key, name in names.items()
    ]
    means = [entry.mean for entry in entries]
    low, high = min(means), max(means)
    width = high - low or 1.0
    axes_of.append((metric, [(mean - low) / width for mean in means], [(0.0, f"{low:,.4g}"), (1.0, f"{high:,.4g}")]))
    colours = _colours(means)
    figure = _figure(max(5.0, 1.9 * len(axes_of) + 1.5), 4.2)
    axes = figure.subplots()
    for index in reversed(range(len(entries))):  # the best on top
        line = [places[index] for _, places, _ in axes_of]
        axes.plot(
            range(len(axes_of)), line, color="#d62728" if index == 0 else colours.to_rgba(means[index]),
            linewidth=2.2 if index == 0 else 1.2, alpha=1.0 if entries[index].is_whole else 0.35,
        )  # fmt: skip
    for position, (_, _, ticks) in enumerate(axes_of):
        axes.axvline(position, color="#333333", linewidth=0.8)
        for height, text in ticks:
            axes.annotate(
                text, (position, height), xytext=(4, 0), textcoords="offset points", fontsize=8, va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
            )  # fmt: skip
    axes.set_xticks(range(len(axes_of)), [name for name, _, _ in axes_of])
    axes.set_yticks([])
    axes.set_xlim(-0.15, len(axes_of) - 0.6)
    axes.spines[:].set_visible(False)
    figure.suptitle(f"{plan.task}: settings and {metric} (red: the best; pale: stopped early)")
    _save(figure, path)


def _places(one: Range | list[Any], values: Sequence[Any]) -> tuple[list[float], list[tuple[float, str]]]:
    """Return where on an axis from 0 to 1 values are, and its ticks."""
    if not isinstance(one, Range):
        count = max(len(one) - 1, 1)
        return [one.index(value) / count for value in values], [(i / count, show(v)) for i, v in enumerate(one)]
    change = math.log if one.is_logarithmic else float
    low, high = map(change, one.ends)
    width = high - low or 1.0
    ends = [(0.0, show(one.ends[0])), (1.0, show(one.ends[1]))]
    return [(change(value) - low) / width for value in values], ends


def _draw_lineage(plan: Plan, found: Sequence[Run], path: Path) -> None:
    """Draw a population: a row for each trial, arrows where one took over another's weights, and how settings went."""
    from matplotlib.ticker import EngFormatter

    names = short_names(plan)
    trials = list(dict.fromkeys(run.about.trial for run in found))
    by_name = {run.folder.name: run for run in found}
    drawn = [run for run in found if run.scores]
    colours = _colours([score for run in drawn for score in run.scores])
    figure = _figure(11, 2.2 + 0.32 * len(trials) + 1.5 * len(names))
    panels = figure.subplots(
        1 + len(names), 1, sharex=True, squeeze=False, height_ratios=[1.2 + 0.32 * len(trials), *[1.5] * len(names)]
    )[:, 0]
    rows = panels[0]
    for run in drawn:
        row = trials.index(run.about.trial)
        rows.scatter(run.frames, [row] * len(run.frames), c=colours.to_rgba(run.scores), s=14, marker="s")
        rows.annotate(run.folder.name, (run.frames[0], row), xytext=(0, 6), textcoords="offset points", fontsize=7)
        parent = by_name.get(run.about.parent)
        if parent is not None:
            source = trials.index(parent.about.trial)
            rows.annotate(
                "", (run.frames[0], row), (run.frames[0], source),
                arrowprops={"arrowstyle": "->", "color": "#d62728", "shrinkA": 0, "shrinkB": 3},
            )  # fmt: skip
    rows.set_yticks(range(len(trials)), [f"trial {number}" for number in range(len(trials))])
    rows.set_ylim(len(trials) - 0.4, -0.8)
    figure.colorbar(colours, ax=rows, label=plan.options["metric"], aspect=12)
    for axes, (key, name) in zip(panels[1:], names.items(), strict=True):
        for run in drawn:
            value = run.about.settings[key]
            one = plan.space[key]
            height = value if isinstance(one, Range) else one.index(value)
            axes.plot([run.frames[0], run.frames[-1]], [height] * 2, color=colours.to_rgba(run.scores[-1]), linewidth=2)
        one = plan.space[key]
        if isinstance(one, Range):
            axes.set_yscale("log" if one.is_logarithmic else "linear")
        else:
            axes.set_yticks(range(len(one)), [show(value) for value in one])
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
    panels[-1].set_xlabel("frames")
    panels[-1].xaxis.set_major_formatter(EngFormatter(sep=" "))
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{plan.task}: a population of {len(trials)}; an arrow: weights were taken over")
    _save(figure, path)
