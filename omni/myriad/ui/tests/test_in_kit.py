# SPDX-License-Identifier: Apache-2.0
"""The extension's window inside Kit: it trains, it stops, and nothing stays behind."""

from __future__ import annotations

import time
from collections.abc import Callable

import omni.kit.app  # type: ignore[import-not-found]
import omni.kit.test  # type: ignore[import-not-found]
import omni.timeline  # type: ignore[import-not-found]
import omni.usd  # type: ignore[import-not-found]
from omni.myriad.ui.extension import Extension
from omni.myriad.ui.model import Settings, State


class TestInKit(omni.kit.test.AsyncTestCase):
    """Drives a second instance of the extension, as clicks and events do."""

    async def setUp(self) -> None:
        """Start the extension with a training that would go on for hours."""
        extension = Extension()
        extension.on_startup("omni.myriad.test")
        self.extension: Extension | None = extension
        self.model = extension._model
        self.model.settings = Settings("Cartpole", num_envs=64, more="max_iterations=100000")

    async def tearDown(self) -> None:
        """Disable the extension, if the test has not."""
        if self.extension is not None:
            self.extension.on_shutdown()

    async def test_trains_while_kit_draws_and_stops_within_a_second(self) -> None:
        """Kit's frames go on while epochs do, and Stop leaves a checkpoint."""
        self.model.train()
        frames = await self.frames_until(lambda: len(self.model.speeds) >= 5)
        self.assertGreater(frames, 5)
        start = time.monotonic()
        self.model.stop()
        await self.frames_until(lambda: not self.model.is_busy)
        self.assertLess(time.monotonic() - start, 1.0)
        assert self.model.run_dir is not None
        self.assertTrue((self.model.run_dir / "checkpoints" / "last.pth").is_file(), self.model.message)

    async def test_new_stage_ends_a_training(self) -> None:
        """A stage opened by the user takes the scene away; the application goes on."""
        self.model.train()
        await self.frames_until(lambda: len(self.model.speeds) >= 2)
        await omni.usd.get_context().new_stage_async()
        await self.frames_until(lambda: not self.model.is_busy)
        self.assertIs(self.model.state, State.EMPTY)

    async def test_disabling_ends_a_training(self) -> None:
        """No thread, no menu item and no playing timeline stays behind."""
        self.model.train()
        await self.frames_until(lambda: len(self.model.speeds) >= 2)
        extension, self.extension = self.extension, None
        assert extension is not None
        extension.on_shutdown()
        self.assertIs(self.model.state, State.EMPTY)
        for _ in range(3):
            await omni.kit.app.get_app().next_update_async()
        self.assertFalse(omni.timeline.get_timeline_interface().is_playing())

    async def frames_until(self, condition: Callable[[], bool], seconds: float = 300.0) -> int:
        """Let Kit draw until a condition holds, and return how many frames that took."""
        frames, end = 0, time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, f"{self.model.state}: {self.model.message}")
            await omni.kit.app.get_app().next_update_async()
            frames += 1
        return frames
