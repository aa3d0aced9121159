# SPDX-License-Identifier: Apache-2.0
"""Take times: rates over repeated windows, epochs by the wall clock, and what is said about a handful of values."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

_WARM_UP_STEPS = 64
_CALIBRATION_STEPS = 8


def rates(
    advance: Callable[[int], None], synchronize: Callable[[], None], repeats: int, seconds: float, warm_up: int
) -> list[float]:
    """Measure how many steps a second a loop makes, in windows of equal numbers of steps.

    Args:
        advance: Makes that many steps.
        synchronize: Waits until the device is done.
        repeats: Number of windows.
        seconds: Length of a window, roughly.
        warm_up: Steps made before anything is measured, at least.

    Returns:
        Steps per second in each window.
    """
    advance(max(warm_up, 1))
    synchronize()
    start = time.perf_counter()
    advance(_CALIBRATION_STEPS)
    synchronize()
    steps = max(1, round(seconds / ((time.perf_counter() - start) / _CALIBRATION_STEPS)))
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        advance(steps)
        synchronize()
        found.append(steps / (time.perf_counter() - start))
    return found


def warm_up_steps(seconds: float) -> int:
    """Return how many steps to warm up for: robots have landed by then, and shorter windows are for trying out."""
    return _WARM_UP_STEPS if seconds >= 0.5 else _CALIBRATION_STEPS


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Return median, extremes and all values; the spread is (max - min) / median."""
    median = statistics.median(values)
    return {
        "median": _rounded(median),
        "min": _rounded(min(values)),
        "max": _rounded(max(values)),
        "spread": round((max(values) - min(values)) / median, 4) if median else None,
        "values": [_rounded(value) for value in values],
    }


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def grouped_rates(marks: Sequence[tuple[float, int]], groups: int, warm_up: int) -> list[float]:
    """Turn a clock's marks into rates over groups of equal length.

    Args:
        marks: (seconds, count so far) at the start of each epoch.
        groups: Number of groups, at most as many as epochs remain.
        warm_up: Epochs left out at the start.

    Returns:
        Counts per second of each group; marks (0, 0), (1, 10), (2, 30), (3, 60) in one group without warm-up give 20.
    """
    kept = marks[warm_up:]
    epochs = len(kept) - 1
    groups = min(groups, epochs)
    edges = [round(i * epochs / groups) for i in range(groups + 1)] if groups > 0 else []
    return [(kept[last][1] - kept[first][1]) / (kept[last][0] - kept[first][0]) for first, last in pairwise(edges)]


class EpochClock:
    """Notes when each epoch starts, by the wall clock, whoever trains: it is announced to the environment.

    Args:
        env: Vectorised environment; its `set_env_frames` is listened to.

    Attributes:
        marks: (seconds since the first epoch began, epochs before), one for each epoch.
    """

    def __init__(self, env: Any) -> None:
        self.marks: list[tuple[float, int]] = []
        announce, starts = env.set_env_frames, []

        def listen(env_frames: int) -> None:
            starts.append(time.perf_counter())
            self.marks.append((starts[-1] - starts[0], len(self.marks)))
            announce(env_frames)

        env.set_env_frames = listen
