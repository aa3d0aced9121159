# SPDX-License-Identifier: Apache-2.0
"""Standalone PhysX: the engine that Isaac Sim runs, through the wheel `ovphysx`, on the CPU or CUDA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omni.myriad.engine.sim_config import SimConfig

if TYPE_CHECKING:
    from .engine import PhysXEngine
    from .views.articulation import ArticulationView
    from .views.rigid_prim import RigidPrimView

__all__ = ["ArticulationView", "RigidPrimView", "make"]


def make(sim_config: SimConfig) -> PhysXEngine:
    """Start standalone PhysX on `sim_device`."""
    try:
        from .engine import PhysXEngine
    except ImportError as error:
        from omni.myriad.errors import MyriadError

        raise MyriadError(f"Standalone PhysX is not installed ({error}): pip install -e '.[physx]'.") from None
    return PhysXEngine(sim_config)


def __getattr__(name: str) -> Any:
    # Views need pxr and torch, which `make` checks for first.
    if name == "ArticulationView":
        from .views.articulation import ArticulationView

        return ArticulationView
    if name == "RigidPrimView":
        from .views.rigid_prim import RigidPrimView

        return RigidPrimView
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
