# SPDX-License-Identifier: Apache-2.0
"""The benchmark's own part of its command line; the rest are settings of the runs that it measures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omni.myriad.errors import MyriadError

MEASURES = ("floor", "env", "train", "startup", "peers", "reward")
PEERS = ("rl_games", "rl_games_compiled", "mujoco_warp", "gymnasium", "mjlab")


@dataclass(frozen=True)
class Options:
    """What to measure, how often, and where to write it.

    Attributes:
        num_envs: Numbers of environments; empty means the task's own.
        measure: Some of MEASURES.
        peers: Some of PEERS.
        seeds: Seeds of the runs that are trained until they reach a reward.
        reward: Mean rewards to reach.
        repeats: How often each thing is measured; start-ups at most 3 times, because they take seconds each.
        seconds: Length of one repeat.
        epochs: Epochs measured in training, the first fifth of them as warm-up.
        minutes: What does not fit into so many minutes is left out, and said to be.
        output: Folder for results; empty means one below `runs/benchmarks`.
        name: Name of the files; empty means task and device, such as ant-h200.
        merge: Results of earlier commands to put together, instead of measuring.
        render: Markdown file whose tables are written anew from the results in the folder beside it that has its name.
    """

    num_envs: tuple[int, ...] = ()
    measure: tuple[str, ...] = ("floor", "env", "train", "startup", "peers")
    peers: tuple[str, ...] = PEERS
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    reward: tuple[float, ...] = (3000.0, 5900.0)
    repeats: int = 5
    seconds: float = 1.0
    epochs: int = 50
    minutes: float = 8.0
    output: str = ""
    name: str = ""
    merge: tuple[str, ...] = ()
    render: str = ""


def split(arguments: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Part the benchmark's own arguments from settings such as task=Ant; nothing is checked yet.

    Returns:
        The benchmark's own as name: value, and the settings as they were given.
    """
    ours: dict[str, str] = {}
    settings = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals and name in Options.__dataclass_fields__:
            ours[name] = value
        else:
            settings.append(argument)
    return ours, settings


def parse(ours: dict[str, str]) -> Options:
    """Check the benchmark's own arguments.

    Raises:
        MyriadError: On a value that cannot be.
    """
    values: dict[str, Any] = {}
    for name, text in ours.items():
        if name in ("measure", "peers"):
            values[name] = _choices(name, text, MEASURES if name == "measure" else PEERS)
        elif name in ("num_envs", "seeds", "reward"):
            number, least = {"num_envs": (int, 1), "seeds": (int, 0), "reward": (float, None)}[name]
            values[name] = tuple(_number(name, item, number, least) for item in _items(text))
        elif name in ("repeats", "epochs"):
            values[name] = _number(name, text, int, {"repeats": 1, "epochs": 5}[name])
        elif name in ("seconds", "minutes"):
            values[name] = _number(name, text, float, 0.001)
        elif name == "merge":
            values[name] = tuple(_items(text))
        else:
            values[name] = text
    if "num_envs" in values:
        values["num_envs"] = tuple(sorted(set(values["num_envs"])))
    for file in values.get("merge", ()):
        if not Path(file).is_file():
            raise MyriadError(f"merge={file} does not exist: give the .json files of earlier benchmarks.")
    return Options(**values)


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.strip("[]() ").split(",") if item.strip()]


def _choices(name: str, text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    chosen = known if text == "all" else () if text == "none" else tuple(_items(text))
    for item in chosen:
        if item not in known:
            raise MyriadError(f"{name}={item} is unknown; choose from: {', '.join(known)}, all.")
    return tuple(item for item in known if item in chosen)


def _number(name: str, text: str, number: Callable[[str], Any], least: float | None) -> Any:
    try:
        value = number(text)
    except ValueError:
        value = None
    if value is None or (least is not None and value < least):
        kind = "a whole number" if number is int else "a number"
        limit = "" if least is None else f", at least {least:g}"
        raise MyriadError(f"{name}={text} cannot be: it must be {kind}{limit}.")
    return value
