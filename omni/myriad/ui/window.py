# SPDX-License-Identifier: Apache-2.0
"""The window: omni.ui widgets over the model, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import omni.ui as ui  # type: ignore[import-not-found]
from omni.myriad.errors import MyriadError
from omni.myriad.ui.drive import RenderMode
from omni.myriad.ui.model import Model

TITLE = "Myriad"
_LABEL_WIDTH = 110
_PLOT_POINTS = 400
_DEVICES = ("", "cuda:0", "cpu")


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
        model, settings = self._model, self._model.settings
        tasks = model.tasks()
        chosen = tasks.index(settings.task) if settings.task in tasks else 0
        self._choice("Task", tasks, chosen, lambda index: setattr(settings, "task", tasks[index]))
        self._text("Environments", "", lambda text: setattr(settings, "num_envs", _number(text, settings.num_envs)))
        self._text("Seed", str(settings.seed), lambda text: setattr(settings, "seed", _number(text, None) or 0))
        self._text("Checkpoint", "", lambda text: setattr(settings, "checkpoint", text))
        devices = ("automatic", *_DEVICES[1:])
        self._choice("Device", devices, 0, lambda index: setattr(settings, "device", _DEVICES[index]))
        self._text("More settings", "", lambda text: setattr(settings, "more", text))
        modes, rendering = list(RenderMode), model.drive.rendering
        names = [mode.value for mode in modes]
        self._choice("Draw", names, modes.index(rendering.mode), lambda i: setattr(rendering, "mode", modes[i]))
        self._text("n", str(rendering.interval), lambda text: setattr(rendering, "interval", _number(text, None) or 1))

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

    def _choice(self, name: str, options: Sequence[str], chosen: int, on_change: Callable[[int], None]) -> None:
        with ui.HStack(height=24):
            ui.Label(name, width=_LABEL_WIDTH)
            box = ui.ComboBox(chosen, *options)
            value = box.model.get_item_value_model()
            value.add_value_changed_fn(lambda changed: on_change(changed.get_value_as_int()))

    def _text(self, name: str, text: str, on_change: Callable[[str], None]) -> None:
        with ui.HStack(height=24):
            ui.Label(name, width=_LABEL_WIDTH)
            field = ui.StringField()
            field.model.set_value(text)
            field.model.add_value_changed_fn(lambda changed: on_change(changed.get_value_as_string().strip()))

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
