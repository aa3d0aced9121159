# SPDX-License-Identifier: Apache-2.0
"""Ant: a four-legged robot runs ahead as fast as it can."""

import torch

from omni.myriad import Symmetry

from ._locomotion import Locomotion


class Ant(Locomotion):
    """OmniIsaacGymEnvs' Ant, to the number: 60 observations, 8 actions, 1000 steps at 60 Hz."""

    feet = ("front_left_foot", "front_right_foot", "left_back_foot", "right_back_foot")
    # "front_left" is ahead and left, and "right_back" ahead and right: the names go round. In the frames of the ankles,
    # whose x is the joint's axis, a mirror turns forces along x around, and torques about y and z.
    symmetry = Symmetry(
        swaps={"front_left": "right_back", "front_right": "left_back"},
        flips=("*_leg",),
        signs={"foot_forces": (-1.0, 1.0, 1.0, 1.0, -1.0, -1.0)},
    )

    def cost_of_limits(self) -> torch.Tensor:
        """Charge one for each joint at its upper limit."""
        return (self.dof_pos_scaled > 0.99).sum(-1)
