# SPDX-License-Identifier: Apache-2.0
"""What the engines' bare loops share: one robot per environment, and random torques for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch

from omni.myriad.errors import MyriadError

TORQUES = 16
"""Random torques are drawn beforehand and used in turn, so that drawing them costs the loop nothing."""

_Robot = TypeVar("_Robot")


def only_robot(robots: Sequence[_Robot]) -> _Robot:
    """Return the articulation of a scene that has exactly one per environment.

    Raises:
        MyriadError: If it has none, or several.
    """
    if len(robots) != 1:
        raise MyriadError(f"The bare loop needs one articulation per environment, and this task has {len(robots)}.")
    return robots[0]


def draw_torques(like: torch.Tensor, max_effort: float) -> torch.Tensor:
    """Return `TORQUES` times torques of a tensor's shape, drawn evenly between -max_effort and max_effort."""
    return (torch.rand((TORQUES, *like.shape), device=like.device) * 2.0 - 1.0) * max_effort
