# SPDX-License-Identifier: Apache-2.0
"""What `--help` of a verb prints: its settings with their values and what is allowed, and the tasks."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from omni.myriad.app.config import CFG_PATH, show_config
from omni.myriad.app.options import UNSET, Option, Section, find, like, options
from omni.myriad.app.schema import GROUPS, VERBS, Benchmark, OwnTasks, Publish, Sweep
from omni.myriad.errors import MyriadError
from omni.myriad.places import COMMAND, FILMS
from omni.myriad.task.loader import TASKS_PATH, all_tasks, task_files

_HEADING = 6  # a section of at least so many settings gets a heading of its own

_BRIEF = {
    "list of texts": "list",
    ", or empty": "",
    " or empty": "",
    "whole number": "int",
    "number": "float",
    "True or False": "bool",
    ", at least": " >=",
    ", above": " >",
    ", from": " from",
    " or a section": "",
    "a ": "",
    "text": "",
}
"""How what is allowed is said here, where it stands beside the value: int >= 1."""

_OWN = {"benchmark": Benchmark, "publish": Publish, "sweep": Sweep}
"""What a verb has beside the settings of the runs that it starts."""

_WIDTH = 50  # of names and values

Rows = dict[str, tuple[Any, Option]]
"""By name: value and setting."""


def print_help(verb: str, argv: Sequence[str], console: Console | None = None) -> None:
    """Print a verb's settings, with the values that the task, train and engine on a command line give them.

    Args:
        verb: Key of `VERBS`.
        argv: The command line; if it is wrong, the defaults are shown.
        console: Where to.
    """
    console = console or Console(highlight=False, markup=False)
    try:
        values = show_config(argv)
    except MyriadError:
        values = show_config([])
    console.print(Text(f"{COMMAND} {verb} {VERBS[verb].usage}", "bold"))
    console.print(VERBS[verb].__doc__)
    known = options(VERBS[verb]) | (options(_OWN[verb]) if verb in _OWN else {})
    tasks = known["task"].default is not UNSET
    if tasks:
        folders = [Path(folder) for folder in values["task"]["task_path"]]
        console.print(Text(f"\nA film of each: {FILMS}"))
        _print(console, "Tasks", {name: (UNSET, Option(str, help=says)) for name, says in _tasks(folders).items()})
    top = {name: (found.default, found) for name, found in known.items() if found.default is not UNSET}
    if tasks:
        top["task"] = (values["task_name"], known["task"])
    if verb != "train":
        top["task.task_path"] = (values["task"]["task_path"], options(OwnTasks)["task_path"])
    _print(console, "Settings, with their values", top)
    if verb == "train":
        comments = _comments(values)
        for group in GROUPS:
            for key, rows in _sections(group, known[group].section or Section, values[group], comments).items():
                section = find(known, key)
                _print(console, f"{key}.*: {section.section.__doc__ if section else ''}", rows)
    elif any(known[group].is_open for group in GROUPS if group in known):
        console.print(f"\nIt also takes what {COMMAND} train --help lists below task, train and engine.")


def _sections(
    key: str, section: type[Section], values: Mapping[str, Any], comments: Mapping[str, str]
) -> dict[str, Rows]:
    """Return the settings of a section and of those below it by key; small ones are part of the one above."""
    rows: Rows = {}
    result = {key: rows}
    known = options(section)
    for name in [*known, *(name for name in values if name not in known)]:
        setting = known.get(name) or section.others or Option(Any)
        value = values.get(name, setting.default)
        if isinstance(value, dict) and setting.section and not setting.section.partial:
            below = _sections(f"{key}.{name}", setting.section, value, comments)
            if len(below[f"{key}.{name}"]) < _HEADING:
                rows |= {f"{name}.{inner}": row for inner, row in below.pop(f"{key}.{name}").items()}
            result |= below
        else:
            setting = setting if name in known else dataclasses.replace(like(value), help=comments.get(name, ""))
            rows[name] = (value, setting)
    return result


def _print(console: Console, title: str, rows: Rows) -> None:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(max_width=_WIDTH, overflow="fold")
    table.add_column()
    for name, (value, setting) in rows.items():
        allowed = "" if setting.section or setting.wants else setting.allowed
        for words, letters in _BRIEF.items():
            allowed = allowed.replace(words, letters)
        says = Text(setting.help)
        if allowed:
            says.append(f"{' ' if setting.help else ''}[{allowed}]", "dim")
        table.add_row(Text(name if value is UNSET else f"{name}={_written(value)}"), says)
    console.print(Text(f"\n{title}", "bold"))
    console.print(Padding(table, (0, 0, 0, 2)))


def _written(value: Any) -> str:
    """Return a value as one gives it on the command line."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}:{_written(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    return ",".join(map(_written, value)) if isinstance(value, tuple) else "" if value is None else str(value)


def _tasks(folders: Sequence[Path]) -> dict[str, str]:
    """Return the first line that each task's file says of it, or its YAML; the files are read, not run."""
    files = task_files([TASKS_PATH, *folders])
    return {name: _first_line(files[name]) if name in files else _first_comment(name) for name in all_tasks(folders)}


def _first_line(file: Path) -> str:
    try:
        lines = (ast.get_docstring(ast.parse(file.read_text())) or "").splitlines()
    except (OSError, SyntaxError, ValueError):
        return ""
    return lines[0].split(": ", 1)[-1] if lines else ""


def _first_comment(task: str) -> str:
    file = CFG_PATH / "task" / f"{task}.yaml"
    line = file.read_text().partition("\n")[0] if file.is_file() else ""
    return line.removeprefix("#").strip() if line.startswith("#") else ""


def _comments(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the comments behind the settings in the task's YAML."""
    roots = [CFG_PATH, *(Path(folder) / "cfg" for folder in values["task"]["task_path"])]
    files = [root / "task" / f"{values['task_name']}.yaml" for root in roots]
    lines = [line for file in files if file.is_file() for line in file.read_text().splitlines()]
    found = (re.match(r"\s*(\w+):[^#]*#\s*(.*)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}
