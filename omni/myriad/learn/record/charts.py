# SPDX-License-Identifier: Apache-2.0
"""Charts for pages, drawn as SVG: no script, no file beside the page, and every text in them escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

COLOURS = ("#2f6fdb", "#e0592a", "#1f9d63", "#9c4fd0", "#c79a1b", "#139aa8", "#d1457f", "#7a808c", "#6b4f2a", "#0b7a3b")
_POINTS = 400  # of a line at most: as many as a screen shows
_WIDTH, _HEIGHT = 400.0, 200.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 50.0, 10.0, 8.0, 36.0


@dataclass(frozen=True)
class Line:
    """A line of a chart, and a band around it.

    Args:
        name: What the legend calls it.
        x: (N,); what is not finite in a line is left out.
        y: (N,).
        band: Lower and upper edge, (N,) each; None for none.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    band: tuple[np.ndarray, np.ndarray] | None = None


def short(value: float) -> str:
    """Return a number in a few characters: 0.003, 12.5, 4,200, 1.5 M."""
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            return f"{value / (1e3 if unit == 'k' else limit):.3g} {unit}"
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if size >= 1e-3 or value == 0 else f"{value:.1e}"


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers from `low` to `high`, some of which is apart from the other."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-6)
    return [i * step for i in range(first, math.floor(high / step + 1e-6) + 1)]


def chart(title: str, lines: Sequence[Line], x_name: str, from_zero: bool = False) -> Markup:
    """Return a figure with lines, ticks and, of several lines, a legend; an empty text where there is nothing to draw.

    Args:
        title: Stands above.
        lines: In the order of their colours.
        x_name: Stands below the horizontal axis.
        from_zero: Whether the vertical axis has to hold 0.
    """
    lines = [drawn for line in lines if len((drawn := _thinned(_finite(line))).x)]
    if not lines:
        return Markup("")
    edges = [edge for line in lines for edge in (line.y, *(line.band or ()))]
    low, high = min(float(e.min()) for e in edges), max(float(e.max()) for e in edges)
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    margin = 0.05 * (high - low) or 0.5 * abs(high) or 1.0
    low, high = low - margin * (low != 0.0 or not from_zero), high + margin
    left = min(0.0, *(float(line.x.min()) for line in lines))
    right = max(float(line.x.max()) for line in lines)
    right = right if right > left else left + 1.0

    def at(x: np.ndarray, y: np.ndarray) -> str:
        across = _LEFT + (x - left) / (right - left) * (_WIDTH - _LEFT - _RIGHT)
        down = _HEIGHT - _BOTTOM - (y - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)
        return " ".join(f"{a:.1f},{d:.1f}" for a, d in zip(across, down, strict=True))

    parts = []
    for value in ticks(low, high, 4):
        start, end = at(np.array([left, right]), np.array([value, value])).split()
        x, y = start.split(",")
        parts.append(Markup('<path class="grid" d="M{} L{}"/>').format(start, end))
        label = short(0.0 if abs(value) < 1e-9 * (high - low) else value)
        parts.append(Markup('<text x="{}" y="{}" class="y">{}</text>').format(float(x) - 6, float(y) + 3.5, label))
    for value in ticks(left, right, 5):
        x = at(np.array([value]), np.array([low])).split(",")[0]
        parts.append(Markup('<text x="{}" y="{}" class="x">{}</text>').format(x, _HEIGHT - _BOTTOM + 15, short(value)))
    parts.append(Markup('<text x="{}" y="{}" class="x">{}</text>').format((_WIDTH + _LEFT) / 2, _HEIGHT - 4, x_name))
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        if line.band:
            around = at(np.concatenate((line.x, line.x[::-1])), np.concatenate((line.band[0], line.band[1][::-1])))
            parts.append(Markup('<polygon points="{}" fill="{}" opacity="0.16"/>').format(around, colour))
        shape = '<polyline points="{}" stroke="{}"/>'
        if len(line.x) == 1:
            shape = '<polyline points="{0} {0}" stroke="{1}" class="dot"/>'
        parts.append(Markup(shape).format(at(line.x, line.y), colour))
    svg = Markup('<svg viewBox="0 0 {:.0f} {:.0f}" role="img">{}</svg>').format(_WIDTH, _HEIGHT, Markup("").join(parts))
    return Markup("<figure><figcaption>{}</figcaption>{}{}</figure>").format(title, svg, _legend(lines))


def stack(parts: Sequence[tuple[str, float]], unit: str) -> Markup:
    """Return one bar whose parts are as long as their numbers, and a legend with numbers and shares."""
    parts = [(name, value) for name, value in parts if value > 0.0 and math.isfinite(value)]
    total = sum(value for _, value in parts)
    if not total:
        return Markup("")
    bars, legend, x = [], [], 0.0
    for number, (name, value) in enumerate(parts):
        colour, width = COLOURS[number % len(COLOURS)], 100.0 * value / total
        bars.append(Markup('<rect x="{:.3f}" width="{:.3f}" height="6" fill="{}"/>').format(x, width, colour))
        text = f"{name} {short(value)} {unit} ({value / total:.0%})"
        legend.append(Markup('<span><i style="background:{}"></i>{}</span>').format(colour, text))
        x += width
    return Markup(
        '<figure><svg viewBox="0 0 100 6" preserveAspectRatio="none" class="stack">{}</svg>'
        '<div class="legend">{}</div></figure>'
    ).format(Markup("").join(bars), Markup("").join(legend))


def _legend(lines: Sequence[Line]) -> Markup:
    if len(lines) < 2:
        return Markup("")
    entry = Markup('<span><i style="background:{}"></i>{}</span>')
    entries = [entry.format(COLOURS[number % len(COLOURS)], line.name) for number, line in enumerate(lines)]
    return Markup('<div class="legend">{}</div>').format(Markup("").join(entries))


def _finite(line: Line) -> Line:
    columns = [line.x, line.y, *(line.band or ())]
    good = np.isfinite(np.stack(columns)).all(axis=0)
    x, y, *band = (column[good] for column in columns)
    return Line(line.name, x, y, (band[0], band[1]) if band else None)


def _thinned(line: Line) -> Line:
    """Average a long line over as many stretches as are drawn; its last point stays."""
    if len(line.x) <= _POINTS:
        return line
    starts = np.linspace(0, len(line.x), _POINTS, endpoint=False).astype(int)
    counts = np.diff(np.append(starts, len(line.x)))

    def mean(column: np.ndarray) -> np.ndarray:
        return np.append(np.add.reduceat(column, starts) / counts, column[-1])

    band = (mean(line.band[0]), mean(line.band[1])) if line.band else None
    return Line(line.name, mean(line.x), mean(line.y), band)
