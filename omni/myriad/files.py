# SPDX-License-Identifier: Apache-2.0
"""Files written whole or not at all, and the nested plain values that most of them hold."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from omni.myriad.errors import MyriadError

Name = str | os.PathLike[str]

_UNFINISHED = ".unfinished"

_MOST_VALUES = 100_000
"""Of a YAML file, each alias counted with all that it stands for."""


@contextlib.contextmanager
def writing(path: Name) -> Iterator[None]:
    """Say in one line that a file cannot be written, where the block raises what the system says of it."""
    try:
        yield
    except OSError as error:
        raise MyriadError(f"{path} cannot be written: {error.strerror or error}.") from error


@contextlib.contextmanager
def replacing(path: Name) -> Iterator[Path]:
    """Yield a path to write to, whose file takes the place of `path` once the block ends without an error.

    Whoever reads `path` finds the old file or the whole new one, also after a crash. Missing folders are made.

    Args:
        path: The file to write.

    Raises:
        MyriadError: If it cannot be written (full disk, no permission); the old file stays, and nothing else is left.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # In a folder of its own, so that it has its usual suffix and mode; nobody else can foresee its name.
        with tempfile.TemporaryDirectory(_UNFINISHED, f".{path.name}.", path.parent) as folder:
            temporary = Path(folder, path.name)
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)


def refuse_bomb(path: Name) -> None:
    """Look at a YAML file before it is read by what writes all of its aliases out, as OmegaConf does.

    Raises:
        MyriadError: If they stand for more values than a configuration can have.
    """
    import yaml

    sizes: dict[int, int] = {}

    def size(node: Any) -> int:
        if id(node) not in sizes:
            sizes[id(node)] = 0  # of an alias to what it lies in
            parts = node.value if isinstance(node, yaml.CollectionNode) else ()
            flat = (part for item in parts for part in (item if isinstance(item, tuple) else (item,)))
            sizes[id(node)] = 1 + sum(size(part) for part in flat)
        return sizes[id(node)]

    try:
        root = yaml.compose(Path(path).read_text())
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        return  # whoever reads it says it
    if root is not None and (values := size(root)) > _MOST_VALUES:
        raise MyriadError(f"{path} writes out to {values:,} values by its aliases; at most {_MOST_VALUES:,} are read.")


def remove_unfinished(folder: Name) -> None:
    """Remove what `replacing` left in a folder where the process was killed; nobody may be writing there."""
    for left in Path(folder).glob(f".*{_UNFINISHED}"):
        shutil.rmtree(left, ignore_errors=True)


def write_bytes(path: Name, data: bytes | memoryview) -> None:
    """Write a file's bytes, whole or not at all, as `replacing` does."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Name, text: str) -> None:
    """Write a text file, whole or not at all, as `replacing` does."""
    write_bytes(path, text.encode())


def write_json(path: Name, value: Any) -> None:
    """Write a value as indented JSON, whole or not at all, as `replacing` does."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def map_leaves(function: Callable[[Any], Any], value: Any) -> Any:
    """Return nested mappings, lists and tuples again, as dicts, lists and tuples, with `function` of each leaf."""
    if isinstance(value, Mapping):
        return {key: map_leaves(function, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [map_leaves(function, item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return function(value)


def finite_json(value: Any) -> Any:
    """Return a value for strict JSON: numbers that are not finite become the strings "inf", "-inf" and "nan"."""
    return map_leaves(lambda leaf: str(leaf) if isinstance(leaf, float) and not math.isfinite(leaf) else leaf, value)


def from_finite_json(value: Any) -> Any:
    """Turn the strings of `finite_json` back into numbers."""
    return map_leaves(lambda leaf: float(leaf) if leaf in ("inf", "-inf", "nan") else leaf, value)
