# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from omni.myriad.learn.record.meters import EpisodeMeter, ExtrasMeter
from omni.myriad.task.buffers import RewardTerms


def test_episodes_by_hand() -> None:
    meter = EpisodeMeter(num_envs=3, window=4, device="cpu")
    assert set(meter.means().values()) == {None}
    rewards = torch.tensor([1.0, 2.0, 3.0])
    meter.step(rewards, rewards * 10, torch.tensor([False, False, False]))
    meter.step(rewards, rewards * 10, torch.tensor([True, False, True]))
    meter.step(rewards, rewards * 10, torch.tensor([0, 1, 0], dtype=torch.uint8))
    # Finished: 2 steps of 1, 2 steps of 3, 3 steps of 2.
    assert meter.close_epoch(meter.finished.tolist()) == 3
    assert list(meter.means().values()) == pytest.approx([14 / 3, 140 / 3, 7 / 3])
    # The next epoch: environments 0 and 2 are one step into their second episode.
    meter.step(rewards, rewards * 10, torch.tensor([True, True, False]))
    # Finished: 2 steps of 1 and 1 step of 2, both of reward 2; a window of 4 keeps the weight of 2 of the first 3.
    assert meter.close_epoch(meter.finished.tolist()) == 2
    wanted = {
        "reward_mean": 14 / 3 * 2 + 4,
        "shaped_reward_mean": 140 / 3 * 2 + 40,
        "episode_length_mean": 7 / 3 * 2 + 3,
    }
    assert meter.means() == pytest.approx({name: total / 4 for name, total in wanted.items()})
    assert meter.close_epoch(meter.finished.tolist()) == 0


def test_window_smaller_than_an_epoch() -> None:
    meter = EpisodeMeter(num_envs=5, window=2, device="cpu")
    rewards = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    for scale in (100.0, 1.0):
        meter.step(rewards * scale, rewards, torch.ones(5))
        meter.close_epoch(meter.finished.tolist())
    assert meter.means()["reward_mean"] == 3.0  # of all five, not of two; nothing is left of the epoch before


def test_extras() -> None:
    meter = ExtrasMeter()
    value = torch.tensor(1.0)
    meter.step({"episode": {"a": value}}, "cpu")
    value.fill_(2.0)  # the task reuses its buffer
    meter.step({"episode": {"a": value, "b": 5.0}}, "cpu")
    assert {name: float(mean) for name, mean in meter.take().items()} == {"a": 1.5, "b": 5.0}
    assert meter.take() == {}


def test_terms_of_the_reward_are_averaged_over_environments_and_steps() -> None:
    terms = RewardTerms({"alive": 0.5, "speed": torch.zeros(2)}, 2, torch.device("cpu"))
    meter = ExtrasMeter()
    for speeds in ([1.0, 2.0], [3.0, 6.0]):
        total = terms.sum({"alive": 0.5, "speed": torch.tensor(speeds)})
        assert total.tolist() == [0.5 + speeds[0], 0.5 + speeds[1]]
        meter.step({"reward_terms": terms}, "cpu")
    assert {name: float(mean) for name, mean in meter.take().items()} == {"reward/alive": 0.5, "reward/speed": 3.0}
    assert float(meter.take()["reward/speed"]) == 0.0, "it starts again"
