# SPDX-License-Identifier: Apache-2.0
"""What a task makes harder as its robots learn: the terrain's level of each, or any number by any statistic.

All of it lies in tensors that are changed in place and without a look from the host, so that a captured step has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from omni.myriad.errors import MyriadError
from omni.myriad.task.terrain import Terrain


class TerrainLevels:
    """Where each environment's episodes start on a terrain: its level, which changes, and its column, which does not.

    The rule is OmniIsaacGymEnvs': who came far moves to the next level, who did not do its part of the way that was
    asked for to the level before. What is asked is each robot's own speed: there it is the sum over all that reset in
    the same step. A task keeps the tensors below as its own attributes, too: checkpoints and captured resets look
    there.

    Args:
        terrain: The terrain.
        num_envs: Number of environments.

    Attributes:
        levels: Of the environments, (num_envs,) int64.
        columns: Of the environments, (num_envs,) int64.
        origins: Where their episodes start in m, (num_envs, 3).
    """

    def __init__(self, terrain: Terrain, num_envs: int) -> None:
        settings, device = terrain.settings, terrain.heights.device
        self._terrain, self._device = terrain, device
        first = settings.start_levels if settings.curriculum else settings.levels
        self.levels = torch.randint(0, first, (num_envs,), device=device)
        self.columns = torch.randint(0, settings.columns, (num_envs,), device=device)
        self.origins = terrain.origins[self.levels, self.columns]

    def update(self, env_ids: Tensor, positions: Tensor, asked: Tensor | float, moved: Tensor) -> None:
        """Move environments to other levels as their episodes went.

        Args:
            env_ids: Environments whose episodes have ended, (M,).
            positions: Where their robots are in m, (M, 3).
            asked: How far they were asked to go in m, (M,) or one number.
            moved: False where there was no episode yet, (M,) bool: these stay.
        """
        settings = self._terrain.settings
        if not settings.curriculum:
            return
        levels = self.levels[env_ids]
        walked = (positions[:, :2] - self.origins[env_ids, :2]).norm(dim=-1)
        up = (walked > settings.up_beyond * settings.tile) & moved
        down = (walked < settings.down_below * asked) & moved & ~up
        levels = (levels + up.long() - down.long()).clamp_(min=0)
        if settings.after_last == "random":
            again = torch.randint(0, settings.levels, levels.shape, device=self._device)
        else:
            again = torch.zeros_like(levels)
        levels = torch.where(levels >= settings.levels, again, levels)
        self.levels[env_ids] = levels
        self.origins[env_ids] = self._terrain.origins[levels, self.columns[env_ids]]

    def draw(self, levels: Tensor) -> None:
        """Draw all levels from those of other environments, (any number,) int64, such as a checkpoint's."""
        chosen = torch.randint(0, len(levels), self.levels.shape, device=levels.device)
        self.levels.copy_(levels[chosen].clamp(max=self._terrain.settings.levels - 1))
        self.origins.copy_(self._terrain.origins[self.levels, self.columns])


_SETTINGS = {"start": 0.0, "end": 1.0, "step": 0.1, "up_above": None, "down_below": None, "episodes": 1000}


class Curriculum:
    """A number that moves from `start` to `end` while a statistic of the episodes is good, and back while it is bad.

    Put into `task.curricula` under a name, it is shown with the progress and kept in checkpoints.

    Args:
        name: Its name, for messages.
        settings: A section of a task's YAML. After `episodes` episodes the mean of the statistic decides: above
            `up_above` the number moves by `step` towards `end`, below `down_below` (None for never) towards `start`.
        device: Where the tensors are.

    Attributes:
        value: The number now, a tensor without dimensions, the same one always.

    Raises:
        MyriadError: If a setting is unknown, or `up_above` is missing.
    """

    def __init__(self, name: str, settings: Mapping[str, Any], device: torch.device) -> None:
        unknown = sorted(set(settings) - set(_SETTINGS))
        if unknown:
            raise MyriadError(f"Curriculum {name}: {unknown[0]} is no setting; they are: {', '.join(_SETTINGS)}.")
        given = {**_SETTINGS, **settings}
        if given["up_above"] is None:
            raise MyriadError(f"Curriculum {name} does not say its up_above: from which mean on the number moves.")
        if given["step"] <= 0 or given["episodes"] < 1:
            raise MyriadError(f"Curriculum {name}: step and episodes must be above 0.")
        start, end = float(given["start"]), float(given["end"])
        self._least, self._most = min(start, end), max(start, end)
        self._step = float(given["step"]) if end >= start else -float(given["step"])
        self._up_above, self._down_below, self._episodes = given["up_above"], given["down_below"], given["episodes"]
        self.value = torch.tensor(start, device=device)
        # Of the episodes since the last decision: their number, and the sum of the statistic.
        self._sums = torch.zeros(2, device=device)

    def update(self, ended: Tensor, statistic: Tensor) -> None:
        """Take note of episodes, and move the number if there were enough.

        Args:
            ended: True where an episode has ended in this step, (num_envs,).
            statistic: What it was like, (num_envs,).
        """
        counts = ended.float()
        self._sums += torch.stack((counts.sum(), torch.where(ended.bool(), statistic, 0.0).sum()))
        count, total = self._sums.unbind()
        mean, due = total / count.clamp(min=1.0), count >= self._episodes
        move = (mean > self._up_above).float()
        if self._down_below is not None:
            move = move - (mean < self._down_below).float()
        self.value += self._step * move * due
        self.value.clamp_(self._least, self._most)
        self._sums.masked_fill_(due, 0.0)

    def state(self) -> dict[str, Tensor]:
        """Return copies of its tensors, for checkpoints."""
        return {"value": self.value.clone(), "sums": self._sums.clone()}

    def set_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on where a state of `state` was."""
        self.value.copy_(state["value"])
        self._sums.copy_(state["sums"])


class EpisodeAverage:
    """The mean of a statistic over episodes, the last ones counting most: a number to be put into `curricula`.

    Whenever episodes end, it moves by a part of the way to their mean, as OmniIsaacGymEnvs' `consecutive_successes`.

    Args:
        part: Of the way, from 0 to 1.
        device: Where the tensors are.

    Attributes:
        value: The number now, a tensor without dimensions, the same one always.
    """

    def __init__(self, part: float, device: torch.device) -> None:
        self._part = part
        self.value = torch.zeros((), device=device)

    def update(self, ended: Tensor, statistic: Tensor) -> None:
        """Take note of episodes.

        Args:
            ended: True where an episode has ended in this step, (num_envs,).
            statistic: What it was like, (num_envs,).
        """
        count = ended.sum()
        mean = (statistic * ended).sum() / count.clamp(min=1)
        self.value += self._part * (mean - self.value) * (count > 0)

    def state(self) -> dict[str, Tensor]:
        """Return a copy of it, for checkpoints."""
        return {"value": self.value.clone()}

    def set_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on where a state of `state` was."""
        self.value.copy_(state["value"])
