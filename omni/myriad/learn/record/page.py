# SPDX-License-Identifier: Apache-2.0
"""Pages that open anywhere: one file with its pictures inside, and no script, whatever the files say that it shows."""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import Any

from jinja2 import Environment  # which torch brings

from omni.myriad.learn.record.charts import short

# Whatever text a run's files hold is escaped by the template; should something get past that, browsers run no script.
_TEMPLATE = Environment(autoescape=True, trim_blocks=True).from_string(
    Path(__file__).with_name("page.html").read_text()
)


def page(title: str, lines: list[str], tiles: list[tuple[str, str]], sections: list[dict[str, Any]]) -> str:
    """Return a page's HTML; texts in it are escaped unless they are `Markup`.

    Args:
        title: Of the page.
        lines: Below the title.
        tiles: Name and value of what stands out.
        sections: Each with a `title`, and any of `note`, `films` (name, "image" or "video", data), `charts`, `wide`,
            `header`, `rows`, `numbers` (columns behind the first are numbers) and `code`. Empty ones are left out.
    """
    for section in sections:
        section["charts"] = [figure for figure in section.get("charts", ()) if figure]
    parts = ("films", "charts", "rows", "code", "note")
    shown = [section for section in sections if any(section.get(part) for part in parts)]
    return _TEMPLATE.render(title=title, lines=lines, tiles=tiles, sections=shown)


def number(value: Any) -> str:
    """Return what a file says in the place of a number, in a few characters: a dash for nothing."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) and abs(value) < 10_000:
        return f"{value:,}"
    return f"{value:,.1f}" if math.isfinite(value) and 10 <= abs(value) < 10_000 else short(float(value))


def clock(seconds: Any) -> str:
    """Return seconds as people say them: 12.3 s, 4 min 5 s, 2 h 3 min."""
    if not isinstance(seconds, (int, float)) or not math.isfinite(seconds):
        return number(seconds)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def inlined(path: Path) -> str:
    """Return a file as the text of a data address."""
    kind = {".mp4": "video/mp4", ".png": "image/png", ".gif": "image/gif"}[path.suffix]
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
