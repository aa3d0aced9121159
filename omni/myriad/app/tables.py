# SPDX-License-Identifier: Apache-2.0
"""Tables for people, in which nothing is cut off."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text


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
    """Print a table whose columns are numbers, but for those without a name; texts from elsewhere are shown as text."""
    table = Table(title=_plain(title), title_justify="left")
    for column in header:
        table.add_column(column, justify="right" if column else "left")
    for row in rows:
        table.add_row(*map(_plain, row))
    show_table(table)


def _plain(text: str) -> Text:
    return Text("".join(letter if letter.isprintable() else " " for letter in text))
