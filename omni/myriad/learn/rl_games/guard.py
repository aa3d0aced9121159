# SPDX-License-Identifier: Apache-2.0
"""Find what is not finite before the learner swallows it: one NaN would spoil every weight for good."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

SHOWN = 5  # environment ids and columns named in a message


def all_finite(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return a 0-dim bool tensor on the device: is every number of every tensor finite?"""
    return torch.stack([tensor.isfinite().all() for tensor in tensors]).all()


def name_first_non_finite(recordings: Sequence[tuple[str, torch.Tensor]]) -> str | None:
    """Return a phrase that names the earliest number that is not finite, or None where all are.

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
    return f"{phrase}, at step {step} of the rollout"


def _some(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:SHOWN])) + (", ..." if len(numbers) > SHOWN else "")
