# SPDX-License-Identifier: Apache-2.0
"""G1Velocity: Unitree's humanoid G1, with all of its 29 joints, walks as it is told, on flat ground."""

from omni.myriad import Symmetry

from ._velocity import VelocityTracking


class G1Velocity(VelocityTracking):
    """99 observations, 29 actions, 20 s at 50 Hz."""

    robot = "g1"
    feet = ("left_foot", "right_foot")
    symmetry = Symmetry(swaps={"left_": "right_"}, flips=("*_roll*", "*_yaw*"))
