# SPDX-License-Identifier: Apache-2.0
"""Humanoid: a robot with legs, arms and 21 joints runs ahead as fast as it can."""

import torch

from omni.myriad import Symmetry

from ._locomotion import Locomotion


class Humanoid(Locomotion):
    """OmniIsaacGymEnvs' Humanoid, to the number: 87 observations, 21 actions, 1000 steps at 60 Hz."""

    feet = ("left_foot", "right_foot")
    symmetry = Symmetry(
        swaps={"left": "right"},
        flips=("lower_waist:0", "pelvis", "*_foot:1"),
        signs={"foot_forces": (-1.0, 1.0, 1.0, 1.0, -1.0, -1.0)},
    )

    def post_reset(self) -> None:
        """Start with all joints at 0, as the robot is authored; views are off by 2e-7 rad, each engine's otherwise."""
        super().post_reset()
        self.initial_dof_pos.zero_()

    def cost_of_limits(self) -> torch.Tensor:
        """Charge for joints in the last hundredth of their range on either side, the strong ones most."""
        beyond = self.dof_pos_scaled.abs() - 0.98
        cost = self.task_config["env"]["jointsAtLimitCost"] * beyond / 0.02
        return ((beyond > 0.0) * cost * self.motor_effort_ratio).sum(-1)
