# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch

from omni.myriad.learn.rl_games.guard import all_finite, find_first_non_finite

NAN = float("nan")


def test_all_finite() -> None:
    good = torch.ones(2, 3)
    bad = torch.tensor([1.0, float("inf")])
    assert all_finite([good, torch.tensor([1, 2])])
    assert not all_finite([good, bad])
    assert find_first_non_finite([("observation", torch.ones(2, 3, 4)), ("reward", torch.ones(2, 3, 1))]) is None


def test_names_the_earliest() -> None:
    obs, reward = torch.ones(4, 8, 3), torch.ones(4, 8, 1)
    obs[2, 5, 1] = NAN
    reward[1, 7] = NAN
    found = find_first_non_finite([("observation", obs), ("reward", reward)])
    assert found is not None and found.phrase == "reward is not finite in environment 7, at step 1 of the rollout"
    reward[1, 7] = 1.0
    reward[2, 5] = NAN  # the observation comes first within a step
    found = find_first_non_finite([("observation", obs), ("reward", reward)])
    assert (
        found is not None
        and found.phrase == "observation is not finite in environment 5, column 1, at step 2 of the rollout"
    )


def test_names_the_first_few_of_many() -> None:
    obs = torch.ones(2, 9, 7)
    obs[0, 2:] = NAN
    found = find_first_non_finite([("observation", obs)])
    assert found is not None and (found.name, found.step, found.env_ids) == ("observation", 0, [2, 3, 4, 5, 6, 7, 8])
    assert found.phrase == (
        "observation is not finite in environments 2, 3, 4, 5, 6, ... (7 of 9), columns 0, 1, 2, 3, 4, ..., "
        "at step 0 of the rollout"
    )
