# SPDX-License-Identifier: Apache-2.0
"""The benchmark's own part of its command line; the rest are settings of the runs that it measures."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from omni.myriad.app.options import Option, options
from omni.myriad.app.schema import Benchmark as Options
from omni.myriad.errors import MyriadError

T = TypeVar("T")


def split(arguments: Sequence[str], own: type = Options) -> tuple[dict[str, str], list[str]]:
    """Part a verb's own arguments from settings such as task=Ant; nothing is checked yet.

    Args:
        arguments: What follows the verb.
        own: The dataclass of its own.

    Returns:
        Its own as name: value, and the settings as they were given.
    """
    ours = [text for text in arguments if "=" in text and text.partition("=")[0] in options(own)]
    return dict(text.split("=", 1) for text in ours), [text for text in arguments if text not in ours]


def parse(ours: dict[str, str], own: type[T] = Options) -> T:
    """Check a verb's own arguments, and return its dataclass of them.

    Raises:
        MyriadError: On an invalid value.
    """
    values = {name: _value(name, options(own)[name], text) for name, text in ours.items()}
    if "num_envs" in values:
        values["num_envs"] = tuple(sorted(set(values["num_envs"])))
    for file in values.get("merge", ()):
        if not Path(file).is_file():
            raise MyriadError(f"merge={file} does not exist: give the .json files of earlier benchmarks.")
    return own(**values)


def _value(name: str, option: Option, text: str) -> Any:
    kind, *_ = get_args(option.hint) or [None]
    if kind is None:
        return option.checked(name, _read(text, option.hint))
    items = [item.strip() for item in text.strip("[]() ").split(",") if item.strip()]
    if known := get_args(kind):
        items = known if text == "all" else () if text == "none" else items
        for item in items:
            if item not in known:
                raise MyriadError(f"{name}={item} is unknown; choose from: {', '.join(known)}, all.")
        return tuple(item for item in known if item in items)
    one = dataclasses.replace(option, hint=kind)
    return tuple(one.checked(name, _read(item, kind)) for item in items)


def _read(text: str, kind: Any) -> Any:
    try:
        return kind(text)
    except ValueError:
        return text
