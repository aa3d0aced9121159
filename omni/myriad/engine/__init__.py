# SPDX-License-Identifier: Apache-2.0
"""The only room that knows a physics engine.

`make_engine` picks one; afterwards `ArticulationView` and `RigidPrimView` imported from here are that engine's classes,
so task files are the same on every engine. A task file is therefore imported only once the engine exists.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from omni.myriad.errors import MyriadError

from .base import ENV_0_PATH, ENVS_PATH, Engine, Scene
from .sim_config import SimConfig

if TYPE_CHECKING:
    from .physx import ArticulationView, RigidPrimView

__all__ = ["ENVS_PATH", "ENV_0_PATH", "ArticulationView", "Engine", "RigidPrimView", "Scene", "SimConfig", "make_engine"]

ENGINES = ("auto", "physx")

_selected = "physx"


def make_engine(sim_config: SimConfig) -> Engine:
    """Start the engine that the configuration asks for.

    Args:
        sim_config: The run's configuration; `engine.name` is one of `ENGINES`.

    Raises:
        MyriadError: If the engine is unknown or cannot run here.
    """
    global _selected
    name = sim_config.config["engine"]["name"]
    if name not in ENGINES:
        raise MyriadError(f"engine={name} is unknown; choose one of: {', '.join(ENGINES)}.")
    _selected = "physx" if name == "auto" else name
    return _package().make(sim_config)


def _package() -> Any:
    return importlib.import_module(f"{__name__}.{_selected}")


def __getattr__(name: str) -> Any:
    if name in ("ArticulationView", "RigidPrimView"):
        return getattr(_package(), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
