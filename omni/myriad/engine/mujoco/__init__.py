# SPDX-License-Identifier: Apache-2.0
"""Plain MuJoCo, one environment on the CPU: the judge of policies. Importing this needs MuJoCo."""

from .camera import CameraView
from .engine import MujocoEngine
from .view import ArticulationView, RigidPrimView

__all__ = ["ArticulationView", "CameraView", "RigidPrimView", "make"]

make = MujocoEngine
