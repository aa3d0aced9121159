# SPDX-License-Identifier: Apache-2.0
"""G1VelocityRough: Unitree's humanoid G1 walks as it is told over slopes, stairs and boxes."""

from .g1_velocity import G1Velocity


class G1VelocityRough(G1Velocity):
    """G1Velocity on a terrain, which is observed: 99 + 187 observations."""
