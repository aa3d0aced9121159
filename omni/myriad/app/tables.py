# SPDX-License-Identifier: Apache-2.0
"""Tables for people, in which nothing is cut off."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_BETWEEN = 3  # two spaces and a line


def show_table(table: Table, console: Console | None = None) -> None:
    """Print a table whole: its texts are folded in a terminal, and in a file or a pipe it is as wide as it needs."""
    console = console or Console()
    for column in table.columns:
        column.overflow = "fold"
    if not console.is_terminal:
        wide = console.options.update(width=10_000)
        console.width = max(console.width, Measurement.get(console, wide, table).maximum)
    console.print(table)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose columns are numbers, but for those without a name; texts from elsewhere are shown as text.

    No word is folded in a terminal: columns that find no room come again below, behind the first one.
    """
    console = Console()
    cells = [[_plain(text) for text in row] for row in (header, *rows)]
    words = [[len(word) for cell in column for word in cell.plain.split()] for column in zip(*cells, strict=True)]
    least = [max(lengths, default=0) for lengths in words]
    for number, part in enumerate(_parts(least, console.width if console.is_terminal else 10_000)):
        table = Table(title=_plain(title) if number == 0 else None, title_justify="left")
        for column in part:
            table.add_column(cells[0][column], justify="right" if header[column] else "left", min_width=least[column])
        for row in cells[1:]:
            table.add_row(*(row[column] for column in part))
        show_table(table, console)


def _parts(widths: Sequence[int], room: int) -> list[list[int]]:
    """Share columns among tables that fit into a width, each of which begins with the first column."""
    parts: list[list[int]] = []
    left = 0
    for column, width in enumerate(widths[1:], start=1):
        if not parts or left < width + _BETWEEN:
            parts.append([0])
            left = room - 1 - widths[0] - _BETWEEN
        parts[-1].append(column)
        left -= width + _BETWEEN
    return parts


def _plain(text: str) -> Text:
    return Text("".join(letter if letter.isprintable() else " " for letter in text))
