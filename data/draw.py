# SPDX-License-Identifier: Apache-2.0
"""Draw the extension's icon and preview: python data/draw.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch

FOLDER = Path(__file__).parent
NIGHT, GREEN, GREY = "#16202b", "#7fcb5c", "#6f8296"


def canvas(width: int, height: int) -> tuple[Figure, Any]:
    """Return a figure of that many pixels, and axes that span it in pixels with y pointing up."""
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    figure.patch.set_alpha(0.0)
    return figure, axes


def ant(axes: Any, x: float, y: float, size: float, color: str) -> None:
    """Draw an ant from above: a torso and four legs of two links each."""
    for quarter in range(4):
        angle = np.pi / 4 + quarter * np.pi / 2
        knee = np.array([np.cos(angle), np.sin(angle)]) * 0.55
        foot = knee + np.array([np.cos(angle + 0.5), np.sin(angle + 0.5)]) * 0.5
        points = np.array([[0, 0], knee, foot]) * size + (x, y)
        axes.plot(*points.T, color=color, linewidth=size * 0.16, solid_capstyle="round", solid_joinstyle="round")
    axes.add_patch(Circle((x, y), size * 0.3, color=color))


def draw_icon() -> None:
    """Draw sixteen ants, one of which has learned."""
    figure, axes = canvas(256, 256)
    axes.add_patch(FancyBboxPatch((28, 28), 200, 200, boxstyle="round,pad=20,rounding_size=36", color=NIGHT))
    for row in range(4):
        for column in range(4):
            color = GREEN if (row, column) == (2, 1) else GREY
            ant(axes, 52 + 51 * column, 52 + 51 * row, 22, color)
    figure.savefig(FOLDER / "icon.png")


def draw_preview() -> None:
    """Draw a field of ants that learn from left to right, below a curve that says so."""
    figure, axes = canvas(800, 450)
    axes.add_patch(FancyBboxPatch((0, 0), 800, 450, boxstyle="square,pad=0", color=NIGHT))
    rng = np.random.default_rng(0)
    for row in range(7):
        for column in range(20):
            learned = rng.random() < (column / 19) ** 2
            ant(axes, 30 + 39 * column, 28 + 36 * row, 15, GREEN if learned else GREY)
    x = np.linspace(30, 770, 200)
    axes.plot(x, 292 + 122 / (1 + np.exp(-(x - 570) / 60)), color=GREEN, linewidth=4, solid_capstyle="round")
    axes.text(30, 396, "Myriad", color="white", fontsize=44, fontweight="bold", va="center")
    axes.text(32, 346, "robots learn by the thousand", color="#b9c6d3", fontsize=17, va="center")
    figure.savefig(FOLDER / "preview.png")


if __name__ == "__main__":
    draw_icon()
    draw_preview()
