# SPDX-License-Identifier: Apache-2.0
"""The only room that knows a physics engine.

`make_engine` picks one; afterwards `ArticulationView`, `RigidPrimView` and `CameraView` imported from here are that
engine's classes, so task files are the same on every engine. A task file is therefore imported only once the engine
exists.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from omni.myriad.errors import MyriadError

from .base import ENV_0_PATH, ENVS_PATH, Engine, Scene
from .sim_config import SimConfig

if TYPE_CHECKING:
    from .physx import ArticulationView, CameraView, RigidPrimView

__all__ = [
    "ENVS_PATH",
    "ENV_0_PATH",
    "ArticulationView",
    "CameraView",
    "Engine",
    "RigidPrimView",
    "Scene",
    "SimConfig",
    "choose",
    "load",
    "make_engine",
    "make_engine_async",
]

ENGINES = ("auto", "isaacsim", "physx", "newton", "mujoco")

_package: Any = None
"""The package of the engine that was made last."""


def make_engine(sim_config: SimConfig) -> Engine:
    """Start the engine that the configuration asks for.

    Args:
        sim_config: The run's configuration; `engine.name` is one of `ENGINES`.

    Raises:
        MyriadError: If the engine is unknown or cannot run here.
    """
    global _package
    package = load(choose(sim_config))
    engine, _package = package.make(sim_config), package
    return engine


async def make_engine_async(sim_config: SimConfig) -> Engine:
    """Make an engine inside a running Isaac Sim, on Kit's own loop, where nothing may wait.

    Args:
        sim_config: The run's configuration.

    Raises:
        MyriadError: If Isaac Sim does not run in this process.
    """
    global _package
    package = load("isaacsim")
    engine, _package = await package.make_async(sim_config), package
    return engine


def choose(sim_config: SimConfig) -> str:
    """Return the engine that a configuration means, before any physics is imported.

    `auto` is Isaac Sim in a process that is it or can become it, else standalone PhysX.

    Raises:
        MyriadError: If the engine is unknown.
    """
    from .isaacsim import app

    name = sim_config.config["engine"]["name"]
    if name not in ENGINES:
        raise MyriadError(f"engine={name} is unknown; choose one of: {', '.join(ENGINES)}.")
    if name == "auto":
        return "isaacsim" if app.is_available() else "physx"
    return name


def load(name: str) -> Any:
    """Import the package of an engine.

    Raises:
        MyriadError: If what it needs is not installed.
    """
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ImportError as error:
        raise MyriadError(f"engine={name} is not installed ({error}): pip install -e '.[{name}]'.") from None


def __getattr__(name: str) -> Any:
    if name in ("ArticulationView", "CameraView", "RigidPrimView"):
        return getattr(_package or load("physx"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
