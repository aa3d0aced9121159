# SPDX-License-Identifier: Apache-2.0
"""The window: omni.ui widgets over the model, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import omni.ui as ui  # type: ignore[import-not-found]
from omni.myriad.errors import MyriadError
from omni.myriad.ui.drive import RenderMode
from omni.myriad.ui.model import Model

TITLE = "Myriad"
_LABEL_WIDTH = 110
_PLOT_POINTS = 400
_DEVICES = {"automatic": "", "cuda:0": "cuda:0", "cpu": "cpu"}


class Window:
    """Fields, buttons and plots for a model.

    Args:
        model: What the window shows and asks.
        on_close: Called when the user closes the window.
    """

    def __init__(self, model: Model, on_close: Callable[[], None]) -> None:
        self._model = model
        self._on_close = on_close
        self._plots: dict[str, tuple[Any, Any]] = {}
        self._buttons: dict[str, Any] = {}
        self._window = ui.Window(TITLE, width=420, height=620, visible=True)
        self._window.set_visibility_changed_fn(self._visibility_changed)
        with self._window.frame, ui.ScrollingFrame(), ui.VStack(spacing=6, height=0):
            self._build_settings()
            self._build_buttons()
            self._build_plots()

    def show(self) -> None:
        """Bring the window up."""
        self._window.visible = True

    def destroy(self) -> None:
        """Take the window away."""
        self._window.set_visibility_changed_fn(None)
        self._window.destroy()

    def refresh(self) -> None:
        """Show what has changed in the model; called every frame."""
        model = self._model
        for name, button in self._buttons.items():
            button.enabled = model.can_stop if name == "Stop" else not model.is_busy or name == "Run folder"
        self._status.text = model.message or f"{model.settings.task}: {model.state.value}"
        if model.epoch is not None:
            self._progress.text = f"epoch {model.epoch.epoch}, {model.epoch.frames:,} frames"
        for name, values in (("reward", model.rewards), ("speed", model.speeds)):
            points = values[-_PLOT_POINTS:]
            if points:
                plot, label = self._plots[name]
                plot.scale_min, plot.scale_max = min(points), max(max(points), min(points) + 1e-6)
                plot.set_data(*points)
                label.text = f"{points[-1]:,.1f}"

    # -- building -----------------------------------------------------------------------------------------------------

    def _build_settings(self) -> None:
        settings, drive = self._model.settings, self._model.drive
        self._choice("Task", {task: task for task in self._model.tasks()}, settings, "task")
        self._text("Environments", settings, "num_envs", lambda text: _number(text, settings.num_envs))
        self._text("Seed", settings, "seed", lambda text: _number(text, None) or 0)
        self._text("Checkpoint", settings, "checkpoint")
        self._choice("Device", _DEVICES, settings, "device")
        self._text("More settings", settings, "more")
        self._choice("Draw", {mode.value: mode for mode in RenderMode}, drive, "mode")
        self._text("n", drive, "interval", lambda text: _number(text, None) or 1)

    def _build_buttons(self) -> None:
        model = self._model
        rows = (
            (("Load", model.load), ("Train", model.train), ("Stop", model.stop)),
            (("Play", model.play), ("Export ONNX", model.export), ("Run folder", model.open_run_folder)),
        )
        for row in rows:
            with ui.HStack(height=28, spacing=6):
                for name, action in row:
                    self._buttons[name] = ui.Button(name, clicked_fn=lambda action=action: self._click(action))
        self._status = ui.Label("", word_wrap=True, height=0)
        self._progress = ui.Label("", height=0)

    def _build_plots(self) -> None:
        for name, title, color in (("reward", "Mean reward", 0xFF7FCB5C), ("speed", "Steps/s", 0xFFE0A84B)):
            with ui.HStack(height=20):
                ui.Label(title, width=_LABEL_WIDTH)
                label = ui.Label("")
            plot = ui.Plot(
                ui.Type.LINE, 0.0, 1.0, 0.0, height=110, style={"color": color, "background_color": 0xFF202020}
            )
            self._plots[name] = (plot, label)

    def _choice(self, name: str, options: dict[str, Any], owner: Any, attribute: str) -> None:
        """Add a box whose options, by what they are called, are values of an attribute."""
        values, chosen = list(options.values()), getattr(owner, attribute)
        with ui.HStack(height=24):
            ui.Label(name, width=_LABEL_WIDTH)
            box = ui.ComboBox(values.index(chosen) if chosen in values else 0, *options)
            value = box.model.get_item_value_model()
            value.add_value_changed_fn(lambda changed: setattr(owner, attribute, values[changed.get_value_as_int()]))

    def _text(self, name: str, owner: Any, attribute: str, read: Callable[[str], Any] = str) -> None:
        """Add a field whose text is read as the value of an attribute; None is an empty one."""
        value = getattr(owner, attribute)
        with ui.HStack(height=24):
            ui.Label(name, width=_LABEL_WIDTH)
            field = ui.StringField().model
            field.set_value("" if value is None else str(value))
            field.add_value_changed_fn(lambda now: setattr(owner, attribute, read(now.get_value_as_string().strip())))

    # -- what happens -------------------------------------------------------------------------------------------------

    def _click(self, action: Callable[[], None]) -> None:
        try:
            action()
        except MyriadError as error:
            self._model.message = str(error)

    def _visibility_changed(self, visible: bool) -> None:
        if not visible:
            self._on_close()


def _number(text: str, otherwise: int | None) -> int | None:
    """Return the whole number that a text is, None where it is empty."""
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        return otherwise
