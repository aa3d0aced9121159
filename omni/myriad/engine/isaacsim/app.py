# SPDX-License-Identifier: Apache-2.0
"""Find, start and leave Isaac Sim's application. Imports nothing of it before SimulationApp has started Kit."""

from __future__ import annotations

import builtins
import importlib.util
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from omni.myriad.engine.sim_config import SimConfig
from omni.myriad.errors import MyriadError
from omni.myriad.places import data_folder

_LIVESTREAMS = ("omni.kit.livestream.app", "omni.kit.livestream.webrtc")
"""Extensions that stream Kit's window, that of Isaac Sim 6 first: there the other one alone streams nothing."""

_LIVESTREAM_ARGS = [
    "--/exts/omni.kit.livestream.app/primaryStream/streamType=webrtc",
    "--/exts/omni.kit.livestream.app/primaryStream/signalPort=49100",
    "--/exts/omni.kit.livestream.app/primaryStream/streamPort=47998",
]
"""What 6.x wants to be told, as its own streaming application does; 5.x takes no notice."""

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
    if sim_config.config["engine"]["experience"] == "headless" and shows_frames(sim_config.config):
        raise MyriadError("engine.experience=headless draws nothing: it goes with headless=True and no livestream.")
    from isaacsim import SimulationApp  # type: ignore[import-not-found]

    # Kit reads the command line, and would take our overrides for its own settings.
    argv, sys.argv = sys.argv, sys.argv[:1]
    # SimulationApp takes Ctrl-C over and leaves with code 0, where a run has a checkpoint to write first.
    on_main_thread = threading.current_thread() is threading.main_thread()
    on_interrupt = signal.getsignal(signal.SIGINT) if on_main_thread else None
    try:
        _app = SimulationApp(_launch_config(sim_config), experience=_experience(sim_config.config["engine"]))
    finally:
        sys.argv = argv
        if on_main_thread:
            signal.signal(signal.SIGINT, on_interrupt)
    _leave_after_crashes()
    if sim_config.config["engine"]["livestream"]:
        _start_livestream()


def shows_frames(config: Mapping[str, Any]) -> bool:
    """Tell whether somebody is to see the scene that a configuration asks for, on a display or by streaming."""
    return not config["headless"] or bool(config["engine"]["livestream"])


def _experience(engine: Mapping[str, Any]) -> str:
    """Return the path of the .kit file that is asked for; empty for SimulationApp's own choice.

    Where Isaac Sim has its own is in EXP_PATH, which its python.sh sets, or importing `isaacsim`.
    """
    wanted = engine["experience"]
    if not wanted:
        return ""
    name = f"{Path(wanted).name.removesuffix('.kit')}.kit"
    folders = [data_folder("cfg") / "kit", *map(Path, filter(None, [os.environ.get("EXP_PATH")]))]
    places = [Path(wanted).expanduser(), *(folder / name for folder in folders)]
    for place in places:
        if place.suffix == ".kit" and place.is_file():
            return str(place.absolute())
    known = sorted({file.stem for folder in folders for file in folder.glob("*.kit")})
    raise MyriadError(f"engine.experience={wanted} is no .kit file; there are: {', '.join(known)}.")


def _start_livestream() -> None:
    """Switch on the extension that streams Kit's window: that of 6.x, or else that of 5.x.

    Raises:
        MyriadError: If this Isaac Sim has neither.
    """
    import omni.kit.app  # type: ignore[import-not-found]

    _app.set_setting("/app/window/drawMouse", True)
    manager = omni.kit.app.get_app().get_extension_manager()
    if not any(manager.set_extension_enabled_immediate(name, True) for name in _LIVESTREAMS):
        raise MyriadError(f"engine.livestream=True needs the extension {' or '.join(_LIVESTREAMS)}: it is not here.")


def _leave_after_crashes() -> None:
    """End the process with 1 after a traceback: since 6.0 SimulationApp closes Kit as Python exits, and that with 0."""
    show = sys.excepthook

    def show_and_leave(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        show(kind, error, trace)
        leave(1)

    sys.excepthook = show_and_leave


def _launch_config(sim_config: SimConfig) -> dict[str, Any]:
    config = sim_config.config
    livestream, shown = config["engine"]["livestream"], shows_frames(config)
    launch: dict[str, Any] = {
        "headless": bool(config["headless"]),
        "multi_gpu": False,  # for the renderer; several training processes have a GPU each
        "disable_viewport_updates": not shown,
        "extra_args": [*(_LIVESTREAM_ARGS if livestream else ()), *config["engine"]["kit_args"]],
    }
    if livestream:
        launch["hide_ui"] = False  # which is hidden without a display
    kind, _, index = config["sim_device"].partition(":")
    if kind == "cuda":
        launch["physics_gpu"] = launch["active_gpu"] = int(index or 0)
    return launch


def draws_frames() -> bool:
    """Tell whether this process's own Kit draws frames for somebody."""
    return _app is not None and not _app.config["disable_viewport_updates"]


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
