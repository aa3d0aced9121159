# SPDX-License-Identifier: Apache-2.0
"""What a task asks of its robots: velocities for walkers, drawn again and again, or said while playing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from omni.myriad.errors import MyriadError
from omni.myriad.maths import normalize_angle

_RANGES = ("linear_x", "linear_y", "yaw")
_HEADING = {"heading": None, "heading_share": 1.0, "heading_gain": 0.5}
_STANDING = {"standing_share": 0.0, "stands_below": 0.0}
_SETTINGS = {**dict.fromkeys(_RANGES, (0.0, 0.0)), **_HEADING, **_STANDING, "resampling_time": None}


class VelocityCommands:
    """Velocities ahead and to the left (m/s) and turning rates (rad/s), in the frame of a root that stands upright.

    A task keeps the four tensors below as its own attributes, too: checkpoints and captured resets look there.

    Args:
        settings: A section of the task's YAML. `linear_x`, `linear_y` and `yaw` are ranges that commands are drawn
            from. `resampling_time`, in s, is the range of times after which a command is drawn again; without it one
            lasts an episode. `standing_share` of the commands are to stand still. With `heading`, a range of directions
            in the world in rad, `heading_share` of the commands say a direction, and their turning rate is
            `heading_gain` (1/s) times what is missing, within `yaw`. Who would go slower than `stands_below` (m/s) is
            to stand where it is, and to look along x if it has a direction, as in OmniIsaacGymEnvs' AnymalTerrain.
        num_envs: Number of environments.
        dt: Control step in s.
        device: Where the tensors are.

    Attributes:
        values: The commands, (num_envs, 3).
        headings: The directions, (num_envs,), nan for those that say a turning rate.
        ages: Steps that the commands have lasted, (num_envs,).
        lasting: Steps after which they are drawn again, (num_envs,).
        share: Part of the ranges that commands are drawn from, about 0: a curriculum's `value` may be put here.

    Raises:
        MyriadError: If a setting is unknown or is no range.
    """

    def __init__(self, settings: Mapping[str, Any], num_envs: int, dt: float, device: torch.device) -> None:
        unknown = sorted(set(settings) - set(_SETTINGS))
        if unknown:
            raise MyriadError(f"commands.{unknown[0]} is no setting of commands; they are: {', '.join(_SETTINGS)}.")
        given = {**_SETTINGS, **settings}
        ranges = {name: _range(name, given[name]) for name in _RANGES}
        self._lower, self._upper = (torch.tensor([ends[i] for ends in ranges.values()], device=device) for i in (0, 1))
        self._headings = _range("heading", given["heading"]) if given["heading"] is not None else None
        time = given["resampling_time"]
        self._steps = None if time is None else tuple(ends / dt for ends in _range("resampling_time", time))
        self._heading_share, self._standing_share = given["heading_share"], given["standing_share"]
        self._slowest = given["stands_below"]
        self.share: Tensor | float = 1.0
        self._gain, self._device = given["heading_gain"], device
        self.values = torch.zeros((num_envs, 3), device=device)
        self.headings = torch.full((num_envs,), math.nan, device=device)
        self.ages = torch.zeros(num_envs, device=device)
        self.lasting = torch.full((num_envs,), math.inf, device=device)
        # Said by the user: in the same tensors always, because a captured step reads them.
        self._said, self._is_said = torch.zeros(3, device=device), torch.zeros((), dtype=torch.bool, device=device)

    @property
    def said(self) -> tuple[float, ...] | None:
        """The one command of all robots that somebody has said, or None while they are drawn; set it while playing."""
        return tuple(self._said.tolist()) if self._is_said else None

    @said.setter
    def said(self, command: Sequence[float] | None) -> None:
        if command is not None:
            if len(command) != 3:
                raise MyriadError(f"A command is three numbers, ahead, to the left and turning; got {len(command)}.")
            self._said.copy_(torch.as_tensor(command))
        else:
            self.draw(torch.arange(len(self.values), device=self._device))
        self._is_said.fill_(command is not None)

    def draw(self, env_ids: Tensor) -> None:
        """Draw new commands for environments, (M,)."""
        values, headings, lasting = self._drawn(len(env_ids))
        self.values[env_ids], self.headings[env_ids], self.lasting[env_ids] = values, headings, lasting
        self.ages[env_ids] = 0.0

    def step(self, yaw: Tensor | None = None) -> None:
        """Go on by a control step: draw again where it is time, turn towards directions.

        Args:
            yaw: Where robots look, (num_envs,) in rad; needed if there are directions.
        """
        self.ages += 1.0
        if self._steps is not None:
            due = self.ages >= self.lasting
            values, headings, lasting = self._drawn(len(self.ages))
            torch.where(due.unsqueeze(-1), values, self.values, out=self.values)
            torch.where(due, headings, self.headings, out=self.headings)
            torch.where(due, lasting, self.lasting, out=self.lasting)
            self.ages.masked_fill_(due, 0.0)
        if self._headings is not None:
            assert yaw is not None, "directions need to know where robots look"
            rate = self._gain * normalize_angle(self.headings - yaw)
            rate = torch.clamp(rate, self.share * self._lower[2], self.share * self._upper[2])
            self.values[:, 2] = torch.where(self.headings.isnan(), self.values[:, 2], rate)
        torch.where(self._is_said, self._said, self.values, out=self.values)

    def _drawn(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return new commands, directions and how long they last, for so many environments."""
        device = self._device
        values = self._lower + (self._upper - self._lower) * torch.rand((count, 3), device=device)
        values = self.share * values
        headings = torch.full((count,), math.nan, device=device)
        chance = torch.rand((count, 2), device=device)
        stands = chance[:, 0] < self._standing_share
        values.masked_fill_(stands.unsqueeze(-1), 0.0)
        if self._headings is not None:
            least, most = self._headings
            drawn = least + (most - least) * torch.rand(count, device=device)
            headings = torch.where((chance[:, 1] < self._heading_share) & ~stands, drawn, headings)
        if self._slowest > 0.0:
            slow = values[:, :2].norm(dim=-1) <= self._slowest
            values.masked_fill_(slow.unsqueeze(-1), 0.0)
            headings = torch.where(slow & ~headings.isnan(), 0.0, headings)
        lasting = torch.full((count,), math.inf, device=device)
        if self._steps is not None:
            lasting.uniform_(*self._steps)
        return values, headings, lasting


def _range(name: str, given: Any) -> tuple[float, float]:
    """Return the two ends of a range."""
    if not isinstance(given, Sequence) or len(given) != 2 or not given[0] <= given[1]:
        raise MyriadError(f"commands.{name}={given} is invalid: it must be a range, such as [-1.0, 1.0].")
    return float(given[0]), float(given[1])
