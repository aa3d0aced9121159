# SPDX-License-Identifier: Apache-2.0
"""A script that starts Isaac Sim's own SimulationApp and ends in some way: python ending.py WAY CHECKOUT"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

WAYS: dict[str, int] = {"done": 0, "crash": 1, "bad input": 2, "interrupt": 130, "script's crash": 1}
"""Exit code of each way to end."""


def end(way: str) -> None:
    """Start Kit, and end as a verb or a script of somebody's does."""
    from omni.myriad.app import cli
    from omni.myriad.engine import SimConfig
    from omni.myriad.engine.isaacsim import app
    from omni.myriad.errors import MyriadError

    engine = {"kit_args": [], "livestream": False, "experience": ""}
    config = SimConfig({"task": {"sim": {}}, "headless": True, "sim_device": "cpu", "engine": engine})

    def start_and(ending: Callable[[], object]) -> Callable[[], object]:
        def main() -> None:
            app.start(config)
            ending()

        return main

    def throw(error: BaseException) -> NoReturn:
        raise error

    endings: dict[str, Callable[[], object]] = {
        "done": lambda: print("done"),
        "crash": lambda: throw(RuntimeError("a defect")),
        "bad input": lambda: throw(MyriadError("a mistake")),
        "interrupt": lambda: throw(KeyboardInterrupt()),
    }
    if way in endings:
        cli.attempt(start_and(endings[way]))
    start_and(endings["crash"])()


if __name__ == "__main__":
    import standin

    standin.install(Path(sys.argv.pop()))
    end(sys.argv.pop())
