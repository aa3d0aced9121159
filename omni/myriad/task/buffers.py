# SPDX-License-Identifier: Apache-2.0
"""Buffers: rewards and their terms, and what takes what a beginner writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import torch

from omni.myriad.errors import MyriadError

if TYPE_CHECKING:
    from omni.myriad.task.rl_task import RLTask


class Rewards(torch.Tensor):
    """Rewards, (num_envs,), into which a column, (num_envs, 1), can be written as well; else an ordinary tensor."""

    # Whatever is computed from it is an ordinary tensor, and costs nothing more.
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment] - as torch documents it

    def __setitem__(self, key: Any, value: Any) -> None:
        """Write values."""
        if isinstance(value, torch.Tensor) and value.shape == (*self.shape, 1):
            value = value.squeeze(-1)
        super().__setitem__(key, value)


class RewardTerms:
    """The terms that a reward is the sum of, and their means over environments and steps, kept on the device.

    Args:
        terms: By name, (num_envs,) float each, or a number that never changes.
        num_envs: Number of environments.
        device: Where they are.

    Attributes:
        names: Of the terms.
        values: Those of the last step, (terms, num_envs).
    """

    def __init__(self, terms: Mapping[str, torch.Tensor | float], num_envs: int, device: torch.device) -> None:
        self.names = tuple(terms)
        rows = torch.ones((len(terms) + 1, num_envs), device=device)  # the last one counts steps
        self._rows, self.values = rows, rows[:-1]
        self._fixed = {
            name: torch.full((num_envs,), float(value), device=device)
            for name, value in terms.items()
            if not isinstance(value, torch.Tensor)
        }
        self._sums = torch.zeros(len(rows), device=device)

    def sum(self, terms: Mapping[str, torch.Tensor | float]) -> torch.Tensor:
        """Take in the terms of a step, and return their sums, (num_envs,)."""
        torch.stack([self._fixed.get(name, terms[name]) for name in self.names], out=self.values)  # type: ignore[arg-type]
        self._sums += self._rows.mean(dim=1)
        return self.values.sum(dim=0)

    def take(self) -> dict[str, torch.Tensor]:
        """Return the mean of each term over all environments and the steps since the last call, on the device."""
        means = self._sums[:-1] / self._sums[-1].clamp(min=1.0)
        self._sums.zero_()
        return dict(zip(self.names, means.unbind(), strict=True))


class FirstObservation:
    """Stands for `obs_buf` until a task first writes all of it, which says how wide it is.

    Args:
        task: The task, which gets the buffer and its `num_observations` then.
    """

    def __init__(self, task: RLTask) -> None:
        self._task = task

    def __setitem__(self, key: Any, value: Any) -> None:
        """Take the width of the first observation.

        Raises:
            MyriadError: If only a part is written, or what is written is no tensor with a row for each environment.
        """
        task = self._task
        whole = all(part is Ellipsis or part == slice(None) for part in (key if isinstance(key, tuple) else (key,)))
        rows = isinstance(value, torch.Tensor) and value.ndim == 2 and len(value) == task.num_envs
        if not (whole and rows):
            self._give_up()
        task.num_observations = value.shape[1]
        task.obs_buf = torch.zeros(value.shape, device=task.device)
        task.obs_buf[key] = value

    def __getattr__(self, name: str) -> NoReturn:
        self._give_up()

    def __getitem__(self, key: Any) -> NoReturn:
        """Refuse to be read."""
        self._give_up()

    def _give_up(self) -> NoReturn:
        raise MyriadError(
            f"Task {self._task.name} does not say its num_observations: set num_observations = ... in the class, or "
            f"write all at once, self.obs_buf[:] = ..., with shape ({self._task.num_envs}, num_observations)."
        )
