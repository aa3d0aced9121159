# SPDX-License-Identifier: Apache-2.0
"""What a sweep tries: `sweep.learning_rate=loguniform(1e-4,1e-2)`, `sweep.gamma=[0.97,0.99]`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from omni.myriad.app.config import load_config
from omni.myriad.app.options import options
from omni.myriad.app.schema import TrainVerb
from omni.myriad.errors import MyriadError

PREFIX = "sweep."
RANGES = ("uniform", "loguniform", "randint", "lograndint")
_SHORT = "train.params.config."
_CALL = re.compile(r"([a-z]+)\(([^()]*)\)")
_NEVER = ("task", "train", "engine", "oige", "task.task_path", "learner", "checkpoint", "experiment", "train_dir")
_PLAIN = re.compile(r"[\w.+-]+")


@dataclass(frozen=True)
class Range:
    """Numbers that a setting is drawn from.

    Attributes:
        kind: One of `RANGES`: numbers or whole numbers, alike in themselves or in their logarithm.
        low: The smallest.
        high: What it stays below, where numbers are whole; else the largest.
    """

    kind: str
    low: float
    high: float

    @property
    def is_whole(self) -> bool:
        """Whether its numbers are whole."""
        return self.kind.endswith("randint")

    @property
    def is_logarithmic(self) -> bool:
        """Whether it is drawn by the logarithm."""
        return self.kind.startswith("log")

    @property
    def ends(self) -> tuple[Any, Any]:
        """Return the smallest and the largest number in it."""
        return (int(self.low), int(self.high) - 1) if self.is_whole else (self.low, self.high)

    def nearest(self, value: float) -> Any:
        """Return the number in it that is nearest to another."""
        low, high = self.ends
        return min(max(round(value) if self.is_whole else value, low), high)


Space = dict[str, "Range | list[Any]"]
"""By the whole key of a setting: what it is drawn from, or the values that it may have."""


def read_space(given: Mapping[str, str], settings: Sequence[str]) -> Space:
    """Return what is swept over, every end and value of it tried against the configuration.

    Args:
        given: By key, without `sweep.`: the text of a range or list.
        settings: The settings of all trainings, such as task=Ant.

    Raises:
        MyriadError: On something else than a range or list, an unknown setting, or a value that it cannot have.
    """
    space: Space = {}
    for name, text in given.items():
        key = name if "." in name or name in options(TrainVerb) else _SHORT + name
        if key in _NEVER:
            raise MyriadError(f"{PREFIX}{name} cannot be swept over: a sweep is over settings of one task and learner.")
        space[key] = _read(PREFIX + name, text)
    tried = {key: list(one.ends) if isinstance(one, Range) else one for key, one in space.items()}
    for index in range(max(map(len, tried.values()), default=0)):
        load_config(
            [*settings, *as_settings({key: values[index % len(values)] for key, values in tried.items()})], "train"
        )
    return space


def _read(name: str, text: str) -> Range | list[Any]:
    wants = f"it must be a list such as [0.97,0.99], or {', '.join(f'{kind}(low,high)' for kind in RANGES)}"
    called = _CALL.fullmatch(text.strip())
    try:
        values = yaml.safe_load(f"[{called[2]}]" if called else text)
        if called:  # YAML takes 1e-4 for text
            values = [float(value) for value in values]
    except (yaml.YAMLError, ValueError, TypeError):
        raise MyriadError(f"{name}={text} is invalid: {wants}.") from None
    if not called:
        if not isinstance(values, list) or not values:
            raise MyriadError(f"{name}={text} is invalid: {wants}.")
        return [_number(value) for value in values]
    kind = called[1]
    if kind not in RANGES or len(values) != 2:
        raise MyriadError(f"{name}={text} is invalid: {wants}.")
    low, high = values
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise MyriadError(f"{name}={text} is invalid: the first number must be below the second.")
    if kind.startswith("log") and low <= 0:
        raise MyriadError(f"{name}={text} is invalid: a logarithm needs numbers above 0.")
    if kind.endswith("randint") and (low % 1 or high % 1):
        raise MyriadError(f"{name}={text} is invalid: {kind} is of whole numbers.")
    return Range(kind, low, high)


def _number(value: Any) -> Any:
    """Return the number that a text such as 1e-4 is."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
    return value


def as_settings(values: Mapping[str, Any]) -> list[str]:
    """Return settings as one gives them on the command line."""
    return [f"{key}={written(value)}" for key, value in values.items()]


def written(value: Any) -> str:
    """Return a value as it is written on the command line."""
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        return "'" + value.replace("'", "\\'") + "'"
    return str(value)
