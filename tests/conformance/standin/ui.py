# SPDX-License-Identifier: Apache-2.0
"""What the window asks of Kit: omni.ui, the menus, and a viewport that renders nothing but knows its camera."""

from __future__ import annotations

import enum
import unittest
from collections.abc import Callable
from typing import Any

from pxr import Gf, Usd

from . import kit
from .importer import provide

MENUS: list[tuple[str, Any]] = []
"""Menu items that have been added and not removed."""

WINDOWS: list[Window] = []
"""Windows that have not been destroyed."""


class Value:
    """A value of omni.ui's models, which tells of its changes."""

    def __init__(self, value: Any = "") -> None:
        self._value = value
        self._changed: list[Callable[[Value], None]] = []

    def set_value(self, value: Any) -> None:
        self._value = value
        for function in self._changed:
            function(self)

    def add_value_changed_fn(self, function: Callable[[Value], None]) -> None:
        self._changed.append(function)

    def get_value_as_int(self) -> int:
        return int(self._value)

    def get_value_as_string(self) -> str:
        return str(self._value)


class Widget:
    """Anything that only has attributes; a container, too."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    def __enter__(self) -> Widget:
        return self

    def __exit__(self, *_: Any) -> None:
        pass


class Label(Widget):
    """omni.ui.Label."""

    def __init__(self, text: str, **attributes: Any) -> None:
        super().__init__(text=text, **attributes)


class Button(Widget):
    """omni.ui.Button."""

    enabled = True

    def __init__(self, text: str, *, clicked_fn: Callable[[], None], **attributes: Any) -> None:
        super().__init__(text=text, click=clicked_fn, **attributes)


class StringField(Widget):
    """omni.ui.StringField."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(model=Value(), **attributes)


class ComboBox(Widget):
    """omni.ui.ComboBox."""

    def __init__(self, chosen: int, *options: str, **attributes: Any) -> None:
        if not 0 <= chosen < len(options):
            raise ValueError(f"option {chosen} of {options}")
        value = Value(chosen)
        super().__init__(model=Widget(get_item_value_model=lambda: value), options=options, **attributes)


class Plot(Widget):
    """omni.ui.Plot."""

    scale_min = scale_max = 0.0

    def __init__(self, kind: Type, minimum: float, maximum: float, *values: float, **attributes: Any) -> None:
        super().__init__(kind=kind, data=values, **attributes)

    def set_data(self, *values: float) -> None:
        self.data = values


class Type(enum.Enum):
    """omni.ui.Type."""

    LINE = 0


class Window(Widget):
    """omni.ui.Window."""

    def __init__(self, title: str, **attributes: Any) -> None:
        self._visible = True
        self._visibility_changed: Callable[[bool], None] | None = None
        super().__init__(title=title, frame=Widget(), **attributes)
        WINDOWS.append(self)

    @property
    def visible(self) -> bool:
        return self._visible

    @visible.setter
    def visible(self, visible: bool) -> None:
        changed, self._visible = visible is not self._visible, visible
        if changed and self._visibility_changed is not None:
            self._visibility_changed(visible)

    def set_visibility_changed_fn(self, function: Callable[[bool], None] | None) -> None:
        self._visibility_changed = function

    def destroy(self) -> None:
        WINDOWS.remove(self)


class Viewport:
    """The active viewport's API: what is drawn, and from where."""

    def __init__(self) -> None:
        self.updates_enabled = True
        self.frame_info = {"viewport_handle": 1}
        self.eye: tuple[float, ...] | None = None
        self.target: tuple[float, ...] | None = None

    @property
    def stage(self) -> Usd.Stage:
        return kit.CONTEXT.stage


class ViewportCameraState:
    """omni.kit.viewport.utility.camera_state.ViewportCameraState."""

    def __init__(self, camera_path: str, viewport: Viewport) -> None:
        if not viewport.stage.GetPrimAtPath(camera_path):
            raise RuntimeError(f"no camera at {camera_path}")
        self._viewport = viewport

    def set_position_world(self, position: Gf.Vec3d, rotate: bool) -> None:
        self._viewport.eye = tuple(position)

    def set_target_world(self, target: Gf.Vec3d, rotate: bool) -> None:
        self._viewport.target = tuple(target)


class AsyncTestCase(unittest.TestCase):
    """omni.kit.test.AsyncTestCase, whose methods are awaited on Kit's loop."""


VIEWPORT = Viewport()


def install() -> None:
    """Install the modules."""
    provide(
        "omni.ui",
        **{kind.__name__: kind for kind in (Label, Button, StringField, ComboBox, Plot, Type, Window)},
        **dict.fromkeys(("VStack", "HStack", "ScrollingFrame"), Widget),
    )
    provide("omni.kit.menu")
    provide(
        "omni.kit.menu.utils",
        MenuItemDescription=Widget,
        add_menu_items=lambda items, menu: MENUS.extend((menu, item) for item in items),
        remove_menu_items=lambda items, menu: [MENUS.remove((menu, item)) for item in items],
    )
    provide("omni.kit.test", AsyncTestCase=AsyncTestCase)
    provide("omni.kit.viewport")
    provide("omni.kit.viewport.utility", get_active_viewport=lambda: VIEWPORT)
    provide("omni.kit.viewport.utility.camera_state", ViewportCameraState=ViewportCameraState)
