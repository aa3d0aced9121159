# SPDX-License-Identifier: Apache-2.0
"""Newton with its MuJoCo solver: open source throughout, and a whole control step in one CUDA graph."""

from omni.myriad.engine.camera.view import CameraView
from omni.myriad.engine.physx.views.articulation import ArticulationView
from omni.myriad.engine.physx.views.rigid_prim import RigidPrimView

from .engine import NewtonEngine

__all__ = ["ArticulationView", "CameraView", "RigidPrimView", "make"]

make = NewtonEngine
