# SPDX-License-Identifier: Apache-2.0
"""What a run's folder says of it: read as data, whoever wrote it, and what is missing or broken there is left out."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from omni.myriad.errors import MyriadError

TERMS = "reward/"
"""What the columns of rewards' terms begin with."""
_EVERY_RUNS = (
    "epoch", "frames", "seconds", "reward_mean", "reward_best", "episode_length_mean", "episodes", "learning_rate",
    "frames_per_second", "faults",
)  # fmt: skip
_LOSSES = re.compile(r".*_(loss|seconds)|entropy|kl|action_std")
_NAMES = ("experiment", "checkpoint", "train_dir", "test", "wandb_", "episodes", "video", "rl_device", "output")
"""Settings that say where a run is, and not what it does."""


@dataclass(frozen=True)
class Run:
    """A run, by its folder.

    Args:
        folder: The folder.
    """

    folder: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.absolute().name

    @cached_property
    def about(self) -> dict[str, Any]:
        """What run.json says: task, engine, device, versions, machine, when it started."""
        return _json(self.folder / "run.json")

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What summary.json says; empty while it trains, and where it was killed."""
        return _json(self.folder / "summary.json")

    @cached_property
    def played(self) -> dict[str, Any]:
        """What play.json says of the episodes that were played without exploration."""
        return _json(self.folder / "play.json")

    @cached_property
    def columns(self) -> dict[str, np.ndarray]:
        """The columns of progress.csv by name, an element for each epoch; NaN where there is no number."""
        try:
            with open(self.folder / "progress.csv", newline="") as file:
                header, *rows = list(csv.reader(file)) or [[]]
        except (OSError, UnicodeDecodeError, csv.Error):
            return {}
        rows = [row for row in rows if len(row) == len(header)]
        return {name: np.array([_number(row[i]) for row in rows]) for i, name in enumerate(header)} if rows else {}

    @cached_property
    def settings(self) -> dict[str, str]:
        """All settings of config.yaml by key, as text."""
        try:
            text, loader = (self.folder / "config.yaml").read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text, loader)):
                return {}  # which can stand for more than a memory holds; we write none
            config = yaml.load(text, loader)
        except (OSError, yaml.YAMLError, UnicodeDecodeError, RecursionError):
            return {}
        found: dict[str, str] = {}
        _flatten(config, "", found)
        return {key: value for key, value in found.items() if not key.startswith(_NAMES)}

    def column(self, name: str) -> np.ndarray:
        """Return a column of progress.csv, one of NaN where it has none."""
        length = max(map(len, self.columns.values()), default=0)
        return self.columns.get(name, np.full(length, np.nan))

    def reported(self) -> list[str]:
        """Return the names of the columns that the task reports, without the terms of its reward."""
        return [name for name in self._own() if not name.startswith(TERMS) and not _LOSSES.fullmatch(name)]

    def losses(self) -> list[str]:
        """Return the names of the columns that the learner reports."""
        return [name for name in self._own() if _LOSSES.fullmatch(name) and not name.endswith("_seconds")]

    def _own(self) -> list[str]:
        return [name for name in self.columns if name not in _EVERY_RUNS]

    def last(self, name: str) -> float | None:
        """Return the last number of a column, None where it has none."""
        column = self.column(name)
        good = column[np.isfinite(column)]
        return float(good[-1]) if len(good) else None

    @property
    def status(self) -> str:
        """Return finished, interrupted or failed; without a summary, unfinished: it trains, or was killed."""
        return str(self.summary.get("status", "unfinished"))

    @property
    def task(self) -> str:
        """The task's name."""
        return str(self.about.get("task") or self.summary.get("task") or "?")

    def said(self, name: str, column: str | None = None) -> Any:
        """Return what the summary says of something, else the last number of a column of the record."""
        value = self.summary.get(name)
        return self.last(column or name) if value is None else value


def find_runs(train_dir: str) -> list[Run]:
    """Return the runs below a folder, the last started last."""
    runs = [Run(file.parent) for file in Path(train_dir).glob("*/run.json")]
    return sorted(runs, key=lambda run: (str(run.about.get("started", "")), run.name))


def find_run(name: str, train_dir: str) -> Run:
    """Return the run that a folder, or the name of one below `train_dir`, means.

    Raises:
        MyriadError: If there is none.
    """
    for folder in (Path(name).expanduser(), Path(train_dir) / name):
        if (folder / "run.json").is_file() or (folder / "progress.csv").is_file():
            return Run(folder)
    known = [run.name for run in find_runs(train_dir)]
    there = f"there are {', '.join(known[-8:])}" if known else f"{train_dir}/ holds none"
    raise MyriadError(f"{name} is no run: give its folder, or the name of one below {train_dir}/; {there}.")


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _flatten(value: Any, key: str, found: dict[str, str]) -> None:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            _flatten(item, f"{key}.{name}" if key else str(name), found)
    else:
        found[key] = str(value)
