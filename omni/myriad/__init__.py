# SPDX-License-Identifier: Apache-2.0
"""Myriad: reinforcement learning for robots, thousands at a time on one GPU.

Tasks import what they need from here: `RLTask`, `ArticulationView`, `RigidPrimView`, `CameraView`, and
`ObservationTerm`, `Noise`, `ImageTerm` and `ActionTerm`, with which they say what they observe and command;
`VelocityCommands` for robots that follow some, and `Symmetry` for those with a left and a right. The views are the
classes of the engine that runs, so they can be imported once `make_engine` has chosen one. `make` gives everybody else
a task as a gymnasium environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omni.myriad.app.make import make
    from omni.myriad.engine import ArticulationView, CameraView, RigidPrimView, Scene
    from omni.myriad.task.commands import VelocityCommands
    from omni.myriad.task.rl_task import RLTask
    from omni.myriad.task.symmetry import Symmetry
    from omni.myriad.task.terms import ActionTerm, ImageTerm, Noise, ObservationTerm

__version__ = "0.1.0"

__all__ = [
    "ActionTerm",
    "ArticulationView",
    "CameraView",
    "ImageTerm",
    "Noise",
    "ObservationTerm",
    "RLTask",
    "RigidPrimView",
    "Scene",
    "Symmetry",
    "VelocityCommands",
    "make",
]


def __getattr__(name: str) -> Any:
    # Lazily, so that `import omni.myriad` costs nothing and touches no physics.
    if name == "make":
        from omni.myriad.app.make import make

        return make
    if name == "RLTask":
        from omni.myriad.task.rl_task import RLTask

        return RLTask
    if name in ("ArticulationView", "CameraView", "RigidPrimView", "Scene"):
        from omni.myriad import engine

        return getattr(engine, name)
    if name in ("ActionTerm", "ImageTerm", "Noise", "ObservationTerm"):
        from omni.myriad.task import terms

        return getattr(terms, name)
    if name == "Symmetry":
        from omni.myriad.task.symmetry import Symmetry

        return Symmetry
    if name == "VelocityCommands":
        from omni.myriad.task.commands import VelocityCommands

        return VelocityCommands
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
