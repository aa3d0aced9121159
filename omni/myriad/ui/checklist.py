# SPDX-License-Identifier: Apache-2.0
"""The part of `./myriad verify-isaacsim` that runs inside Isaac Sim: drive the window by its model, and look at it."""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
import unittest
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import omni.kit.app  # type: ignore[import-not-found]
from omni.kit.viewport.utility import capture_viewport_to_file, get_active_viewport  # type: ignore[import-not-found]
from omni.myriad.files import write_json
from omni.myriad.ui.drive import RenderMode
from omni.myriad.ui.model import Settings, State

EXTENSION = "omni.myriad"
LIMIT_S = 1200.0
STEPS = 100
"""Control steps between two pictures."""

MOVED = 0.001
"""Part of the pixels that differ between them at least."""

_results: list[dict[str, Any]] = []


class NotRunError(Exception):
    """Raised by a check that cannot be had here; the text says why."""


async def run(folder: str) -> None:
    """Go through the window's part of the checklist, write window.json, and close Kit with 1 if a check failed."""
    path = Path(folder)
    _results.clear()
    pictures = path / "before.png", path / "after.png"
    for name, look in (
        ("window: load, train, stop, play, export", _story),
        (f"window: pixels move in {STEPS} steps", lambda: _pixels(pictures)),
        ("window: frame rate", lambda: _frame_rate(pictures[0])),
        ("window: three enables and disables", _toggles),
        ("tests in Kit", _tests),
    ):
        await _check(name, look)
        write_json(path / "window.json", _results)
    omni.kit.app.get_app().post_quit(int(any(result["status"] == "failed" for result in _results)))


async def _check(name: str, look: Callable[[], Awaitable[str]]) -> None:
    start, status = time.monotonic(), "failed"
    try:
        detail = await look()
        status = "passed"
    except (NotRunError, NotImplementedError) as reason:
        status, detail = "not run", str(reason)
    except Exception as error:  # whatever Kit throws is what is to be reported
        detail = f"{type(error).__name__}: {error}"
    await _stop(_extension()._model)  # what a check that failed has left
    seconds = round(time.monotonic() - start, 1)
    _results.append({"name": name, "status": status, "detail": detail, "seconds": seconds})


def _extension() -> Any:
    """Return the running extension; its module is another one after each enabling."""
    module = sys.modules.get("omni.myriad.ui.extension")
    instance = module.Extension.running if module is not None else None
    if instance is None:
        raise RuntimeError(f"the extension {EXTENSION} is not running")
    return instance


async def _until(condition: Callable[[], bool]) -> int:
    """Let Kit draw until a condition holds, and return how many frames that took."""
    frames, end = 0, time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"nothing came of it in {LIMIT_S:g} s")
        await omni.kit.app.get_app().next_update_async()
        frames += 1
    return frames


def _settings(epochs: int = 100_000) -> Settings:
    return Settings("Cartpole", num_envs=64, seed=7, more=f"max_iterations={epochs}")


async def _train(model: Any, epochs: int) -> None:
    """Begin a training, and let Kit draw until it is in full swing."""
    model.settings, before = _settings(), model.run_dir
    model.train()
    await _until(lambda: model.run_dir not in (None, before) and len(model.speeds) >= epochs)


async def _stop(model: Any) -> None:
    model.stop()
    await _until(lambda: not model.is_busy)


async def _story() -> str:
    model = _extension()._model
    model.settings, said = _settings(epochs=5), []
    for button, starts in (
        (model.load, "Loaded"),
        (model.train, "Trained 5 epochs"),
        (model.play, "Played"),
        (model.export, "Exported"),
    ):
        button()
        await _until(lambda: not model.is_busy)
        said.append(model.message.split(":")[0])
        if not model.message.startswith(starts):
            raise RuntimeError(model.message)
    await _train(model, epochs=3)
    start = time.monotonic()
    await _stop(model)
    seconds = time.monotonic() - start
    if not model.message.startswith("Stopped") or not (model.run_dir / "checkpoints" / "last.pth").is_file():
        raise RuntimeError(f"after Stop: {model.message}")
    return f"{'; '.join(said)}; stopped in {seconds:.2f} s"


async def _picture(file: Path) -> None:
    viewport = get_active_viewport()
    if viewport is None:
        raise NotRunError("there is no viewport")
    await capture_viewport_to_file(viewport, str(file)).wait_for_result()
    await _until(file.is_file)


async def _pixels(pictures: tuple[Path, Path]) -> str:
    extension = _extension()
    model, drive = extension._model, extension._drive
    model.settings = _settings()
    model.load()
    await _until(lambda: not model.is_busy)
    await _picture(pictures[0])
    drive.mode, before = RenderMode.EVERY_STEP, drive._steps
    model.train()
    await _until(lambda: drive._steps >= before + STEPS)
    await _picture(pictures[1])
    await _stop(model)
    drive.mode = RenderMode.EVERY_NTH
    import matplotlib.image

    first, second = (matplotlib.image.imread(picture) for picture in pictures)
    moved = float((abs(first - second).max(axis=-1) > 0.05).mean())
    if moved < MOVED:
        raise RuntimeError(f"{moved:.2%} of the pixels differ: {pictures[0]}, {pictures[1]}")
    return f"{moved:.2%} of the pixels differ"


async def _frame_rate(picture: Path) -> str:
    if not picture.is_file():
        raise NotRunError("nothing is rendered here")
    model = _extension()._model
    await _train(model, epochs=3)
    start = time.monotonic()
    frames = await _until(lambda: time.monotonic() > start + 10.0)
    rate, speed = frames / (time.monotonic() - start), model.speeds[-1]
    await _stop(model)
    if rate < 10.0:
        raise RuntimeError(f"{rate:.0f} frames/s")
    return f"{rate:.0f} frames/s while it trains at {speed:,.0f} steps/s"


async def _toggles() -> str:
    manager = omni.kit.app.get_app().get_extension_manager()
    for _ in range(3):
        model = _extension()._model
        await _train(model, epochs=2)
        manager.set_extension_enabled_immediate(EXTENSION, False)
        if model.state.value != State.EMPTY.value:  # by value: Kit loads modules again
            raise RuntimeError(f"disabled, and still {model.state.value}")
        await _until(lambda: not manager.is_extension_enabled(EXTENSION))
        manager.set_extension_enabled_immediate(EXTENSION, True)
        await _until(lambda: manager.is_extension_enabled(EXTENSION))
        _extension()
    return "trained in each, and ended by each"


async def _tests() -> str:
    case = importlib.import_module("omni.myriad.ui.tests").TestInKit
    names = unittest.TestLoader().getTestCaseNames(case)
    _extension()._model.unload()
    for name in names:
        test = case(name)
        await test.setUp()
        try:
            await asyncio.wait_for(getattr(test, name)(), LIMIT_S)
        finally:
            await test.tearDown()
    return f"{len(names)} passed: {', '.join(names)}"
