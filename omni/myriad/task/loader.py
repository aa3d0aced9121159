# SPDX-License-Identifier: Apache-2.0
"""Find a task's file by its name and load the class in it."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from omni.myriad.errors import MyriadError
from omni.myriad.places import data_folder

TASKS_PATH = data_folder("tasks")


def task_files(folders: Sequence[Path]) -> dict[str, Path]:
    """Return the task files of some folders by task name: reach_target.py holds ReachTarget."""
    files = {}
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            if not path.stem.startswith("_"):
                files["".join(part.capitalize() for part in path.stem.split("_"))] = path
    return files


def load_task_class(name: str, folders: Sequence[Path]) -> type:
    """Load the class of a task.

    Args:
        name: The task's name. Its file is looked for under the name in snake case, letter case aside, and its class
            under the name, under the name with "Task" behind it, or as the file's only subclass of `RLTask`.
        folders: Folders to look in, before Myriad's own.

    Raises:
        MyriadError: If there is no such file or class, or the file raises when it is loaded.
    """
    from omni.myriad.task.rl_task import RLTask

    files = task_files([TASKS_PATH, *folders])
    by_lower = {key.lower(): path for key, path in files.items()}
    path = by_lower.get(name.lower())
    if path is None:
        places = ", ".join(str(folder) for folder in [TASKS_PATH, *folders])
        raise MyriadError(f"Task {name} has no file: none of that name in {places}.")
    module_name = f"myriad_tasks.{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    # A task may keep what it shares with others in a file beside it.
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        spec.loader.exec_module(module)
    except MyriadError:
        raise
    except Exception as error:
        raise MyriadError(f"Task file {where(error, path)}: {type(error).__name__}: {error}") from error
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, RLTask) and value.__module__ == module_name
    ]
    for candidate in (name, f"{name}Task"):
        for cls in classes:
            if cls.__name__ == candidate:
                return cls
    if len(classes) == 1:
        return classes[0]
    found = ", ".join(cls.__name__ for cls in classes) or "none"
    raise MyriadError(f"{path} must define a subclass of RLTask named {name}; its subclasses are: {found}.")


def where(error: BaseException, path: Path) -> str:
    """Return the place in a task's file, as file:line, where an error came from."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}:{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}:{lines[-1]}" if lines else str(path)
