# SPDX-License-Identifier: Apache-2.0
"""Find, start and leave Isaac Sim's application. Imports nothing of it before SimulationApp has started Kit."""

from __future__ import annotations

import builtins
import importlib.util
import os
import signal
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from omni.myriad.engine.sim_config import SimConfig
from omni.myriad.errors import MyriadError

_app: Any = None
"""The SimulationApp that this process has started."""


def is_running() -> bool:
    """Tell whether this process is a running Kit, whoever started it."""
    return "omni.kit.app" in sys.modules


def kit_owns_the_loop() -> bool:
    """Tell whether Kit calls us, as in the GUI, rather than a script of ours that steps Kit."""
    # SimulationApp sets this to False; isaacsim.core.api, which Kit loads by itself, sets it to True where it is unset.
    return is_running() and getattr(builtins, "ISAAC_LAUNCHED_FROM_TERMINAL", True)


def is_available() -> bool:
    """Tell whether this process is Isaac Sim, or can become it, without importing any of it."""
    if is_running():
        return True
    if "isaacsim" in sys.modules:
        return hasattr(sys.modules["isaacsim"], "SimulationApp")
    spec = importlib.util.find_spec("isaacsim")
    if spec is None or spec.origin is None:
        return False
    # The public package index has a stub of the same name, which only says where the real one is to be had.
    package = Path(spec.origin).parent
    return (package / "apps").is_dir() or package.parent.name == "python_packages"


def start(sim_config: SimConfig) -> None:
    """Start Kit as configured, unless it runs already.

    Raises:
        MyriadError: If Isaac Sim is not installed, standalone PhysX was loaded before, or Kit owns the loop.
    """
    global _app
    if kit_owns_the_loop():
        raise MyriadError(
            "Inside a running Isaac Sim an engine is made with `await make_async(...)`, on Kit's own loop."
        )
    if is_running():
        return
    if not is_available():
        raise MyriadError(
            "engine=isaacsim needs Isaac Sim, which this Python does not have: set ISAACSIM_PATH to its folder, "
            "install it with pip (see docs/isaac-sim.md), or use engine=physx."
        )
    if "ovphysx" in sys.modules:
        raise MyriadError(
            "Isaac Sim cannot share a process with standalone PhysX, which already runs here: start a new one."
        )
    early = sorted(name for name in sys.modules if name.partition(".")[0] in ("pxr", "carb", "usdrt"))
    if early:
        raise MyriadError(f"{early[0]} was imported before Isaac Sim was started: only Kit may load its own modules.")
    from isaacsim import SimulationApp  # type: ignore[import-not-found]

    # Kit reads the command line, and would take our overrides for its own settings.
    argv, sys.argv = sys.argv, sys.argv[:1]
    # SimulationApp takes Ctrl-C over and leaves with code 0, where a run has a checkpoint to write first.
    on_main_thread = threading.current_thread() is threading.main_thread()
    on_interrupt = signal.getsignal(signal.SIGINT) if on_main_thread else None
    try:
        _app = SimulationApp(_launch_config(sim_config))
    finally:
        sys.argv = argv
        if on_main_thread:
            signal.signal(signal.SIGINT, on_interrupt)
    _leave_after_crashes()


def _leave_after_crashes() -> None:
    """End the process with 1 after a traceback: since 6.0 SimulationApp closes Kit as Python exits, and that with 0."""
    show = sys.excepthook

    def show_and_leave(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        show(kind, error, trace)
        leave(1)

    sys.excepthook = show_and_leave


def _launch_config(sim_config: SimConfig) -> dict[str, Any]:
    config = sim_config.config
    headless = bool(config["headless"])
    launch: dict[str, Any] = {
        "headless": headless,
        "multi_gpu": False,  # for the renderer; several training processes have a GPU each
        "disable_viewport_updates": headless,
        "extra_args": list(config["engine"]["kit_args"]),
    }
    kind, _, index = config["sim_device"].partition(":")
    if kind == "cuda":
        launch["physics_gpu"] = launch["active_gpu"] = int(index or 0)
    return launch


def has_window() -> bool:
    """Tell whether a window shows this process's frames."""
    return _app is not None and not _app.config["headless"]


def leave(code: int) -> None:
    """End Kit with the process's exit code; does nothing if this process has not started one.

    Args:
        code: Exit code. Kit ends the process by itself, and with 0, so that any other one has to go past it.
    """
    if _app is None:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    if code:
        os._exit(code)
    _app.close()
