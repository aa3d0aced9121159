# SPDX-License-Identifier: Apache-2.0
"""The window's model inside a Kit that owns the loop, in a process of its own: python kit_story.py FOLDER CHECKOUT

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
    import omni.kit.app  # pyright: ignore[reportMissingImports]
    from omni.myriad.app.runs import make_env_async
    from omni.myriad.ui.drive import Drive
    from omni.myriad.ui.model import Model, Settings

    frames = 0

    async def draw_frame(_with_scene: bool) -> None:
        nonlocal frames
        frames += 1
        await omni.kit.app.get_app().next_update_async()

    drive = Drive(make_env_async, draw_frame)
    model = Model(drive, folder)
    model.settings = Settings("Cartpole", num_envs=16, seed=7, device="cpu", more=f"{TINY} max_iterations=3")
    serving = asyncio.ensure_future(drive.serve())
    happened: dict[str, Any] = {"messages": [], "runs": []}

    async def until(condition: Any) -> None:
        while not condition():
            await asyncio.sleep(0.001)

    for button in (model.load, model.train, model.play, model.export, model.train):
        button()
        await until(lambda: not model.is_busy)
        happened["messages"].append(model.message)
        happened["runs"].append(str(model.run_dir))
    model.settings.more = f"{TINY} max_iterations=100000"
    model.train()
    await until(lambda: len(model.speeds) >= 3)
    model.stop()
    await until(lambda: not model.is_busy)
    happened["messages"].append(model.message)
    model.train()
    await until(lambda: len(model.speeds) >= 3)
    model.unload()
    serving.cancel()
    drive.shut()
    happened["state"] = model.state.name
    happened["last"] = str(model.run_dir)
    happened["threads"] = [thread.name for thread in threading.enumerate() if thread.name.startswith("myriad-")]
    happened["frames"] = frames
    return happened


if __name__ == "__main__":
    import standin

    import omni.myriad  # noqa: F401  # before Kit's parts of `omni`, which are put beside it

    standin.start_kit(Path(sys.argv[2]))
    output = Path(sys.argv[1])
    (output / "story.json").write_text(json.dumps(asyncio.run(story(output))))
