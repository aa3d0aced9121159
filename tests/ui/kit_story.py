# SPDX-License-Identifier: Apache-2.0
"""The extension inside a Kit that owns the loop, in a process of its own: python kit_story.py FOLDER CHECKOUT

Kit is the stand-in of tests/conformance, below the unmodified Python of the Isaac Sim in CHECKOUT. What happened goes
to FOLDER/story.json.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/conformance")]

TINY = "train.params.config.horizon_length=8 train.params.config.minibatch_size=64 train.params.config.mini_epochs=2"


async def story(folder: Path) -> dict[str, Any]:
    """Load, train, play, export, stop, and close in the middle of a training."""
    from standin import kit, native, ui

    from omni.myriad.ui import extension as layer
    from omni.myriad.ui.drive import RenderMode
    from omni.myriad.ui.model import Settings

    layer.RUNS_PATH = folder
    extension = layer.Extension()
    extension.on_startup("omni.myriad-0")
    model, drive = extension._model, extension._drive
    model.settings = Settings("Cartpole", num_envs=16, seed=7, device="cpu", more=f"{TINY} max_iterations=3")
    happened: dict[str, Any] = {"messages": [], "runs": [], "drawn": {}}
    frames = kit.APP.frames

    async def drawn(mode: RenderMode) -> None:
        """Note how often a training that draws in this mode stepped, and brought the drawn stage up to date."""
        drive.mode, before = mode, (drive._steps, native.PHYSICS.force_updates)
        model.train()
        while model.is_busy:  # one that has ended is drawn in every frame
            steps, updates = drive._steps - before[0], native.PHYSICS.force_updates - before[1]
            happened["drawn"][mode.name] = [steps, updates]
            await asyncio.sleep(0.001)

    async def until(condition: Any) -> None:
        while not condition():
            await asyncio.sleep(0.001)

    for button in (model.load, model.train, model.play, model.export, model.train):
        button()
        await until(lambda: not model.is_busy)
        happened["messages"].append(model.message)
        happened["runs"].append(str(model.run_dir))
    for mode in (RenderMode.EVERY_STEP, RenderMode.UI_ONLY):
        await drawn(mode)
    happened["eye"], happened["target"] = ui.VIEWPORT.eye, ui.VIEWPORT.target
    model.settings.more = f"{TINY} max_iterations=100000"
    model.train()
    await until(lambda: len(model.speeds) >= 3)
    model.stop()
    await until(lambda: not model.is_busy)
    happened["messages"].append(model.message)
    model.train()
    await until(lambda: len(model.speeds) >= 3)
    extension.on_shutdown()
    happened["left"] = len(ui.MENUS) + len(ui.WINDOWS)
    happened["state"] = model.state.name
    happened["last"] = str(model.run_dir)
    happened["threads"] = [thread.name for thread in threading.enumerate() if thread.name.startswith("myriad-")]
    happened["frames"] = kit.APP.frames - frames
    return happened


if __name__ == "__main__":
    import standin

    import omni.myriad  # noqa: F401  # before Kit's parts of `omni`, which are put beside it

    standin.start_options["fabric"] = True
    standin.start_kit(Path(sys.argv[2]))
    output = Path(sys.argv[1])
    (output / "story.json").write_text(json.dumps(asyncio.run(story(output))))
