# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io

from rich.console import Console

from omni.myriad.learn.base import Epoch
from omni.myriad.learn.record.progress import Progress, sparkline


def make_epoch(number: int, reward: float | None = 1234.5) -> Epoch:
    return Epoch(
        epoch=number,
        frames=number * 1000,
        seconds=number * 2.0,
        epoch_seconds=2.0,
        physics_seconds=1.0,
        task_seconds=0.5,
        policy_seconds=0.1,
        update_seconds=0.4,
        epoch_frames=1000,
        episodes=3,
        reward_mean=reward,
        shaped_reward_mean=reward,
        episode_length_mean=reward,
        reward_best=reward,
        learning_rate=3e-4,
        clip_range=0.2,
        losses={"a_loss": 0.1, "kl": 0.008},
    )


def test_lines_when_not_a_terminal() -> None:
    file = io.StringIO()
    progress = Progress("Ant", 10, -1, Console(file=file, width=80))
    for number in range(1, 6):
        progress(make_epoch(number))
    progress.close()
    lines = file.getvalue().splitlines()
    assert len(lines) == 2  # the first, and at the end the last: all within a second
    assert lines[0].startswith("epoch 1/10  frames 1000  500 steps/s (physics 50%  task 25%  policy 5%  update 20%)")
    assert lines[1].endswith("reward 1,234.5 (best 1,234.5)  length 1,234.5  0:10 left")


def test_panel_in_a_terminal() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100)
    progress = Progress("Ant, 64 environments", -1, 20_000, console)
    for number in range(1, 6):
        progress(make_epoch(number, None if number < 3 else 100.0 * number))
    progress.close()
    recording = Console(file=io.StringIO(), record=True, width=100)
    recording.print(progress.panel(make_epoch(5)))
    text = recording.export_text()
    for piece in ("Ant, 64 environments", "25%", "0:30 left", "5000 of 20 k", "physics", "50%", "actor loss", "KL"):
        assert piece in text
    assert "Ant, 64 environments" in file.getvalue()


def test_no_episode_yet_and_no_end() -> None:
    progress = Progress("Ant", -1, -1, Console(file=io.StringIO()))
    progress(make_epoch(1, None))
    epoch = make_epoch(1, None)
    assert progress.line(epoch).endswith("reward - (best -)  length -  - left")
    epoch.reward_so_far = 12.34
    assert progress.line(epoch).endswith("reward 12.3 so far (best -)  length -  - left")


def test_sparkline() -> None:
    assert sparkline([1.0], 8) == ""
    assert sparkline([0.0, 7.0, 3.5], 8) == "▁█▅"
    assert sparkline([2.0, 2.0], 8) == "▁▁"
    assert len(sparkline([float(i) for i in range(100)], 8)) == 8
