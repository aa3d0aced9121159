# SPDX-License-Identifier: Apache-2.0
"""Ant: a four-legged robot runs ahead as fast as it can."""

import torch

from ._locomotion import Locomotion


class Ant(Locomotion):
    """OmniIsaacGymEnvs' Ant, to the number: 60 observations, 8 actions, 1000 steps at 60 Hz."""

    feet = ("front_left_foot", "front_right_foot", "left_back_foot", "right_back_foot")

    def cost_of_limits(self) -> torch.Tensor:
        """Charge one for each joint at its upper limit."""
        return (self.dof_pos_scaled > 0.99).sum(-1)
