# SPDX-License-Identifier: Apache-2.0
"""Two environments whose observation is the number of steps so far, to work values out by hand."""

from __future__ import annotations

from typing import Any

import torch

from tests.learn.rl_games.deterministic_env import CartPoleEnv


class CountingEnv(CartPoleEnv):
    """Rewards of 1; at the second step environment 0 runs out of time, and environment 1 falls."""

    def __init__(self) -> None:
        super().__init__(2)

    def reset(self) -> dict[str, torch.Tensor]:
        self.steps = 0
        return {"obs": self.obs_buf.zero_()}

    def step(self, actions: torch.Tensor) -> Any:
        self.steps += 1
        self.obs_buf.zero_()[:, 0] = self.steps
        dones = torch.full((2,), int(self.steps == 2))
        extras = {"time_outs": torch.tensor([self.steps == 2, False])}
        return {"obs": self.obs_buf}, torch.ones(2), dones, extras


# A critic whose value is the number of steps so far, gamma and lambda 0.5, three steps from 0:
#
#   V before each step 0, 1, 2; V after the last 3; V of the state in which environment 0 ran out of time 2.
#   The reward of the second step is 1, and with the value of what would have come after the time-out 1 + 0.5 * 2 = 2.
#   Errors r + 0.5 V' - V: 1 + 0.5 * 1 - 0 = 1.5; r - 1, since the episode ended: 1 or 0; 1 + 0.5 * 3 - 2 = 0.5.
#   Advantages error + 0.25 * next: 1.5 + 0.25 * (1 or 0); 1 or 0; 0.5. Returns are advantages + V.
REWARDS = [[1.0, 1.0], [2.0, 1.0], [1.0, 1.0]]
RETURNS = [[1.75, 1.5], [2.0, 1.0], [2.5, 2.5]]
REWARDS_WITHOUT = [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]
RETURNS_WITHOUT = [[1.5, 1.5], [1.0, 1.0], [2.5, 2.5]]
SETTINGS: dict[str, Any] = {
    "horizon_length": 3, "minibatch_size": 6, "gamma": 0.5, "tau": 0.5, "reward_shaper": {}, "clip_value": False,
    "normalize_input": False, "normalize_value": False,
}  # fmt: skip
