# SPDX-License-Identifier: Apache-2.0
"""Rates and summaries, worked out by hand on a clock that a test turns."""

import pytest

from omni.myriad.benchmark import timing
from omni.myriad.learn.base import Epoch


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still but for `clock.now += seconds`."""

    class Clock:
        now = 100.0

    monkeypatch.setattr(timing.time, "perf_counter", lambda: Clock.now)
    return Clock


def test_rates_warm_up_fit_windows_and_count_the_wait_for_the_device(clock):
    made, queued = [], []

    def advance(steps):
        made.append(steps)
        queued.append(steps * 0.01)  # as on a GPU: queued at once, done when somebody waits

    def synchronize():
        clock.now += sum(queued)
        queued.clear()

    assert timing.rates(advance, synchronize, repeats=3, seconds=0.5, warm_up=20) == pytest.approx([100.0] * 3)
    assert made == [20, 8, 50, 50, 50]


def test_a_window_is_at_least_one_step(clock):
    made = []

    def advance(steps):
        made.append(steps)
        clock.now += 3.0 * steps

    assert timing.rates(advance, lambda: None, repeats=1, seconds=0.5, warm_up=1) == pytest.approx([1 / 3])
    assert made[-1] == 1


def test_summary():
    found = timing.summary([100.0, 90.0, 120.0])
    assert found == {"median": 100.0, "min": 90.0, "max": 120.0, "spread": 0.3, "values": [100.0, 90.0, 120.0]}
    assert timing.summary([1 / 3])["median"] == 0.333333


def test_grouped_rates_leave_the_warm_up_out():
    marks = [0.0, 10.0, 11.0, 12.0, 14.0, 16.0]
    assert timing.grouped_rates(marks, groups=2, warm_up=1) == [1.0, 0.5]
    assert timing.grouped_rates(marks, groups=1, warm_up=1) == [4 / 6]
    assert timing.grouped_rates(marks, groups=9, warm_up=3) == [0.5, 0.5], "no more groups than epochs"


def test_epoch_clock_follows_a_run_from_the_start_of_its_first_epoch(clock):
    epochs = timing.EpochClock()
    epochs.started("learner", "folder")
    clock.now += 9.0  # the learner gets ready
    first = Epoch(epoch_seconds=2.5)
    epochs(first)
    assert epochs.marks == [0.0, 2.5]
    assert epochs.epochs == [first]
    clock.now += 1.5
    epochs.tick()
    assert epochs.marks == [0.0, 2.5, 4.0]


def test_shares_add_up_and_count_nothing_below_zero():
    assert timing.shares({"physics": 3.0, "task": 1.0, "other": -0.01}) == {"physics": 0.75, "task": 0.25, "other": 0.0}
    assert timing.shares({"physics": 0.0}) == {"physics": 0.0}
