# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch
from rl_games.algos_torch.running_mean_std import RunningMeanStd as RlGamesRunningMeanStd

from omni.myriad.learn.rl_games.normalizer import RunningMeanStd


def test_update_by_hand() -> None:
    # One sample of mean 0 and variance 1 to start from; then 1 and 3: mean 2, variance 1.
    # Together: mean 4/3; scatter 1*1 + 1*2 + 2^2 * 1*2/3 = 17/3; variance 17/9.
    normalizer = RunningMeanStd((1,))
    normalizer.update(torch.tensor([[1.0], [3.0]]))
    torch.testing.assert_close(normalizer.running_mean, torch.tensor([4 / 3], dtype=torch.float64))
    torch.testing.assert_close(normalizer.running_var, torch.tensor([17 / 9], dtype=torch.float64))
    assert normalizer.count == 3


def test_what_is_not_absurd_is_left_as_it_is_to_the_bit() -> None:
    torch.manual_seed(0)
    normalizer = RunningMeanStd((3,))
    for _ in range(5):
        samples = torch.randn(256, 3).exp() * torch.tensor([1e-4, 1.0, 1e4])
        assert torch.equal(normalizer._within_reach(samples), samples)
        normalizer.update(samples)


def test_forward_feeds_nothing() -> None:
    normalizer = RunningMeanStd((3,)).train()
    normalizer(torch.randn(5, 3))
    assert normalizer.count == 1


def test_same_keys_and_numbers_as_rl_games() -> None:
    torch.manual_seed(0)
    samples = torch.randn(64, 3) * 3 + 1
    ours, theirs = RunningMeanStd((3,)), RlGamesRunningMeanStd((3,))
    ours.update(samples)
    theirs.train()
    normalized = theirs(samples)
    theirs.eval()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-6, atol=1e-6)
    ours.load_state_dict(theirs.state_dict())
    assert torch.equal(ours(samples), normalized)
    assert torch.equal(ours(samples, denorm=True), theirs(samples, denorm=True))
