# SPDX-License-Identifier: Apache-2.0
"""Find what is not finite before the learner swallows it: one NaN would spoil every weight for good."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch

SHOWN = 5  # environment ids and columns named in a message
MOST_FAULTY = 0.01  # of all environments in an epoch; one is always allowed
MOST_AGAIN = 10  # epochs in a row in which the same environment is faulty


class TooFaultyError(RuntimeError):
    """Say that environments stop being finite too often to be reset and left out."""


class Faults:
    """Count the environments that were reset because something in them was not finite.

    Args:
        num_envs: Number of environments.
    """

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self._again: dict[int, int] = {}

    def take(self, env_ids: list[int]) -> None:
        """Take note of the faulty environments of an epoch.

        Raises:
            TooFaultyError: If these are too many, or one of them was faulty too often in a row.
        """
        self._again = {env_id: self._again.get(env_id, 0) + 1 for env_id in env_ids}
        if len(env_ids) > max(1, int(MOST_FAULTY * self.num_envs)):
            raise TooFaultyError(
                f"numbers of {len(env_ids)} of {self.num_envs} environments were not finite in one epoch, among them "
                f"{_some(env_ids)}: that is more than {MOST_FAULTY:.0%}"
            )
        stuck = [env_id for env_id, times in self._again.items() if times >= MOST_AGAIN]
        if stuck:
            raise TooFaultyError(
                f"environment {stuck[0]} was not finite in {MOST_AGAIN} epochs in a row: no reset helps"
            )


def all_finite(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return a 0-dim bool tensor on the device: is every number of every tensor finite?"""
    return torch.stack([tensor.isfinite().all() for tensor in tensors]).all()


class Found(NamedTuple):
    """The earliest number that is not finite: where it is, and a phrase that names it."""

    name: str
    step: int
    env_ids: list[int]
    phrase: str


def find_first_non_finite(recordings: Sequence[tuple[str, torch.Tensor]]) -> Found | None:
    """Find the earliest number that is not finite; return None where all are.

    Args:
        recordings: Name and tensor (steps, num_envs, ...) of each quantity recorded, in the order of cause and
            effect within a step: of two that go wrong in the same step, the first is named.
    """
    first: tuple[int, str, torch.Tensor] | None = None
    for name, tensor in recordings:
        bad = ~tensor.isfinite().flatten(start_dim=2) if tensor.dim() > 2 else ~tensor.isfinite().unsqueeze(-1)
        steps = bad.any(-1).any(-1).nonzero()
        if len(steps) and (first is None or int(steps[0]) < first[0]):
            first = (int(steps[0]), name, bad[int(steps[0])])
    if first is None:
        return None
    step, name, bad = first
    env_ids = bad.any(1).nonzero().flatten().tolist()
    columns = bad.any(0).nonzero().flatten().tolist() if bad.shape[1] > 1 else []
    phrase = f"{name} is not finite in environment{'s' if len(env_ids) > 1 else ''} {_some(env_ids)}"
    if len(env_ids) > SHOWN:
        phrase += f" ({len(env_ids)} of {bad.shape[0]})"
    if columns:
        phrase += f", column{'s' if len(columns) > 1 else ''} {_some(columns)}"
    return Found(name.split()[0], step, env_ids, f"{phrase}, at step {step} of the rollout")


def say_left_out(env_ids: list[int]) -> str:
    """Return a sentence about environments that were reset."""
    one, name = len(env_ids) == 1, _some(env_ids)
    return f"environment{'' if one else 's'} {name} {'was' if one else 'were'} not finite: reset, and not learned from"


def _some(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:SHOWN])) + (", ..." if len(numbers) > SHOWN else "")
