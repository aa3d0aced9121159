# SPDX-License-Identifier: Apache-2.0
from omni.isaac.wheeled_robots.robots import WheeledRobot


class BrokenTask(WheeledRobot):
    pass
