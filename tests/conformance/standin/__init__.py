# SPDX-License-Identifier: Apache-2.0
"""A strict stand-in for Kit's native modules, so that Isaac Sim's own Python runs on standalone PhysX.

`install(source)` makes `from isaacsim import SimulationApp` work in this process. Everything else appears when
SimulationApp is constructed, as in Isaac Sim: `omni.*`, `carb` and `isaacsim.core.*`, of which the latter is the
unmodified source of an Isaac Sim checkout. The stand-in refuses what the native modules refuse (wrong dtype, shape,
device, a tensor that is not contiguous), keeps property tensors on the CPU, hands out one reused buffer a getter, and
raises NotImplementedError on everything it does not have. CPU only.
"""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from . import importer

start_options: dict[str, Any] = {"order": None}
"""How the next Kit behaves. order: sort key of the prims within PhysX, where None leaves the order of the stage."""


def install(source: Path) -> None:
    """Make `isaacsim.SimulationApp` importable.

    Args:
        source: Checkout of isaac-sim/IsaacSim.
    """
    package: Any = ModuleType("isaacsim")
    package.__path__ = []
    package.__spec__ = importer.namespace_spec("isaacsim")
    package.SimulationApp = SimulationApp
    package.source = source
    sys.modules["isaacsim"] = package


class SimulationApp:
    """Starts the stand-in; refuses what makes Kit misbehave.

    Raises:
        RuntimeError: If Kit's modules were imported before, or the command line was not trimmed: Kit reads `sys.argv`.
    """

    def __init__(self, launch_config: dict[str, Any]) -> None:
        early = [n for n in sys.modules if n.split(".")[0] in ("pxr", "carb", "ovphysx", "usdrt")]
        early += [n for n in sys.modules if n.startswith("omni.") and not n.startswith("omni.myriad")]
        if early:
            raise RuntimeError(f"imported before SimulationApp: {sorted(early)}")
        if len(sys.argv) > 1:
            raise RuntimeError(f"Kit would read the command line {sys.argv[1:]}")
        self.config = launch_config
        self.argv = list(sys.argv)
        self.closed = False
        python: Any = builtins
        python.ISAAC_LAUNCHED_FROM_TERMINAL = False
        start_kit(sys.modules["isaacsim"].source)

    def update(self) -> None:
        """Run one frame."""
        sys.modules["omni.kit.app"].get_app().update()

    def close(self, *_: Any, **__: Any) -> None:
        """Record that Kit would have ended the process here."""
        self.closed = True


def start_kit(source: Path) -> None:
    """Install Kit's modules and start the extensions that Isaac Sim starts by itself."""
    importer.install(source)
    from . import kit, native, tensors

    kit.SETTINGS.set_string("/app/folder", str(source / "apps"))
    kit.install()
    native.install()
    tensors.install()
    from isaacsim.core.simulation_manager import impl  # pyright: ignore[reportAttributeAccessIssue]

    tensors.ORDER["key"] = start_options["order"]
    kit.EXTENSIONS.append(impl.extension.Extension())
    kit.EXTENSIONS[-1].on_startup("isaacsim.core.simulation_manager")
    kit.CONTEXT.new_stage()
