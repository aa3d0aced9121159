# SPDX-License-Identifier: Apache-2.0
"""Find a task's file by its name and load the class in it."""

from __future__ import annotations

import importlib.util
import sys
import traceback
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from omni.myriad.errors import MyriadError
from omni.myriad.places import data_folder

TASKS_PATH = data_folder("tasks")


_loaded: set[str] = set()
"""Modules of the tasks that were loaded, and the folders whose files they may have imported by plain names."""
_plain_folders: set[str] = set()


def task_files(folders: Sequence[Path]) -> dict[str, Path]:
    """Return the task files of some folders, and of folders in them, by task name: reach_target.py holds ReachTarget.

    Files and folders whose names begin with an underscore or a dot hold none.
    """
    files = {}
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            if not any(part.startswith(("_", ".")) for part in path.relative_to(folder).parts):
                files["".join(part.capitalize() for part in path.stem.split("_"))] = path
    return files


def all_tasks(folders: Sequence[Path] = ()) -> list[str]:
    """Return the names of Myriad's tasks and of those in some folders: some have a YAML alone, some a file alone."""
    roots = [data_folder("cfg"), *(folder / "cfg" for folder in folders)]
    with_yaml = (path.stem for root in roots for path in (root / "task").glob("*.yaml"))
    return sorted({*with_yaml, *task_files([TASKS_PATH, *folders])} - {"Default"})


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
    package = _package_of(path.parent)
    module_name = f"{package}.{path.stem}"
    # A task beside this one may have been loaded for another engine: who builds on it imports it again.
    beside = {name: sys.modules.pop(name) for name in _loaded if name.startswith(f"{package}.") and name in sys.modules}
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    _loaded.add(module_name)
    try:
        spec.loader.exec_module(module)
    except MyriadError:
        raise
    except Exception as error:
        raise MyriadError(f"Task file {where(error, path)}: {type(error).__name__}: {_said(error)}") from error
    finally:
        for other, loaded in beside.items():
            sys.modules.setdefault(other, loaded)
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


def _package_of(folder: Path) -> str:
    """Let task files of a folder import what is beside them, as `._shared` or `_shared`; return their package's name.

    Another folder may have files of the same names, and these may have changed since they were imported: whatever tasks
    have imported so is forgotten, the tasks themselves aside.
    """
    package = f"myriad_tasks.{zlib.crc32(str(folder).encode()):08x}"
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        beside = name.startswith(f"{package}.") or (file and str(Path(file).parent) in _plain_folders)
        if beside and name not in _loaded:
            del sys.modules[name]
    sys.path[:] = [entry for entry in sys.path if entry not in _plain_folders]
    _plain_folders.clear()
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
        _plain_folders.add(str(folder))
    importlib.invalidate_caches()
    sys.modules[package] = ModuleType(package)
    sys.modules[package].__path__ = [str(folder)]
    return package


def where(error: BaseException, path: Path) -> str:
    """Return the place in a task's file, or in a file beside it, as file:line, where an error came from."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).parent == path.parent:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.filename}:{frame.lineno}" for frame in frames if Path(frame.filename).parent == path.parent]
    return places[-1] if places else str(path)


def _said(error: BaseException) -> str:
    return str(error.msg if isinstance(error, SyntaxError) else error)
