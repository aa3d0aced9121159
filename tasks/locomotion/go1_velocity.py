# SPDX-License-Identifier: Apache-2.0
"""Go1Velocity: Unitree's quadruped Go1 walks as it is told, on flat ground."""

from omni.myriad import Symmetry

from ._velocity import VelocityTracking


class Go1Velocity(VelocityTracking):
    """48 observations, 12 actions, 20 s at 50 Hz."""

    robot = "go1"
    feet = ("FL", "FR", "RL", "RR")
    symmetry = Symmetry(swaps={"FL_": "FR_", "RL_": "RR_"}, flips=("*_hip*",))
