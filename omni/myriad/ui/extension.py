# SPDX-License-Identifier: Apache-2.0
"""The extension: a window, a menu item, and Kit's loop, which steps physics for the thread that learns."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import carb.eventdispatcher  # type: ignore[import-not-found]

import omni.ext  # type: ignore[import-not-found]
import omni.kit.app  # type: ignore[import-not-found]
import omni.timeline  # type: ignore[import-not-found]
import omni.usd  # type: ignore[import-not-found]
from omni.kit.menu.utils import (  # type: ignore[import-not-found]
    MenuItemDescription,
    add_menu_items,
    remove_menu_items,
)
from omni.kit.viewport.utility import get_active_viewport  # type: ignore[import-not-found]
from omni.myriad.places import ROOT
from omni.myriad.ui.drive import Drive
from omni.myriad.ui.model import Model
from omni.myriad.ui.window import TITLE, Window

RUNS_PATH = ROOT / "runs"
_MENU = "Window"


class Extension(omni.ext.IExt):
    """What Kit starts when the extension is enabled, and ends when it is disabled.

    Attributes:
        running: The one that was started first and not ended.
    """

    running: ClassVar[Extension | None] = None

    def on_startup(self, ext_id: str) -> None:
        """Show the window, and begin to serve its jobs on Kit's loop.

        Args:
            ext_id: Name and version of the extension.
        """
        if Extension.running is None:
            Extension.running = self
        self._drive = Drive(self._make_env, self._draw_frame)
        self._model = Model(self._drive, RUNS_PATH)
        self._window = Window(self._model, on_close=self._unload)
        self._menu_items = [MenuItemDescription(name=TITLE, onclick_fn=lambda *_: self._window.show())]
        add_menu_items(self._menu_items, _MENU)
        closing = omni.usd.get_context().stage_event_name(omni.usd.StageEventType.CLOSING)
        self._stage_events = carb.eventdispatcher.get_eventdispatcher().observe_event(
            event_name=closing, on_event=self._stage_is_closing, observer_name=f"{__name__}.closing"
        )
        self._serving = asyncio.ensure_future(self._drive.serve())

    def on_shutdown(self) -> None:
        """Stop what is going on, and leave nothing behind."""
        if Extension.running is self:
            Extension.running = None
        self._stage_events = None
        remove_menu_items(self._menu_items, _MENU)
        self._unload()
        self._serving.cancel()
        self._drive.shut()
        self._window.destroy()

    async def _make_env(self, config: dict[str, Any]) -> Any:
        from omni.myriad.app.runs import make_env_async

        return await make_env_async(config)

    async def _draw_frame(self, with_scene: bool) -> None:
        is_drawn = with_scene or not self._model.is_busy
        application = self._model.application if is_drawn else None
        self._draw_scene(is_drawn)
        self._window.refresh()
        if application is None:
            await omni.kit.app.get_app().next_update_async()
        else:
            # On a GPU only the engine brings what PhysX has computed onto the stage.
            await application.render_async()

    def _unload(self) -> None:
        is_loaded = self._model.is_loaded
        self._model.unload()
        if is_loaded:
            omni.timeline.get_timeline_interface().stop()
        self._draw_scene(True)

    def _draw_scene(self, is_drawn: bool) -> None:
        viewport = get_active_viewport()
        if viewport is not None:
            viewport.updates_enabled = is_drawn

    def _stage_is_closing(self, _event: Any) -> None:
        # Loading a task opens a new stage, too, and then this is its own doing.
        if not self._drive.is_performing:
            self._model.unload()
