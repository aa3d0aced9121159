# SPDX-License-Identifier: Apache-2.0
"""Standalone PhysX: the engine that Isaac Sim runs, through the wheel `ovphysx`, on the CPU or CUDA."""

from omni.myriad.engine.camera.view import CameraView

from .engine import PhysXEngine
from .views.articulation import ArticulationView
from .views.rigid_prim import RigidPrimView

__all__ = ["ArticulationView", "CameraView", "RigidPrimView", "make"]

make = PhysXEngine
