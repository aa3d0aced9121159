# SPDX-License-Identifier: Apache-2.0
"""The table that compares a policy in several places, and the files beside it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from omni.myriad.deploy.episodes import Episodes
from omni.myriad.files import write_json
from omni.myriad.provenance import git_revision, versions

_PLAIN = {"mass": 1.0, "friction": 1.0, "latency": 0.0}


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
        lasting: Share of episodes that only the step limit ended.
        forward_speed: Distance along x over time in m/s, all episodes together; None for a base that does not move.
        rewards: Of each episode, in the order of the starts.
        said: What the task says of each episode of a single robot, by name.
        reward_difference: How far the mean reward is from the first row's, as a fraction of that; None if that is 0.
        reward_difference_error: Its standard error. Starts are the same, so that it is that of the mean of differences
            between pairs; a single pair has none.
    """

    where: str
    engine: str
    episodes: int
    reward_mean: float
    reward_std: float
    length_mean: float
    length_min: float
    lasting: float
    forward_speed: float | None
    rewards: list[float]
    said: dict[str, list[float]]
    reward_difference: float | None = None
    reward_difference_error: float | None = None


@dataclass
class Report:
    """The rows of a comparison, of which the first is what the others are compared with.

    Args:
        file: The policy.
        task: Its task.
        episodes: Episodes in each place.
        seed: Seed of the starts.
        control_dt: Seconds of a control step.
        changed: Factors on masses and friction, and the latency in control steps, of the one robot.
    """

    file: Path
    task: str
    episodes: int
    seed: int
    control_dt: float
    changed: dict[str, float] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    videos: dict[str, Path] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the report goes: <stem>.deploy beside the policy."""
        return self.file.absolute().parent / f"{self.file.stem}.deploy"

    def add(self, where: str, played: Episodes, engine: str = "") -> None:
        """Add a row about the episodes that were played in one place."""
        rewards, (lengths, distances, lasted, said) = played.rewards.astype(np.float64), played[1:]
        moves = bool(np.abs(distances).max() > 1e-3)  # a base held by the world stays where it is
        row = Row(
            where=where,
            engine=engine,
            episodes=len(rewards),
            reward_mean=float(rewards.mean()),
            reward_std=float(rewards.std()),
            length_mean=float(lengths.mean()),
            length_min=float(lengths.min()),
            lasting=float(lasted.mean()),
            forward_speed=float(distances.sum() / (lengths.sum() * self.control_dt)) if moves else None,
            rewards=rewards.tolist(),
            said={name: values.tolist() for name, values in said.items()},
        )
        self.rows.append(row)
        first = self.rows[0]
        if scale := abs(first.reward_mean):
            row.reward_difference = (row.reward_mean - first.reward_mean) / scale
            if len(rewards) > 1:
                row.reward_difference_error = float((rewards - first.rewards).std() / len(rewards) ** 0.5) / scale

    def write(self) -> None:
        """Print the table, and write it as JSON.

        Raises:
            MyriadError: If the folder cannot be written.
        """
        target = self.folder / "deploy.json"
        report = {
            "policy": self.file.name,
            "task": self.task,
            "seed": self.seed,
            "date": time.strftime("%Y-%m-%d"),
            "versions": versions(),
            "git": git_revision(),
            "rows": [asdict(row) for row in self.rows],
            "changed": self.changed,
            "notes": self.notes,
            "videos": {name: path.name for name, path in self.videos.items()},
        }
        write_json(target, report)
        self._print()
        for path in [target, *self.videos.values()]:
            print(f"Written: {path}")

    def _print(self) -> None:
        from omni.myriad.app.tables import print_table

        rows = []
        for row in self.rows:
            difference, error = row.reward_difference, row.reward_difference_error
            against = ("" if difference is None else f"{difference:+.2%}") + ("" if error is None else f" ±{error:.2%}")
            mean, std, length, least = row.reward_mean, row.reward_std, row.length_mean, row.length_min
            speed = "" if row.forward_speed is None else f"{row.forward_speed:.2f}"
            numbers = (f"{mean:,.2f}", f"{std:,.2f}", against if rows else "", f"{length:,.1f}", f"{least:,.0f}")
            numbers += (f"{row.lasting:.0%}", speed)
            rows.append((row.where, *numbers))
        title = f"{self.task}: {self.episodes} episodes from the same starts, seed {self.seed}"
        columns = ("", "reward", "std", "difference", "steps", "fewest", "lasting", "m/s ahead")
        if all(row.forward_speed is None for row in self.rows):
            columns, rows = columns[:-1], [row[:-1] for row in rows]
        print_table(title, columns, rows)
        mass, friction, late = (self.changed.get(name, plain) for name, plain in _PLAIN.items())
        if self.changed and self.changed != _PLAIN:
            print(f"The one robot: masses x {mass:g}, friction x {friction:g}, commands {late:g} control steps late")
        for note in self.notes:
            print(note)
