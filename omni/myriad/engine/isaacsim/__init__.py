# SPDX-License-Identifier: Apache-2.0
"""Isaac Sim: its World, GridCloner and views, headless, with a window, or inside a running Kit."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from omni.myriad.engine.sim_config import SimConfig
from omni.myriad.errors import MyriadError

from . import app

if TYPE_CHECKING:
    from .engine import IsaacSimEngine

__all__ = ["ArticulationView", "CameraView", "RigidPrimView", "make", "make_async"]  # pyright: ignore[reportUnsupportedDunderAll]

# Isaac Sim's own classes, newest place first: isaacsim.core since 4.5, omni.isaac.core before.
_VIEWS = {
    "ArticulationView": (
        ("isaacsim.core.prims", "Articulation"),
        ("omni.isaac.core.articulations", "ArticulationView"),
    ),
    "RigidPrimView": (("isaacsim.core.prims", "RigidPrim"), ("omni.isaac.core.prims", "RigidPrimView")),
    "CameraView": (("omni.myriad.engine.isaacsim.camera", "CameraView"),),  # Isaac Sim's with torch's tensors
}


def make(sim_config: SimConfig) -> IsaacSimEngine:
    """Start Isaac Sim, or take the one that this script has started, and open an empty stage in it.

    Raises:
        MyriadError: If Isaac Sim is not installed, or Kit runs the loop: there only `make_async` works.
    """
    app.start(sim_config)
    from .engine import IsaacSimEngine

    return IsaacSimEngine(sim_config)


async def make_async(sim_config: SimConfig) -> IsaacSimEngine:
    """Open an empty stage in the running Kit, on whose loop this has to be awaited.

    The task is built as elsewhere, but with `await engine.reset_async()` in the place of `engine.reset()`.
    """
    if not app.is_running():
        raise MyriadError("make_async needs a running Isaac Sim; a script of its own starts one with make.")
    from .engine import IsaacSimEngine

    return await IsaacSimEngine.join(sim_config)


def __getattr__(name: str) -> Any:
    if name not in _VIEWS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_first(*_VIEWS[name])


def import_first(*places: tuple[str, str]) -> Any:
    """Return the attribute of the first module that can be imported.

    Raises:
        MyriadError: If Isaac Sim runs but has none of them.
    """
    for module, attribute in places:
        try:
            return getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            # Only the module itself may be missing: an error inside it is not to be hidden.
            if not module.startswith(str(error.name)):
                raise
    names = " or ".join(f"{module}.{attribute}" for module, attribute in places)
    raise MyriadError(
        f"This Isaac Sim has no {names}: Myriad needs Isaac Sim 4.0 to 6.0 with its core extensions enabled."
    )
