# SPDX-License-Identifier: Apache-2.0
"""The table that compares a policy in several places, and the files beside it."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from omni.myriad.deploy.episodes import Episodes
from omni.myriad.files import write_json
from omni.myriad.provenance import git_revision, versions


@dataclass
class Row:
    """How a policy did in one place.

    Args:
        where: The place.
        engine: Its engine and version.
        episodes: How many were played.
        reward_mean: Mean sum of rewards of an episode.
        reward_std: Its standard deviation.
        length_mean: Mean length in control steps.
        length_min: Length of the shortest.
        forward_speed: Distance along x over time in m/s, all episodes together; None for a base that does not move.
        rewards: Of each episode, in the order of the starts.
    """

    where: str
    engine: str
    episodes: int
    reward_mean: float
    reward_std: float
    length_mean: float
    length_min: float
    forward_speed: float | None
    rewards: list[float]


@dataclass
class Report:
    """The rows of a comparison, of which the first is what the others are compared with.

    Args:
        file: The policy.
        task: Its task.
        episodes: Episodes in each place.
        seed: Seed of the starts.
        control_dt: Seconds of a control step.
    """

    file: Path
    task: str
    episodes: int
    seed: int
    control_dt: float
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    videos: dict[str, Path] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the report goes: <stem>.deploy beside the policy."""
        return self.file.absolute().parent / f"{self.file.stem}.deploy"

    def add(self, where: str, played: Episodes, engine: str = "") -> None:
        """Add a row about the episodes that were played in one place."""
        rewards = played.rewards.astype(np.float64)
        moves = bool(np.abs(played.distances).max() > 1e-3)  # a base held by the world stays where it is
        row = Row(
            where=where,
            engine=engine,
            episodes=len(rewards),
            reward_mean=float(rewards.mean()),
            reward_std=float(rewards.std()),
            length_mean=float(played.lengths.mean()),
            length_min=float(played.lengths.min()),
            forward_speed=float(played.distances.sum() / (played.lengths.sum() * self.control_dt)) if moves else None,
            rewards=rewards.tolist(),
        )
        self.rows.append(row)

    def write(self) -> None:
        """Print the table, and write it as JSON.

        Raises:
            MyriadError: If the folder cannot be written.
        """
        keys = ("reward_difference", "reward_difference_error")
        rows = [asdict(row) | dict(zip(keys, self._difference(row), strict=True)) for row in self.rows]
        report: dict[str, Any] = {
            "policy": self.file.name,
            "task": self.task,
            "seed": self.seed,
            "date": time.strftime("%Y-%m-%d"),
            "versions": versions(),
            "git": git_revision(),
            "rows": rows,
            "notes": self.notes,
            "videos": {name: path.name for name, path in self.videos.items()},
        }
        target = self.folder / "deploy.json"
        write_json(target, report)
        self._print()
        for path in [target, *self.videos.values()]:
            print(f"Written: {path}")

    def _difference(self, row: Row) -> tuple[float | None, float | None]:
        """Return how far a row's reward is from the first row's, and its standard error, as fractions of the first.

        Starts are the same, so that the error is that of the mean of differences between pairs; a single
        pair has none.
        """
        first = self.rows[0]
        if not first.reward_mean:
            return None, None
        pairs = np.subtract(row.rewards, first.rewards)
        error = float(pairs.std() / math.sqrt(len(pairs))) / abs(first.reward_mean) if len(pairs) > 1 else None
        return (row.reward_mean - first.reward_mean) / abs(first.reward_mean), error

    def _print(self) -> None:
        from rich.console import Console
        from rich.table import Table

        title = f"{self.task}: {self.episodes} episodes from the same starts, seed {self.seed}"
        table = Table(title=title, title_justify="left")
        for column in ("", "reward", "std", "difference", "steps", "fewest", "m/s ahead"):
            table.add_column(column, justify="left" if not column else "right")
        for row in self.rows:
            difference, error = self._difference(row) if row is not self.rows[0] else (None, None)
            table.add_row(
                row.where,
                f"{row.reward_mean:,.2f}",
                f"{row.reward_std:,.2f}",
                ("" if difference is None else f"{difference:+.2%}") + ("" if error is None else f" ±{error:.2%}"),
                f"{row.length_mean:,.1f}",
                f"{row.length_min:,.0f}",
                "" if row.forward_speed is None else f"{row.forward_speed:.2f}",
            )
        Console().print(table)
        for note in self.notes:
            print(note)
