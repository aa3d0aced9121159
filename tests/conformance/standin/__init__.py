# SPDX-License-Identifier: Apache-2.0
"""A strict stand-in for Kit's native modules, so that Isaac Sim's own Python runs on standalone PhysX.

`install(source)` makes `from isaacsim import SimulationApp` work in this process: the unmodified class of an Isaac Sim
checkout, on a Kit that stands in. Everything else appears when it is constructed, as in Isaac Sim: `omni.*`, `carb` and
`isaacsim.core.*`, of which the latter is the checkout's unmodified source, too. The stand-in refuses what the native
modules refuse (wrong dtype, shape, device, a tensor that is not contiguous), keeps property tensors on the CPU, hands
out one reused buffer a getter, and raises NotImplementedError on everything it does not have.
"""

from __future__ import annotations

import builtins
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from . import importer

start_options: dict[str, Any] = {"order": None, "clones": "stage", "fabric": False, "device": "cpu"}
"""How the next Kit behaves.

order: sort key of the prims within PhysX, where None leaves the order of the stage.
clones: "stage" loads every clone from the stage; "replicated" skips them there and copies environment 0, as Kit does.
fabric: whether omni.physx.fabric is on from the start, as in the GUI; World switches it on by itself on a GPU.
device: "cpu" or "cuda:<n>", which PhysX has to know before it is loaded.
"""


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
    """Starts Isaac Sim's own class of this name on the stand-in; refuses what makes Kit misbehave.

    Raises:
        RuntimeError: If Kit's modules were imported before, or the command line was not trimmed: Kit reads `sys.argv`.
    """

    def __new__(cls, launch_config: dict[str, Any], experience: str = "") -> Any:
        early = [n for n in sys.modules if n.split(".")[0] in ("pxr", "carb", "ovphysx", "usdrt")]
        early += [n for n in sys.modules if n.startswith("omni.") and not n.startswith("omni.myriad")]
        if early:
            raise RuntimeError(f"imported before SimulationApp: {sorted(early)}")
        if len(sys.argv) > 1:
            raise RuntimeError(f"Kit would read the command line {sys.argv[1:]}")
        source = sys.modules["isaacsim"].source
        # What Isaac Sim's launcher tells its Python.
        for name in ("ISAAC_PATH", "CARB_APP_PATH"):
            os.environ[name] = str(source)
        os.environ.setdefault("EXP_PATH", str(source / "apps"))
        _bootstrap(source)
        from isaacsim.simulation_app import (  # pyright: ignore[reportMissingImports]
            SimulationApp as Unmodified,  # pyright: ignore[reportAttributeAccessIssue]
        )

        return Unmodified(launch_config, experience)


def start_kit(source: Path) -> None:
    """Become a Kit that nobody has started by SimulationApp, such as the GUI's: it owns the loop."""
    python: Any = builtins
    python.ISAAC_LAUNCHED_FROM_TERMINAL = True
    _bootstrap(source)
    from . import kit

    kit.APP.startup("kit", str(source), [])
    kit.CONTEXT.new_stage()


def _bootstrap(source: Path) -> None:
    """Install what is importable before Kit starts, and have the rest follow when it does."""
    importer.install(source)
    from . import kit

    kit.SETTINGS.set_string("/app/folder", str(source / "apps"))
    kit.install()
    kit.APP.on_startup = _start_extensions


def _start_extensions() -> None:
    """Install Kit's other modules and start the extensions that Isaac Sim starts by itself."""
    from . import kit, native, tensors, ui

    native.install()
    tensors.install()
    ui.install()
    from isaacsim.core.simulation_manager import impl  # pyright: ignore[reportAttributeAccessIssue]

    tensors.ORDER["key"] = start_options["order"]
    native.PHYSICS.device = start_options["device"]
    native.PHYSICS.replicates = start_options["clones"] == "replicated"
    if start_options["fabric"]:
        kit.APP.set_extension_enabled_immediate("omni.physx.fabric", True)
    kit.EXTENSIONS.append(impl.extension.Extension())
    kit.EXTENSIONS[-1].on_startup("isaacsim.core.simulation_manager")
