# SPDX-License-Identifier: Apache-2.0
"""Take times: rates over repeated windows, epochs by the wall clock, and what is said about a handful of values."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omni.myriad.learn.base import Epoch

_CALIBRATION_STEPS = 8


def rates(
    advance: Callable[[int], None], synchronize: Callable[[], None], repeats: int, seconds: float, warm_up: int
) -> list[float]:
    """Measure how many steps per second a loop makes, in windows of equal numbers of steps.

    Args:
        advance: Makes that many steps.
        synchronize: Waits until the device is done.
        repeats: Number of windows.
        seconds: Length of a window, roughly.
        warm_up: Steps made before anything is measured, at least.

    Returns:
        Steps per second in each window.
    """

    def seconds_for(steps: int) -> float:
        start = time.perf_counter()
        advance(steps)
        synchronize()
        return time.perf_counter() - start

    seconds_for(max(warm_up, 1))
    steps = max(1, round(seconds / (seconds_for(_CALIBRATION_STEPS) / _CALIBRATION_STEPS)))
    return [steps / seconds_for(steps) for _ in range(repeats)]


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Return median, extremes and all values to 6 digits; the spread is (max - min) / median."""
    low, median, high = min(values), statistics.median(values), max(values)
    found = {name: float(f"{value:.6g}") for name, value in (("median", median), ("min", low), ("max", high))}
    spread = round((high - low) / median, 4) if median else None
    return {**found, "spread": spread, "values": [float(f"{value:.6g}") for value in values]}


def shares(seconds: dict[str, float]) -> dict[str, float]:
    """Turn seconds into fractions of their sum; what is negative by rounding of clocks counts as none."""
    positive = {name: max(value, 0.0) for name, value in seconds.items()}
    total = sum(positive.values()) or 1.0
    return {name: round(value / total, 4) for name, value in positive.items()}


def grouped_rates(marks: Sequence[float], groups: int, warm_up: int) -> list[float]:
    """Turn a clock's marks into epochs per second over groups of equally many epochs.

    Args:
        marks: Seconds at the start of the first epoch and at the end of each.
        groups: Number of groups, at most as many as epochs remain.
        warm_up: Epochs left out at the start.

    Returns:
        Epochs per second of each group; marks 0, 1, 2, 4 in one group without warm-up give 0.75.
    """
    kept = marks[warm_up:]
    epochs = len(kept) - 1
    groups = min(groups, epochs)
    edges = [round(i * epochs / groups) for i in range(groups + 1)] if groups > 0 else []
    return [(last - first) / (kept[last] - kept[first]) for first, last in pairwise(edges)]


class EpochClock:
    """Notes when epochs end, by the wall clock; follows our runs as their watch, others' by `tick`.

    Attributes:
        marks: Seconds since the first mark: one at the start of the first epoch, then one at the end of each.
        epochs: What each epoch of ours did.
    """

    def __init__(self) -> None:
        self.marks: list[float] = []
        self.epochs: list[Epoch] = []
        self._start = 0.0

    def tick(self, seconds_ago: float = 0.0) -> None:
        """Make a mark."""
        now = time.perf_counter() - seconds_ago
        self._start = self._start if self.marks else now
        self.marks.append(now - self._start)

    def started(self, learner: Any, run_dir: Any) -> None:
        """Do nothing: the first epoch begins when the learner is ready."""

    def __call__(self, epoch: Epoch) -> None:
        """Mark the end of an epoch."""
        if not self.marks:
            self.tick(epoch.epoch_seconds)
        self.epochs.append(epoch)
        self.tick()
