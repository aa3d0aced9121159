# SPDX-License-Identifier: Apache-2.0
"""Go1VelocityRough: Unitree's quadruped Go1 walks as it is told over slopes, stairs and boxes."""

from .go1_velocity import Go1Velocity


class Go1VelocityRough(Go1Velocity):
    """Go1Velocity on a terrain, which is observed: 48 + 187 observations."""
