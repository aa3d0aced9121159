# SPDX-License-Identifier: Apache-2.0
"""Sensors and wires as robots have them: readings that are off, readings that get lost, and everything a little late.

All of it does the same work in every step and keeps its tensors, so that a captured step can have it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor

from omni.myriad.errors import MyriadError
from omni.myriad.task.terms import Numbers, ObservationTerm


class Delay:
    """Gives what was some time ago: for each environment and episode another fraction of control steps.

    Between two steps it interpolates. For observations that is what a sensor read then; for actions, which are held for
    a control step each, it is the mean of what is commanded while the late one takes over.

    Args:
        least: Least delay in control steps.
        most: Greatest.
        shape: Of what is delayed, (num_envs, numbers).
        device: Where that is.
        from_rest: Whether zeros came before the first of an episode, as with actions; else the first itself.

    Attributes:
        steps: The delays in control steps, (num_envs, 1).
    """

    def __init__(
        self, least: float, most: float, shape: tuple[int, int], device: torch.device, from_rest: bool
    ) -> None:
        self._least, self._most, self._from_rest = least, most, from_rest
        self.steps = torch.zeros((shape[0], 1), device=device)
        self._past = torch.zeros((shape[0], math.ceil(most) + 1, shape[1]), device=device)  # the newest first
        self._places = torch.arange(self._past.shape[1], device=device)

    def __call__(self, values: Tensor, began: Tensor) -> Tensor:
        """Return what values were.

        Args:
            values: Those of now, (num_envs, numbers).
            began: True where these are an episode's first, (num_envs,).
        """
        began = began.unsqueeze(-1)
        drawn = torch.empty_like(self.steps).uniform_(self._least, self._most)
        torch.where(began, drawn, self.steps, out=self.steps)
        older = torch.roll(self._past, 1, dims=1)
        before = torch.zeros_like(older) if self._from_rest else values.unsqueeze(1)
        torch.where(began.unsqueeze(-1), before, older, out=self._past)
        self._past[:, 0] = values
        weights = (1.0 - (self.steps - self._places).abs()).clamp(min=0.0)
        return (weights.unsqueeze(-1) * self._past).sum(dim=1)


class Sensors:
    """Biases that last for an episode, and terms that now and then repeat what they read last.

    Args:
        settings: By patterns of terms' names: `bias`, the least and greatest in the term's unit, drawn for each number;
            `dropout`, the chance in each step that a term's reading is lost.
        terms: What is observed.
        num_envs: Number of environments.
        device: Where observations are.
        key: Where the settings stand, for messages.

    Raises:
        MyriadError: If a setting is wrong, or a pattern matches no term.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        terms: Sequence[ObservationTerm],
        num_envs: int,
        device: torch.device,
        key: str,
    ) -> None:
        width, starts = sum(term.size for term in terms), {}
        lower, upper = torch.zeros(width), torch.zeros(width)
        lost = torch.zeros(len(terms))
        which = torch.cat([torch.full((term.size,), index) for index, term in enumerate(terms)])
        for index, term in enumerate(terms):
            starts[term.name] = (index, slice(int((which < index).sum()), int((which <= index).sum())))
        for pattern, given in settings.items():
            matched = [term for term in terms if fnmatchcase(term.name, pattern)]
            if not matched:
                known = ", ".join(starts) or "none"
                raise MyriadError(f"{key}.{pattern} matches no term that is observed; they are: {known}.")
            bias, dropout = _checked(f"{key}.{pattern}", given)
            for term in matched:
                index, part = starts[term.name]
                scale = _spread(term.scale, term.size)
                ends = torch.stack((scale * bias[0], scale * bias[1]))
                lower[part], upper[part] = ends.min(dim=0).values, ends.max(dim=0).values
                lost[index] = dropout
        self._lower, self._range = lower.to(device), (upper - lower).to(device)
        self._chance = lost.to(device) if lost.any() else None
        self._which = which.to(device)
        self.bias = torch.zeros((num_envs, width), device=device)
        self._last = torch.zeros_like(self.bias)

    def __call__(self, values: Tensor, began: Tensor) -> Tensor:
        """Return what is read of observations, (num_envs, numbers); `began` as of `Delay`."""
        began = began.unsqueeze(-1)
        drawn = self._lower + self._range * torch.rand_like(self.bias)
        torch.where(began, drawn, self.bias, out=self.bias)
        values = values + self.bias
        if self._chance is None:
            return values
        chances = torch.rand((len(values), len(self._chance)), device=values.device)
        lost = (chances < self._chance)[:, self._which] & ~began
        torch.where(lost, self._last, values, out=self._last)
        return self._last


def _spread(numbers: Numbers, size: int) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float32).expand(size)


def _checked(key: str, given: Any) -> tuple[tuple[float, float], float]:
    """Return bias and dropout of a section."""
    values = dict(given) if isinstance(given, Mapping) else {"": given}
    if unknown := sorted(set(values) - {"bias", "dropout"}):
        raise MyriadError(f"{key}.{unknown[0]} is not supported; what is: bias, dropout.")
    dropout = values.get("dropout", 0.0)
    if not isinstance(dropout, float | int) or not 0.0 <= dropout < 1.0:
        raise MyriadError(f"{key}.dropout={dropout} is invalid: it is a chance, at least 0 and below 1.")
    return span(f"{key}.bias", values.get("bias", (0.0, 0.0)), -math.inf), float(dropout)


def span(key: str, given: Any, least: float) -> tuple[float, float]:
    """Return a range's two ends.

    Raises:
        MyriadError: If it is none, or begins below `least`.
    """
    numbers = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else []
    ok = len(numbers) == 2 and all(isinstance(number, float | int) for number in numbers)
    if not ok or not least <= numbers[0] <= numbers[1] < math.inf:
        bound = "" if least == -math.inf else f", from {least:g} on"
        raise MyriadError(f"{key}={given} is invalid: it must be a range{bound}, such as [0.0, 0.5].")
    return float(numbers[0]), float(numbers[1])
